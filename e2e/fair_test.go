//go:build linux

package e2e

import (
	"fmt"
	"os"
	"testing"
)

// atMost is what the others' requests may take, in milliseconds, while one process has
// the supervisor wait for it. A request is a connection, a byte to and fro, and the end.
const atMost = 50

// everyRoot calls f with root on all processors and on one.
func everyRoot(t *testing.T, f func(*testing.T, way)) {
	t.Helper()
	needRoot(t)
	for _, w := range []way{asRoot, {name: "root, one", one: true}} {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// userAndOne calls f with an ordinary user on all processors and on one.
func userAndOne(t *testing.T, f func(*testing.T, way)) {
	t.Helper()
	for _, w := range []way{asUser, onOne} {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// TestLatePage has calls whose arguments, or the place for their results, lie on a page
// that userfaultfd or a file system brings late. It holds up its own process alone: also
// where the kernel holds a socket's queue until then, and where many threads of the
// process have such a page. An ordinary user may not serve the kernel's own page faults.
func TestLatePage(t *testing.T) {
	needC(t)
	t.Run("userfaultfd", func(t *testing.T) {
		everyRoot(t, func(t *testing.T, w way) { twin(t, w, fmt.Sprintf("fair late uffd %d", atMost)) })
	})
	t.Run("threads", func(t *testing.T) {
		everyRoot(t, func(t *testing.T, w way) { twin(t, w, fmt.Sprintf("fair threads %d", atMost)) })
	})
	t.Run("file system", func(t *testing.T) {
		needFuse(t)
		everyRoot(t, func(t *testing.T, w way) { twin(t, w, fmt.Sprintf("fair late fuse %d", atMost)) })
	})
}

// TestSlowFile takes a file for a socket, whose file system is slow to tell its
// attributes and to let it be closed.
func TestSlowFile(t *testing.T) {
	needC(t)
	needFuse(t)
	everyRoot(t, func(t *testing.T, w way) { twin(t, w, fmt.Sprintf("fair file %d", atMost)) })
}

// needFuse skips the test unless it may mount a file system of its own.
func needFuse(t *testing.T) {
	t.Helper()
	needRoot(t)
	if _, err := os.Stat("/dev/fuse"); err != nil || !hasCapability(t, capSysAdmin) {
		t.Skip("needs /dev/fuse, and leave to mount")
	}
}

const capSysAdmin = 21

// TestKilledWithManySockets ends a process that has thousands of sockets. The round
// trips of others go on meanwhile.
func TestKilledWithManySockets(t *testing.T) {
	needC(t)
	for _, c := range []struct {
		kind string
		n    int
	}{{"connections", 3000}, {"datagrams", count(2000, 5000)}, {"queued", 500}} {
		t.Run(c.kind, func(t *testing.T) {
			userAndOne(t, func(t *testing.T, w way) {
				w.limit = 2 * twinLimit
				twin(t, w, fmt.Sprintf("fair killed %s %d 20", c.kind, c.n))
			})
		})
	}
}

// TestFullStandardError names calls, and a socket that is inherited, on a pipe that is
// full and that nobody reads.
func TestFullStandardError(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	const full = `exec python3 -c '
import os, socket, sys
inherited = socket.create_server(("127.0.0.1", 0))
inherited.set_inheritable(True)
r, w = os.pipe()
os.set_inheritable(r, True)
os.set_blocking(w, False)
try:
    while True: os.write(w, bytes(512))
except BlockingIOError: pass
os.set_blocking(w, True)
os.dup2(w, 2)
os.execvp(sys.argv[1], sys.argv[1:])' "$@"`
	userAndOne(t, func(t *testing.T, w way) {
		w.sh = full
		twin(t, w, `python3 -c '
import socket
s = socket.socket()
for i in range(2000):
    try: s.setsockopt(socket.SOL_SOCKET, 5000 + i, 1)
    except OSError: pass
ls = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(ls.getsockname())
c.sendall(b"on it goes")
print(ls.accept()[0].recv(20))
'`)
	})
}

// TestStoppedGuard stops the process that ends the programs if usock is killed. It is
// told of more processes than a pipe holds; they go on, and the run ends.
func TestStoppedGuard(t *testing.T) {
	needC(t)
	need(t, "python3", "python3")
	ways := []way{asUser, onOne}
	if os.Getuid() == 0 {
		ways = append(ways, asRoot) // who may make the pipe small
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			n := count(1200, 6000)
			prints(t, w, fmt.Sprintf("python3 %s $SUP\nfair forks %d %d", script(t, "guard.py"), n, 2*atMost),
				"the guard stands still", fmt.Sprintf("%d processes, 0 without a socket", n), "in time: 1")
		})
	}
}

//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestEnds gives up one end of a connection in every way, while the other goes on
// writing. Linux answers the first write to a closed end with a reset, and resets
// at once where bytes were left unread or SO_LINGER says so (RFC 1122 4.2.2.13,
// RFC 2525 2.17).
func TestEnds(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	var cases []string
	for _, how := range []string{"close", "exit", "kill", "dups", "fork", "exec"} {
		cases = append(cases, how+" accepted 4 read none first", "shut-"+how+" accepted 4 read none first",
			how+" connecting 6 unread none write", "shut-"+how+" connecting 6 read none write")
	}
	for _, how := range []string{"close", "exit", "shut-close", "shut-exit"} {
		cases = append(cases, how+" accepted 4 read zero first", how+" connecting 6 read some write",
			how+" accepted 6 unread none first", how+" accepted 4 unread some write")
	}
	endsOf(t, asUser, cases)
	if *long {
		endsOf(t, onOne, cases)
	}
}

// endsOf runs the cases in one twin, for most of their time is the interpreter's start.
func endsOf(t *testing.T, w way, cases []string) {
	py := script(t, "ends.py")
	var b strings.Builder
	for i, c := range cases {
		fmt.Fprintf(&b, "(echo '== %s'; timeout 6 python3 %s %s) >%d 2>&1 & [ %d = 3 ] && wait\n", c, py, c, i, i%4)
	}
	fmt.Fprintf(&b, "wait\ni=0; while [ $i -lt %d ]; do cat $i; i=$((i+1)); done", len(cases))
	twin(t, w, b.String())
}

// TestWritesToAClosedEnd bounds what a polite end takes afterwards.
func TestWritesToAClosedEnd(t *testing.T) {
	need(t, "python3", "python3")
	twin(t, asUser, `python3 -c '
import errno, socket
for shut in (False, True):
    ls = socket.create_server(("127.0.0.1", 0))
    c = socket.create_connection(ls.getsockname())
    s = ls.accept()[0]
    if shut: s.shutdown(socket.SHUT_WR)
    s.close()
    c.recv(1)
    taken = 0
    try:
        while taken < 64 << 20: taken += c.send(bytes(65536))
        print("no end")
    except OSError as e:
        # A reset that comes while bytes wait is ECONNRESET in AF_UNIX.
        print("ends:", e.errno in (errno.EPIPE, errno.ECONNRESET), "before 1 MiB:", taken < 1 << 20)
'`)
}

// TestSendsAfterClose sends to an end that is closed already, before the supervisor may
// know: what comes back is an end of the stream and then a reset, never the reset alone.
func TestSendsAfterClose(t *testing.T) {
	needC(t)
	twin(t, asUser, "afterclose")
	twin(t, onOne, "afterclose")
}

// TestResetWithoutFirstThread resets a connection of a process whose first thread has
// ended: /proc shows its descriptors with the others alone.
func TestResetWithoutFirstThread(t *testing.T) {
	needC(t)
	twin(t, asUser, "leader")
}

// TestFinWait looks at the states of an end that was given up as the survivor sees them, and at
// the one that was only shut down.
func TestFinWait(t *testing.T) {
	need(t, "python3", "python3")
	twin(t, asUser, `python3 -c '
import select, socket, time
def state(s): return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
def until(s, want):
    # FIN_WAIT1 lasts until the acknowledgement comes, ESTABLISHED until the end does.
    end = time.monotonic() + 2
    while state(s) != want and time.monotonic() < end: pass
    return state(s)
for family, at in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    ls = socket.create_server((at, 0), family=family)
    for first in "accepted", "connecting":
        c = socket.socket(family); c.connect(ls.getsockname()); a = ls.accept()[0]
        x, y = (a, c) if first == "accepted" else (c, a)
        x.shutdown(socket.SHUT_WR)
        y.recv(1)
        print(first, "shut down:", until(x, 5) if not select.select([x], [], [], 0)[0] else "?", until(y, 8))
        print(y.send(b"still open"), x.recv(100))
        y.close()
        print("closed by both:", x.recv(1), state(x) in (6, 7, 11))
        x.close()
        c = socket.socket(family); c.connect(ls.getsockname()); a = ls.accept()[0]
        x, y = (a, c) if first == "accepted" else (c, a)
        x.close()
        print("orphan:", until(y, 8), y.recv(1))
        y.shutdown(socket.SHUT_WR)
        print("last:", until(y, 7))
    # All ports are free again for who asks with SO_REUSEADDR.
    at = ls.getsockname(); ls.close()
    socket.create_server(at[:2], family=family).close()
'`)
}

//go:build linux

package e2e

import (
	"testing"
	"time"
)

// TestInterruptedConnect interrupts connects that wait. POSIX: "If connect() is
// interrupted by a signal that is caught while blocked waiting to establish a
// connection, connect() shall fail and set errno to [EINTR], but the connection
// request shall not be aborted, and the connection shall be established
// asynchronously."
func TestInterruptedConnect(t *testing.T) {
	needC(t)
	for _, c := range []string{"no-restart", "so-error", "restart", "refused", "timeout", "threads"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel() // each waits for a retransmission
			everyWay(t, false, func(t *testing.T, w way) { twin(t, w, "unwait connect-"+c) })
		})
	}
	// On a link with delay the connect waits for the answer itself.
	t.Run("delay", func(t *testing.T) {
		need(t, "python3", "python3")
		w := asUser
		w.flags = []string{"--delay", "50ms"}
		prints(t, w, `python3 -c '
import select, signal, socket, threading, time
ls = socket.create_server(("127.0.0.1", 0))
signal.signal(signal.SIGALRM, lambda *a: None)
main = threading.main_thread()
def ring(done):
    while not done.is_set():
        with open("/proc/self/task/%d/syscall" % main.native_id) as f:
            if f.read().split()[0] in ("42", "203"):  # connect
                socket.socket().close()  # who answers this has taken the connect
                signal.pthread_kill(main.ident, signal.SIGALRM)
                return
        time.sleep(0.002)
for i in range(3):
    c, done = socket.socket(), threading.Event()
    ringer = threading.Thread(target=ring, args=(done,))
    ringer.start()
    c.connect(ls.getsockname())  # Python waits for the end after EINTR (PEP 475)
    done.set()
    ringer.join()
    p = select.poll(); p.register(c, select.POLLOUT | select.POLLIN)
    shows = p.poll(0)[0][1]
    c.sendall(b"hello")
    print(shows, ls.accept()[0].recv(10))
'`, "4 b'hello'", "4 b'hello'", "4 b'hello'")
	})
}

// TestProcessGoesWhileCallWaits has a process exec, or exit, while a call of another
// of its threads waits: what it held is closed all the same.
func TestProcessGoesWhileCallWaits(t *testing.T) {
	needC(t)
	for _, how := range []string{"exec", "exit"} {
		for _, call := range []string{"accept", "connect", "recvfrom", "recvmsg"} {
			t.Run(how+" "+call, func(t *testing.T) { twin(t, asUser, "unwait "+how+" "+call) })
		}
	}
}

// TestConnectAgain connects again with epoll registrations that are older than the file
// which the descriptor is then.
func TestConnectAgain(t *testing.T) {
	need(t, "python3", "python3")
	everyWay(t, true, func(t *testing.T, w way) { twin(t, w, "python3 "+script(t, "again.py")) })
}

// TestParkedCalls measures how soon calls that wait learn of signals, and what many of
// them cost while nothing happens. The bounds are three times what is promised, for a
// machine with other work.
func TestParkedCalls(t *testing.T) {
	needC(t)
	w := asUser
	w.limit = time.Minute
	t.Run("200", func(t *testing.T) { prints(t, w, "unwait parked 200 60", "nine of ten in time: 1") })
	t.Run("2000", func(t *testing.T) { prints(t, w, "unwait parked 2000 1200", "nine of ten in time: 1") })
	t.Run("2000 process", func(t *testing.T) { prints(t, w, "unwait parked-process 2000 120", "nine of ten in time: 1") })
	t.Run("rest", func(t *testing.T) { prints(t, w, "unwait rest 2000 $SUP", "at most three twentieths: 1") })
}

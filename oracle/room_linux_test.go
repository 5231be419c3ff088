package oracle

import (
	"os"
	"runtime"
	"testing"

	"usock/internal/abi"
)

// TestRoom compares what non-blocking sends take of more than there is room for: no more than the limit
// allows, what the peer's window takes at once, and one segment, on both systems. The kernel charges the
// memory behind the bytes, too, so that it may take but a third of the limit.
func TestRoom(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		k := newPlainKernel(t)
		defer k.end()
		u := newUser(t, true)
		defer u.end()
		for _, c := range []struct {
			name          string
			sndbuf, lowat int // asked for; 0: not
			limit         int
		}{
			{"least buffer", 1, 0, 4608},
			{"small buffer", 8192, 0, 16384},
			{"buffer", 65536, 0, 131072},
			{"large buffer", 200000, 0, 400000},
			{"unsent data", 200000, 1000, 1000},
			{"more unsent data", 200000, 30000, 30000},
		} {
			const window, segment = 2304, 2304 / 2 // of the peer, who reads nothing
			for _, x := range []struct {
				name string
				sys  system
			}{{"kernel", k}, {"usock", u}} {
				taken, again := filled(t, x.sys, c.sndbuf, c.lowat, 1<<20)
				t.Logf("%s, %s: %d, then %d", c.name, x.name, taken, again)
				if taken > c.limit+window+segment || taken < c.limit/3 {
					t.Errorf("%s, %s: a send took %d, where %d may be queued", c.name, x.name, taken, c.limit)
				}
				if again > window+segment {
					t.Errorf("%s, %s: another send took %d", c.name, x.name, again)
				}
			}
		}
	}()
	<-done
}

// filled returns what a non-blocking send of size bytes takes whose peer reads nothing, and what all after
// it take.
func filled(t *testing.T, sys system, sndbuf, lowat, size int) (taken, again int) {
	c := newScript(sys)
	c.ports.asks(nil)
	for _, line := range split("l = tcp; l set so:rcvbuf 1; l bind lo:0; l listen 1; c = tcp") {
		c.run(line)
	}
	for _, o := range [][3]int{{abi.SOL_SOCKET, abi.SO_SNDBUF, sndbuf}, {abi.SOL_TCP, abi.TCP_NOTSENT_LOWAT, lowat}} {
		if o[2] == 0 {
			continue
		}
		if err := sys.setopt(c.fds["c"], o[0], o[1], abi.AppendInt(nil, o[2])); err != nil {
			t.Error(err)
		}
	}
	for _, line := range split("c connect lo:l; s = accept l") {
		c.run(line)
	}
	data := make([]byte, size)
	taken, err := sys.send(c.fds["c"], message{data: data})
	for err == nil {
		n := 0
		n, err = sys.send(c.fds["c"], message{data: data})
		again += max(n, 0)
	}
	for _, line := range []string{"c close", "s close", "l close"} {
		c.run(line)
	}
	return taken, again
}

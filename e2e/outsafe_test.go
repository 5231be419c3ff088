//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// outerServer accepts streams on the machine's loopback and gives each to f; it returns the port.
func outerServer(t *testing.T, f func(*net.TCPConn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go accept(l, f)
	return l.Addr().(*net.TCPAddr).Port
}

// outerEcho answers datagrams on the machine's loopback; it returns the port.
func outerEcho(t *testing.T) int {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go answer(p)
	return p.LocalAddr().(*net.UDPAddr).Port
}

// reaching is a run of an ordinary user that reaches the outside.
func reaching() way {
	w := asUser
	w.reach = true
	return w
}

// TestOuterMany has many short flows, after which the supervisor has as many descriptors as
// before and not much more memory.
func TestOuterMany(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	n := count(3000, 10000)
	port := outerServer(t, func(c *net.TCPConn) { io.Copy(c, c) })
	w := reaching()
	w.limit = time.Duration(count(1, 5)) * time.Minute
	r := w.start(t, true, fmt.Sprintf("python3 %s many %d %d %d", script(t, "outsafe.py"), port, outerEcho(t), n))
	goOn := func(name string) {
		if err := os.WriteFile(filepath.Join(r.c.Dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	descriptors := func() int { // 0 where only root may look
		list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.c.Process.Pid))
		return len(list)
	}
	r.says(t, "warm")
	before := descriptors()
	goOn("go")
	r.says(t, "done")
	const others = 20 // a few of the runtime's and of threads', that come and go
	eventually(t, "the descriptors are closed", func() bool { return descriptors() <= before+others })
	goOn("end")
	o := r.wait(t)
	measures(t, "under usock run", o)
	if want := "warm\nstreams\ndatagrams\nmemory as before\ndone\n"; o.late || o.code != 0 || canonical(o.stdout) != want {
		t.Error(o)
	}
}

// TestOuterFew has a run with few descriptors ask for more flows than it can have: they are
// refused in order, and when they are closed all is well.
func TestOuterFew(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	port, echo := outerServer(t, func(c *net.TCPConn) { io.Copy(c, c) }), outerEcho(t)
	for _, limit := range []int{60, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			w := reaching()
			w.sh = fmt.Sprintf("ulimit -n %d", limit)
			w.limit = time.Minute
			o := prints(t, w, fmt.Sprintf("python3 %s few %d %d", script(t, "outsafe.py"), port, echo), "some", "again", "some datagrams", "again")
			if !strings.Contains(o.stderr, "ulimit -n") {
				t.Errorf("nobody says what to do: %s", o.stderr)
			}
		})
	}
}

// TestOuterHalfOpen floods a dead end with connects, after which others work at once.
func TestOuterHalfOpen(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	n := newNetwork(t)
	n.outerServers()
	w := n.from(asUser)
	w.limit = time.Minute
	prints(t, w, "ulimit -n $(ulimit -Hn); python3 "+script(t, "outsafe.py")+" halfopen", "works at once")
}

// TestOuterKilled kills either side in mid-transfer: the server sees the end.
func TestOuterKilled(t *testing.T) {
	need(t, "python3", "python3")
	for _, who := range []string{"program", "supervisor"} {
		t.Run(who, func(t *testing.T) {
			ended, got := make(chan error, 1), new(atomic.Int64)
			port := outerServer(t, func(c *net.TCPConn) {
				b := make([]byte, 1<<16)
				for {
					k, err := c.Read(b)
					got.Add(int64(k))
					if err != nil {
						ended <- err
						return
					}
				}
			})
			w := reaching()
			r := w.start(t, true, fmt.Sprintf("exec python3 %s send %d", script(t, "outsafe.py"), port))
			eventually(t, "bytes arrive", func() bool { return got.Load() > 10<<20 })
			pid := r.c.Process.Pid
			if who == "program" {
				pid = programOf(t, r)
			}
			begin := time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
				t.Logf("the server saw the end after %v", time.Since(begin))
			case <-time.After(limit):
				t.Errorf("the server saw no end in %v", limit)
			}
			r.c.Wait()
			eventually(t, "the program ends", func() bool { return len(marked(r.marker)) == 0 })
		})
	}
}

// programOf returns the process id of the program, which tells it.
func programOf(t *testing.T, r *running) (pid int) {
	t.Helper()
	eventually(t, "the program says who it is", func() bool {
		n, _ := fmt.Sscanf(r.output(), "pid %d", &pid)
		return n == 1
	})
	return pid
}

// TestOuterFlood has a server send without end to a program that does not read, and a program
// send datagrams without end to nobody: the supervisor's memory is bounded.
func TestOuterFlood(t *testing.T) {
	need(t, "python3", "python3")
	port := outerServer(t, func(c *net.TCPConn) {
		for b := make([]byte, 1<<20); ; {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	w := reaching()
	w.limit = time.Minute
	prints(t, w, fmt.Sprintf("python3 %s flood %d", script(t, "outsafe.py"), port), "a stream that nobody reads: bounded", "datagrams to nobody: bounded", "works")
}

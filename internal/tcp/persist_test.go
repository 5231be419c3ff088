package tcp

import (
	"syscall"
	"testing"
	"time"
)

// Window probes and keepalive: RFC 9293 §3.8.6.1 and §3.8.4, with Linux's times.

// stalled connects with a round trip of 100 ms and has 5000 bytes wait for a closed window: the first probe
// comes after the timeout of 300 ms.
func stalled(t *testing.T, opts ...scriptOption) *script {
	t.Helper()
	tc := newScript(t, append([]scriptOption{plain}, opts...)...)
	tc.connectIn(msec(100))
	tc.recv(". 1 ack 1 win 0")
	tc.write(5000)
	return tc
}

// The time between probes doubles, whether the peer answers or not, up to the longest timeout.
func TestProbeBackoff(t *testing.T) {
	for _, answers := range []bool{false, true} {
		tc := stalled(t, func(s *script) { s.cfg.MaxRTO = 20 * time.Second })
		d := msec(300)
		for range 9 {
			tc.wantAfter(d, ". 0 ack 1")
			if answers {
				tc.recv(". 1 ack 1 win 0")
			}
			d = min(2*d, secs(20))
		}
		tc.recv(". 1 ack 1 win 65535")
		tc.rest("P. 1..5001/1460 ack 1")
	}
}

// The window opens: data leaves at once if a full segment fits, or what there is; else probing goes on, and
// what fits is the probe. Then the backoff is over.
func TestProbeAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		write  int
		window string
		out    []string
		after  int    // ms until the probe
		probe  string // what leaves then
	}{
		{"a full segment", 5000, "1460", []string{". 1+1460 ack 1"}, 0, ""},
		{"a byte less", 5000, "1459", nil, 600, "P. 1+1459 ack 1"},
		{"one byte", 5000, "1", nil, 600, "P. 1+1 ack 1"},
		{"closed", 5000, "0", nil, 600, ". 0 ack 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := stalled(t)
			tc.wantAfter(msec(300), ". 0 ack 1")
			tc.sleep(msec(100))
			tc.recv(". 1 ack 1 win " + c.window)
			tc.rest(c.out...)
			if c.probe == "" {
				if tc.c.timer.kind == rtxWindowProbe || tc.c.rtt.backoff != 0 {
					t.Errorf("timer %d, backoff %d", tc.c.timer.kind, tc.c.rtt.backoff)
				}
				return
			}
			tc.wantAfter(msec(c.after), c.probe)
			if c.window != "0" && tc.c.rtt.backoff != 0 {
				t.Errorf("backoff %d: the window is not closed", tc.c.rtt.backoff)
			}
		})
	}
}

// How long a closed window is waited for: as long as the peer answers, without answers for tcp_retries2
// probes, for TCP_USER_TIMEOUT in any case; an orphan's for tcp_orphan_retries.
func TestProbesGiveUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		retries int
		orphans int
		user    int // ms
		orphan  bool
		answers bool
		probes  int
		err     syscall.Errno
	}{
		{"tcp_retries2", 4, 0, 0, false, false, 4, syscall.ETIMEDOUT},
		{"tcp_orphan_retries", 4, 2, 0, true, false, 2, syscall.ETIMEDOUT},
		{"tcp_orphan_retries, by default", 15, 0, 0, true, false, 8, syscall.ETIMEDOUT},
		{"TCP_USER_TIMEOUT", 15, 0, 2000, false, true, 3, syscall.ETIMEDOUT},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := stalled(t, func(s *script) { s.cfg.Retries2, s.cfg.OrphanRetries = c.retries, c.orphans })
			if err := tc.c.SetUserTimeout(c.user); err != nil {
				t.Fatal(err)
			}
			if c.orphan {
				tc.close()
			}
			n, begun := 0, tc.now
			for tc.c.State() != Closed {
				tc.now = tc.c.Deadline()
				tc.c.Expire(tc.now)
				tc.pump()
				if len(tc.out) > 0 {
					tc.rest(". 0 ack 1")
					n++
					if c.answers {
						tc.recv(". 1 ack 1 win 0")
					}
				}
				if n > 100 {
					t.Fatal("it does not give up")
				}
			}
			if n != c.probes {
				t.Errorf("%d probes", n)
			}
			if c.user != 0 {
				if d := tc.now - begun; d != msec(300+c.user) {
					t.Errorf("after %v", d)
				}
			}
			tc.wantErr(c.err)
		})
	}
}

// Keepalive: each segment that comes puts the probe off; data in flight has a timer of its own; off is off;
// TCP_USER_TIMEOUT takes the place of the count, but one probe is sent in any case.
func TestKeepaliveTimes(t *testing.T) {
	alive := func(t *testing.T) *script {
		t.Helper()
		tc := newScript(t, plain)
		tc.connectIn(msec(100))
		tc.c.SetKeepIdle(tc.now, 100)
		tc.c.SetKeepIntvl(10)
		tc.c.SetKeepCnt(3)
		tc.call(func(c *Conn) { c.SetKeepAlive(tc.now, true) })
		return tc
	}
	t.Run("a segment puts it off", func(t *testing.T) {
		tc := alive(t)
		tc.silent(secs(60), "not yet")
		tc.recv(". 1 ack 1")
		tc.wantAfter(secs(100), ". 0 ack 1")
		tc.wantAfter(secs(10), ". 0 ack 1")
		tc.recv(". 1 ack 1") // the answer: the count begins anew
		tc.wantAfter(secs(100), ". 0 ack 1")
		tc.wantAfter(secs(10), ". 0 ack 1")
		tc.wantAfter(secs(10), ". 0 ack 1")
		tc.wantAfter(secs(10), "R. 1 ack 1")
		tc.wantErr(syscall.ETIMEDOUT)
	})
	t.Run("data in flight", func(t *testing.T) {
		tc := alive(t)
		tc.sleep(secs(99))
		tc.write(100)
		tc.want("P. 1+100 ack 1")
		tc.sleep(msec(1100)) // the probe would be due
		tc.rest("2 * P. 1+100 ack 1")
		tc.recv(". 1 ack 101")
		tc.wantAfter(secs(100), ". 100 ack 1")
	})
	t.Run("data that waits", func(t *testing.T) {
		tc := alive(t)
		tc.recv(". 1 ack 1 win 0")
		tc.write(100)
		for range 9 {
			tc.now = tc.c.Deadline()
			tc.c.Expire(tc.now)
			tc.pump()
			tc.recv(". 1 ack 1 win 0")
		}
		tc.rest("8 * . 0 ack 1") // window probes; the ninth timer was keepalive's
		tc.wantState(Established)
	})
	t.Run("turned off", func(t *testing.T) {
		tc := alive(t)
		tc.sleep(secs(99))
		tc.call(func(c *Conn) { c.SetKeepAlive(tc.now, false) })
		tc.silent(secs(1000), "it is off")
	})
	t.Run("TCP_USER_TIMEOUT, shorter than the wait", func(t *testing.T) {
		tc := alive(t)
		tc.c.SetUserTimeout(50_000)
		tc.wantAfter(secs(100), ". 0 ack 1")
		tc.wantAfter(secs(10), "R. 1 ack 1")
		tc.wantErr(syscall.ETIMEDOUT)
	})
	t.Run("TCP_USER_TIMEOUT, longer than the count", func(t *testing.T) {
		tc := alive(t)
		tc.c.SetUserTimeout(150_000)
		tc.wantAfter(secs(100), ". 0 ack 1")
		for range 4 {
			tc.wantAfter(secs(10), ". 0 ack 1")
		}
		tc.wantAfter(secs(10), "R. 1 ack 1")
	})
	t.Run("TCP_KEEPIDLE set anew", func(t *testing.T) {
		tc := alive(t)
		tc.sleep(secs(30))
		tc.call(func(c *Conn) { c.SetKeepIdle(tc.now, 40) })
		tc.wantAfter(secs(10), ". 0 ack 1")
		tc.recv(". 1 ack 1")
		tc.sleep(secs(30))
		tc.call(func(c *Conn) { c.SetKeepIdle(tc.now, 20) }) // over already
		tc.wantAfter(0, ". 0 ack 1")
	})
	t.Run("in no state but an open one", func(t *testing.T) {
		for _, st := range []State{Closed, SynSent, SynRcvd, TimeWait} {
			tc := newScript(t, plain)
			inState(tc, st)
			before := tc.c.timer.keep
			tc.c.SetKeepAlive(tc.now, true)
			tc.c.SetKeepIdle(tc.now, 5)
			if tc.c.timer.keep != before {
				t.Errorf("%v: a timer", st)
			}
		}
		tc := alive(t)
		tc.close()
		tc.want("F. 1 ack 1")
		tc.c.SetKeepIdle(tc.now, 5)
		if tc.c.timer.keep != never {
			t.Error("an orphan's timer")
		}
	})
}

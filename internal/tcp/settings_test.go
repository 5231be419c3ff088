package tcp

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"usock/cc"
	"usock/internal/wait"
)

// The settings of a host and of a connection, by what each is for (tcp(7)).

func TestCheckControllers(t *testing.T) {
	mk := func(name string) func() cc.Controller { return func() cc.Controller { return &named{name: name} } }
	long := strings.Repeat("x", maxCCName)
	for _, c := range []struct {
		name string
		cc   string
		own  map[string]func() cc.Controller
		ok   bool
	}{
		{"the host's own", "cubic", nil, true},
		{"none", "", nil, true},
		{"an unknown one", "nosuch", nil, false},
		{"one from outside", "mine", map[string]func() cc.Controller{"mine": mk("mine")}, true},
		{"another from outside", "cubic", map[string]func() cc.Controller{"mine": mk("mine"), "other": mk("other")}, true},
		{"none is chosen", "", map[string]func() cc.Controller{"mine": mk("mine")}, true},
		{"the name is empty", "", map[string]func() cc.Controller{"": mk("")}, false},
		{"the longest name", "", map[string]func() cc.Controller{long: mk(long)}, true},
		{"too long a name", "", map[string]func() cc.Controller{long + "x": mk(long + "x")}, false},
		{"a name with a space", "", map[string]func() cc.Controller{"a b": mk("a b")}, false},
		{"nothing to make it with", "", map[string]func() cc.Controller{"mine": nil}, false},
		{"another name of its own", "", map[string]func() cc.Controller{"mine": mk("yours")}, false},
	} {
		cfg := DefaultConfig()
		cfg.CC, cfg.Controllers = c.cc, c.own
		if err := cfg.CheckControllers(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// named is a recorder of another name.
type named struct {
	recorder
	name string
}

func (n *named) Name() string { return n.name }

// TCP_CORK holds what is small; pulling it lets it go as Nagle's rule does, and TCP_NODELAY lets go what that holds.
func TestCorkAndNoDelay(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(50))
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) }) // it was not in
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.wantIdle("nothing was corked")
	tc.call(func(c *Conn) { c.SetCork(tc.now, true) })
	tc.call(func(c *Conn) { c.SetCork(tc.now, true) })
	tc.wantIdle("corked")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.wantIdle("Nagle, after the cork")
	tc.recv(". 1 ack 11")
	tc.want("P. 11+10 ack 1")
	tc.recv(". 1 ack 21")
	tc.call(func(c *Conn) { c.SetCork(tc.now, true) })
	tc.write(10)
	tc.wantIdle("corked")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.want("P. 21+10 ack 1")
	tc.queue(10)
	tc.c.Written(true, false)
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, true); c.SetNoDelay(tc.now, false); c.SetCork(tc.now, true) })
	tc.want(". 31+10 ack 1")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.recv(". 1 ack 41")
	tc.queue(10)
	tc.c.Written(true, false)
	tc.pump()
	tc.wantIdle("more follows")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) }) // it was not in: MSG_MORE's effect ends all the same
	tc.want(". 41+10 ack 1")
	tc.c.SetNoDelay(tc.now, true)
	tc.c.SetCork(tc.now, true)
	tc.write(10)
	tc.wantIdle("corked, though without delay")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.want("P. 51+10 ack 1")
	tc.c.SetNoDelay(tc.now, false)
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, false) })
	tc.wantIdle("Nagle still")
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, true) })
	tc.want("P. 61+10 ack 1")
	tc.recv(". 1 ack 71")
	tc.call(func(c *Conn) { c.SetNoDelay(tc.now, false); c.SetNoDelay(tc.now, true); c.SetNoDelay(tc.now, false) })
	tc.write(10)
	tc.want("P. 71+10 ack 1")
	tc.write(10)
	tc.wantIdle("what was pushed had left: this is held")
}

// Without delay, what is held when the cork is pulled leaves, though it is put back in at once: for a window
// that opens later, too (Linux, TCP_NAGLE_PUSH).
func TestCorkPulledForAMoment(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetNoDelay(tc.now, true)
	tc.c.SetCork(tc.now, true)
	tc.write(10)
	tc.wantIdle("corked")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false); c.SetCork(tc.now, true) })
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("corked again")
	tc.rest()
}

// TCP_QUICKACK: what is owed is acknowledged now, in the states in which the peer sends; 0 says that an
// answer is to come.
func TestQuickAckOption(t *testing.T) {
	for _, st := range []State{Established, CloseWait, FinWait2} {
		tc := newScript(t, plain)
		if st == CloseWait {
			tc.connect()
			tc.recv("F. 1 ack 1") // its acknowledgment waits for company
		} else {
			inState(tc, st)
			tc.c.rcv.ack = acking{ato: ackMin, lastRcv: tc.now}
			_, ack := numbers(tc)
			tc.recv(fmt.Sprintf(". %d+100 ack %d", ack, map[State]int{Established: 1, FinWait2: 2}[st]))
		}
		tc.wantIdle("it waits")
		tc.call(func(c *Conn) { c.SetQuickAck(tc.now, true) })
		if st == FinWait2 {
			tc.wantIdle("it waits still")
			tc.sleep(secs(1))
		}
		if len(tc.out) != 1 {
			t.Errorf("%v: %d segments", st, len(tc.out))
		}
		tc.out = nil
		if !tc.c.QuickAck() {
			t.Errorf("%v: not in quick mode", st)
		}
		tc.call(func(c *Conn) { c.SetQuickAck(tc.now, true) })
		tc.wantIdle("nothing is owed")
		if tc.c.SetQuickAck(tc.now, false); tc.c.QuickAck() {
			t.Errorf("%v: in quick mode", st)
		}
	}
}

// TCP_WINDOW_CLAMP bounds the window at once, from half of the least buffer on; it can be taken away only
// while nothing is open.
func TestWindowClampOption(t *testing.T) {
	tc := newScript(t, plain)
	for n, want := range map[int]uint32{1: 1152, 1152: 1152, 1153: 1153, 9000: 9000} {
		if err := tc.c.SetWindowClamp(n); err != nil || tc.c.opt.WindowClamp != want {
			t.Errorf("%d: %v, %d", n, err, tc.c.opt.WindowClamp)
		}
	}
	if err := tc.c.SetWindowClamp(0); err != nil || tc.c.opt.WindowClamp != 0 {
		t.Errorf("taken away: %v, %d", err, tc.c.opt.WindowClamp)
	}
	if err := tc.c.SetWindowClamp(8000); err != nil {
		t.Fatal(err)
	}
	tc.connect()
	if w := tc.c.rcv.ssthresh; w != 1460*5 {
		t.Errorf("the first window is %d", w)
	}
	if err := tc.c.SetWindowClamp(0); err != syscall.EINVAL || tc.c.opt.WindowClamp != 8000 {
		t.Errorf("taken away from an open one: %v", err)
	}
	if err := tc.c.SetWindowClamp(4000); err != nil || tc.c.rcv.ssthresh != 4000 {
		t.Errorf("lowered: %v, %d", err, tc.c.rcv.ssthresh)
	}
	if err := tc.c.SetWindowClamp(6000); err != nil || tc.c.rcv.ssthresh != 4000 {
		t.Errorf("raised: %v, %d", err, tc.c.rcv.ssthresh)
	}
}

func TestLinger2Range(t *testing.T) {
	var c Conn
	for n, want := range map[int]int32{-5: -1, -1: -1, 0: 0, 1: 1, 119: 119, 120: 120, 121: 120, 1 << 20: 120} {
		if c.SetLinger2(n); c.opt.Linger2 != want {
			t.Errorf("%d: %d, want %d", n, c.opt.Linger2, want)
		}
	}
	if c.SetDeferAccept(1 << 30); c.opt.DeferAccept != 255 {
		t.Errorf("TCP_DEFER_ACCEPT counts %d retransmissions", c.opt.DeferAccept)
	}
}

// TCP_CONGESTION: the name is told whether it is in use or not, and a new controller goes on from the
// window of the old one; the same again changes nothing.
func TestCongestionOption(t *testing.T) {
	ctl := &recorder{}
	tc := newScript(t, noTS, func(s *script) {
		s.cfg.Controllers = map[string]func() cc.Controller{"recorder": func() cc.Controller { return ctl }}
	})
	if tc.c.CC() != "reno" {
		t.Errorf("the host's is %s", tc.c.CC())
	}
	if err := tc.c.SetCC(tc.now, "cubic"); err != nil || tc.c.CC() != "cubic" {
		t.Errorf("%v, %s", err, tc.c.CC())
	}
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(20000)
	tc.rest(". 1..10001/1000 ack 1")
	w := tc.c.snd.cwnd()
	if err := tc.c.SetCC(tc.now, "recorder"); err != nil || tc.c.CC() != "recorder" || tc.c.opt.CC != "recorder" {
		t.Errorf("%v, %s", err, tc.c.CC())
	}
	if ctl.cwnd != w || ctl.mss != 1000 {
		t.Errorf("the new one begins with %d of %d", ctl.cwnd, ctl.mss)
	}
	ctl.cwnd = 12345
	if err := tc.c.SetCC(tc.now, "recorder"); err != nil || ctl.cwnd != 12345 {
		t.Errorf("the same again: %v, begins with %d", err, ctl.cwnd)
	}
}

// A listener's options go on to what it accepts, SO_RCVLOWAT at one at the least; a socket that connects
// again keeps its own, and the sizes that were set, and nothing of the attempt before.
func TestOptionsGoOn(t *testing.T) {
	tc := newScript(t, plain)
	o := Options{NoDelay: true, KeepIdle: 7, MaxSeg: 700}
	tc.p.Options = &o
	inState(tc, Closed)
	g, _ := tc.parse("S 0 <mss 1460>")
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 <mss 700>")
	if got := tc.c.opt; !got.NoDelay || got.KeepIdle != 7 || got.RcvLowat != 1 {
		t.Errorf("%+v", got)
	}

	tc = newScript(t, plain)
	tc.c.SetSndBuf(30000)
	tc.c.SetRcvBuf(tc.now, 20000)
	tc.c.SetNoDelay(tc.now, true)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.recv("R. 0 ack 1")
	if ev := tc.c.Ready(); ev&wait.Err == 0 {
		t.Errorf("ready %v with an error", events(ev))
	}
	tc.connectIn(msec(50))
	tc.wantErr(0)
	if !tc.c.opt.NoDelay || tc.c.SndBuf() != 30000 || tc.c.RcvBuf() != 20000 {
		t.Errorf("%+v, %d, %d", tc.c.opt, tc.c.SndBuf(), tc.c.RcvBuf())
	}
	tc.write(10)
	tc.want("P. 1+10 ack 1")
}

package tcp

import (
	"syscall"
	"time"

	"usock/cc"
	"usock/trace"
)

// Options are a connection's settings. They may be set before the connection is
// opened, and a listener hands its own on to what it accepts.
type Options struct {
	maxPacing    uint64 // bytes/s, plus 1; 0: no bound
	RcvLowat     int32  // bytes; at least 1
	UserTimeout  uint32 // ms; 0: Retries2 decides
	WindowClamp  uint32 // bytes; 0: none
	NotSentLowat uint32 // bytes; 0: the host's
	Linger2      int32  // s that FIN-WAIT-2 lasts; 0: the host's; negative: none
	MaxSeg       uint16 // bytes; 0: none
	KeepIdle     uint16 // s; 0: the host's
	KeepIntvl    uint16 // s; 0: the host's
	KeepCnt      uint8  // 0: the host's
	SynCnt       uint8  // 0: the host's
	DeferAccept  uint8  // retransmissions of the SYN-ACK that data is waited for
	NoDelay      bool
	Cork         bool
	KeepAlive    bool
	ThinLinear   bool
	OOBInline    bool
	CC           string // ""; the host's
}

// Each Set method takes effect at once, or leaves everything as it was and returns
// the errno that Linux has for the value. All may be called in any state; on a
// connection that is not open yet they set what it will begin with.

// SetNoDelay turns Nagle's rule off (TCP_NODELAY) and lets go what it held back.
func (c *Conn) SetNoDelay(now time.Duration, on bool) {
	c.opt.NoDelay = on
	if on {
		c.snd.push(&c.tcb)
	}
}

// SetCork holds small segments back until it is turned off again (TCP_CORK). Turned off, even if it was, it lets
// go what is held as far as Nagle's rule does, which a program that has turned that off need not wait for (Linux,
// __tcp_sock_set_cork).
func (c *Conn) SetCork(now time.Duration, on bool) {
	c.opt.Cork = on
	switch {
	case on:
	case c.opt.NoDelay:
		c.snd.push(&c.tcb)
	default:
		c.flags &^= moreHeld
	}
}

// push lets the small segment at the end of the queue leave.
func (s *sender) push(t *tcb) {
	t.flags &^= moreHeld
	if s.unsent(t) > 0 {
		t.todo |= todoPush
	}
}

// SetQuickAck turns delayed acknowledgments off for now, or on (TCP_QUICKACK).
func (c *Conn) SetQuickAck(now time.Duration, on bool) {
	// Zero does not stop anything: it says that an answer is to come, until the pace of the
	// data says otherwise (Linux, tcp_sock_set_quickack).
	if !on {
		c.rcv.ack.pingpong = true
		return
	}
	c.rcv.ack.pingpong = false
	if c.rcv.ack.owed && (c.state == Established || c.state == CloseWait) {
		c.ackNow()
	}
}

// QuickAck reports whether acknowledgments are sent at once.
func (c *Conn) QuickAck() bool { return !c.rcv.ack.pingpong }

// SetKeepAlive turns keepalive probes on or off (SO_KEEPALIVE).
func (c *Conn) SetKeepAlive(now time.Duration, on bool) {
	c.opt.KeepAlive = on
	c.setKeepTimer(now)
}

func inRange(n, lo, hi int) error {
	if n < lo || n > hi {
		return syscall.EINVAL
	}
	return nil
}

// SetKeepIdle sets how many seconds of silence lead to a probe (TCP_KEEPIDLE).
func (c *Conn) SetKeepIdle(now time.Duration, s int) error {
	if err := inRange(s, 1, 32767); err != nil {
		return err
	}
	c.opt.KeepIdle = uint16(s)

	// The time that has passed counts: a shorter wait may be over already.
	if c.opt.KeepAlive && c.state.synchronized() && c.state != TimeWait && c.shut&orphan == 0 {
		c.timer.keep = max(now, c.timer.heard+c.keepIdle())
	}
	return nil
}

// SetKeepIntvl sets the seconds between probes (TCP_KEEPINTVL).
func (c *Conn) SetKeepIntvl(s int) error {
	if err := inRange(s, 1, 32767); err != nil {
		return err
	}
	c.opt.KeepIntvl = uint16(s)
	return nil
}

// SetKeepCnt sets how many probes go unanswered before the connection fails
// (TCP_KEEPCNT).
func (c *Conn) SetKeepCnt(n int) error {
	if err := inRange(n, 1, 127); err != nil {
		return err
	}
	c.opt.KeepCnt = uint8(n)
	return nil
}

// SetUserTimeout sets the milliseconds for which data may stay unacknowledged
// (TCP_USER_TIMEOUT, RFC 5482).
func (c *Conn) SetUserTimeout(ms int) error {
	if ms < 0 {
		return syscall.EINVAL
	}
	c.opt.UserTimeout = uint32(ms)
	return nil
}

// SetLinger2 sets the seconds that FIN-WAIT-2 lasts without a program
// (TCP_LINGER2).
func (c *Conn) SetLinger2(s int) {
	switch {
	case s < 0:
		c.opt.Linger2 = -1
	case s > 120:
		c.opt.Linger2 = 120
	default:
		c.opt.Linger2 = int32(s)
	}
}

// SetMaxSeg bounds the segments in both directions (TCP_MAXSEG).
func (c *Conn) SetMaxSeg(n int) error {
	// Linux's bounds: TCP_MIN_MSS and MAX_TCP_WINDOW.
	if n != 0 {
		if err := inRange(n, 88, 32767); err != nil {
			return err
		}
	}
	c.opt.MaxSeg = uint16(n)
	return nil
}

// SetWindowClamp bounds the window that is advertised (TCP_WINDOW_CLAMP).
func (c *Conn) SetWindowClamp(n int) error {
	if n == 0 {
		if c.state != Closed && c.state != TimeWait {
			return syscall.EINVAL
		}
		c.opt.WindowClamp = 0
		return nil
	}

	// Linux's least: half of SOCK_MIN_RCVBUF.
	c.opt.WindowClamp = uint32(max(n, 2304/2))
	if c.state.synchronized() {
		c.rcv.ssthresh = min(c.rcv.ssthresh, c.opt.WindowClamp)
	}
	return nil
}

// SetNotSentLowat bounds the unsent data above which the socket is not writable
// (TCP_NOTSENT_LOWAT).
func (c *Conn) SetNotSentLowat(n uint32) { c.opt.NotSentLowat = n }

// SetCC chooses the congestion control by name (TCP_CONGESTION).
func (c *Conn) SetCC(now time.Duration, name string) error {
	ctl, ok := c.cfg.controller(name)
	if !ok {
		return syscall.ENOENT
	}
	c.opt.CC = ctl.Name()
	if f := c.snd.flight; f != nil && f.cc.Name() != ctl.Name() {
		// The new controller goes on from the old one's window.
		ctl.Start(cc.Start{
			Now: now, MSS: uint32(c.snd.mss), CWnd: f.cc.CWnd(), SSThresh: f.cc.SSThresh(),
			SRTT: c.rtt.smoothed(), MinRTT: c.rtt.least(),
		})
		f.cc = ctl
		if c.cfg.Trace != 0 {
			c.snd.tellWindow(&c.tcb, trace.ProgramSet)
		}
	}
	return nil
}

// CC returns the name of the congestion control.
func (c *Conn) CC() string {
	switch {
	case c.snd.flight != nil:
		return c.snd.flight.cc.Name()
	case c.opt.CC != "":
		return c.opt.CC
	}
	return c.cfg.CC
}

// SetSynCnt sets how often a SYN is sent again (TCP_SYNCNT).
func (c *Conn) SetSynCnt(n int) error {
	if err := inRange(n, 1, 127); err != nil {
		return err
	}
	c.opt.SynCnt = uint8(n)
	return nil
}

// SetDeferAccept has a listener's connections wait for data for about s seconds
// (TCP_DEFER_ACCEPT), counted in retransmissions of the SYN-ACK.
func (c *Conn) SetDeferAccept(s int) {
	n, total, d := 0, 0, 1
	for total < s && n < 255 {
		n++
		total += d
		d = min(d*2, 120)
	}
	c.opt.DeferAccept = uint8(n)
}

// DeferAccept returns the seconds that SetDeferAccept's retransmissions take.
func (c *Conn) DeferAccept() int {
	total, d := 0, 1
	for range c.opt.DeferAccept {
		total += d
		d = min(d*2, 120)
	}
	return total
}

// SetMaxPacing bounds the rate in bytes a second at which data leaves; all ones: no
// bound, 0: no pacing at all (SO_MAX_PACING_RATE).
func (c *Conn) SetMaxPacing(rate uint64) { c.opt.maxPacing = rate + 1 }

// MaxPacing returns the bound.
func (c *Conn) MaxPacing() uint64 { return c.opt.pacingBound() }

func (o *Options) pacingBound() uint64 { return o.maxPacing - 1 }

// SetThinLinear has a connection with little in flight retransmit without backoff
// (TCP_THIN_LINEAR_TIMEOUTS).
func (c *Conn) SetThinLinear(on bool) { c.opt.ThinLinear = on }

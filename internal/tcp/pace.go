package tcp

import (
	"time"

	"usock/internal/cc"
)

// Pacing: segments leave at the controller's rate, in bursts of about a
// millisecond. timer.pace is when the next burst may leave.

// maxGap bounds the wait between bursts, so that a rate that was estimated too low
// does not hold the connection up before it is corrected.
const maxGap = time.Second

// unpaced is how many segments a controller that does not pace sends before the
// program's bound holds, as Linux does (tcp_update_skb_after_send): a short exchange is not slowed.
const unpaced = 10

// pacingRate returns the rate in bytes a second: the controller's within the program's
// bound. 0: no pacing.
func (c *Conn) pacingRate() uint64 {
	rate := c.fl.cc.PacingRate()
	switch bound := c.opt.pacingBound(); {
	case bound == 0:
		return 0
	case bound == ^uint64(0):
	case rate == 0 && c.stats.bytesSent >= unpaced*uint64(c.snd.mss), rate > bound:
		return bound
	}
	return rate
}

// pace notes that n bytes leave.
func (c *Conn) pace(now time.Duration, n uint32) {
	rate := c.pacingRate()
	if rate == 0 {
		return
	}
	f := c.fl
	if f.burst > n {
		f.burst -= n
		return
	}
	// The burst is used up: the next may leave when this one would have been sent.
	q := cc.Quantum(rate, uint32(c.snd.mss))
	sent := uint64(f.quantum) + uint64(n-min(n, f.burst))
	if f.quantum == 0 {
		sent = uint64(n)
	}
	gap := time.Duration(sent * uint64(time.Second) / rate)
	if rate != c.opt.pacingBound() {
		gap = min(gap, maxGap)
	}
	from := now
	if f.paceAt != 0 && now-f.paceAt < gap/2+time.Millisecond {
		from = f.paceAt // late timers do not slow the rate
	}
	f.paceAt = from + gap
	f.quantum, f.burst = q, q
	if f.paceAt > now {
		c.timer.pace = f.paceAt
	}
}

// burst returns the most that one segment may carry.
func (c *Conn) burst() uint64 {
	if rate := c.pacingRate(); rate != 0 {
		q := cc.Quantum(rate, uint32(c.snd.mss))
		return uint64(max(q, uint32(c.snd.mss)))
	}
	return 1 << 16
}

// tuneSndBuf lets the send buffer grow with the window.
func (c *Conn) tuneSndBuf() {
	if c.flags&fixedSnd == 0 && c.snd.bufSize < uint32(c.cfg.WMem[2]) {
		c.growSndBuf(c.fl.cc.CWnd() / uint32(c.snd.mss))
	}
}

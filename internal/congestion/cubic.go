package congestion

import (
	"math"
	"time"

	"usock/cc"
)

// The constants of RFC 9438 section 4. cubicC is in segments a second cubed.
const (
	cubicC    = 0.4
	cubicBeta = 0.7
	// cubicAlpha makes the Reno-friendly estimate as aggressive as Reno with its
	// halving (section 4.3).
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// Cubic is CUBIC (RFC 9438), with fast convergence and the Reno-friendly region,
// and with HyStart++ (RFC 9406) in the initial slow start. ECN marks count as
// losses (RFC 3168 section 6.1.2).
//
// The window is W_cubic(t) = C*(t-K)^3 + W_max, t being the time since the
// current stage of congestion avoidance began. Time in which the window was not
// the limit does not count (section 5.8).
type Cubic struct {
	mss      uint32
	cwnd     uint32
	ssthresh uint32
	frac     float32 // part of a byte by which cwnd is larger
	shape    shape
	last     time.Duration // when t was last reckoned
	hs       hyStart
	undo     undo
	was      shape // before the reduction, with undo
}

// shape is the curve that the window follows.
type shape struct {
	started bool // a stage of congestion avoidance is under way
	wMax    uint32
	prior   uint32 // cwnd_prior
	k       float32
	epoch   time.Duration // t_epoch
	wEst    float64       // W_est
}

// Name implements Controller.
func (*Cubic) Name() string { return "cubic" }

// Start implements Controller.
func (c *Cubic) Start(s cc.Start) {
	*c = Cubic{mss: s.MSS, cwnd: s.CWnd, ssthresh: s.SSThresh, last: s.Now}
	if c.ssthresh == 0 {
		c.ssthresh = cc.MaxWindow
	}
}

// Sent implements Controller. The time in which nothing was in flight does not
// count.
func (c *Cubic) Sent(now time.Duration, inFlight, bytes uint32) {
	if inFlight == 0 {
		c.pause(now)
	}
}

// pause moves the stage's beginning by the time since the last reckoning.
func (c *Cubic) pause(now time.Duration) {
	c.shape.epoch += now - c.last
	c.last = now
}

// Ack implements Controller.
func (c *Cubic) Ack(a *cc.Ack) {
	// While the window is reduced, or is not what holds the sender back, the curve must stand
	// still: time without use would let it leap when it counts again (section 5.8).
	if a.State == cc.Recovery || a.State == cc.CWR || !a.CWndLimited {
		c.pause(a.Now)
		return
	}
	n := counted(a)
	if n == 0 {
		return
	}

	// The part of one acknowledgment that reaches ssthresh is of slow start, and the rest of it
	// of congestion avoidance.
	if c.cwnd < c.ssthresh {
		n = c.slowStart(a, n)
	}
	if n > 0 {
		c.avoid(a, n)
	}
	c.last = a.Now
}

// slowStart grows the window by the bytes acknowledged, and returns those that
// are left for congestion avoidance. HyStart++ is for the initial slow start
// alone: later ones have a threshold.
func (c *Cubic) slowStart(a *cc.Ack, n uint32) uint32 {
	// No loss has told of a limit yet: round-trip times are to, before the queue overflows
	// (section 4.10).
	if c.ssthresh == cc.MaxWindow {
		grow, done := c.hs.grow(a, n, c.mss)
		c.cwnd = add(c.cwnd, grow)
		if done {
			c.ssthresh = c.cwnd
		}
		return 0
	}
	grow := min(n, c.ssthresh-c.cwnd)
	c.cwnd += grow
	return n - grow
}

// avoid grows the window for n bytes acknowledged in congestion avoidance.
func (c *Cubic) avoid(a *cc.Ack, n uint32) {
	s := &c.shape
	if !s.started {
		c.begin(a.Now)
	}
	cwnd := float64(c.cwnd) + float64(c.frac)

	// Section 4.3: what Reno would have.
	alpha := cubicAlpha
	if s.wEst >= float64(s.prior) {
		alpha = 1
	}
	s.wEst += float64(float64(alpha*float64(n)/cwnd) * float64(c.mss))

	// On short paths, and with small windows, the curve is slower than Reno: there Reno's
	// estimate holds, so that CUBIC never does worse (section 4.3).
	t := a.Now - s.epoch
	if c.wCubic(t) < s.wEst {
		cwnd = max(cwnd, s.wEst)
	} else {
		// Sections 4.4 and 4.5.
		target := min(max(c.wCubic(t+a.SRTT), cwnd), float64(1.5*cwnd))
		cwnd += float64((target - cwnd) / cwnd * float64(n))
	}
	cwnd = min(cwnd, cc.MaxWindow)
	c.cwnd = uint32(cwnd)
	c.frac = float32(cwnd - float64(c.cwnd))
}

// begin starts a stage of congestion avoidance. Without a reduction before it,
// after slow start or a timeout, the window has no plateau to come to: K is 0 and
// W_max the window itself (sections 4.8 and 4.10).
func (c *Cubic) begin(now time.Duration) {
	s := &c.shape
	s.started, s.epoch, s.k = true, now, 0
	s.wEst = float64(c.cwnd)
	if s.wMax <= c.cwnd {
		s.wMax = c.cwnd
		return
	}

	// K: the time in which the curve comes back to the plateau (section 4.2).
	s.k = float32(cubeRoot(float64(s.wMax-c.cwnd) / float64(c.mss) / cubicC))
}

// wCubic is W_cubic(t) in bytes (section 4.2).
func (c *Cubic) wCubic(t time.Duration) float64 {
	d := t.Seconds() - float64(c.shape.k)
	return float64(cubicC*d*d*d*float64(c.mss)) + float64(c.shape.wMax)
}

// cubeRoot returns the cube root of x, which is positive, by four of Newton's steps from a
// third of the exponent: the same on all processors, which math.Cbrt is not (see doc.go).
func cubeRoot(x float64) float64 {
	// The constant puts two thirds of the exponent's bias back: a first guess within a few per
	// cent.
	r := math.Float64frombits(math.Float64bits(x)/3 + 0x2a9f7893_00000000)
	for range 4 {
		r -= (r - x/(r*r)) / 3
	}
	return r
}

// reduce sets ssthresh (section 4.6) and W_max, which is less when the window had
// not come back to the last one: another flow wants room (section 4.7).
func (c *Cubic) reduce() {
	s := &c.shape
	s.prior = c.cwnd
	if c.cwnd < s.wMax {
		s.wMax = uint32(float64(c.cwnd) * (1 + cubicBeta) / 2)
	} else {
		s.wMax = c.cwnd
	}
	c.ssthresh = max(uint32(float64(c.cwnd)*cubicBeta), 2*c.mss)
}

func (c *Cubic) save() {
	if c.undo.save(c.cwnd, c.ssthresh) {
		c.was = c.shape
	}
}

// Congestion implements Controller.
func (c *Cubic) Congestion(e *cc.Event) {
	c.save()
	c.reduce()

	// The next acknowledgment in congestion avoidance begins a new stage.
	c.cwnd, c.frac, c.shape.started = c.ssthresh, 0, false
}

// Recovered implements Controller.
func (c *Cubic) Recovered(time.Duration) { c.undo.ended = true }

// Timeout implements Controller. The stage that follows starts from its own
// window (section 4.8).
func (c *Cubic) Timeout(e *cc.Event) {
	c.save()

	// A segment that times out again says nothing new about the path (RFC 5681 section 3.1).
	if !e.Repeated {
		c.reduce()
	}
	c.cwnd, c.frac = c.mss, 0
	c.shape.started, c.shape.wMax = false, 0
}

// Undo implements Controller (section 4.9).
func (c *Cubic) Undo(time.Duration) {
	if c.undo.cwnd == 0 {
		return
	}

	// What the window has grown to meanwhile is not taken away.
	c.cwnd, c.ssthresh = max(c.cwnd, c.undo.cwnd), c.undo.ssthresh
	c.shape, c.undo = c.was, undo{}
}

// Restart implements Controller. After decay the curve starts anew.
func (c *Cubic) Restart(now, idle, rto time.Duration) {
	was := c.cwnd
	c.cwnd, c.ssthresh = decay(c.cwnd, c.ssthresh, c.mss, idle, rto)
	if c.cwnd != was {
		c.shape.started, c.frac = false, 0
	}
}

// SetMSS implements Controller.
func (c *Cubic) SetMSS(mss uint32) { c.cwnd, c.mss = resize(c.cwnd, c.mss, mss), mss }

// CWnd implements Controller.
func (c *Cubic) CWnd() uint32 { return c.cwnd }

// SSThresh implements Controller.
func (c *Cubic) SSThresh() uint32 { return c.ssthresh }

// PacingRate implements Controller.
func (*Cubic) PacingRate() uint64 { return 0 }

// OwnsRecovery implements Controller.
func (*Cubic) OwnsRecovery() bool { return false }

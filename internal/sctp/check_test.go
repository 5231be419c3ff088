package sctp

import (
	"testing"
	"time"
)

// checkAssoc asserts what holds after each event: no state without a timer or a reason, and that TSNs add up.
func checkAssoc(t testing.TB, a *Assoc, now time.Duration) {
	t.Helper()
	bad := func(why string) {
		t.Helper()
		t.Fatalf("%v in %v: %s", now, a.state, why)
	}
	d := a.Deadline()
	switch a.state {
	case Closed:
		if d != never {
			bad("a timer runs in CLOSED")
		}
		if !a.snd.empty() {
			bad("data is kept in CLOSED")
		}
		return
	case CookieWait, CookieEchoed:
		if a.opening.t1 == never && a.todo == 0 {
			bad("T1 does not run")
		}
		if a.opening == nil {
			bad("nothing is being opened")
		}
	case ShutdownSent, ShutdownAckSent:
		if a.timer.t2 == never {
			bad("T2 does not run")
		}
	case ShutdownPending, ShutdownReceived:
		if a.snd.empty() {
			bad("the shutdown waits for nothing")
		}
	}
	if a.use == nil || a.primary == nil || a.ctl == nil {
		bad("there is no path")
	}
	s := &a.snd
	flight := uint32(0)
	for _, p := range a.paths {
		if p.traffic == nil != (s.outgoing == nil) {
			bad("a path is not ready for data")
		}
		if s.outgoing == nil {
			continue
		}
		flight += p.flight
		if p.flight > 0 && p.t3 == never && a.state != CookieEchoed {
			bad("T3-rtx does not run")
		}
		if p.flight == 0 && p.t3 != never && s.marked == 0 && !s.forward && s.ahead < s.una {
			bad("T3-rtx runs for nothing")
		}
	}
	if s.outgoing == nil {
		if s.queued != 0 || s.una != s.nxt || s.forward {
			bad("something is outstanding that was never sent")
		}
		return
	}
	if flight != s.inFlight {
		bad("the flights do not add up")
	}
	outstanding, marked := uint32(0), uint32(0)
	for tsn := s.una; tsn < s.nxt; tsn++ {
		c := s.chunks.at(tsn)
		if c.outstanding() {
			outstanding += c.n
		}
		if c.state&chunkMarked != 0 {
			marked++
		}
	}
	if outstanding != s.inFlight {
		bad("the TSNs outstanding do not add up")
	}
	if marked != s.marked {
		bad("the TSNs marked do not add up")
	}
	if s.una == s.nxt && s.queued != s.waiting {
		bad("what is queued does not add up")
	}
	if marked > 0 && d == never && s.inFlight == 0 {
		bad("what is marked waits for nothing")
	}
}

package sim_test

import (
	"testing"
	"time"

	"usock/link"
	"usock/sim"
)

// What takes time takes manual time, and nothing else does.
func TestManualFlow(t *testing.T) {
	n := sim.NewManual(t, 1)
	a, b := n.Host("a"), n.Host("b")
	l := n.Link(a, b, sim.Both(link.Impairment{Delay: 20 * time.Millisecond, Rate: 10e6}))
	n.Start()
	f := n.Flow(a, b, sim.FlowConfig{Bytes: 1 << 20, Back: 1 << 10})
	n.Sleep(100 * time.Millisecond)
	l.Cut()
	n.Sleep(time.Minute)
	if got := f.Meter.Rate(200*time.Millisecond, time.Minute); got != 0 {
		t.Errorf("%v bit/s while the link is cut", got)
	}
	l.Heal()
	res := f.Wait()
	if res.Err != nil || res.Bytes != 1<<20 || res.Back != 1<<10 || res.Elapsed < time.Minute {
		t.Errorf("%+v", res)
	}
	if f.Meter.Bytes() != res.Bytes {
		t.Errorf("%d bytes counted", f.Meter.Bytes())
	}
}

// A flow that cannot go on ends at its limit, and one to nobody with its error.
func TestManualFlowFails(t *testing.T) {
	n := sim.NewManual(t, 1)
	a, b := n.Host("a"), n.Host("b")
	l := n.Link(a, b, sim.Both(link.Impairment{Delay: time.Millisecond}))
	n.Start()
	f := n.Flow(a, b, sim.FlowConfig{Bytes: 100 << 20, Limit: time.Minute})
	n.Sleep(5 * time.Millisecond)
	l.Cut()
	if res := f.Wait(); res.Err == nil || n.Clock().Now() != time.Minute {
		t.Errorf("%v at %v", res.Err, n.Clock().Now())
	}
	if res := n.Flow(a, b, sim.FlowConfig{Bytes: 1}).Wait(); res.Err == nil {
		t.Error("connected over a cut link")
	}
}

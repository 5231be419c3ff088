package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"usock/link"
	"usock/sim"
)

// pair is a network of two hosts and the link between them.
func pair(t *testing.T, seed uint64, c sim.LinkConfig) (n *sim.Net, a, b *sim.Host, l *sim.Link) {
	n = sim.New(t, seed)
	a, b = n.Host("a"), n.Host("b")
	l = n.Link(a, b, c)
	return n, a, b, l
}

// manualPair is pair in manual time.
func manualPair(t *testing.T, seed uint64, c sim.LinkConfig) (n *sim.Net, a, b *sim.Host, l *sim.Link) {
	n = sim.NewManual(t, seed)
	a, b = n.Host("a"), n.Host("b")
	l = n.Link(a, b, c)
	return n, a, b, l
}

func TestFlow(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, _ := pair(t, 1, sim.Both(link.Impairment{Delay: 10 * time.Millisecond}))
			n.Start()
			f := n.Flow(a, b, sim.FlowConfig{Bytes: 1 << 20, Back: 100_000, IPv6: v6})
			res := f.Wait()
			if res.Err != nil || res.Bytes != 1<<20 || res.Back != 100_000 {
				t.Fatalf("%+v", res)
			}
			if res.Elapsed < 40*time.Millisecond || res.Elapsed > 2*time.Second {
				t.Errorf("took %v", res.Elapsed)
			}
			if n := f.Meter.Bytes(); n != res.Bytes {
				t.Errorf("metered %d", n)
			}
			t.Logf("%v, %.1f Mbit/s, %+v", res.Elapsed, res.Goodput()/1e6, res.Info)
		})
	}
}

// A chain of routers: the routes are found.
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(t, 1)
		a, r1, r2, r3, b := n.Host("a"), n.Router("r1"), n.Router("r2"), n.Router("r3"), n.Host("b")
		c := sim.Both(link.Impairment{Delay: time.Millisecond})
		n.Link(a, r1, c)
		n.Link(r1, r2, c)
		n.Link(r2, r3, c)
		n.Link(r3, b, c)
		n.Link(r1, r3, c) // shorter
		n.Start()
		for _, v6 := range []bool{false, true} {
			for _, f := range []*sim.Flow{
				n.Flow(a, b, sim.FlowConfig{Bytes: 10_000, IPv6: v6}),
				n.Flow(b, a, sim.FlowConfig{Bytes: 10_000, IPv6: v6}),
				n.Flow(b, r2, sim.FlowConfig{Bytes: 10_000, IPv6: v6}),
			} {
				if res := f.Wait(); res.Err != nil {
					t.Error(res.Err)
				}
			}
		}
	})
}

func TestJain(t *testing.T) {
	for _, c := range []struct {
		shares []float64
		want   float64
	}{{[]float64{1, 1, 1}, 1}, {[]float64{1, 0, 0, 0}, 0.25}, {nil, 1}, {[]float64{3, 1}, 0.8}} {
		if got := sim.Jain(c.shares); got != c.want {
			t.Errorf("%v: %v, want %v", c.shares, got, c.want)
		}
	}
}

package sim_test

import (
	"slices"
	"testing"
	"time"

	"usock"
	"usock/link"
	"usock/sim"
)

// A CUBIC flow over 10 Mbit/s and a round trip of 20 ms, with what its own queue adds to that while it runs. A thousand
// packets in a queue without a law are more than a second; a discipline holds the delay about its target, and takes at
// most a tenth of the rate for it.
func TestBufferbloat(t *testing.T) {
	const base = 20 * time.Millisecond
	for _, c := range []struct {
		queue       string
		least, most time.Duration // of the queue's delay in the mean
		ecn         bool
	}{
		{"pfifo", 300 * time.Millisecond, 1500 * time.Millisecond, false},
		{"codel", 2 * time.Millisecond, 10 * time.Millisecond, false},
		{"codel,ecn", 2 * time.Millisecond, 10 * time.Millisecond, true},
		{"fq_codel", 2 * time.Millisecond, 10 * time.Millisecond, false},
		{"pie", 5 * time.Millisecond, 25 * time.Millisecond, false},
		{"pie,dq_rate_estimator", 5 * time.Millisecond, 25 * time.Millisecond, false},
	} {
		m := link.Impairment{Delay: base / 2, Rate: 10e6}
		if err := m.Set("queue", c.queue); err != nil {
			t.Fatal(err)
		}
		n, a, b, l := manualPair(t, 3, sim.LinkConfig{To: m, Back: link.Impairment{Delay: base / 2}})
		var sockets []*usock.Socket
		// Buffers that tune themselves to the path's round trip would keep the queue short, too.
		config := usock.DefaultTCPConfig()
		config.RMem[1], config.WMem[1] = 4<<20, 4<<20
		if c.ecn {
			config.ECN = usock.ECNOn
		}
		a.Config.TCP, b.Config.TCP = config, config
		n.Start()
		f := n.Flow(a, b, sim.FlowConfig{Duration: 12 * time.Second, Congestion: "cubic", Setup: func(s *usock.Socket) {
			sockets = append(sockets, s)
		}})
		var delays []time.Duration
		for now := 4 * time.Second; now < 11*time.Second; now += 100 * time.Millisecond {
			n.Sleep(now - n.Clock().Now())
			rtt := time.Duration(sim.Info(sockets[1]).RTT) * time.Microsecond
			delays = append(delays, rtt-base)
		}
		rate := f.Meter.Rate(4*time.Second, 11*time.Second)
		if res := f.Wait(); res.Err != nil {
			t.Error(res.Err)
		}
		var sum time.Duration
		for _, d := range delays {
			sum += d
		}
		mean := sum / time.Duration(len(delays))
		slices.Sort(delays)
		to, _ := l.Stats()
		t.Logf("%s: %v of delay in the mean, %v at most, %.2f Mbit/s, %d dropped, %d marked",
			c.queue, mean, delays[len(delays)-1], rate/1e6, to.Dropped, to.Marked)
		if mean < c.least || mean > c.most {
			t.Errorf("%s: a delay of %v, want %v to %v", c.queue, mean, c.least, c.most)
		}
		if goodput := 0.9 * 10e6; rate < goodput {
			t.Errorf("%s: %.0f bit/s", c.queue, rate)
		}
	}
}

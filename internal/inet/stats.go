package inet

import (
	"sync/atomic"

	"usock/internal/host"
	"usock/internal/tcp"
)

// Stats returns what TCP and UDP have counted. The whole host must be entered.
func (s *Stack) Stats() (tcp.Counters, UDPStats) {
	t, u := *s.tcp.Stats, UDPStats{}
	for _, l := range s.lanes {
		t.InSegs += l.inSegs
		t.OutSegs += l.outSegs
		host.AddCounters(&u, &l.udp)
	}
	t.OutSegs -= t.RetransSegs // what leaves is counted, and Linux leaves out what is sent again
	return t, u
}

// inc counts what is rare: in one place for all lanes.
func inc(n *uint64) { atomic.AddUint64(n, 1) }

package inet

import (
	"sync/atomic"

	"usock/internal/host"
	"usock/internal/sctp"
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

// SCTPStats returns SCTP's counters, and how many associations are established or shutting down.
func (s *Stack) SCTPStats() (c sctp.Counters, estab int) {
	for _, x := range s.sctp.byID {
		if x.core.State() >= sctp.Established {
			estab++
		}
	}
	return *s.sctp.cfg.Counters, estab
}

// inc counts what is rare: in one place for all lanes.
func inc(n *uint64) { atomic.AddUint64(n, 1) }

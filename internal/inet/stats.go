package inet

import "usock/internal/tcp"

// Stats returns what TCP and UDP have counted. Locked.
func (s *Stack) Stats() (tcp.Counters, UDPStats) {
	t := s.tcp.Stats
	t.OutSegs -= t.RetransSegs // what leaves is counted, and Linux leaves out what is sent again
	return t, s.udp.Stats
}

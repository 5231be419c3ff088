package inet

// Stats returns what TCP and UDP have counted. Locked.
func (s *Stack) Stats() (TCPStats, UDPStats) { return s.tcp.Stats, s.udp.Stats }

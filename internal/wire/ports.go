package wire

// HasPorts reports whether a protocol's header begins with the two ports: TCP, UDP, DCCP, SCTP and
// UDP-Lite (IANA, protocol numbers).
func HasPorts(proto uint8) bool {
	switch proto {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

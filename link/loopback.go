package link

// Loopback returns a link that delivers what it is sent to the sender itself: what
// a host's loopback interface is made of where it is to be wrapped.
func Loopback() Direct {
	m := &memory{
		inbox: newInbox(),
		info:  Info{Name: "lo", MTU: memoryMTU, Checksum: true, CRC32c: true, Segments: true, Loopback: true},
	}
	m.to = m.inbox
	return m
}

package sctp

// Transmission and stream sequence numbers are 64-bit inside: they never wrap, and what is less
// came before. Their low bits are the numbers on the wire, so there is nothing to keep but a number
// that the new one must be near to.

// epoch is added to the numbers that begin, so that what lies before them is not below zero.
const epoch = 1 << 32

// wide returns the number near ref whose low 32 bits are n (serial number arithmetic of RFC 1982,
// which RFC 9260, section 1.6, asks for).
func wide(ref uint64, n uint32) uint64 { return ref + uint64(int64(int32(n-uint32(ref)))) }

// wide16 is wide for the 16 bits of a Stream Sequence Number.
func wide16(ref uint64, n uint16) uint64 { return ref + uint64(int64(int16(n-uint16(ref)))) }

// maxAhead bounds how far the TSNs that are outstanding reach: a Gap Ack Block tells 16 bits of distance.
const maxAhead = 1<<16 - 1

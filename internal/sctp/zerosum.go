package sctp

import "usock/internal/wire"

// Packets without checksum (RFC 9653). What they go through may protect them better than a CRC32c does. Each end
// tells in the handshake by which method it is content; a packet may go without where this end goes by the same
// one. It is the program that knows what lies below, and says so for its socket.

// EDMIDDTLS is the Error Detection Method Identifier of SCTP over DTLS (RFC 8261), the only one that there is.
const EDMIDDTLS = 1

// needsSum reports whether a packet with a chunk of the type has its checksum in any case: those that are taken
// without an association, or by an address that the chunk names (section 5.2). So is SHUTDOWN ACK, which the
// section leaves free: a peer whose SHUTDOWN COMPLETE was lost answers only what it can check.
func needsSum(t wire.ChunkType) bool {
	switch t {
	case wire.ChunkInit, wire.ChunkInitAck, wire.ChunkCookieEcho, wire.ChunkAsconf, wire.ChunkShutdownAck:
		return true
	}
	return false
}

// takesZeroSum reports whether a packet without checksum is taken, whose first chunk is of the type (section 5.3).
// Only those of the association are.
func (a *Assoc) takesZeroSum(in *In, t wire.ChunkType, echo bool) bool {
	return a.opt.EDMID != 0 && in.VTag == a.tag && t != wire.ChunkInit && !echo
}

// heedZeroSum has the association take packets without checksum if the cookie says that the peer was told so:
// the endpoint's option may have been set since then.
func (a *Assoc) heedZeroSum(c caps) {
	method := uint32(0)
	if c&capTakesZeroSum != 0 {
		method = EDMIDDTLS
	}
	if a.opt.EDMID != method {
		a.Change().EDMID = method
	}
}

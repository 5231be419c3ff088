package sctp

import (
	"net/netip"
	"time"
)

// Stats are what SCTP_GET_ASSOC_STATS counts of an association, by its names.
type Stats struct {
	InSacks, OutSacks           uint64
	InPackets, OutPackets       uint64
	RtxChunks                   uint64 // DATA that was sent again
	OutOfSeqTSNs                uint64 // DATA that was too far ahead
	InDupChunks                 uint64
	GapAcks                     uint64 // Gap Ack Blocks of the peer's
	OutUnorderChunks, OutOrder  uint64 // DATA, each once
	InUnorderChunks, InOrder    uint64
	OutCtrlChunks, InCtrlChunks uint64
}

// maxRTO is the highest RTO since it was last asked for, and whose it was.
type maxRTO struct {
	rto  time.Duration
	addr netip.Addr
}

// observe notes the RTOs of now.
func (a *Assoc) observe() {
	for _, p := range a.paths {
		if p.rto > a.highest.rto {
			a.highest = maxRTO{p.rto, p.addr}
		}
	}
}

// Stats returns the counts, and the highest RTO since the last call with the address that had it.
func (a *Assoc) Stats() (s Stats, rto time.Duration, addr netip.Addr) {
	rto, addr = a.highest.rto, a.highest.addr
	a.highest.rto = a.opt.RTOMin
	return a.stats, rto, addr
}

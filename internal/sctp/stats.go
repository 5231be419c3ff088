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

// tally is what an association has counted and seen. One that idles has none: there it counts nothing but what is
// often, and no RTO was higher than the initial one of the first path.
type tally struct {
	Stats
	rto  time.Duration // the highest one since it was last asked for
	addr netip.Addr    // whose it was
}

// makeTally returns the tally, to be added to.
func (a *Assoc) makeTally() *tally {
	if a.tally == nil {
		a.tally = &tally{rto: a.snd.rto.RTOInitial}
		if len(a.paths) > 0 {
			a.tally.addr = a.paths[0].addr
		}
	}
	return a.tally
}

// often is what every association counts.
type often uint8

const (
	inPackets often = iota
	outPackets
	inCtrlChunks
	outCtrlChunks
	numOften
)

// of returns the count of k's in s, which lacks the low 16 bits.
func (k often) of(s *Stats) *uint64 {
	return [numOften]*uint64{&s.InPackets, &s.OutPackets, &s.InCtrlChunks, &s.OutCtrlChunks}[k]
}

func (a *Assoc) count(k often) {
	if a.low[k]++; a.low[k] == 0 {
		*k.of(&a.makeTally().Stats) += 1 << 16
	}
}

// observe notes the RTOs of now.
func (a *Assoc) observe() {
	for _, p := range a.paths {
		if a.tally == nil && p.rto <= a.snd.rto.RTOInitial {
			continue
		}
		if t := a.makeTally(); p.rto > t.rto {
			t.rto, t.addr = p.rto, p.addr
		}
	}
}

// Counts returns the counts.
func (a *Assoc) Counts() (s Stats) {
	if a.tally != nil {
		s = a.tally.Stats
	}
	for k := range numOften {
		*k.of(&s) += uint64(a.low[k])
	}
	return s
}

// Stats returns the counts, and the highest RTO since the last call with the address that had it.
func (a *Assoc) Stats() (s Stats, rto time.Duration, addr netip.Addr) {
	t := a.makeTally()
	rto, addr = t.rto, t.addr
	t.rto = a.opt.RTOMin
	return a.Counts(), rto, addr
}

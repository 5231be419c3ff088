package sctp

import (
	"syscall"
	"testing"

	"usock/internal/wire"
)

// A request that no chunk has room for is refused; so is one of the peer that would make one.
func TestReconfTooLong(t *testing.T) {
	streams := make([]uint16, 65535)
	set := func(o *Options) { o.ReConf, o.Reset, o.OutStreams = true, GrantStreams, 65535 }
	p := newPair(t, 1500, 1)
	set(p.end[0].e.Options)
	set(p.end[1].e.Options)
	p.connect()
	a := p.end[0].a
	if errno := a.ResetStreams(p.now, true, false, streams); errno != syscall.EINVAL {
		t.Errorf("outgoing: %v", errno)
	}
	if errno := a.ResetStreams(p.now, true, true, streams[:20000]); errno != syscall.EINVAL {
		t.Errorf("both: %v", errno)
	}
	p.pump()
	if errno := a.ResetStreams(p.now, true, true, streams[:100]); errno != 0 {
		t.Errorf("a few: %v", errno)
	}
	p.pump()
}

// What a peer asks to be reset takes more bytes in this end's request than in its own.
func TestReconfAskedTooMuch(t *testing.T) {
	p := newPair(t, 65535, 1)
	for i := range p.end {
		o := p.end[i].e.Options
		o.ReConf, o.Reset, o.OutStreams = true, GrantStreams, 65535
	}
	p.connect()
	most := 0
	p.carry = func(from int, in *In) {
		most = max(most, len(in.Head)+in.Body.Len())
		p.arrive(1-from, in)
	}
	a, b := p.end[0].a, p.end[1].a
	for _, n := range []int{maxNamed + 1, 32745} {
		q := wire.ReConf{Type: wire.ParamIncomingReset, Seq: b.reconfig().peerSeq}
		c := wire.Chunk{Type: wire.ChunkReConfig, Value: q.Append(nil, make([]uint16, n))}
		in := jumboIn(pairAddr(0, 0), pairAddr(1, 0), a.port, b.port, c.Append(nil))
		in.VTag = b.tag
		b.Packet(p.now, in)
		p.pump()
	}
	if most > 65535-40-wire.SCTPLen {
		t.Errorf("a packet of %d bytes of chunks", most)
	}
	if b.State() != Established {
		t.Error(b.State())
	}
}

// Of many requests in one packet a few are granted, and their work is of the streams that are known.
func TestReconfMany(t *testing.T) {
	p := newPair(t, 65535, 1)
	for i := range p.end {
		o := p.end[i].e.Options
		o.ReConf, o.Reset, o.OutStreams = true, GrantStreams, 65535
	}
	p.connect()
	a, b := p.end[0].a, p.end[1].a
	seq := b.reconfig().peerSeq
	var chunks []byte
	for i := range 1000 {
		q := wire.ReConf{Type: wire.ParamOutgoingReset, Seq: seq + uint32(i), LastTSN: uint32(b.rcv.cum)}
		c := wire.Chunk{Type: wire.ChunkReConfig, Value: q.Append(nil, nil)}
		chunks = append(chunks, c.Append(nil)...)
	}
	in := jumboIn(pairAddr(0, 0), pairAddr(1, 0), a.port, b.port, chunks)
	in.VTag = b.tag
	b.Packet(p.now, in)
	if n := b.reconf.peerSeq - seq; n != maxDear {
		t.Errorf("%d requests of a packet were granted", n)
	}
	if b.rcv.incoming != nil {
		t.Error("a stream was made to begin anew")
	}
}

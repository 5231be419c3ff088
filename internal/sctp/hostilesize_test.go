package sctp

import (
	"net/netip"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// jumbo is an INIT of almost 64 KiB that is all unknown parameters which ask to be reported: each takes 4 bytes
// there, and 8 in an answer that names them all.
func jumbo(typ wire.ChunkType) []byte {
	i := wire.Init{Tag: 7, ARwnd: 65536, OutStreams: 1, InStreams: 1, TSN: 1}
	for len(i.Params) < 65000 {
		i.Params = (&wire.TLV{Type: 0xc0ff}).Append(i.Params)
	}
	return i.Append(nil, typ)
}

func jumboIn(src, dst netip.Addr, from, to uint16, chunk []byte) *In {
	in := &In{Src: src, Dst: dst, SCTP: wire.SCTP{SrcPort: from, DstPort: to}}
	in.Body.Append(packet.Copy(chunk))
	return in
}

// What is reported of an INIT does not make the INIT ACK longer than a packet can be.
func TestJumboInit(t *testing.T) {
	p := newPair(t, 1500, 1)
	var o Out
	_, send := p.end[1].e.Answer(p.now, jumboIn(pairAddr(0, 0), pairAddr(1, 0), 1000, 1001, jumbo(wire.ChunkInit)), &o)
	if !send {
		t.Fatal("no answer")
	}
	if n := o.Len(); n > 1500 {
		t.Errorf("an INIT ACK of %d bytes", n)
	}
	o.Body.Release()

	p.connect()
	p.carry = func(_ int, in *In) {
		if n := in.Body.Len(); n > 1500 {
			t.Errorf("an INIT ACK of %d bytes", n)
		}
		in.Body.Release()
	}
	p.end[1].a.Packet(p.now, jumboIn(pairAddr(0, 0), pairAddr(1, 0), 1000, 1001, jumbo(wire.ChunkInit)))
	p.pump()
}

// Nor do the key vectors of one, which the cookie holds.
func TestJumboVectors(t *testing.T) {
	for _, typ := range []uint16{wire.ParamRandom, wire.ParamChunkList, wire.ParamHMACAlgo} {
		p := newPair(t, 1500, 1)
		p.end[1].e.Options.Auth = true
		i := wire.Init{Tag: 7, ARwnd: 65536, OutStreams: 1, InStreams: 1, TSN: 1}
		for _, x := range []uint16{wire.ParamRandom, wire.ParamChunkList, wire.ParamHMACAlgo} {
			v := make([]byte, 32)
			if x == typ {
				v = make([]byte, 65000)
			}
			v[1] = HMACSHA1
			i.Params = (&wire.TLV{Type: x, Value: v}).Append(i.Params)
		}
		i.Params = (&wire.TLV{Type: wire.ParamExtensions, Value: []byte{byte(wire.ChunkAuth)}}).Append(i.Params)
		var o Out
		_, send := p.end[1].e.Answer(p.now, jumboIn(pairAddr(0, 0), pairAddr(1, 0), 1000, 1001, i.Append(nil, wire.ChunkInit)), &o)
		if !send || o.Len() > 1500 {
			t.Errorf("%#x: an answer of %d bytes", typ, o.Len())
		}
		o.Body.Release()
	}
}

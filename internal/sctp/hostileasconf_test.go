package sctp

import (
	"net/netip"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// dynamicPair is a pair whose ends take changes of addresses.
func dynamicPair(t *testing.T) *pair {
	p := newPair(t, 1500, 1)
	for i := range p.end {
		p.end[i].e.Options.Auth, p.end[i].e.Options.Asconf = true, true
	}
	p.connect()
	if p.end[1].a.caps&capAsconf == 0 {
		t.Fatal("no changes of addresses were agreed")
	}
	return p
}

// authentic gives end 1 chunks of end 0, behind an AUTH chunk.
func (p *pair) authentic(src netip.Addr, body []byte) {
	a, b := p.end[0].a, p.end[1].a
	var out Out
	out.nhead = uint8(a.auth.len())
	a.auth.open(out.head[:out.nhead])
	out.Body.Append(packet.Copy(body))
	a.auth.seal(a.opt.AuthSetup.sends(nil), &out)
	in := &In{Src: src, Dst: pairAddr(1, 0), SCTP: wire.SCTP{SrcPort: a.port, DstPort: b.port, VTag: b.tag}}
	in.Head, in.Body = out.Head(), out.Body
	b.Packet(p.now, in)
	p.pump()
}

// What an ASCONF is refused does not make the ASCONF-ACK longer than a packet can be.
func TestAsconfRefusals(t *testing.T) {
	p := dynamicPair(t)
	most := 0
	p.carry = func(from int, in *In) {
		most = max(most, len(in.Head)+in.Body.Len())
		in.Body.Release()
	}
	x := wire.Asconf{Serial: p.end[1].a.dynamic().peerSerial, Params: wire.AppendAddr(nil, pairAddr(0, 0))}
	for len(x.Params) < 64000 {
		x.Params = (&wire.AsconfParam{CorrelationID: 1}).Append(x.Params, wire.ParamAddIP)
	}
	p.authentic(pairAddr(0, 0), x.Append(nil, wire.ChunkAsconf))
	if most == 0 || most > 1500 {
		t.Errorf("the answer has %d bytes", most)
	}
}

// Without an address that is known to be the peer's no association goes on: who can delete those that
// are could have data sent to a host that never asked for it (RFC 9260, section 5.4).
func TestAsconfDeletesConfirmed(t *testing.T) {
	p := dynamicPair(t)
	b, own, other := p.end[1].a, pairAddr(0, 0), netip.MustParseAddr("10.9.9.9")
	p.carry = func(from int, in *In) { in.Body.Release() }
	ask := func(src netip.Addr, typ uint16, addr netip.Addr) {
		x := wire.Asconf{Serial: b.dynamic().peerSerial, Params: wire.AppendAddr(nil, own)}
		v := wire.AsconfParam{CorrelationID: 1, Rest: wire.AppendAddr(nil, addr)}
		x.Params = v.Append(x.Params, typ)
		p.authentic(src, x.Append(nil, wire.ChunkAsconf))
	}
	ask(own, wire.ParamAddIP, other)
	if b.path(other) == nil {
		t.Fatal("the address was not added")
	}
	ask(other, wire.ParamDeleteIP, own)
	ask(other, wire.ParamDeleteIP, netip.IPv4Unspecified())
	if b.path(own) == nil || b.use.addr != own {
		t.Error("data goes to an address that was never confirmed")
	}
}

// One AUTH chunk is all that a packet may have: each costs an HMAC over the rest of it.
func TestManyAuth(t *testing.T) {
	p := dynamicPair(t)
	a, b := p.end[0].a, p.end[1].a
	var inner Out
	inner.nhead = uint8(a.auth.len())
	a.auth.open(inner.head[:inner.nhead])
	hb := (&wire.Chunk{Type: wire.ChunkHeartbeat, Value: []byte{0, 1, 0, 4}}).Append(nil)
	inner.Body.Append(packet.Copy(hb))
	a.auth.seal(&nullKey, &inner)
	answers := 0
	p.carry = func(from int, in *In) { answers++; in.Body.Release() }
	p.authentic(pairAddr(0, 0), append(append([]byte(nil), inner.Head()...), hb...))
	inner.Body.Release()
	if answers != 0 || b.State() != Established {
		t.Errorf("%d answers to a packet with two AUTH chunks", answers)
	}
}

package ip

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// FuzzLayerInput gives a forwarding host packets of any bytes, split anywhere. It
// must not panic, keep packets, or answer with what a strict receiver refuses.
func FuzzLayerInput(f *testing.F) {
	dgram := append(udpHeader(4), "data"...)
	add := func(p []byte) { f.Add(p, uint8(0), false); f.Add(p, uint8(30), true) }
	add(packetBytes(peerA, hostA, ProtoUDP, dgram, nil))
	add(packetBytes(peerB, hostB, ProtoUDP, dgram, nil))
	add(packetBytes(peerA, hostA, ProtoUDP, dgram, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} }))
	add(packetBytes(peerA, "10.0.0.255", ProtoUDP, dgram, nil))
	add(packetBytes(peerA, "9.9.9.9", ProtoUDP, dgram, nil))
	add(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 1, pattern(10)), nil))
	add(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 4, 1400, packetBytes(hostA, peerA, ProtoTCP, pattern(20), nil)), nil))
	add(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 1, pattern(10)), nil))
	add(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6PacketTooBig, 0, 1300,
		packetBytes(hostB, peerB, wire.IPv6DestOpts, append([]byte{6, 0, 1, 4, 0, 0, 0, 0}, pattern(20)...), nil)), nil))
	add(packetBytes(peerB, hostB, wire.IPv6HopByHop, append([]byte{wire.IPv6Routing, 0, 5, 2, 0, 0, 1, 0, ProtoUDP, 0, 0, 0, 0, 0, 0, 0}, dgram...), nil))
	add(packetBytes(peerB, hostB, 200, dgram, nil))
	add(frag4(1, 0, true, dgram[:8]))
	add(frag6(1, 0, false, dgram))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8, trusted bool) {
		if len(in) > packet.MaxBlock {
			return
		}
		b := newBench(t, Config{Forwarding: true})
		b.udp.refuse = true
		b.do(func() {
			b.l.AddRoute(Route{Dst: prefix("9.0.0.0/8"), Via: addr(peerA)})
			b.l.AddRoute(Route{Dst: prefix("::/0"), Via: addr(peerB)})
		})
		k := min(int(cut), len(in), 150)
		p := packet.New()
		copy(p.Prepend(k), in)
		p.Payload.Append(packet.Copy(in[k:]))
		p.Trusted = trusted
		b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
		for _, out := range b.sent() {
			switch {
			case len(out) > 0 && out[0]>>4 == 4:
				if h, n, err := wire.ParseIPv4(out); err != nil || int(h.TotalLen) != len(out) || wire.ChecksumOf(out[:n]) != 0 {
					t.Fatalf("sent %x", out)
				}
			default:
				if h, err := wire.ParseIPv6(out); err != nil || int(h.PayloadLen) != len(out)-wire.IPv6Len {
					t.Fatalf("sent %x", out)
				}
			}
		}
		b.clock.Advance(2 * time.Minute)
		if len(b.l.frags.all) != 0 || b.l.frags.cost != 0 {
			t.Fatal("fragments kept")
		}
	})
}

// FuzzReassembly cuts a datagram as the bytes say, sends the pieces in any order,
// twice, overlapping or spoilt, and checks that what comes out is the datagram, and
// that all memory is given back.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 8, 1, 8, 8, 1, 16, 8, 0}, false)
	f.Add([]byte{16, 8, 0, 8, 8, 1, 0, 8, 1}, true)
	f.Add([]byte{0, 16, 1, 8, 8, 1, 16, 8, 0, 0, 255, 0}, true)
	f.Fuzz(func(t *testing.T, script []byte, v6 bool) {
		b := newBench(t, Config{})
		d := append(udpHeader(56), pattern(56)...)
		// Each three bytes are an offset, a length and whether more follows; bit 1 of
		// the last says that the bytes are others than the datagram's.
		pure := true
		for len(script) >= 3 {
			off := int(script[0]) % 9 * 8
			end := min(off+int(script[1])%9*8, len(d))
			more := script[2]&1 != 0
			data := slices.Clone(d[min(off, end):end])
			if script[2]&2 != 0 {
				for i := range data {
					data[i] ^= 0x55
				}
				pure = false
			}
			if !more && end != len(d) || more && end == len(d) {
				pure = false // says that the datagram has another length
			}
			script = script[3:]
			if v6 {
				b.arrive(frag6(3, off, more, data))
			} else {
				b.arrive(frag4(3, off, more, data))
			}
			l := &b.l.frags
			for _, x := range l.all {
				at, have, cost := 0, 0, partialCost+len(x.header)
				for _, g := range x.pieces {
					if g.off < at {
						t.Fatal("pieces overlap")
					}
					at = g.end()
					have += g.v.Len()
					cost += g.v.Cap() + pieceCost
				}
				if have != x.have || cost != x.cost || x.total >= 0 && at > x.total || len(l.all) == 1 && l.cost != cost {
					t.Fatalf("accounts: have %d of %d, cost %d of %d", x.have, have, x.cost, cost)
				}
			}
		}
		for _, g := range b.udp.take() {
			if binary.BigEndian.Uint16(g.header[2:]) == 0 && !v6 {
				t.Fatal("no header")
			}
			if pure && !slices.Equal(g.data, d) {
				t.Fatalf("datagram %x", g.data)
			}
		}
		b.clock.Advance(2 * time.Minute)
		if len(b.l.frags.all) != 0 || b.l.frags.cost != 0 || b.h.Timers() != 0 {
			t.Fatal("fragments kept")
		}
	})
}

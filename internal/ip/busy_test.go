package ip

import (
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// busy is a transport whose endpoint is busy, or that needs the whole host, whenever it is given a packet for
// the first time. It cuts off what is behind the first eight bytes of data, as UDP does with what is no part of
// the datagram.
type busy struct {
	fake
	b     *bench
	whole bool
	again bool
}

func (x *busy) Input(p *packet.Packet, m *Meta) bool {
	p.Truncate(16)
	if x.again = !x.again; x.again {
		if x.whole {
			m.Lane.InWhole(p, m)
		} else {
			m.Lane.Busy(&x.b.h.Domain, p, m)
		}
		return true
	}
	return x.fake.Input(p, m)
}

// A packet for a busy endpoint is received as any other, and counted as one, whatever its network header was
// and whatever the transport has taken off it.
func TestBusy(t *testing.T) {
	udp := append(udpHeader(16), pattern(16)...)
	chain := append([]byte{ProtoUDP, 0, 1, 4, 0, 0, 0, 0}, udp...)
	for _, whole := range []bool{false, true} {
		for _, c := range []struct {
			name string
			in   [][]byte
			want string
		}{
			{"plain", [][]byte{packetBytes(peerA, hostA, ProtoUDP, udp, nil)}, "InReceives 1 InDelivers 1"},
			{"IPv6", [][]byte{packetBytes(peerB, hostB, ProtoUDP, udp, nil)}, "InReceives 1 InDelivers 1"},
			{"options", [][]byte{packetBytes(peerB, hostB, wire.IPv6DestOpts, chain, nil)}, "InReceives 1 InDelivers 1"},
			{"fragments", [][]byte{frag4(1, 0, true, udp[:8]), frag4(1, 8, false, udp[8:])}, "InReceives 2 InDelivers 1 ReasmReqds 2 ReasmOKs 1"},
			{"fragments of IPv6", [][]byte{frag6(1, 0, true, udp[:8]), frag6(1, 8, false, udp[8:])}, "InReceives 2 InDelivers 1 ReasmReqds 2 ReasmOKs 1"},
		} {
			b := newBench(t, Config{})
			x := &busy{fake: fake{t: t}, b: b, whole: whole}
			b.l.table.Transport[ProtoUDP] = x
			for _, p := range c.in {
				b.arrive(p)
			}
			got := x.take()
			if len(got) != 1 || string(got[0].data) != string(udp[:16]) {
				t.Errorf("%s: came %+v", c.name, got)
			}
			if got := nonzero(b.l.Counters()); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
}

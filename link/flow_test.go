package link

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// flowPacket returns a packet of proto between two ends, as if read from a device.
func flowPacket(src, dst netip.AddrPort, proto uint8) *Packet {
	p := packet.New()
	b := p.Prepend(8)
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	header(p, src.Addr(), dst.Addr(), proto, 6, false)
	return packet.FromBytes(p.AppendTo(nil))
}

// edited returns p with its bytes changed.
func edited(p *Packet, edit func(b []byte) []byte) *Packet {
	b := edit(p.AppendTo(nil))
	p.Free()
	return packet.FromBytes(b)
}

func endsOf(v6 bool) (a, b netip.AddrPort) {
	if v6 {
		return netip.MustParseAddrPort("[2001:db8::1]:1000"), netip.MustParseAddrPort("[2001:db8:0:1::7]:80")
	}
	return netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("192.0.2.7:80")
}

// hashOf hashes p and frees it.
func hashOf(p *Packet) uint64 {
	defer p.Free()
	return flowHash(p)
}

// Both directions of a flow have one hash, and another end, port or protocol has another.
func TestFlowHash(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		a, b := endsOf(v6)
		for _, proto := range []uint8{6, 17, 33, 132, 136} {
			h := hashOf(flowPacket(a, b, proto))
			if back := hashOf(flowPacket(b, a, proto)); back != h {
				t.Errorf("protocol %d: %v and %v: %x, back %x", proto, a, b, h, back)
			}
			for what, other := range map[string]*Packet{
				"port":        flowPacket(netip.AddrPortFrom(a.Addr(), 1001), b, proto),
				"other port":  flowPacket(a, netip.AddrPortFrom(b.Addr(), 81), proto),
				"address":     flowPacket(netip.AddrPortFrom(a.Addr().Next(), 1000), b, proto),
				"ports swap":  flowPacket(netip.AddrPortFrom(a.Addr(), 80), netip.AddrPortFrom(b.Addr(), 1000), proto),
				"protocol":    flowPacket(a, b, map[bool]uint8{true: 6, false: 17}[proto == 17]),
				"no protocol": flowPacket(a, b, 253),
			} {
				if hashOf(other) == h {
					t.Errorf("protocol %d: another %s has the same hash", proto, what)
				}
			}
		}
		if hashOf(flowPacket(a, b, 253)) != hashOf(flowPacket(netip.AddrPortFrom(b.Addr(), 1), netip.AddrPortFrom(a.Addr(), 2), 1)) {
			t.Error("without ports, more than the addresses counts")
		}
	}
}

// The header of the transport is found wherever the host has put it.
func TestFlowHashPlaces(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		a, b := endsOf(v6)
		want := hashOf(flowPacket(a, b, 17))
		n := wire.IPv4MinLen
		if v6 {
			n = wire.IPv6Len
		}
		whole := flowPacket(a, b, 17)
		bytes := whole.AppendTo(nil)
		whole.Free()
		for _, head := range []int{0, n, len(bytes)} {
			for _, length := range []int{len(bytes), n + 4} { // the ports are all there is of the transport's header
				head := min(head, length)
				p := packet.FromBytes(bytes[head:length])
				copy(p.Prepend(head), bytes)
				if h := hashOf(p); h != want {
					t.Errorf("IPv6 %v, %d bytes of %d in the head: %x, want %x", v6, head, length, h, want)
				}
			}
		}
	}
	a, b := endsOf(true)
	p := edited(flowPacket(a, b, 17), func(b []byte) []byte {
		b[6] = wire.IPv6DestOpts
		return append(b[:wire.IPv6Len:wire.IPv6Len], append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, b[wire.IPv6Len:]...)...)
	})
	if h, want := hashOf(p), hashOf(flowPacket(a, b, 17)); h != want {
		t.Errorf("behind an extension header: %x, want %x", h, want)
	}
	a, b = endsOf(false)
	p = edited(flowPacket(a, b, 17), func(b []byte) []byte {
		b[0], b[3] = 0x46, b[3]+4
		return append(b[:wire.IPv4MinLen:wire.IPv4MinLen], append([]byte{1, 1, 1, 0}, b[wire.IPv4MinLen:]...)...)
	})
	if h, want := hashOf(p), hashOf(flowPacket(a, b, 17)); h != want {
		t.Errorf("behind options: %x, want %x", h, want)
	}
}

// All fragments of a datagram have one hash, the first one's ports notwithstanding.
func TestFlowHashFragments(t *testing.T) {
	a, b := endsOf(false)
	field := func(v uint16) *Packet {
		return edited(flowPacket(a, b, 17), func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[6:], v)
			return b
		})
	}
	addresses := hashOf(flowPacket(a, b, 253))
	if first, last := hashOf(field(0x2000)), hashOf(field(100)); first != addresses || last != addresses {
		t.Errorf("the first fragment has %x, the last %x; want %x", first, last, addresses)
	}
	a, b = endsOf(true)
	addresses = hashOf(flowPacket(a, b, 253))
	for _, off := range []byte{1, 8} { // the first one: more to come; the last one
		p := edited(flowPacket(a, b, 17), func(b []byte) []byte {
			b[6] = wire.IPv6Fragment
			return append(b[:wire.IPv6Len:wire.IPv6Len], append([]byte{17, 0, 0, off, 0, 0, 0, 1}, b[wire.IPv6Len:]...)...)
		})
		if h := hashOf(p); h != addresses {
			t.Errorf("a fragment of IPv6 has %x, want %x", h, addresses)
		}
	}
}

// Connections that differ in one port, or in one address, are about as many on each queue.
func TestFlowShare(t *testing.T) {
	const flows = 4000
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{2, 3, 8} {
			byPort, byAddr := make([]int, n), make([]int, n)
			a, b := endsOf(v6)
			from := a.Addr()
			for i := range uint16(flows) {
				byPort[share(hashOf(flowPacket(netip.AddrPortFrom(a.Addr(), 30000+i), b, 6)), n)]++
				from = from.Next()
				byAddr[share(hashOf(flowPacket(netip.AddrPortFrom(from, 1000), b, 6)), n)]++
			}
			for _, counts := range [][]int{byPort, byAddr} {
				for _, k := range counts {
					// Five standard deviations of a binomial distribution, of at most 32 flows.
					if d := k - flows/n; d < -5*32 || d > 5*32 {
						t.Errorf("IPv6 %v: %d flows on %d queues: %v", v6, flows, n, counts)
						break
					}
				}
			}
		}
	}
}

// FuzzFlowHash looks for packets that the hash of flows goes wrong at: it reads nothing behind the
// packet, and with both ends swapped it is the same.
func FuzzFlowHash(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		a, b := endsOf(v6)
		for _, proto := range []uint8{6, 17, 132, 253} {
			p := flowPacket(a, b, proto)
			f.Add(p.AppendTo(nil), byte(20))
			p.Free()
		}
	}
	f.Add([]byte{0x60, 0, 0, 0, 0, 8, wire.IPv6HopByHop}, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, head byte) {
		if len(b) > packet.MaxBlock {
			return
		}
		n := min(int(head), len(b), packet.Headroom)
		p := packet.FromBytes(b[n:])
		copy(p.Prepend(n), b)
		h := hashOf(p)
		for _, k := range []int{1, 2, 7, maxQueues} {
			if i := share(h, k); i < 0 || i >= k {
				t.Fatalf("queue %d of %d", i, k)
			}
		}
		if swapped := swapEnds(b); swapped != nil {
			if x, y := hashOf(packet.FromBytes(b)), hashOf(packet.FromBytes(swapped)); x != y {
				t.Errorf("%x there and %x back: %x", x, y, b)
			}
		}
	})
}

// swapEnds returns an IP packet with source and destination exchanged, nil if that takes a parser.
func swapEnds(b []byte) []byte {
	out := append([]byte(nil), b...)
	addrs, n, at := 0, 0, 0
	switch {
	case len(b) >= wire.IPv4MinLen && b[0] == 0x45:
		addrs, n, at = 12, 4, wire.IPv4MinLen
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6 && wire.HasPorts(b[6]):
		addrs, n, at = 8, 16, wire.IPv6Len
	default:
		return nil
	}
	copy(out[addrs:], b[addrs+n:addrs+2*n])
	copy(out[addrs+n:], b[addrs:addrs+n])
	if len(b) >= at+4 {
		copy(out[at:], b[at+2:at+4])
		copy(out[at+2:], b[at:at+2])
	}
	return out
}

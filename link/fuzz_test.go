package link

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// FuzzNeighbours attacks a host with messages that the bytes describe, between packets of its own and
// while time passes: after each the table is in order and bounded, what the host sends is well formed,
// a neighbour that packets are sent to is not lost to a flood, and in the end nothing is kept. A step
// is an operation, an address, and an argument.
func FuzzNeighbours(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 1, 0, 2, 1, 9, 3, 2, 9, 4, 1, 0x60, 5, 1, 0x20, 6, 0, 200, 7, 0, 200})
	f.Add([]byte{8, 1, 0, 9, 1, 0, 10, 0, 8, 10, 1, 255, 11, 3, 1, 12, 0, 1, 0, 1, 1})
	f.Add([]byte{0, 1, 0, 0, 1, 10, 6, 0, 255, 6, 3, 255, 7, 0, 255, 7, 2, 255, 2, 1, 1, 3, 1, 31})
	f.Fuzz(func(t *testing.T, script []byte) {
		packet.Track(true)
		before := packet.Live()
		x := newAttacked(t)
		friend := other(len(script)%2 == 1, 1, 1)
		x.to(friend, 10)
		x.answer(friend, macB)
		for step := 0; len(script) >= 3 && step < 200; step++ {
			op, a, arg := script[0]%13, script[1], script[2]
			script = script[3:]
			peer := other(a&1 != 0, 2+a>>4, int(a>>1&7))
			from := hardware{2, 1, 1, 1, arg, a}
			x.fuzzStep(op, peer, arg, from)
			x.to(friend, 10)
			x.check(t)
			for _, b := range x.take() {
				checkFrame(t, b)
			}
		}
		if x.state(friend) == "none" || x.state(friend) == "INCOMPLETE " {
			// Only by silence when it was asked: a minute and more has passed.
			if x.clock.Now() < time.Hour+reachable {
				t.Fatal("a neighbour in use is lost")
			}
		}
		x.Close()
		x.sent = nil
		if n := packet.Live() - before; n != 0 {
			t.Fatalf("%d blocks are left", n)
		}
	})
}

func (x *attacked) fuzzStep(op byte, peer netip.Addr, arg byte, from hardware) {
	six := peer
	if six.Is4() {
		six = other(true, 7, int(arg))
	}
	switch op {
	case 0:
		x.to(peer, 1+int(arg)*250)
	case 1:
		x.answer(peer, from)
	case 2:
		x.ask(peer, from)
	case 3:
		x.clock.Advance(time.Duration(arg) * 20 * time.Millisecond)
	case 4:
		x.in(macA, from, etherIPv6, ndMessage(ndAdvertisement, arg, six, own6, six, option(ndTargetAddress, from), nil))
	case 5:
		x.in(macA, from, etherIPv6, ndMessage(ndAdvertisement, arg, six, allNodes, six, option(ndTargetAddress, macC), nil))
	case 6: // a flood of questions
		for i := range int(arg) {
			x.ask(other(peer.Is6(), 200+arg%8, i), from)
		}
	case 7: // and of packets to nobody
		for i := range int(arg) {
			x.to(other(peer.Is6(), 220+arg%8, i), 100)
		}
	case 8:
		x.RemoveNeighbour(peer)
	case 9:
		x.AddNeighbour(peer, from[:])
	case 10: // options of any length
		o := append(option(arg, from), arg, arg>>3, 0, 0, 0, 0, 0, 0)
		x.in(macA, from, etherIPv6, ndMessage(ndSolicitation+arg&1, arg, six, own6, own6, o, func(_ *wire.IPv6, m []byte) { m[25] = arg >> 2 }))
	case 11: // fields of any value
		x.in(macA, from, etherIPv6, ndMessage(133+arg%5, 0, six, own6, own6, option(ndSourceAddress, from), func(h *wire.IPv6, m []byte) {
			h.HopLimit = 255 - arg>>6
			h.PayloadLen -= uint16(arg & 7)
			m[1] = arg >> 3 & 1
		}))
	case 12:
		m := arpMessage(arg, from, other(false, 3, int(arg)), macA, own4)
		m[arg%8] ^= arg >> 6
		x.in(everyone, from, etherARP, m[:max(len(m)-int(arg>>4), 1)])
	}
}

// checkFrame asserts that a frame of the host is one that others may be sent.
func checkFrame(t *testing.T, b []byte) {
	t.Helper()
	if len(b) < ethernetLen+20 || hardware(b[6:]) != macA {
		t.Fatalf("sent %x", b)
	}
	switch kind := binary.BigEndian.Uint16(b[12:]); kind {
	case etherARP:
		if b[ethernetLen+7] == arpReply && b[0]&1 != 0 {
			t.Fatalf("an answer to all: %x", b)
		}
	case etherIPv6:
		h, err := wire.ParseIPv6(b[ethernetLen:])
		if err != nil || int(h.PayloadLen) != len(b)-ethernetLen-wire.IPv6Len || h.Src.IsMulticast() {
			t.Fatalf("sent %x", b)
		}
		if h.Next == protoICMPv6 && h.Dst.IsMulticast() && b[ethernetLen+wire.IPv6Len] == ndAdvertisement && b[ethernetLen+wire.IPv6Len+4]&ndSolicited != 0 {
			t.Fatalf("a solicited answer to a group: %x", b)
		}
	case etherIPv4:
		if h, _, err := wire.ParseIPv4(b[ethernetLen:]); err != nil || int(h.TotalLen) != len(b)-ethernetLen {
			t.Fatalf("sent %x", b)
		}
	default:
		t.Fatalf("a frame of type %x", kind)
	}
}

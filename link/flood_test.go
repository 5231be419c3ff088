package link

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/wire"
	"usock/packet"
)

// attacked is a link whose Ethernet is the test.
type attacked struct {
	*Framed
	clock *clock.Manual
	wire  Direct
	sent  [][]byte // frames of the host
}

func newAttacked(t testing.TB, gateways ...netip.Addr) *attacked {
	t.Helper()
	p, q := Pipe(PipeConfig{})
	x := &attacked{clock: &clock.Manual{}, wire: q}
	q.Deliver(func(batch []*Packet) {
		for _, p := range batch {
			x.sent = append(x.sent, p.AppendTo(nil))
			p.Free()
		}
	})
	f, err := Frames(etherEnd{p, macA}, FramesConfig{
		Addresses: addresses("10.0.0.1/8", "fd00::1/64", "fe80::1/64"), Gateways: gateways, Clock: x.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.Framed, x.sent = f, nil
	f.Deliver(func(batch []*Packet) {
		for _, p := range batch {
			p.Free()
		}
	})
	t.Cleanup(func() { f.Close() })
	x.clock.Advance(time.Hour)
	return x
}

// take returns the frames that the host has sent since.
func (x *attacked) take() [][]byte {
	s := x.sent
	x.sent = nil
	return s
}

func (x *attacked) in(to, from hardware, kind uint16, b []byte) {
	p := packet.FromBytes(b)
	frame(p, to, from, kind)
	x.arrived([]*Packet{p})
}

func arpMessage(op byte, from hardware, src netip.Addr, to hardware, dst netip.Addr) []byte {
	b := append(append([]byte{}, arpHead[:]...), 0, op)
	b = append(append(b, from[:]...), src.AsSlice()...)
	return append(append(b, to[:]...), dst.AsSlice()...)
}

// ndMessage is a message about target with the options, whose parts edit may change before it has its
// checksum.
func ndMessage(kind, flags byte, src, dst, target netip.Addr, options []byte, edit func(h *wire.IPv6, m []byte)) []byte {
	m := make([]byte, ndLen, ndLen+len(options))
	t := target.As16()
	m[0], m[4] = kind, flags
	copy(m[8:], t[:])
	m = append(m, options...)
	h := wire.IPv6{Src: src, Dst: dst, Next: protoICMPv6, HopLimit: ndHopLimit, PayloadLen: uint16(len(m))}
	if edit != nil {
		edit(&h, m)
	}
	m[2], m[3] = 0, 0
	var c wire.Checksum
	c.AddPseudo(h.Src, h.Dst, protoICMPv6, int(h.PayloadLen))
	c.Add(m[:min(int(h.PayloadLen), len(m))])
	binary.BigEndian.PutUint16(m[2:], c.Sum())
	b := make([]byte, wire.IPv6Len)
	h.Put(b)
	return append(b, m...)
}

func option(kind byte, h hardware) []byte { return append([]byte{kind, 1}, h[:]...) }

// ask has a station ask the host for its address; answer has it answer the host's question.
func (x *attacked) ask(src netip.Addr, from hardware) {
	if src.Is4() {
		x.in(everyone, from, etherARP, arpMessage(arpRequest, from, src, hardware{}, own4))
		return
	}
	x.in(macA, from, etherIPv6, ndMessage(ndSolicitation, 0, src, solicitedNode(own6), own6, option(ndSourceAddress, from), nil))
}

func (x *attacked) answer(src netip.Addr, from hardware) {
	if src.Is4() {
		x.in(macA, from, etherARP, arpMessage(arpReply, from, src, macA, own4))
		return
	}
	x.in(macA, from, etherIPv6, ndMessage(ndAdvertisement, ndSolicited|ndOverride, src, own6, src, option(ndTargetAddress, from), nil))
}

var own4, own6 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")

// other returns the i-th address of a group of those on the network.
func other(six bool, group byte, i int) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0: 0xfd, 12: group, 14: byte(i >> 8), 15: byte(i)})
	}
	return netip.AddrFrom4([4]byte{10, group, byte(i >> 8), byte(i)})
}

// to sends n bytes to an address.
func (x *attacked) to(a netip.Addr, n int) int {
	p := packet.FromBytes(make([]byte, n))
	u := wire.UDP{SrcPort: 1, DstPort: 2, Len: uint16(8 + n)}
	u.Put(p.Prepend(8))
	src := own4
	if a.Is6() {
		src = own6
	}
	header(p, src, a, 17, 6, false)
	return x.Send([]*Packet{p})
}

func (x *attacked) state(a netip.Addr) string {
	for _, n := range x.Neighbours() {
		if n.Addr == a {
			return fmt.Sprintf("%v %x", n.State, []byte(n.Address))
		}
	}
	return "none"
}

// check asserts what holds of the table at any time.
func (x *attacked) check(t testing.TB) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := len(x.neighbours); n > maxNeighbours || x.guests.n > maxGuests || x.waiting > maxWaiting {
		t.Fatalf("%d neighbours, %d guests, %d bytes wait", n, x.guests.n, x.waiting)
	}
	guests, sought := 0, 0
	for a, n := range x.neighbours {
		switch {
		case n.at != a, n.known == (n.list == &x.sought), n.list == &x.guests && n.pending.Len() > 0,
			n.known && n.pending.Len() > 0, n.pending.Len() > maxPending, n.sure && !n.known:
			t.Fatalf("%v: %+v", a, n)
		case n.list == &x.guests:
			guests++
		case n.list == &x.sought:
			sought++
		}
	}
	if guests != x.guests.n || sought != x.sought.n {
		t.Fatalf("%d guests of %d, %d sought of %d", x.guests.n, guests, x.sought.n, sought)
	}
}

// Neighbours in use stay known, and new ones are found, while the host is flooded with questions from
// addresses that nobody has, and while it sends to many that nobody has.
func TestNeighbourFlood(t *testing.T) {
	for _, six := range []bool{false, true} {
		x := newAttacked(t)
		const friends = 20
		for i := range friends {
			x.to(other(six, 1, i), 10)
			x.answer(other(six, 1, i), macB)
		}
		x.clock.Advance(2 * time.Second)
		known := func(when string) {
			t.Helper()
			x.check(t)
			for i := range friends {
				if s := x.state(other(six, 1, i)); s != "REACHABLE 02000000000b" {
					t.Fatalf("six %v, %s: friend %d is %s", six, when, i, s)
				}
			}
		}
		known("before")
		for i := range 4 * maxNeighbours {
			x.ask(other(six, 2, i), hardware{2, 9, 9, 9, byte(i >> 8), byte(i)})
			if i%100 == 0 {
				x.to(other(six, 3, i), 10) // is found all the same
				x.answer(other(six, 3, i), macB)
				if s := x.state(other(six, 3, i)); s != "REACHABLE 02000000000b" {
					t.Fatalf("a new neighbour in the flood is %s", s)
				}
			}
		}
		known("after a flood of questions")
		for i := range 4 * maxNeighbours {
			x.to(other(six, 4, i), 1000)
		}
		known("after a flood of packets to nobody")
		if x.guests.n != 0 {
			t.Errorf("%d guests are left where others were sought", x.guests.n)
		}
		before := len(x.neighbours)
		for i := range 100 {
			x.ask(other(six, 5, i), hardware{2, 9, 9, 9, byte(i >> 8), byte(i)})
		}
		if x.guests.n != 0 || len(x.neighbours) != before {
			t.Error("a guest has displaced one that is sought")
		}
		x.clock.Advance(time.Minute) // nobody answers
		if n := len(x.neighbours); n > 100 || x.waiting != 0 {
			t.Errorf("%d neighbours a minute later, %d bytes wait", n, x.waiting)
		}
		x.check(t)
	}
}

// With as many neighbours in use as there may be, one more is refused; one that has been sent nothing
// for a while gives way.
func TestNeighboursAllInUse(t *testing.T) {
	x := newAttacked(t)
	for i := range maxNeighbours {
		x.to(other(false, 1, i), 10)
		x.answer(other(false, 1, i), macB)
	}
	if n := x.to(other(false, 2, 1), 10); n != 0 || len(x.neighbours) != maxNeighbours {
		t.Errorf("%d accepted, %d neighbours", n, len(x.neighbours))
	}
	x.clock.Advance(inUse + time.Second)
	for i := range maxNeighbours {
		if i != 77 {
			x.to(other(false, 1, i), 10)
		}
	}
	if n := x.to(other(false, 2, 1), 10); n != 1 || x.state(other(false, 1, 77)) != "none" {
		t.Errorf("%d accepted; the idle one is %s", n, x.state(other(false, 1, 77)))
	}
	x.check(t)
}

// What waits for neighbours is bounded in all, and freed with them.
func TestPacketsWaitBounded(t *testing.T) {
	packet.Track(true)
	before := packet.Live()
	x := newAttacked(t)
	for i := range 40 {
		for range 10 {
			x.to(other(false, 1, i), 60000)
		}
	}
	x.check(t)
	if x.waiting < maxWaiting-61000 {
		t.Errorf("%d bytes wait", x.waiting)
	}
	// A neighbour's own oldest make room: it is the others' that stay.
	x.to(other(false, 1, 0), 60000)
	x.check(t)
	x.take()
	x.answer(other(false, 1, 0), macB)
	if n := len(x.take()); n != 10 {
		t.Errorf("%d packets left", n)
	}
	x.check(t)
	x.clock.Advance(10 * time.Second)
	if x.waiting != 0 {
		t.Errorf("%d bytes wait for nobody", x.waiting)
	}
	x.Close()
	if n := packet.Live() - before; n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

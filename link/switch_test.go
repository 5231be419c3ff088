package link

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// host is who is at a port of a switch: it notes what it is delivered.
type host struct {
	l    Direct
	mu   sync.Mutex
	got  []uint32 // mu: numbers of the packets
	busy bool     // mu
}

func newHost(t *testing.T, s *Switch, name string) *host {
	h := &host{l: s.Port(name)}
	h.l.Deliver(func(batch []*Packet) {
		h.mu.Lock()
		if h.busy {
			t.Error("delivered to from two goroutines")
		}
		h.busy = true
		h.mu.Unlock()
		var got []uint32
		for _, p := range batch {
			b := p.AppendTo(nil)
			got = append(got, binary.BigEndian.Uint32(b[len(b)-4:]))
			p.Free()
		}
		h.mu.Lock()
		h.got = append(h.got, got...)
		h.busy = false
		h.mu.Unlock()
	})
	return h
}

func (h *host) take() []uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = nil
	return got
}

func (h *host) send(src, dst string, n uint32) int {
	return h.l.Send([]*Packet{addressed(src, dst, n)})
}

func addressed(src, dst string, n uint32) *packet.Packet {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	p := packet.New()
	p.Payload.Append(packet.Copy(binary.BigEndian.AppendUint32(nil, n)))
	if s.Is4() {
		h := wire.IPv4{Src: s, Dst: d, TotalLen: 24}
		h.Put(p.Prepend(20))
	} else {
		h := wire.IPv6{Src: s, Dst: d, PayloadLen: 4}
		h.Put(p.Prepend(40))
	}
	return p
}

func TestSwitchLearns(t *testing.T) {
	leakCheck(t)
	s := NewSwitch(SwitchConfig{MTU: 1500, SmallSegments: true})
	a, b, c := newHost(t, s, "a"), newHost(t, s, "b"), newHost(t, s, "c")
	if i := a.l.Info(); i.Name != "a" || i.MTU != 1500 || i.Segments || !i.Checksum {
		t.Errorf("%+v", i)
	}
	counts := func(wantA, wantB, wantC int) {
		t.Helper()
		if x, y, z := len(a.take()), len(b.take()), len(c.take()); x != wantA || y != wantB || z != wantC {
			t.Errorf("delivered %d, %d, %d; want %d, %d, %d", x, y, z, wantA, wantB, wantC)
		}
	}
	a.send("10.0.0.1", "10.0.0.2", 1) // not known yet: to all others
	counts(0, 1, 1)
	b.send("10.0.0.2", "10.0.0.1", 2)
	counts(1, 0, 0)
	a.send("10.0.0.1", "10.0.0.2", 3)
	counts(0, 1, 0)
	a.send("10.0.0.1", "10.0.0.255", 4)
	counts(0, 1, 1)
	a.send("10.0.0.1", "224.0.0.1", 5)
	counts(0, 1, 1)
	b.send("2001:db8::2", "2001:db8::1", 6)
	counts(1, 0, 1)
	c.send("2001:db8::3", "2001:db8::2", 7)
	counts(0, 1, 0)
	c.send("10.0.0.2", "10.0.0.1", 8) // the address has moved
	counts(1, 0, 0)
	a.send("10.0.0.1", "10.0.0.2", 9)
	counts(0, 0, 1)
	if n := a.send("10.0.0.1", "10.0.0.1", 10); n != 0 {
		t.Error("a packet to its own port was accepted")
	}
	if n := a.l.Send([]*Packet{packet.FromBytes([]byte("nonsense"))}); n != 0 {
		t.Error("nonsense was accepted")
	}
	c.l.Close()
	a.send("10.0.0.1", "10.0.0.2", 11) // forgotten: to all others
	counts(0, 1, 0)
	c.send("10.0.0.2", "10.0.0.1", 12) // from a closed port: neither carried nor learnt
	counts(0, 0, 0)
	a.send("10.0.0.1", "10.0.0.2", 13)
	counts(0, 1, 0)
	s.Close()
	a.send("10.0.0.1", "10.0.0.2", 14)
	counts(0, 0, 0)
}

func TestSwitchKeepsOrder(t *testing.T) {
	leakCheck(t)
	s := NewSwitch(SwitchConfig{})
	defer s.Close()
	const senders, each = 6, 2000
	to := newHost(t, s, "to")
	to.send("10.0.0.1", "10.0.0.99", 0)
	var wg sync.WaitGroup
	for i := range senders {
		from := newHost(t, s, "from")
		wg.Go(func() {
			// A packet that finds the queue full is sent again: only the order counts.
			for n := 0; n < each; {
				p := addressed("10.0.1.1", "10.0.0.1", uint32(i)<<16|uint32(n))
				if from.l.Send([]*Packet{p}) == 1 {
					n++
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	next := [senders]uint32{}
	total := 0
	for total < senders*each {
		for _, v := range to.take() {
			if i := v >> 16; v&0xffff != next[i] {
				t.Fatalf("sender %d: packet %d, want %d", i, v&0xffff, next[i])
			}
			next[v>>16]++
			total++
		}
	}
}

func TestSwitchBounds(t *testing.T) {
	leakCheck(t)
	s := NewSwitch(SwitchConfig{})
	defer s.Close()
	a := newHost(t, s, "a")
	for i := range uint32(maxLearned + 100) {
		p := addressed("10.0.0.1", "10.0.0.2", i)
		copy(p.Head()[12:], binary.BigEndian.AppendUint32(nil, 0x0b000000+i))
		a.l.Send([]*Packet{p})
	}
	if n := len(s.where); n != maxLearned {
		t.Errorf("%d addresses", n)
	}
}

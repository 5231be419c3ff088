package link

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// wire in memory between two Ethernets.
type etherEnd struct {
	Direct
	address hardware
}

func (e etherEnd) Info() Info {
	i := e.Direct.Info()
	i.Medium, i.Address = Ethernet, e.address
	return i
}

var (
	macA = hardware{2, 0, 0, 0, 0, 0xa}
	macB = hardware{2, 0, 0, 0, 0, 0xb}
)

// station is a host on the Ethernet that records what it is delivered.
type station struct {
	*Framed
	mu  sync.Mutex
	udp []string // mu: payloads of UDP packets, or what else came
	at  time.Duration
}

// got waits until nothing moves and returns what has come.
func (s *station) got() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.udp)
}

func newStation(t *testing.T, l Link, c FramesConfig) *station {
	t.Helper()
	f, err := Frames(l, c)
	if err != nil {
		t.Fatal(err)
	}
	s := &station{Framed: f}
	start := time.Now()
	f.Deliver(func(batch []*Packet) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at = time.Since(start)
		for _, p := range batch {
			_, _, proto, b := parse(t, p)
			if proto == 17 {
				s.udp = append(s.udp, string(b[8:]))
			} else {
				s.udp = append(s.udp, string(append([]byte{'#', proto}, b...)))
			}
			p.Free()
		}
	})
	return s
}

// datagram sends text as a UDP packet.
func (s *station) datagram(src, dst string, text string) {
	p := packet.FromBytes([]byte(text))
	h := wire.UDP{SrcPort: 1, DstPort: 2, Len: uint16(8 + len(text))}
	h.Put(p.Prepend(8))
	header(p, netip.MustParseAddr(src), netip.MustParseAddr(dst), 17, 6, false)
	s.Send([]*Packet{p})
}

func addresses(s ...string) (out []netip.Prefix) {
	for _, a := range s {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

// ethernet joins two stations and counts the frames that the first one sends.
func ethernet(t *testing.T, a, b FramesConfig) (x, y *station, frames *sent) {
	p, q := Pipe(PipeConfig{})
	frames = new(sent)
	x = newStation(t, countFrames{etherEnd{p, macA}, frames}, a)
	y = newStation(t, etherEnd{q, macB}, b)
	t.Cleanup(func() { x.Close(); y.Close() })
	return x, y, frames
}

// sent are the kinds of frames that a station has sent.
type sent struct {
	mu   sync.Mutex
	seen []string // mu
}

// take waits until nothing moves, and returns and forgets what was sent.
func (s *sent) take() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

type countFrames struct {
	Link
	*sent
}

func (c countFrames) Send(batch []*Packet) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range batch {
		b := p.AppendTo(nil)
		to := "one"
		if b[0]&1 != 0 {
			to = "all"
		}
		kind := map[byte]string{0x00: "ipv4", 0x06: "arp", 0xdd: "ipv6"}[b[13]]
		if kind == "ipv6" && b[20] == protoICMPv6 {
			kind = "nd"
		}
		c.seen = append(c.seen, kind+" to "+to)
	}
	return c.Link.Send(batch)
}

// The first packets wait while their neighbour is sought; the others go at once
// (RFC 826, RFC 4861 section 7.2.2).
func TestFramesResolve(t *testing.T) {
	for _, c := range []struct{ a, b, ask string }{
		{"10.0.0.1", "10.0.0.2", "arp to all"}, {"fd00::1", "fd00::2", "nd to all"},
	} {
		synctest.Test(t, func(t *testing.T) {
			leakCheck(t)
			bits := map[bool]string{true: "/24", false: "/64"}[c.a[0] == '1']
			x, y, frames := ethernet(t, FramesConfig{Addresses: addresses(c.a + bits)}, FramesConfig{Addresses: addresses(c.b + bits)})
			frames.take()
			x.datagram(c.a, c.b, "one")
			x.datagram(c.a, c.b, "two")
			synctest.Wait()
			x.datagram(c.a, c.b, "three")
			y.datagram(c.b, c.a, "back")
			if got := y.got(); !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Errorf("arrived: %q", got)
			}
			if got := x.got(); !slices.Equal(got, []string{"back"}) {
				t.Errorf("came back: %q", got)
			}
			if f := frames.take(); len(f) != 4 || f[0] != c.ask {
				t.Errorf("frames: %q", f)
			}
			// A neighbour long unheard of is asked while it is used.
			time.Sleep(time.Minute)
			x.datagram(c.a, c.b, "four")
			f := frames.take()
			if len(y.got()) != 4 || len(f) != 2 || f[0] != c.ask[:len(c.ask)-3]+"one" {
				t.Errorf("after a minute: %q, %q", y.got(), f)
			}
		})
	}
}

// A neighbour that does not answer is asked three times, a second apart, and then
// the host is told (RFC 4861 section 7.2.2).
func TestFramesUnreachable(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		proto byte
		kind  []byte
	}{
		{"10.0.0.1", "10.0.0.9", 1, []byte{3, 1}}, {"fd00::1", "fd00::9", protoICMPv6, []byte{1, 3}},
	} {
		synctest.Test(t, func(t *testing.T) {
			leakCheck(t)
			x, _, frames := ethernet(t, FramesConfig{Addresses: addresses("10.0.0.1/24", "fd00::1/64")}, FramesConfig{})
			frames.take()
			for range maxPending + 5 {
				x.datagram(c.a, c.b, "hello")
			}
			time.Sleep(2900 * time.Millisecond)
			if f := frames.take(); len(f) != 3 || len(x.got()) != 0 {
				t.Errorf("%q, %d packets", f, len(x.got()))
			}
			time.Sleep(time.Second)
			errors := x.got()
			if len(errors) != maxPending {
				t.Fatalf("%d errors, want %d", len(errors), maxPending)
			}
			want := append([]byte{'#', c.proto}, c.kind...)
			if got := []byte(errors[0]); !bytes.HasPrefix(got, want) || !bytes.HasSuffix(got, []byte("hello")) || x.at != 3*time.Second {
				t.Errorf("%x at %v", got, x.at)
			}
			if n := len(x.neighbours); n != 0 {
				t.Errorf("%d neighbours remembered", n)
			}
		})
	}
}

// What is on no network goes to the gateway; groups and broadcasts need no
// neighbour (RFC 1112 section 6.4, RFC 2464 section 7).
func TestFramesDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := FramesConfig{
			Addresses: addresses("10.0.0.1/24", "fd00::1/64"),
			Gateways:  []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
		}
		x, y, frames := ethernet(t, a, FramesConfig{Addresses: addresses("10.0.0.2/24", "fd00::2/64")})
		for _, dst := range []string{"192.0.2.1", "2001:db8::1"} {
			x.datagram(map[bool]string{true: "10.0.0.1", false: "fd00::1"}[dst[0] == '1'], dst, dst)
		}
		if got := y.got(); len(got) != 2 {
			t.Errorf("the gateway got %q", got)
		}
		for _, c := range []struct {
			dst  string
			want hardware
		}{
			{"224.129.1.3", hardware{1, 0, 0x5e, 1, 1, 3}}, {"ff02::1:ff00:2", hardware{0x33, 0x33, 0xff, 0, 0, 2}},
			{"255.255.255.255", everyone}, {"10.0.0.255", everyone},
		} {
			if h, ok := x.group(netip.MustParseAddr(c.dst)); !ok || h != c.want {
				t.Errorf("%s goes to %x", c.dst, h)
			}
			frames.take()
			x.datagram(map[bool]string{true: "fd00::1", false: "10.0.0.1"}[c.dst[0] == 'f'], c.dst, "all")
			if f := frames.take(); len(f) != 1 || f[0][5:] != "to all" {
				t.Errorf("%s: %q", c.dst, f)
			}
		}
		if got := y.got(); len(got) != 6 {
			t.Errorf("%d packets", len(got))
		}
		if _, ok := x.group(netip.MustParseAddr("10.0.1.255")); ok {
			t.Error("another network's broadcast address")
		}
	})
}

// Frames for others, nonsense, and messages that RFC 4861 section 7.1 has
// discarded are, and nobody is learned from what is not for the host.
func TestFramesInput(t *testing.T) {
	p, _ := Pipe(PipeConfig{})
	f, err := Frames(etherEnd{p, macA}, FramesConfig{Addresses: addresses("10.0.0.1/24", "fd00::1/64")})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	input := func(b []byte) bool {
		p := packet.FromBytes(b)
		defer p.Free()
		return f.input(p)
	}
	ip := ipPacket(false, 0, 10, false)
	defer ip.Free()
	eth := func(to, from hardware, kind uint16) []byte {
		return append(append(append([]byte{}, to[:]...), from[:]...), byte(kind>>8), byte(kind))
	}
	packet := ip.AppendTo(nil)
	if !input(append(eth(macA, macB, etherIPv4), packet...)) {
		t.Error("a packet for the host was dropped")
	}
	for _, b := range [][]byte{
		nil, eth(macA, macB, etherIPv4), append(eth(macB, macA, etherIPv4), packet...),
		append(eth(macA, macB, etherIPv6), packet...), append(eth(macA, macB, 0x8100), packet...),
		append(eth(macA, everyone, etherIPv4), packet...),
	} {
		if input(b) {
			t.Errorf("%x was taken for a packet", b)
		}
	}
	// An ARP request for somebody else teaches nothing new.
	arp := append(eth(everyone, macB, etherARP), arpHead[:]...)
	arp = append(arp, 0, arpRequest)
	arp = append(append(arp, macB[:]...), 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 3)
	input(arp)
	if len(f.neighbours) != 0 {
		t.Error("learned from a request to another")
	}
	arp[len(arp)-1] = 1
	input(arp)
	if n := f.neighbours[netip.MustParseAddr("10.0.0.2")]; n == nil || n.address != macB {
		t.Error("did not learn from a request to the host")
	}
	// The table is bounded, whoever asks.
	for i := range 2 * maxGuests {
		copy(arp[28:], []byte{10, 1, byte(i >> 8), byte(i)})
		input(arp)
	}
	if n := len(f.neighbours); n != maxGuests {
		t.Errorf("%d neighbours", n)
	}
}

func FuzzFrames(f *testing.F) {
	arp := append(append(append(everyone[:], macB[:]...), 8, 6), arpHead[:]...)
	f.Add(append(append(append(arp, 0, 1), macB[:]...), 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1))
	ns := make([]byte, 0, 100)
	ns = append(append(append(ns, macA[:]...), macB[:]...), 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255)
	ns = append(append(ns, make([]byte, 32)...), 135, 0, 0, 0, 0, 0, 0, 0)
	f.Add(append(append(ns, make([]byte, 16)...), 1, 1, 2, 0, 0, 0, 0, 0xb))
	p, _ := Pipe(PipeConfig{})
	l, err := Frames(etherEnd{p, macA}, FramesConfig{Addresses: addresses("10.0.0.1/24", "fd00::1/64", "::/0")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 65535 {
			return
		}
		// Have the checksum of neighbour discovery right, or it would all end there.
		if len(b) >= 58 && b[12] == 0x86 && b[20] == protoICMPv6 {
			if n := int(b[18])<<8 | int(b[19]); n >= 4 && len(b) >= 54+n {
				b[56], b[57] = 0, 0
				var c wire.Checksum
				c.AddPseudo(netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54])), protoICMPv6, n)
				c.Add(b[54 : 54+n])
				b[56], b[57] = byte(c.Sum()>>8), byte(c.Sum())
			}
		}
		p := packet.FromBytes(b)
		if l.input(p) && len(p.Front()) == 0 {
			t.Error("an empty packet for the host")
		}
		p.Free()
		q := packet.FromBytes(b)
		if e := quoteIfIP(q); e != nil {
			e.Free()
		}
		q.Free()
		if len(l.neighbours) > maxNeighbours {
			t.Errorf("%d neighbours", len(l.neighbours))
		}
	})
}

func quoteIfIP(p *Packet) *Packet {
	if d, ok := destination(p); ok {
		return unreachable(p, d)
	}
	return nil
}

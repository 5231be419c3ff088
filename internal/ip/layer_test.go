package ip

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"usock/clock"
	"usock/internal/host"
	"usock/internal/wire"
	"usock/packet"
)

// got is a packet that a transport was given.
type got struct {
	meta   Meta
	header []byte
	data   []byte
}

// fake is a transport that keeps what it is given.
type fake struct {
	t      testing.TB
	refuse bool
	in     []got
	errs   []Error
}

func (f *fake) Input(p *packet.Packet, m *Meta) bool {
	if f.refuse {
		return false
	}
	f.in = append(f.in, got{*m, slices.Clone(m.Header), p.AppendTo(nil)})
	p.Free()
	return true
}

func (f *fake) Error(e *Error) {
	c := *e
	c.Quote = slices.Clone(e.Quote)
	f.errs = append(f.errs, c)
}

// take returns the packets since the last take.
func (f *fake) take() []got {
	in := f.in
	f.in = nil
	return in
}

// one returns the only packet since the last take.
func (f *fake) one() got {
	f.t.Helper()
	in := f.take()
	if len(in) != 1 {
		f.t.Fatalf("%d packets, want 1", len(in))
	}
	return in[0]
}

func (f *fake) oneError() Error {
	f.t.Helper()
	errs := f.errs
	f.errs = nil
	if len(errs) != 1 {
		f.t.Fatalf("%d errors, want 1", len(errs))
	}
	return errs[0]
}

// wireSender is a link that keeps what it is sent.
type wireSender struct{ out []*packet.Packet }

func (w *wireSender) Send(batch []*packet.Packet) int {
	w.out = append(w.out, batch...)
	return len(batch)
}

// bench is a host with a loopback interface, one link and fake transports.
type bench struct {
	t     testing.TB
	clock *clock.Manual
	h     *host.Host
	l     *Layer
	lo    *Iface
	eth   *Iface
	wire  *wireSender
	tcp   *fake
	udp   *fake
	icmp  *fake // echo replies of both versions
}

const (
	hostA = "10.0.0.1"
	peerA = "10.0.0.2"
	hostB = "2001:db8::1"
	peerB = "2001:db8::2"
)

func newBench(t testing.TB, cfg Config) *bench {
	return newBenchIface(t, cfg, IfaceConfig{Name: "eth0"})
}

func newBenchIface(t testing.TB, cfg Config, eth IfaceConfig) *bench {
	packet.Track(true)
	live := packet.Live()
	b := &bench{t: t, clock: new(clock.Manual), wire: new(wireSender)}
	b.h = host.New(b.clock)
	b.tcp, b.udp, b.icmp = &fake{t: t}, &fake{t: t}, &fake{t: t}
	var table Table
	table.Transport[ProtoTCP] = b.tcp
	table.Transport[ProtoUDP] = b.udp
	table.Transport[ProtoICMP] = b.icmp
	table.Transport[ProtoICMPv6] = b.icmp
	b.do(func() {
		b.l = New(b.h, cfg, &table)
		b.lo = b.l.AddIface(IfaceConfig{Name: "lo", Loopback: true, Checksum: true, Segments: true})
		eth.Out = b.h.NewPort(b.wire)
		b.eth = b.l.AddIface(eth)
		for _, a := range [...]string{hostA + "/24", hostB + "/64", "fe80::1/64"} {
			if err := b.l.AddAddr(b.eth, netip.MustParsePrefix(a)); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Cleanup(func() {
		b.do(func() { b.l.Close(); b.h.Close() })
		b.sent()
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
	return b
}

// do runs f as an entry into the host.
func (b *bench) do(f func()) {
	b.h.Enter()
	defer b.h.Leave()
	f()
}

// sent returns the bytes of the packets that have left through the link.
func (b *bench) sent() [][]byte {
	var out [][]byte
	for _, p := range b.wire.out {
		out = append(out, p.AppendTo(nil))
		p.Free()
	}
	b.wire.out = nil
	return out
}

func (b *bench) oneSent() []byte {
	b.t.Helper()
	s := b.sent()
	if len(s) != 1 {
		b.t.Fatalf("%d packets sent, want 1", len(s))
	}
	return s[0]
}

// arrive has the link deliver the packet with the bytes.
func (b *bench) arrive(bytes []byte) {
	b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{packet.FromBytes(bytes)}) })
}

func (b *bench) route(dst, src string, ifindex int) (Path, error) {
	var s netip.Addr
	if src != "" {
		s = addr(src)
	}
	b.h.Enter()
	defer b.h.Leave()
	return b.l.Route(addr(dst), s, ifindex)
}

// send outputs a packet with the transport header head and the data.
func (b *bench) send(dst string, head, data []byte, o Out) error {
	b.t.Helper()
	path, err := b.route(dst, "", 0)
	if err != nil {
		b.t.Fatal(err)
	}
	p := packet.New()
	copy(p.Prepend(len(head)), head)
	for len(data) > 0 {
		n := min(len(data), packet.MaxBlock)
		p.Payload.Append(packet.Copy(data[:n]))
		data = data[n:]
	}
	b.h.Enter()
	defer b.h.Leave()
	return b.l.Whole().Output(p, &path, &o)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// udpHeader returns a UDP header without checksum for n bytes of data.
func udpHeader(n int) []byte {
	b := make([]byte, wire.UDPLen)
	h := wire.UDP{SrcPort: 1000, DstPort: 2000, Len: uint16(wire.UDPLen + n)}
	h.Put(b)
	return b
}

// packetBytes returns a whole packet with the transport bytes.
func packetBytes(src, dst string, proto uint8, transport []byte, edit func(*wire.IPv4, *wire.IPv6)) []byte {
	if s := addr(src); s.Is4() {
		h := wire.IPv4{Src: s, Dst: addr(dst), TTL: 64, Proto: proto, ID: 7}
		if edit != nil {
			edit(&h, nil)
		}
		h.TotalLen = uint16(h.Len() + len(transport))
		b := make([]byte, h.Len())
		h.Put(b)
		return append(b, transport...)
	}
	h := wire.IPv6{Src: addr(src), Dst: addr(dst), HopLimit: 64, Next: proto, PayloadLen: uint16(len(transport))}
	if edit != nil {
		edit(nil, &h)
	}
	b := make([]byte, wire.IPv6Len)
	h.Put(b)
	return append(b, transport...)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestLoopbackDelivers(t *testing.T) {
	for _, c := range []struct{ dst, src string }{
		{"127.0.0.1", "127.0.0.1"},
		{"127.9.8.7", "127.0.0.1"},
		{"0.0.0.0", "127.0.0.1"},
		{"::1", "::1"},
		{"::", "::1"},
		{hostA, hostA},
		{hostB, hostB},
	} {
		b := newBench(t, Config{})
		data := pattern(1000)
		for _, proto := range []uint8{ProtoTCP, ProtoUDP} {
			head := udpHeader(len(data))
			to := b.udp
			if proto == ProtoTCP {
				head = make([]byte, wire.TCPMinLen)
				h := wire.TCP{SrcPort: 1, DstPort: 2, Flags: wire.SYN}
				h.Put(head)
				to = b.tcp
			}
			if err := b.send(c.dst, head, data, Out{Proto: proto, Checksum: sumUDP, TOS: 5, TTL: 9}); err != nil {
				t.Fatal(c.dst, err)
			}
			g := to.one()
			if g.meta.Src != addr(c.src) || g.meta.Proto != proto || g.meta.TOS != 5 || g.meta.TTL != 9 || g.meta.Iface != b.lo {
				t.Errorf("%s: %+v", c.dst, g.meta)
			}
			if !slices.Equal(g.data, append(slices.Clone(head), data...)) {
				t.Errorf("%s: data differ", c.dst)
			}
		}
	}
}

// validate checks the lengths and checksums of a whole packet as a strict receiver
// would, and returns the transport bytes.
func validate(t testing.TB, b []byte) (v4 wire.IPv4, v6 wire.IPv6, transport []byte) {
	t.Helper()
	var c wire.Checksum
	var proto uint8
	if b[0]>>4 == 4 {
		h, n, err := wire.ParseIPv4(b)
		if err != nil || int(h.TotalLen) != len(b) || wire.ChecksumOf(b[:n]) != 0 {
			t.Fatalf("bad IPv4 header: %x", b[:20])
		}
		v4, transport, proto = h, b[n:], h.Proto
		if h.IsFragment() {
			return
		}
		if proto != ProtoICMP {
			c.AddPseudo(h.Src, h.Dst, proto, len(transport))
		}
	} else {
		h, err := wire.ParseIPv6(b)
		if err != nil || int(h.PayloadLen) != len(b)-wire.IPv6Len {
			t.Fatalf("bad IPv6 header: %x", b[:40])
		}
		v6, transport, proto = h, b[wire.IPv6Len:], h.Next
		if proto == wire.IPv6Fragment {
			return
		}
		c.AddPseudo(h.Src, h.Dst, proto, len(transport))
	}
	c.Add(transport)
	if c.Sum() != 0 {
		t.Fatalf("bad transport checksum")
	}
	return
}

const (
	sumTCP Checksum = 16
	sumUDP Checksum = 6
)

func TestOutputChecksum(t *testing.T) {
	for _, dst := range []string{peerA, peerB} {
		b := newBench(t, Config{})
		data := pattern(301)
		if err := b.send(dst, udpHeader(len(data)), data, Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
			t.Fatal(err)
		}
		_, _, transport := validate(t, b.oneSent())
		if !slices.Equal(transport[wire.UDPLen:], data) {
			t.Error("data differ")
		}
	}
}

func TestOutputChecksumLeftToLink(t *testing.T) {
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", Checksum: true})
	data := pattern(300)
	if err := b.send(peerA, udpHeader(len(data)), data, Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
		t.Fatal(err)
	}
	p := b.wire.out[0]
	if p.ChecksumStart != wire.IPv4MinLen || p.ChecksumOffset != uint16(sumUDP) {
		t.Fatalf("start %d offset %d", p.ChecksumStart, p.ChecksumOffset)
	}
	raw := b.oneSent()
	var c wire.Checksum
	c.Add(raw[wire.IPv4MinLen:])
	binary.BigEndian.PutUint16(raw[wire.IPv4MinLen+sumUDP:], c.Sum())
	validate(t, raw)
}

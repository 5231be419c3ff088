package inet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/sctp"
	"usock/internal/wire"
	"usock/packet"
)

// The UDP ports of the two machines.
const portA, portB = 9899, 1234

// encapsulating is a configuration with the UDP port of a host and the one that it takes its peers to have.
func encapsulating(own, peers uint16) Config {
	s := sctp.DefaultSettings()
	s.UDPPort, s.EncapPort = own, peers
	return Config{SCTP: s}
}

// encapPair is two machines that have the ports, and a socket of the first that knows the other's.
func encapPair(t testing.TB) (a, b *machine) {
	return pairOf(t, encapsulating(portA, portB), encapsulating(portB, 0))
}

// sctpOver returns an association's ends, of IPv4.
func (m *machine) sctpOver() (x, y *sock) {
	m.t.Helper()
	return sctpPair(m.t, m, m.to)
}

// encap is SCTP_REMOTE_UDP_ENCAPS_PORT of the socket, or of the path to an address.
func (s *sock) encap(at string) uint16 {
	s.m.t.Helper()
	var v abi.SCTPUdpencaps
	if at != "" {
		v.Address = s.sockaddr(at)
	}
	b := abi.AppendStruct(nil, &v)
	if _, err := s.GetOpt(abi.SOL_SCTP, abi.SCTP_REMOTE_UDP_ENCAPS_PORT, b); err != nil {
		s.m.t.Fatal(err)
	}
	abi.ParseStruct(b, &v)
	return v.Port
}

func (s *sock) setEncap(port uint16) *sock {
	s.m.t.Helper()
	v := abi.SCTPUdpencaps{Port: port}
	if err := s.SetOpt(abi.SOL_SCTP, abi.SCTP_REMOTE_UDP_ENCAPS_PORT, abi.AppendStruct(nil, &v)); err != nil {
		s.m.t.Fatal(err)
	}
	return s
}

// travelled is a packet of SCTP as it was on the wire.
type travelled struct {
	udp  wire.UDP // zero: it was not in UDP
	sctp wire.SCTP
	body []byte // its chunks
}

// chunks returns the types of the packet's chunks.
func (p *travelled) chunks() (types []wire.ChunkType) {
	for b := p.body; len(b) >= 4; b = b[min(len(b), wire.Pad4(int(binary.BigEndian.Uint16(b[2:])))):] {
		types = append(types, wire.ChunkType(b[0]))
	}
	return types
}

// wired returns what SCTP has sent into the wire. All sums are right.
func (m *machine) wired() (out []travelled) {
	m.t.Helper()
	for _, b := range m.took() {
		proto, rest := b[9], b[20:]
		src, _ := netip.AddrFromSlice(b[12:16])
		dst, _ := netip.AddrFromSlice(b[16:20])
		if b[0]>>4 == 6 {
			proto, rest = b[6], b[40:]
			src, _ = netip.AddrFromSlice(b[8:24])
			dst, _ = netip.AddrFromSlice(b[24:40])
		}
		var p travelled
		switch proto {
		case ip.ProtoUDP:
			k := packet.FromBytes(rest)
			p.udp, _ = wire.ParseUDP(rest)
			if p.udp.Checksum == 0 || !ip.InternetSumOK(k, &ip.Meta{Proto: proto, Src: src, Dst: dst}) || int(p.udp.Len) != len(rest) {
				m.t.Errorf("UDP header %+v of %d bytes", p.udp, len(rest))
			}
			k.Free()
			rest = rest[wire.UDPLen:]
		case ip.ProtoSCTP:
		default:
			continue
		}
		p.sctp, _ = wire.ParseSCTP(rest)
		k := packet.FromBytes(rest)
		if !sctpKind.sum.OK(k, nil) {
			m.t.Error("a wrong CRC32c")
		}
		k.Free()
		p.body = rest[wire.SCTPLen:]
		out = append(out, p)
	}
	return out
}

// inUDP is a packet of the network: SCTP in a datagram, from b's address to a's. With sum 0 UDP has no checksum.
func inUDP(from, to uint16, sum uint16, sctp []byte) []byte {
	b := make([]byte, wire.UDPLen)
	(&wire.UDP{SrcPort: from, DstPort: to, Len: uint16(wire.UDPLen + len(sctp)), Checksum: sum}).Put(b)
	return whole(addrB, addrA, ip.ProtoUDP, append(b, sctp...))
}

// sctpBytes is a packet of SCTP of one chunk, with its checksum.
func sctpBytes(h wire.SCTP, c *wire.Chunk) []byte {
	b := make([]byte, wire.SCTPLen)
	h.Put(b)
	b = c.Append(b)
	var sum wire.CRC32c
	sum.Add(b)
	binary.LittleEndian.PutUint32(b[8:], uint32(sum))
	return b
}

// tags returns an association's verification tags: that of packets to it, and that of packets from it.
func (s *sock) tags() (own, peers uint32) {
	s.m.do(func() { own, peers = sctpOf(s.Socket).assocs.core.Tags() })
	return own, peers
}

// An association in UDP: all its packets go between the two ports, and none tells of addresses. The one that
// answers learns the port from the packets (RFC 6951, section 5.4).
func TestSCTPEncapsulated(t *testing.T) {
	for _, c := range []struct{ kind, at string }{
		{"one4", addrB + ":7"}, {"one6", "[" + addrB6 + "]:7"}, {"one6", "[::ffff:" + addrB + "]:7"}, {"many4", addrB + ":7"},
	} {
		a, b := encapPair(t)
		l := b.listening(c.kind, c.at)
		x := a.open(c.kind)
		if err := x.send("hello", c.at); err != nil {
			t.Fatal(c, err)
		}
		y := l
		if strings.HasPrefix(c.kind, "one") {
			y = l.accept()
		}
		big := strings.Repeat("x", 5000)
		x.send(big, c.at)
		if got := y.text(); got != "hello "+big {
			t.Errorf("%v: %d bytes", c, len(got))
		}
		if y != l {
			y.send("back", "-")
			if got := x.text(); got != "back" {
				t.Errorf("%v: back came %q", c, got)
			}
			if p := y.encap(""); p != portA {
				t.Errorf("%v: the port of the peer is %d", c, p)
			}
		}
		out, in := a.wired(), b.wired()
		if len(out) < 5 || len(in) < 3 {
			t.Fatalf("%v: %d and %d packets", c, len(out), len(in))
		}
		for i, p := range append(out, in...) {
			want := [2]uint16{portA, portB}
			if i >= len(out) {
				want = [2]uint16{portB, portA}
			}
			if got := [2]uint16{p.udp.SrcPort, p.udp.DstPort}; got != want {
				t.Errorf("%v: from port %d to %d", c, got[0], got[1])
			}
		}
		for _, p := range []*travelled{&out[0], &in[0]} {
			if i, err := wire.ParseInit(p.body[4:]); err != nil || hasAddress(i.Params) {
				t.Errorf("%v: %v names addresses, %v", c, p.chunks(), err)
			}
		}
	}
}

// hasAddress reports whether there is an address among parameters.
func hasAddress(params []byte) bool {
	for len(params) > 0 {
		p, rest, err := wire.ParseTLV(params)
		if err != nil || p.Type == wire.ParamIPv4 || p.Type == wire.ParamIPv6 {
			return true
		}
		params = rest
	}
	return false
}

// The port that a host encapsulates from is no socket's, whatever that allows, and is told to gateways as bind's.
func TestSCTPEncapPort(t *testing.T) {
	a, b := pairOf(t, encapsulating(portA, 0), Config{})
	for _, kind := range []string{"udp4", "udp6"} {
		s := a.open(kind).set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1)
		at := map[string]string{"udp4": addrA, "udp6": "[" + addrA6 + "]"}[kind]
		if err := s.bind(fmt.Sprint(at, ":", portA)); err != syscall.EADDRINUSE {
			t.Errorf("%s: %v", kind, err)
		}
	}
	a.do(func() {
		if got := fmt.Sprint(a.st.Listening(abi.IPPROTO_UDP, portA)); got != "[:: 0.0.0.0]" {
			t.Errorf("listening: %v", got)
		}
		if !a.st.Bound(abi.IPPROTO_UDP, addrport(addrA+":9899")) {
			t.Error("not bound")
		}
	})

	// Without one a port is taken when a packet has to leave, and then packets arrive there.
	l := a.listening("one4", addrA+":7")
	x := b.open("one4").setEncap(portA).with(addrA + ":7")
	if err := x.FinishConnect(); err != nil {
		t.Fatal(err)
	}
	from := b.wired()[0].udp.SrcPort
	if y := l.accept(); from < ephemeralFirst || from > ephemeralLast || y.encap("") != from {
		t.Errorf("port %d, of which the peer knows %d", from, y.encap(""))
	}
	if err := b.open("udp4").bind(fmt.Sprint(addrB, ":", from)); err != syscall.EADDRINUSE {
		t.Errorf("bind to it: %v", err)
	}
	b.do(func() {
		if got := b.st.Listening(abi.IPPROTO_UDP, from); got != nil {
			t.Errorf("listening by nobody's wish: %v", got)
		}
	})
}

// What travels in UDP is the socket's owner's.
func TestSCTPEncapOwner(t *testing.T) {
	a, _ := encapPair(t)
	x, y := a.sctpOver()
	x.SetOwner(4711)
	for remote, want := range map[string]int32{addrB + ":1234": 4711, addrB + ":1235": 0, addrA + ":1234": 0} {
		a.do(func() {
			if got := a.st.Owner(abi.IPPROTO_UDP, addrport(addrA+":9899"), addrport(remote)); got != want {
				t.Errorf("to %s: %d, want %d", remote, got, want)
			}
		})
	}
	y.Close()
}

// What the settings say of an interface is for those associations that leave by it, and the option says otherwise.
func TestSCTPEncapVia(t *testing.T) {
	cfg := encapsulating(portA, portB)
	cfg.SCTP.EncapVia = "eth0"
	a, b := pairOf(t, cfg, encapsulating(portB, 0))
	l, near := b.listening("one4", addrB+":7"), a.listening("one4", "127.0.0.1:7")
	x, y := a.open("one4").with(addrB+":7"), a.open("one4").with("127.0.0.1:7")
	l.accept()
	near.accept()
	if x.encap("") != portB || x.encap(addrB+":7") != portB || y.encap("") != 0 {
		t.Errorf("ports %d, %d; %d", x.encap(""), x.encap(addrB+":7"), y.encap(""))
	}
	z := a.open("one4").setEncap(77).with(addrB + ":7")
	if err := z.FinishConnect(); err != syscall.ECONNREFUSED {
		t.Errorf("to another port: %v", err)
	}
	ports := make(map[uint16]bool)
	for _, p := range a.wired() {
		ports[p.udp.DstPort] = true
	}
	if len(ports) != 2 || !ports[portB] || !ports[77] {
		t.Errorf("packets to ports %v", ports)
	}
}

// Who does not know the tag does not change the port that packets go to (RFC 6951, section 5.4).
func TestSCTPEncapForged(t *testing.T) {
	a, _ := encapPair(t)
	x, y := a.sctpOver()
	own, _ := x.tags()
	h := wire.SCTP{SrcPort: 7, DstPort: x.port(), VTag: own + 1}
	beat := wire.Chunk{Type: wire.ChunkHeartbeat, Value: (&wire.TLV{Type: 1, Value: []byte("info")}).Append(nil)}
	for _, c := range []*wire.Chunk{&beat, {Type: wire.ChunkAbort}, {Type: wire.ChunkCookieEcho, Value: make([]byte, 200)}} {
		a.arrive(inUDP(666, portA, 0, sctpBytes(h, c)))
		a.arrive(whole(addrB, addrA, ip.ProtoSCTP, sctpBytes(h, c)))
	}
	a.wired()
	if p := x.encap(addrB + ":7"); p != portB {
		t.Errorf("the port is %d", p)
	}
	h.VTag = own
	for _, c := range []struct {
		packet []byte
		want   uint16
	}{
		{inUDP(0, portA, 0, sctpBytes(h, &beat)), portB}, // there is no way back
		{inUDP(667, portA, 0, sctpBytes(h, &beat)), 667},
		{whole(addrB, addrA, ip.ProtoSCTP, sctpBytes(h, &beat)), 0},
		{inUDP(668, portA, 0, sctpBytes(h, &beat)), 668},
	} {
		a.arrive(c.packet)
		sent := a.wired()
		if p := x.encap(addrB + ":7"); p != c.want {
			t.Errorf("the port is %d, want %d", p, c.want)
		}
		for _, p := range sent {
			if p.udp.DstPort != c.want || !slices.Contains(p.chunks(), wire.ChunkHeartbeatAck) {
				t.Errorf("%v to port %d, want %d", p.chunks(), p.udp.DstPort, c.want)
			}
		}
	}
	y.Close()
}

// What is no SCTP packet with a right CRC32c has no effect, whatever UDP's checksum says; of IPv6 that has to be there.
func TestSCTPEncapDamaged(t *testing.T) {
	a, _ := encapPair(t)
	x, _ := a.sctpOver()
	own, _ := x.tags()
	good := sctpBytes(wire.SCTP{SrcPort: 7, DstPort: x.port(), VTag: own}, &wire.Chunk{Type: wire.ChunkAbort})
	for n := range good {
		a.arrive(inUDP(portB, portA, 0, good[:n]))
		bad := slices.Clone(good)
		bad[n] ^= 1
		a.arrive(inUDP(portB, portA, 0, bad))
	}
	six := inUDP(portB, portA, 0, good)[20:]
	a.arrive(whole(addrB6, addrA6, ip.ProtoUDP, six))
	short := inUDP(portB, portA, 0, good)
	binary.BigEndian.PutUint16(short[24:], 7)
	a.arrive(short)
	if got := x.text(); got != "" {
		t.Fatalf("the association ends: %q", got)
	}
	a.arrive(inUDP(portB, portA, 0, good))
	if got := x.text(); got != "ECONNRESET" {
		t.Errorf("without checksum of UDP: %q", got)
	}
}

// ICMP errors about the datagrams reach the association (RFC 6951, section 5.5): that nobody has the port ends
// one that opens, a small MTU counts with UDP's header.
func TestSCTPEncapICMP(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		kind, at := "one4", addrB+":7"
		if v6 {
			kind, at = "one6", "["+addrB6+"]:7"
		}
		a, _ := pairOf(t, encapsulating(portA, portB), Config{})
		x := a.open(kind).with(at) // nobody has the port there: the machine says so
		if err := x.FinishConnect(); err != syscall.ECONNREFUSED {
			t.Errorf("v6 %t: %v, want ECONNREFUSED", v6, err)
		}

		a.cut = true
		x = a.open(kind).with(at)
		p := a.took()
		init := p[len(p)-1]
		forged := slices.Clone(init)
		forged[map[bool]int{false: 20, true: 40}[v6]+wire.UDPLen+wire.SCTPLen+4] ^= 1 // of the INIT's tag
		a.unreachable(forged)
		if err := x.FinishConnect(); err != syscall.EALREADY {
			t.Errorf("v6 %t: an error about another's INIT: %v", v6, err)
		}
		a.unreachable(init)
		if err := x.FinishConnect(); err != syscall.ECONNREFUSED {
			t.Errorf("v6 %t: %v, want ECONNREFUSED", v6, err)
		}
	}
}

// unreachable has the machine told that nobody has the port that a packet went to.
func (m *machine) unreachable(p []byte) {
	if p[0]>>4 == 6 {
		b := make([]byte, wire.ICMPLen, 1280)
		(&wire.ICMP{Type: wire.ICMPv6Unreachable, Code: wire.ICMPv6PortUnreachable}).Put(b)
		b = append(b, p...)
		var sum wire.Checksum
		sum.AddPseudo(addr(addrB6), addr(addrA6), ip.ProtoICMPv6, len(b))
		sum.Add(b)
		binary.BigEndian.PutUint16(b[2:], sum.Sum())
		m.arrive(whole(addrB6, addrA6, ip.ProtoICMPv6, b))
		return
	}
	m.complain(p, wire.ICMP{Type: wire.ICMPv4Unreachable, Code: wire.ICMPv4PortUnreachable})
}

// complain has the machine told an ICMP error about a packet of IPv4.
func (m *machine) complain(p []byte, h wire.ICMP) {
	b := make([]byte, wire.ICMPLen, 1280)
	h.Put(b)
	b = append(b, p...)
	binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))
	m.arrive(whole(addrB, addrA, ip.ProtoICMP, b))
}

// A path that carries less than the link: packets fit, with the header of UDP.
func TestSCTPEncapMTU(t *testing.T) {
	a, _ := encapPair(t)
	x, y := a.sctpOver()
	a.took()
	a.cut = true
	x.send(strings.Repeat("x", 5000), "-")
	full := a.took()
	a.cut = false
	if len(full) == 0 || len(full[0]) != 1500 {
		t.Fatalf("%d packets", len(full))
	}
	a.complain(full[0][:28+wire.SCTPLen], wire.ICMP{Type: wire.ICMPv4Unreachable, Code: wire.ICMPv4FragNeeded, Info: 1000})
	a.clock.Advance(2 * time.Second) // the last, small one is lost as well
	if got := y.text(); len(got) != 5000 {
		t.Errorf("%d bytes arrive", len(got))
	}
	most := 0
	for _, p := range a.took() {
		most = max(most, len(p))
	}
	if most != 996 {
		t.Errorf("the largest packet has %d bytes", most) // fragments have a multiple of 8
	}
	y.send(strings.Repeat("y", 3000), "-")
	if got := x.text(); len(got) != 3000 {
		t.Errorf("%d bytes come back", len(got))
	}
	x.send(strings.Repeat("x", 3000), "-")
	y.text()
	for _, p := range a.took() {
		if len(p) > 1000 || p[6] != 0x40 {
			t.Errorf("%d bytes, flags %#x", len(p), p[6])
		}
	}
}

// A host that sends to its own port, and packets that claim to come from there: nothing goes round.
func TestSCTPEncapLoop(t *testing.T) {
	a, _ := encapPair(t)
	for _, c := range []*wire.Chunk{
		{Type: wire.ChunkShutdownAck}, {Type: wire.ChunkData, Flags: 3, Value: make([]byte, 20)}, {Type: wire.ChunkAbort},
	} {
		before := a.st.sctp.cfg.Counters.InPackets
		b := inUDP(portA, portA, 0, sctpBytes(wire.SCTP{SrcPort: 5, DstPort: 6, VTag: 9}, c))
		s := a.open("raw4:17").set(abi.SOL_IP, abi.IP_HDRINCL, 1)
		copy(b[12:16], b[16:20])
		if err := s.send(string(b), addrA+":0"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if n := a.st.sctp.cfg.Counters.InPackets - before; n == 0 || n > 2 {
			t.Errorf("%d packets of one", n)
		}
	}
	l := a.listening("one4", addrA+":7")
	x := a.open("one4").setEncap(portA).with(addrA + ":7")
	y := l.accept()
	x.send("to myself", "-")
	if got := y.text(); got != "to myself" {
		t.Errorf("%q", got)
	}
	if x.encap(addrA+":7") != portA {
		t.Errorf("port %d", x.encap(addrA+":7"))
	}
}

// Several datagrams that a sender in memory has put into one packet are several packets of SCTP.
func TestSCTPEncapSegments(t *testing.T) {
	a, _ := encapPair(t)
	x, _ := a.sctpOver()
	own, _ := x.tags()
	h := wire.SCTP{SrcPort: 7, DstPort: x.port(), VTag: own}
	beat := func(s string) []byte {
		return sctpBytes(h, &wire.Chunk{Type: wire.ChunkHeartbeat, Value: (&wire.TLV{Type: 1, Value: []byte(s)}).Append(nil)})
	}
	one := beat("12345678")
	a.took()
	a.do(func() {
		p := packet.FromBytes(inUDP(portB, portA, 0, slices.Concat(one, one, beat("1234"))))
		p.SegmentSize, p.Trusted = uint16(len(one)), true
		a.st.IP.Whole().Input(a.eth, []*packet.Packet{p})
	})
	n := 0
	for _, p := range a.wired() {
		for _, c := range p.chunks() {
			if c == wire.ChunkHeartbeatAck {
				n++
			}
		}
	}
	if n != 3 {
		t.Errorf("%d of 3 are answered", n)
	}
}

// A peer that begins anew from another port is answered there.
func TestSCTPEncapRestart(t *testing.T) {
	a, b := encapPair(t)
	l := b.listening("many4", addrB+":7")
	x := a.open("one4").at(addrA + ":8").with(addrB + ":7")
	if err := x.FinishConnect(); err != nil {
		t.Fatal(err)
	}
	a.do(func() { a.st.sctp.close() })
	x.Close()
	a.do(func() {
		a.st.udp.ports.remove(&a.st.sctp.encap)
		if err := a.st.sctp.takeUDP(555); err != nil {
			t.Fatal(err)
		}
	})
	y := a.open("one4").at(addrA + ":8").with(addrB + ":7")
	if err := y.FinishConnect(); err != nil {
		t.Fatal(err)
	}
	y.send("again", "-")
	if got := l.text(); got != "again" {
		t.Errorf("%q", got)
	}
	b.do(func() {
		if p, ok := sctpOf(l.Socket).assocs.core.Path(addr(addrA)); !ok || p.Options.EncapPort != 555 {
			t.Errorf("port %d", p.Options.EncapPort)
		}
	})
}

// FuzzSCTPEncap has datagrams come to the port beside an association: only who knows its tag changes it.
func FuzzSCTPEncap(f *testing.F) {
	f.Add(uint16(portB), []byte{})
	f.Add(uint16(portB), sctpBytes(wire.SCTP{SrcPort: 7, DstPort: 8, VTag: 1}, &wire.Chunk{Type: wire.ChunkAbort}))
	f.Add(uint16(0), sctpBytes(wire.SCTP{SrcPort: 9, DstPort: 7}, &wire.Chunk{Type: wire.ChunkInit, Value: make([]byte, 16)}))
	f.Fuzz(func(t *testing.T, from uint16, b []byte) {
		a, _ := encapPair(t)
		l := a.listening("one4", addrA+":7")
		x, y := a.sctpOver()
		own, peers := x.tags()
		if len(b) >= wire.SCTPLen {
			var sum wire.CRC32c
			b = slices.Clone(b)
			clear(b[8:12])
			if tag := binary.BigEndian.Uint32(b[4:]); tag == own || tag == peers {
				return
			}
			sum.Add(b)
			binary.LittleEndian.PutUint32(b[8:], uint32(sum))
		}
		b = b[:min(len(b), 1400)]
		a.took()
		a.arrive(inUDP(from, portA, 0, b))
		for _, p := range a.wired() {
			if p.udp.DstPort != from || from == 0 {
				t.Errorf("%v to port %d", p.chunks(), p.udp.DstPort)
			}
		}
		x.send("still", "-")
		if got := y.text(); got != "still" || x.encap(addrB+":7") != portB {
			t.Errorf("%q, port %d", got, x.encap(addrB+":7"))
		}
		l.Close()
	})
}

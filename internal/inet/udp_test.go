package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
)

// What sendto(2) says, by what is sent where (udp(7); Linux, udp_sendmsg and udpv6_sendmsg).
func TestUDPSend(t *testing.T) {
	a, b := newPair(t, Config{})
	r := b.open("udp4").at(addrB + ":7")
	r6 := b.open("udp6").at("[" + addrB6 + "]:7")
	for _, c := range []struct {
		name  string
		kind  string
		to    string // "-": to the peer
		n     int
		flags int
		set   func(*sock)
		want  string
	}{
		{"to an address", "udp4", addrB + ":7", 5, 0, nil, "<nil>"},
		{"of no bytes", "udp4", addrB + ":7", 0, 0, nil, "<nil>"},
		{"to nobody", "udp4", "-", 5, 0, nil, "EDESTADDRREQ"},
		{"to the peer", "udp4", "-", 5, 0, func(s *sock) { s.with(addrB + ":7") }, "<nil>"},
		{"to another than the peer", "udp4", addrB + ":7", 5, 0, func(s *sock) { s.with(addrB + ":8") }, "<nil>"},
		{"to port 0", "udp4", addrB + ":0", 5, 0, nil, "EINVAL"},
		{"to no route", "udp4", "8.8.8.8:7", 5, 0, nil, "ENETUNREACH"},
		{"to all", "udp4", "10.0.0.255:7", 5, 0, nil, "EACCES"},
		{"to all, allowed", "udp4", "10.0.0.255:7", 5, 0, func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1) }, "<nil>"},
		{"the largest", "udp4", addrB + ":7", 65507, 0, func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 0) }, "<nil>"},
		{"larger", "udp4", addrB + ":7", 65508, 0, func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 0) }, "EMSGSIZE"},
		{"the MTU, not to be cut", "udp4", addrB + ":7", 1472, 0, func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 2) }, "<nil>"},
		{"larger, not to be cut", "udp4", addrB + ":7", 1473, 0, func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 2) }, "EMSGSIZE"},
		{"urgent", "udp4", addrB + ":7", 5, abi.MSG_OOB, nil, "EOPNOTSUPP"},
		{"without routers", "udp4", addrB + ":7", 5, abi.MSG_DONTROUTE, nil, "<nil>"},
		{"over a router", "udp4", "192.0.2.1:7", 5, 0, nil, "<nil>"},
		{"over a router, without routers", "udp4", "192.0.2.1:7", 5, abi.MSG_DONTROUTE, nil, "ENETUNREACH"},
		{"over a router, SO_DONTROUTE", "udp4", "192.0.2.1:7", 5, 0, func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_DONTROUTE, 1) }, "ENETUNREACH"},
		{"shut down", "udp4", addrB + ":7", 5, 0, func(s *sock) { s.Shutdown(abi.SHUT_WR) }, "EPIPE"},
		{"the other half is shut down", "udp4", addrB + ":7", 5, 0, func(s *sock) { s.Shutdown(abi.SHUT_RD) }, "<nil>"},
		{"a pending error", "udp4", addrB + ":7", 5, 0, func(s *sock) { s.m.do(func() { s.SetErr(syscall.ECONNREFUSED) }) }, "ECONNREFUSED"},
		{"a pending error, in front of that", "udp4", addrB + ":0", 5, 0, func(s *sock) { s.m.do(func() { s.SetErr(syscall.ECONNREFUSED) }) }, "EINVAL"},
		{"IPv6", "udp6", "[" + addrB6 + "]:7", 5, 0, nil, "<nil>"},
		{"IPv6, urgent", "udp6", "[" + addrB6 + "]:7", 5, abi.MSG_OOB, nil, "<nil>"},
		{"IPv6, the largest", "udp6", "[" + addrB6 + "]:7", 65527, 0, func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER, 0) }, "<nil>"},
		{"IPv6, larger", "udp6", "[" + addrB6 + "]:7", 65528, 0, func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER, 0) }, "EMSGSIZE"},
		{"IPv6, not to be cut", "udp6", "[" + addrB6 + "]:7", 1453, 0, func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_DONTFRAG, 1) }, "EMSGSIZE"},
		{"IPv6, its own MTU, not to be cut", "udp6", "[" + addrB6 + "]:7", 1232, 0, func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_DONTFRAG, 1).set(abi.SOL_IPV6, abi.IPV6_MTU, 1280) }, "<nil>"},
		{"IPv6, larger than its own MTU, not to be cut", "udp6", "[" + addrB6 + "]:7", 1233, 0, func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_DONTFRAG, 1).set(abi.SOL_IPV6, abi.IPV6_MTU, 1280) }, "EMSGSIZE"},
		{"IPv6, to port 0", "udp6", "[" + addrB6 + "]:0", 5, 0, nil, "EINVAL"},
		{"IPv6, to nobody", "udp6", "-", 5, 0, nil, "EDESTADDRREQ"},
		{"IPv6, of that link", "udp6", "[fe80::2%2]:7", 5, 0, nil, "<nil>"},
		{"mapped", "udp6", "[::ffff:" + addrB + "]:7", 5, 0, nil, "<nil>"},
		{"mapped, larger", "udp6", "[::ffff:" + addrB + "]:7", 65508, 0, func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 0) }, "EMSGSIZE"},
		{"mapped, from an address of IPv6", "udp6", "[::ffff:" + addrB + "]:7", 5, 0, func(s *sock) { s.at("[" + addrA6 + "]:0") }, "ENETUNREACH"},
		{"from a mapped address to IPv6", "udp6", "[" + addrB6 + "]:7", 5, 0, func(s *sock) { s.at("[::ffff:" + addrA + "]:0") }, "EAFNOSUPPORT"},
		{"to a mapped peer without port", "udp6", "-", 5, 0, func(s *sock) { s.with("[::ffff:" + addrB + "]:0") }, "EINVAL"},
	} {
		a.do(func() { a.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), Via: addr(addrB)}) })
		s := a.open(c.kind)
		if c.set != nil {
			c.set(s)
		}
		m := socket.Msg{Flags: c.flags}
		if c.to != "-" {
			m.Addr, m.HasAddr = s.sockaddr(c.to), true
		}
		n, err := s.Send(noContext, bytes.Repeat([]byte{'x'}, c.n), &m)
		if got := name(err); got != c.want || err == nil && n != c.n {
			t.Errorf("%s: %s (%d), want %s", c.name, got, n, c.want)
		}
		s.Close()
		for _, r := range []*sock{r, r6} {
			for r.recv(0).err == nil {
			}
		}
	}
}

// What of a datagram is received: as much as there is room for, and its length where that is asked for;
// what was only looked at stays (recv(2)).
func TestUDPRecv(t *testing.T) {
	a, b := newPair(t, Config{})
	s, r := a.open("udp4").at(addrA+":5000"), b.open("udp4").at(addrB+":7")
	for _, d := range []string{"first", "", "third"} {
		s.send(d, addrB+":7")
	}
	for i, c := range []struct {
		room, flags int
		want        string
		n           int
		reply       int
	}{
		{3, abi.MSG_PEEK, "fir", 3, abi.MSG_TRUNC}, {3, abi.MSG_PEEK | abi.MSG_TRUNC, "fir", 5, abi.MSG_TRUNC}, {5, abi.MSG_PEEK, "first", 5, 0}, {4, 0, "firs", 4, abi.MSG_TRUNC},
		{5, 0, "", 0, 0}, {0, abi.MSG_PEEK, "", 0, abi.MSG_TRUNC}, {1, abi.MSG_TRUNC, "t", 5, abi.MSG_TRUNC},
	} {
		in, _ := r.Queued(false)
		m := socket.Msg{Flags: c.flags}
		buf := make([]byte, c.room)
		n, err := r.Recv(noContext, buf, &m)
		if err != nil || n != c.n || string(buf[:min(n, c.room)]) != c.want || m.Flags != c.reply || m.Addr.String() != addrA+":5000" {
			t.Errorf("%d: %d, %q, flags %#x, from %v, %v; %d queued", i, n, buf, m.Flags, m.Addr, err, in)
		}
	}
	if g := r.recv(0); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
	in, _ := r.Queued(false)
	out, _ := r.Queued(true)
	if in != 0 || out != 0 || r.ready() != wait.Out {
		t.Error(in, out, r.ready())
	}
	s.send("four", addrB+":7")
	if in, _ = r.Queued(false); in != 4 || r.ready() != wait.In|wait.Out {
		t.Error(in, r.ready())
	}
}

// SO_PEEK_OFF begins behind the bytes that were looked at, over several datagrams.
func TestUDPPeekOff(t *testing.T) {
	a, b := newPair(t, Config{})
	s, r := a.open("udp4"), b.open("udp4").at(addrB+":7").set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, 0)
	for _, d := range []string{"abcd", "efgh"} {
		s.send(d, addrB+":7")
	}
	for i, c := range []struct {
		room, flags int
		want        string
		off         int
	}{{2, abi.MSG_PEEK, "ab", 2}, {9, abi.MSG_PEEK, "cd", 4}, {3, abi.MSG_PEEK, "efg", 7}, {9, abi.MSG_PEEK, "h", 8}, {9, 0, "abcd", 4}, {9, 0, "efgh", 0}} {
		if g := r.recvInto(c.room, c.flags); g.data != c.want || g.err != nil || r.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF) != c.off {
			t.Errorf("%d: %q %v, then at %d; want %q, %d", i, g.data, g.err, r.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF), c.want, c.off)
		}
	}
	if g := r.recvInto(9, abi.MSG_PEEK); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
}

// A queue that is full drops, counts that and tells it with the next datagram (SO_RXQ_OVFL); one
// datagram always fits.
func TestUDPOverflow(t *testing.T) {
	a, b := newPair(t, Config{})
	s, r := a.open("udp4"), b.open("udp4").at(addrB+":7").set(abi.SOL_SOCKET, abi.SO_RCVBUF, 0).set(abi.SOL_SOCKET, abi.SO_RXQ_OVFL, 1)
	for i := range 20 {
		s.send(fmt.Sprintf("%02d%s", i, strings.Repeat("x", 500)), addrB+":7")
	}
	stats := b.st.udpStats()
	n := int(stats.InDatagrams)
	if n == 0 || n >= 20 || stats.RcvbufErrors != uint64(20-n) || stats.InErrors != stats.RcvbufErrors {
		t.Errorf("%+v", stats)
	}
	mem := make([]byte, 36)
	r.GetOpt(abi.SOL_SOCKET, abi.SO_MEMINFO, mem)
	if held := binary.NativeEndian.Uint32(mem); held == 0 || held > 2304 || binary.NativeEndian.Uint32(mem[32:]) != uint32(20-n) {
		t.Errorf("%x", mem)
	}
	for i := range n {
		if g := r.recv(0); !strings.HasPrefix(g.data, fmt.Sprintf("%02d", i)) || g.said() != "" {
			t.Errorf("%d: %.10q %s", i, g.data, g.said())
		}
	}
	r.GetOpt(abi.SOL_SOCKET, abi.SO_MEMINFO, mem)
	if held := binary.NativeEndian.Uint32(mem); held != 0 {
		t.Errorf("%d bytes are held of an empty queue", held)
	}
	s.send(strings.Repeat("y", 9000), addrB+":7")
	if g := r.recv(0); len(g.data) != 9000 || g.said() != fmt.Sprintf("%d/%d=%x", abi.SOL_SOCKET, abi.SO_RXQ_OVFL, ints(20-n)) {
		t.Errorf("%d bytes, %s", len(g.data), g.said())
	}
	var in socket.Info
	b.do(func() { b.st.udp.Describe(r.Socket, &in) })
	if in.Drops != uint64(20-n) || in.Local.String() != addrB+":7" || in.RecvQ != 0 {
		t.Errorf("%+v", in)
	}
}

// Datagrams that are no good are counted, and nobody gets them: a checksum that is wrong, one that is
// missing in IPv6, lengths that cannot be (RFC 768; RFC 8200, section 8.1).
func TestUDPMalformed(t *testing.T) {
	udp := func(src, dst string, edit func(h []byte)) []byte {
		b := make([]byte, 12)
		binary.BigEndian.PutUint16(b, 5000)
		binary.BigEndian.PutUint16(b[2:], 7)
		binary.BigEndian.PutUint16(b[4:], 12)
		copy(b[8:], "data")
		var c wire.Checksum
		c.AddPseudo(addr(src), addr(dst), ip.ProtoUDP, len(b))
		c.Add(b)
		binary.BigEndian.PutUint16(b[6:], c.Sum())
		edit(b)
		return whole(src, dst, ip.ProtoUDP, b)
	}
	for _, c := range []struct {
		name string
		edit func(h []byte)
		v6   bool
		good bool
		sums uint64
	}{
		{"good", func([]byte) {}, false, true, 0}, {"IPv6, good", func([]byte) {}, true, true, 0},
		{"no checksum", func(h []byte) { h[6], h[7] = 0, 0 }, false, true, 0}, {"IPv6, no checksum", func(h []byte) { h[6], h[7] = 0, 0 }, true, false, 1},
		{"checksum", func(h []byte) { h[7] ^= 1 }, false, false, 1}, {"IPv6, checksum", func(h []byte) { h[9] ^= 1 }, true, false, 1},
		{"shorter than it says", func(h []byte) { h[5] = 13 }, false, false, 0}, {"shorter than a header", func(h []byte) { h[5] = 7 }, false, false, 0},
	} {
		_, b := newPair(t, Config{})
		at, src, dst := addrB+":7", addrA, addrB
		kind := "udp4"
		if c.v6 {
			at, src, dst, kind = "["+addrB6+"]:7", addrA6, addrB6, "udp6"
		}
		r := b.open(kind).at(at)
		b.arrive(udp(src, dst, c.edit))
		got, n := r.text(), b.st.udpStats()
		if (got == "data") != c.good || n.InCsumErrors != c.sums || (n.InErrors == 0) != c.good || (n.InDatagrams == 1) != c.good || len(b.took()) != 0 {
			t.Errorf("%s: %q, %+v", c.name, got, n)
		}
	}
	// What a link has padded is not the datagram's.
	_, b := newPair(t, Config{})
	r := b.open("udp4").at(addrB + ":7")
	b.arrive(udp(addrA, addrB, func(h []byte) { h[5], h[6], h[7] = 11, 0, 0 }))
	if got := r.text(); got != "dat" {
		t.Errorf("%q", got)
	}
}

// whole returns an IP packet of the transport's bytes.
func whole(src, dst string, proto uint8, b []byte) []byte {
	if s := addr(src); s.Is4() {
		h := wire.IPv4{Src: s, Dst: addr(dst), TTL: 64, Proto: proto, ID: 7}
		h.TotalLen = uint16(h.Len() + len(b))
		out := make([]byte, h.Len())
		h.Put(out)
		return append(out, b...)
	}
	h := wire.IPv6{Src: addr(src), Dst: addr(dst), HopLimit: 64, Next: proto, PayloadLen: uint16(len(b))}
	out := make([]byte, wire.IPv6Len)
	h.Put(out)
	return append(out, b...)
}

// MSG_MORE and UDP_CORK put one datagram together, whose way the first part settles (udp(7)).
func TestUDPCork(t *testing.T) {
	a, b := newPair(t, Config{})
	r, other := b.open("udp4").at(addrB+":7"), b.open("udp4").at(addrB+":8")
	s := a.open("udp4")
	part := func(data, to string, flags int) error {
		m := socket.Msg{Flags: flags}
		if to != "" {
			m.Addr, m.HasAddr = s.sockaddr(to), true
		}
		n, err := s.Send(noContext, []byte(data), &m)
		if err == nil && n != len(data) {
			t.Errorf("%d of %q", n, data)
		}
		return err
	}
	part("one ", addrB+":7", abi.MSG_MORE)
	part("two ", addrB+":8", abi.MSG_MORE)
	if got := r.text(); got != "" {
		t.Errorf("%q is sent already", got)
	}
	part("three", addrB+":7", 0)
	if got := r.text(); got != "one two three" || other.text() != "" {
		t.Errorf("%q", got)
	}
	s.set(abi.SOL_UDP, abi.UDP_CORK, 1)
	part("a", addrB+":8", 0)
	part("b", addrB+":8", 0)
	if got := other.text(); got != "" {
		t.Errorf("%q is sent already", got)
	}
	if err := part(strings.Repeat("x", 65506), addrB+":8", 0); err != syscall.EMSGSIZE { // and drops what was held
		t.Error(err)
	}
	part("cd", addrB+":8", 0)
	if err := part(strings.Repeat("x", 65505-1400), addrB+":8", 0); err != nil {
		t.Error(err)
	}
	s.set(abi.SOL_UDP, abi.UDP_CORK, 1)
	s.set(abi.SOL_UDP, abi.UDP_CORK, 0)
	if got := other.text(); len(got) != 65507-1400 || !strings.HasPrefix(got, "cdxx") {
		t.Errorf("%d bytes", len(got))
	}
	// What was held is sent by the path of then, also if that has changed, and goes with the socket.
	part("x", addrB+":7", abi.MSG_MORE)
	a.do(func() { a.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), Via: addr(addrB)}) })
	part("y", addrB+":7", 0)
	if got := r.text(); got != "xy" {
		t.Errorf("%q", got)
	}
	part("x", addrB+":7", abi.MSG_MORE)
	s.Close()
	if got := r.text(); got != "" {
		t.Errorf("%q", got)
	}
}

// UDP_SEGMENT makes datagrams of one size of a send, UDP_GRO gives several of one size at once and says
// which, whether they came over a link or within the host (udp(7)).
func TestUDPSegments(t *testing.T) {
	a, b := newPair(t, Config{})
	for _, to := range []*machine{a, b} {
		for _, gro := range []bool{false, true} {
			for _, v6 := range []bool{false, true} {
				kind, at := "udp4", map[*machine]string{a: addrA, b: addrB}[to]+":7"
				if v6 {
					kind, at = "udp6", "["+map[*machine]string{a: addrA6, b: addrB6}[to]+"]:7"
				}
				r := to.open(kind).at(at)
				if gro {
					r.set(abi.SOL_UDP, abi.UDP_GRO, 1)
				}
				s := a.open(kind)
				for _, c := range []struct {
					size, n int
					control bool
					want    string // bytes of each receive, and the size that is told
				}{
					{1000, 2500, false, "1000 1000 500"}, {1000, 1000, false, "1000"}, {1000, 999, true, "999"}, {100, 200, true, "100 100"}, {0, 1300, false, "1300"},
				} {
					s.set(abi.SOL_UDP, abi.UDP_SEGMENT, c.size)
					data := strings.Repeat("0123456789", 250)[:c.n]
					var err error
					if c.control {
						s.set(abi.SOL_UDP, abi.UDP_SEGMENT, 7)
						err = s.send(data, at, cmsg(abi.SOL_UDP, abi.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(c.size))))
					} else {
						err = s.send(data, at)
					}
					if err != nil {
						t.Fatal(err)
					}
					want := strings.Fields(c.want)
					if gro && len(want) > 1 && to == a {
						want = []string{fmt.Sprint(c.n)}
					}
					var got []string
					var all string
					for {
						g := r.recv(0)
						if g.err != nil {
							break
						}
						got, all = append(got, fmt.Sprint(len(g.data))), all+g.data
						told := ""
						if gro && len(g.data) > c.size && c.size > 0 {
							told = fmt.Sprintf("%d/%d=%x", abi.SOL_UDP, abi.UDP_GRO, ints(c.size))
						}
						if g.said() != told {
							t.Errorf("%s, UDP_GRO %v: of %d bytes %q is told, want %q", at, gro, len(g.data), g.said(), told)
						}
					}
					if !slices.Equal(got, want) && !(gro && to == b) || all != data {
						t.Errorf("%s, UDP_GRO %v, %+v: %v, want %v", at, gro, c, got, want)
					}
				}
				r.Close()
				s.Close()
			}
		}
	}
	s := a.open("udp4")
	for _, c := range []struct {
		n, size int
		set     func()
		want    error
	}{
		{1472 * 2, 1472, nil, nil}, {1473 * 2, 1473, nil, syscall.EMSGSIZE}, {128 * 10, 10, nil, nil}, {128*10 + 1, 10, nil, syscall.EINVAL}, {1000, 1472, nil, nil}, {1000, 2000, nil, nil},
		{100, 10, func() { s.set(abi.SOL_SOCKET, abi.SO_NO_CHECK, 1) }, syscall.EINVAL},
	} {
		if c.set != nil {
			c.set()
		}
		if err := s.set(abi.SOL_UDP, abi.UDP_SEGMENT, c.size).send(strings.Repeat("x", c.n), addrB+":7"); err != c.want && !(err == syscall.ECONNREFUSED && c.want == nil) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, bad := range [][]byte{cmsg(abi.SOL_UDP, abi.UDP_SEGMENT, ints(5)), cmsg(abi.SOL_UDP, abi.UDP_SEGMENT, []byte{5}), cmsg(abi.SOL_UDP, 9999, []byte{5, 0})} {
		if err := s.send("x", addrB+":7", bad); err != syscall.EINVAL {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// Datagrams that a link brings in one go are put together for UDP_GRO: of one sender and size, up to
// a shorter one, with the same class and hops.
func TestUDPCoalesces(t *testing.T) {
	dgram := func(sport uint16, tos uint8, n int) []byte {
		b := make([]byte, 8+n)
		binary.BigEndian.PutUint16(b, sport)
		binary.BigEndian.PutUint16(b[2:], 7)
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		p := whole(addrA, addrB, ip.ProtoUDP, b)
		p[1] = tos
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], wire.ChecksumOf(p[:20]))
		return p
	}
	for _, c := range []struct {
		name  string
		in    [][]byte
		apart int // as many come in the first go; 0: all
		want  string
	}{
		{"of one size", [][]byte{dgram(1, 0, 100), dgram(1, 0, 100), dgram(1, 0, 100)}, 0, "300/100"},
		{"a shorter one at the end", [][]byte{dgram(1, 0, 100), dgram(1, 0, 100), dgram(1, 0, 40), dgram(1, 0, 100)}, 0, "240/100 100/0"},
		{"a longer one", [][]byte{dgram(1, 0, 100), dgram(1, 0, 101)}, 0, "100/0 101/0"},
		{"an empty one", [][]byte{dgram(1, 0, 100), dgram(1, 0, 0), dgram(1, 0, 100)}, 0, "100/0 0/0 100/0"},
		{"of two senders", [][]byte{dgram(1, 0, 100), dgram(2, 0, 100), dgram(1, 0, 100)}, 0, "100/0 100/0 100/0"},
		{"of two classes", [][]byte{dgram(1, 0, 100), dgram(1, 4, 100)}, 0, "100/0 100/0"},
		{"in two goes", [][]byte{dgram(1, 0, 100), dgram(1, 0, 100)}, 1, "100/0 100/0"},
	} {
		_, b := newPair(t, Config{})
		r := b.open("udp4").at(addrB+":7").set(abi.SOL_UDP, abi.UDP_GRO, 1)
		for i, p := range c.in {
			if c.apart != 0 && i == c.apart {
				b.clock.Advance(1)
			}
			b.arrive(p)
		}
		var got []string
		for {
			g := r.recv(0)
			if g.err != nil {
				break
			}
			size := 0
			for _, m := range g.control {
				size = int(binary.NativeEndian.Uint32(m.Data))
			}
			got = append(got, fmt.Sprintf("%d/%d", len(g.data), size))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
	// At most so many, and so many bytes.
	_, b := newPair(t, Config{})
	r := b.open("udp4").at(addrB+":7").set(abi.SOL_UDP, abi.UDP_GRO, 1).set(abi.SOL_SOCKET, abi.SO_RCVBUF, 1<<20)
	for range maxCoalesced + 1 {
		b.arrive(dgram(1, 0, 10))
	}
	if g := r.recv(0); len(g.data) != 10*maxCoalesced {
		t.Errorf("%d bytes", len(g.data))
	}
	if g := r.recv(0); len(g.data) != 10 {
		t.Errorf("%d bytes", len(g.data))
	}
	for range 70 {
		b.arrive(dgram(1, 0, 1400))
	}
	if g := r.recv(0); len(g.data) != maxCoalescedBytes/1400*1400 {
		t.Errorf("%d bytes", len(g.data))
	}
}

// A program that has found several datagrams takes the next ones without entering the host; what comes
// before them is seen all the same, and their order stays.
func TestUDPPrefetch(t *testing.T) {
	a, b := newPair(t, Config{})
	s, r := a.open("udp4"), b.open("udp4").at(addrB+":7")
	send := func(from, to int) {
		for i := from; i < to; i++ {
			s.send(fmt.Sprint(i), addrB+":7")
		}
	}
	plain := func() string {
		buf := make([]byte, 10)
		n, err := r.Recv(noContext, buf, &socket.Msg{Flags: abi.MSG_DONTWAIT})
		if err != nil {
			return name(err)
		}
		return string(buf[:n])
	}
	expect := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if got := plain(); got != fmt.Sprint(i) {
				t.Fatalf("%s, want %d", got, i)
			}
		}
	}
	send(0, 3)
	expect(0, 3)
	if udpOf(r.Socket).prefetched.Load() != nil {
		t.Error("datagrams are set aside for three")
	}
	send(3, 50)
	expect(3, 10)
	if udpOf(r.Socket).prefetched.Load() == nil {
		t.Fatal("none are set aside")
	}
	send(50, 60)
	if g := r.recv(abi.MSG_PEEK); g.data != "10" || r.ready()&wait.In == 0 {
		t.Errorf("%+v", g)
	}
	if in, _ := r.Queued(false); in != 2 {
		t.Error(in)
	}
	expect(10, 12)
	b.do(func() { r.SetErr(syscall.ECONNREFUSED) })
	if got := plain(); got != "ECONNREFUSED" {
		t.Error(got)
	}
	expect(12, 60)
	if got := plain(); got != "EAGAIN" || r.ready()&wait.In != 0 {
		t.Error(got)
	}
	mem := make([]byte, 4)
	r.GetOpt(abi.SOL_SOCKET, abi.SO_MEMINFO, mem)
	if n := binary.NativeEndian.Uint32(mem); n != 0 {
		t.Errorf("%d bytes are held still", n)
	}
	send(0, 40)
	expect(0, 3)
	r.Close() // those set aside are freed
}

// MSG_ZEROCOPY: numbers that follow each other are told together, that the memory was copied, also of a
// datagram in parts (Documentation/networking/msg_zerocopy.rst).
func TestZeroCopy(t *testing.T) {
	a, b := newPair(t, Config{})
	b.open("udp4").at(addrB + ":7")
	s := a.open("udp4").set(abi.SOL_SOCKET, abi.SO_ZEROCOPY, 1)
	send := func(flags int) {
		t.Helper()
		if _, err := s.Send(noContext, []byte("x"), &socket.Msg{Flags: flags | abi.MSG_ZEROCOPY, Addr: s.sockaddr(addrB + ":7"), HasAddr: true}); err != nil {
			t.Fatal(err)
		}
	}
	told := func(lo, hi int) {
		t.Helper()
		g := s.recv(abi.MSG_ERRQUEUE)
		e := ints(0)
		e = append(e, originZeroCopy, 0, zeroCopyCopied, 0)
		e = append(e, ints(lo, hi)...)
		e = append(e, make([]byte, 16)...)
		if want := fmt.Sprintf("%d/%d=%x", abi.SOL_IP, abi.IP_RECVERR, e); g.err != nil || g.data != "" || g.said() != want || g.flags != abi.MSG_ERRQUEUE {
			t.Errorf("%+v\n%s, want\n%s", g, g.said(), want)
		}
	}
	send(0)
	if s.ready()&wait.Err == 0 {
		t.Error("not told")
	}
	send(0)
	send(0)
	told(0, 2)
	send(abi.MSG_MORE)
	if g := s.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
	send(0)
	told(3, 4)
	if s.ready()&wait.Err != 0 {
		t.Error("told still")
	}
	// Who has not said so is not told.
	s.set(abi.SOL_SOCKET, abi.SO_ZEROCOPY, 0)
	send(0)
	if g := s.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
}

package rtnl

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// host is one with two links and a few sockets.
func host() *Source {
	s := loopbackHost()
	lo := s.View().Links[0]
	eth := Link{
		Index: 2, Name: "eth0", MTU: 1500, Stats: Stats{RxPackets: 1 << 33, TxBytes: 5},
		Addrs: []netip.Prefix{netip.MustParsePrefix("198.18.77.2/24"), netip.MustParsePrefix("198.18.77.3/24"), netip.MustParsePrefix("2001:db8::2/64")},
	}
	v := &View{Links: []Link{lo, eth}, Routes: []Route{
		{Dst: netip.MustParsePrefix("198.18.77.0/24"), Link: 2, Src: eth.Addrs[0].Addr()},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Link: 2, Via: netip.MustParseAddr("198.18.77.1"), MTU: 1400},
		{Dst: netip.MustParsePrefix("2001:db8::/64"), Link: 2, Src: eth.Addrs[2].Addr()},
	}}
	s.View = func() *View { return v }
	s.Find = func(q Query) (Path, Errno) {
		if q.Dst.Is4() {
			return Path{Src: eth.Addrs[0].Addr(), Via: v.Routes[1].Via, Link: 2}, 0
		}
		return Path{}, ENETUNREACH
	}
	s.Sockets = inParts(sockets())
	s.Foreign = func(b []byte) func() []byte {
		again := true
		return func() []byte {
			if !again {
				return nil
			}
			again = false
			return bytes.Clone(b)
		}
	}
	return s
}

func sockets() []Socket {
	a := netip.MustParseAddrPort
	return []Socket{
		{Family: afInet, State: stateListen, Local: a("0.0.0.0:80"), Cookie: 1, RecvQ: 1, SendQ: 128, Inode: 7},
		{Family: afInet, State: 1, Local: a("127.0.0.1:80"), Peer: a("127.0.0.1:4000"), Cookie: 2, Congestion: "cubic"},
		{Family: afInet6, State: 1, Local: a("127.0.0.1:81"), Peer: a("127.0.0.1:4001"), Cookie: 3},
		{Family: afInet6, State: stateListen, Local: a("[::]:82"), Cookie: 4, V6Only: true},
		{Family: afInet, State: stateTimeWait, Local: a("127.0.0.1:83"), Peer: a("10.0.0.1:4002"), Cookie: 5, Left: 1500e6},
	}
}

// TestEverythingIsRefused asks for changes of all kinds.
func TestEverythingIsRefused(t *testing.T) {
	for typ := uint16(nlmsgMinType); typ <= rtmMax; typ++ {
		if typ&rtmKind == rtmKindGet {
			continue
		}
		s := &Session{Source: host(), Port: 5, CapAck: true}
		for _, flags := range []uint16{0, nlmAck, nlmDump} {
			answers := tell(s, msg(typ, flags, afInet))
			if len(answers) != 1 || binary.NativeEndian.Uint16(answers[0][4:]) != nlmsgError ||
				Errno(-int32(binary.NativeEndian.Uint32(answers[0][headerSize:]))) != EPERM {
				t.Errorf("type %d, flags %#x: %x", typ, flags, answers)
			}
		}
	}
}

// ports returns the local ports of the sockets that the answers tell of.
func ports(answers [][]byte) string {
	var list []uint16
	for _, b := range answers {
		for len(b) >= headerSize {
			n := int(binary.NativeEndian.Uint32(b))
			if binary.NativeEndian.Uint16(b[4:]) == sockDiagByFamily {
				list = append(list, binary.BigEndian.Uint16(b[headerSize+4:]))
			}
			b = b[min(align(n), len(b)):]
		}
	}
	return fmt.Sprint(list)
}

// TestAssociationsAreChosen lists SCTP's sockets: each before its associations, and once.
func TestAssociationsAreChosen(t *testing.T) {
	a := netip.MustParseAddrPort
	assoc := func(state uint8, local, peer string) Socket {
		return Socket{
			Family: afInet, State: state, Local: a(local), Peer: a(peer), Cookie: 1, Assoc: true,
			Locals: []netip.AddrPort{a(local)}, Peers: []netip.AddrPort{a(peer), a("10.0.0.9:4000")},
		}
	}
	list := []Socket{
		{Family: afInet, State: stateListen, Local: a("0.0.0.0:80"), Cookie: 1, Assocs: []Socket{
			assoc(3, "127.0.0.1:80", "127.0.0.1:4000"), assoc(stateTimeWait, "127.0.0.1:80", "127.0.0.1:4001"),
		}},
		{Family: afInet, State: stateClose, Local: a("127.0.0.1:81")},
		{Family: afInet6, State: stateListen, Local: a("[::]:82")},
	}
	const all = 1<<32 - 1
	for _, c := range []struct {
		name         string
		family       uint8
		states       uint32
		sport, dport uint16
		addr         string // of the peer, for one; "": all
		want         string
	}{
		{"IPv4", afInet, all, 0, 0, "", "[80 80 80]"},
		{"IPv6", afInet6, all, 0, 0, "", "[82]"},
		{"listening", afInet, 1 << stateListen, 0, 0, "", "[80]"},
		{"established", afInet, 1 << 1, 0, 0, "", "[80 80 80]"},
		{"closed", afInet, 1 << stateClose, 0, 0, "", "[]"},
		{"a port", afInet6, all, 81, 0, "", "[]"},
		{"a peer's port", afInet, all, 0, 4001, "", "[80 80]"},
		{"one", afInet, all, 80, 4000, "127.0.0.1", "[80]"},
		{"one by another address", afInet, all, 80, 4000, "10.0.0.9", "[80]"},
		{"one that is not there", afInet, all, 80, 4002, "127.0.0.1", "[]"},
		{"one of IPv6", afInet6, all, 80, 4000, "127.0.0.1", "[]"},
	} {
		b := make([]byte, sizeDiagReq)
		b[0], b[1], b[2] = c.family, protocolSCTP, 1<<(diagInfo-1)|1<<(diagCong-1)
		binary.NativeEndian.PutUint32(b[4:], c.states)
		binary.BigEndian.PutUint16(b[8:], c.sport)
		binary.BigEndian.PutUint16(b[10:], c.dport)
		flags := uint16(nlmDump)
		if c.addr != "" {
			flags = 0
			copy(b[12:], netip.MustParseAddr("127.0.0.1").AsSlice())
			copy(b[28:], netip.MustParseAddr(c.addr).AsSlice())
			copy(b[48:], bytes.Repeat([]byte{255}, 8)) // no cookie
		}
		s := &Session{Source: host(), Port: 5, Protocol: NETLINK_SOCK_DIAG, CapAck: true}
		s.Sockets = inParts(list)
		if got := ports(tell(s, msg(sockDiagByFamily, flags, b...))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestSocketsAreChosen filters sockets in each of the ways.
func TestSocketsAreChosen(t *testing.T) {
	req := func(family byte, states uint32, code ...byte) []byte {
		b := make([]byte, sizeDiagReq)
		b[0], b[1] = family, protocolTCP
		binary.NativeEndian.PutUint32(b[4:], states)
		if len(code) > 0 {
			b = append(b, attr(diagReqBytecode, code...)...)
		}
		return b
	}
	port := func(code byte, p uint16) []byte { // leaves at the end if it holds
		b := []byte{code, 8, 12, 0, 0, 0, 0, 0}
		binary.NativeEndian.PutUint16(b[6:], p)
		return b
	}
	cond := func(code byte, family, bits byte, p int32, addr ...byte) []byte {
		n := byte(12 + len(addr))
		b := []byte{code, n, n + 4, 0, family, bits, 0, 0, 0, 0, 0, 0}
		binary.NativeEndian.PutUint32(b[8:], uint32(p))
		return append(b, addr...)
	}
	const all = 1<<32 - 1
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"IPv4", req(afInet, all), "[80 80 83]"},
		{"IPv6", req(afInet6, all), "[81 82]"},
		{"established", req(afInet, 1<<1), "[80]"},
		{"listening", req(afInet6, 1<<stateListen), "[82]"},
		{"no state", req(afInet, 0), "[]"},
		{"source port at least 81", req(afInet, all, port(bcSportGE, 81)...), "[83]"},
		{"source port at most 80", req(afInet, all, port(bcSportLE, 80)...), "[80 80]"},
		{"source port 83", req(afInet, all, port(bcSportEQ, 83)...), "[83]"},
		{"destination port 4000", req(afInet, all, port(bcDportEQ, 4000)...), "[80]"},
		{"destination port at least 4001", req(afInet, all, port(bcDportGE, 4001)...), "[83]"},
		{"destination port at most 4000", req(afInet, all, port(bcDportLE, 4000)...), "[80 80]"},
		{"destination 10/8", req(afInet, all, cond(bcDest, afInet, 8, -1, 10, 9, 9, 9)...), "[83]"},
		{"source 127.0.0.1 and port 80", req(afInet, all, cond(bcSource, afInet, 32, 80, 127, 0, 0, 1)...), "[80]"},
		{"source of IPv4 among IPv6", req(afInet6, all, cond(bcSource, afInet, 32, -1, 127, 0, 0, 1)...), "[81]"},
		{"source of IPv6 among IPv4", req(afInet, all, cond(bcSource, afInet6, 0, -1, make([]byte, 16)...)...), "[]"},
		{"any source with port 82", req(afInet6, all, cond(bcSource, afUnspec, 0, 82)...), "[82]"},
		{"another device", req(afInet, all, bcDevice, 8, 12, 0, 3, 0, 0, 0), "[]"},
		{"a jump to the end", req(afInet, all, bcJump, 4, 4, 0), "[80 80 83]"},
		{"a jump beyond the end", req(afInet, all, bcJump, 4, 8, 0), "[]"},
	} {
		s := &Session{Source: host(), Protocol: NETLINK_SOCK_DIAG, Port: 5}
		if got := ports(tell(s, msg(sockDiagByFamily, nlmDump, c.body...))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestOneSocket asks for sockets by their addresses.
func TestOneSocket(t *testing.T) {
	list := sockets()
	for i := range list {
		k := &list[i]
		for _, c := range []struct {
			cookie uint64
			want   Errno
		}{{k.Cookie, 0}, {1<<64 - 1, 0}, {99, ESTALE}} {
			b := make([]byte, 8, sizeDiagReq)
			b[0], b[1] = k.Family, protocolTCP
			b = append(b, k.id()...)
			binary.NativeEndian.PutUint64(b[sizeDiagReq-8:], c.cookie)
			s := &Session{Source: host(), Protocol: NETLINK_SOCK_DIAG, Port: 5}
			answers := tell(s, msg(sockDiagByFamily, 0, b...))
			if c.want == 0 {
				if got, want := ports(answers), fmt.Sprintf("[%d]", k.Local.Port()); got != want {
					t.Errorf("socket %d, cookie %d: %s, want %s", i, c.cookie, got, want)
				}
			} else if e := Errno(-int32(binary.NativeEndian.Uint32(answers[0][headerSize:]))); e != c.want {
				t.Errorf("socket %d, cookie %d: %d, want %d", i, c.cookie, e, c.want)
			}
		}
	}
}

// TestForeign has another family's answer addressed to the program.
func TestForeign(t *testing.T) {
	s := &Session{Source: host(), Protocol: NETLINK_SOCK_DIAG, Port: 77}
	answers := tell(s, msg(sockDiagByFamily, nlmDump, 1, 0))
	if len(answers) != 1 || binary.NativeEndian.Uint32(answers[0][12:]) != 77 {
		t.Errorf("%x", answers)
	}
}

// TestDatagramsAreBounded lists many addresses: no datagram is larger than what the smallest
// usual buffer takes, and none is missing.
func TestDatagramsAreBounded(t *testing.T) {
	src := host()
	v := src.View()
	v.Links[1].Addrs = nil
	for i := range 1000 {
		v.Links[1].Addrs = append(v.Links[1].Addrs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32))
	}
	s := &Session{Source: src, Port: 5}
	count := 0
	for _, b := range tell(s, msg(rtmGetAddr, nlmDump, afInet, 0, 0, 0, 0, 0, 0, 0)) {
		if len(b) > goodSize {
			t.Errorf("a datagram of %d bytes", len(b))
		}
		for len(b) >= headerSize {
			if binary.NativeEndian.Uint16(b[4:]) == rtmNewAddr {
				count++
			}
			b = b[align(int(binary.NativeEndian.Uint32(b))):]
		}
	}
	if count != 1001 {
		t.Errorf("%d addresses", count)
	}
}

// TestChanges takes an address and its routes away and gives them back.
func TestChanges(t *testing.T) {
	now := host().View()
	was := &View{Links: []Link{now.Links[0], now.Links[1]}, Routes: now.Routes[:2]}
	was.Links[1].Addrs = now.Links[1].Addrs[:2]
	types := func(list []News) string {
		var out string
		for _, n := range list {
			out += fmt.Sprintf("%d:%d ", n.Group, binary.NativeEndian.Uint16(n.Datagram[4:]))
			if binary.NativeEndian.Uint32(n.Datagram[12:]) != 0 {
				t.Errorf("news have a port: %x", n.Datagram)
			}
		}
		return out
	}
	// The network's route, its own and that of groups.
	if got, want := types(Changes(was, now)), "9:20 11:24 11:24 11:24 "; got != want {
		t.Errorf("given: %s, want %s", got, want)
	}
	if got, want := types(Changes(now, was)), "11:25 11:25 11:25 9:21 "; got != want {
		t.Errorf("taken: %s, want %s", got, want)
	}
	if list := Changes(now, now); len(list) != 0 {
		t.Errorf("nothing has changed: %s", types(list))
	}
	if got, want := types(Changes(&View{}, &View{Links: now.Links[:1]})), "1:16 5:20 7:24 7:24 7:24 9:20 11:24 "; got != want {
		t.Errorf("a new link: %s, want %s", got, want)
	}
}

// answers returns what is told of requests, before which nothing is known of the program. Behind the requests lie other bytes, and they
// are written over once they are taken.
func answers(t *testing.T, requests []byte, behind byte, diag bool) (told [][]byte) {
	t.Helper()
	s := &Session{Source: host(), Port: 5, Strict: len(requests)%2 == 0, CapAck: len(requests)%3 == 0, ExtAck: len(requests)%5 == 0}
	if diag {
		s.Protocol = NETLINK_SOCK_DIAG
	}
	b := append(bytes.Clone(requests), bytes.Repeat([]byte{behind}, 64)...)
	s.Take(b[:len(requests)])
	for i := range b {
		b[i] = behind
	}
	for s.Pending() {
		told = append(told, bytes.Clone(s.Next()))
		if len(told) > 100*(1+len(requests)/headerSize) {
			t.Fatal("the answers do not end")
		}
	}
	if s.Waiting() != 0 {
		t.Errorf("%d bytes are not answered", s.Waiting())
	}
	return told
}

// FuzzRequests holds that whatever is asked, each datagram is a row of whole messages for the program, that the answers end, and that
// they follow from the requests alone.
func FuzzRequests(f *testing.F) {
	for _, b := range rtnlRequests() {
		f.Add(b, false)
	}
	for _, b := range diagRequests() {
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, diag bool) {
		told := answers(t, b, 0, diag)
		if other := answers(t, b, 0xff, diag); !slices.EqualFunc(told, other, bytes.Equal) {
			t.Fatalf("%x\nwith other bytes behind the requests:\n%x", told, other)
		}
		for _, p := range told {
			for len(p) > 0 {
				if len(p) < headerSize {
					t.Fatalf("a rest of %d bytes", len(p))
				}
				size := int(binary.NativeEndian.Uint32(p))
				if size < headerSize || align(size) > len(p) {
					if !diag { // what comes from the kernel is its own
						t.Fatalf("a message of %d bytes in %d", size, len(p))
					}
					break
				}
				p = p[align(size):]
			}
		}
	})
}

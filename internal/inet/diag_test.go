package inet

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
)

// detail is what a list tells of a socket of SCTP's, and the struct sctp_info in it, with those of the associations.
func (s *sock) detail() (d *SCTPDetail, own abi.SCTPInfo, of []abi.SCTPInfo) {
	s.m.t.Helper()
	in := socket.Info{Domain: int(s.Domain)}
	s.m.do(func() { s.Proto.Describe(s.Socket, &in) })
	d = in.Detail.(*SCTPDetail)
	s.m.must(abi.ParseStruct(d.Info, &own))
	for _, x := range d.Assocs {
		var v abi.SCTPInfo
		s.m.must(abi.ParseStruct(x.Info, &v))
		of = append(of, v)
	}
	return d, own, of
}

// listed are the sockets of a list, and the connections without one.
func (m *machine) listed() (all []socket.Info) {
	m.do(func() { all = m.st.Sockets() })
	return all
}

// What sctp_diag tells of a socket: its options, its style, and the addresses that were bound (Linux, sctp_get_sctp_info without an
// association).
func TestSCTPDiagSocket(t *testing.T) {
	a, b := newPair(t, Config{})
	s := a.open("many6").at("[::]:7")
	for opt, v := range map[int]int{
		abi.SCTP_AUTOCLOSE: 9, abi.SCTP_ADAPTATION_LAYER: 77, abi.SCTP_PARTIAL_DELIVERY_POINT: 1234, abi.SCTP_NODELAY: 1,
		abi.SCTP_DISABLE_FRAGMENTS: 1, abi.SCTP_I_WANT_MAPPED_V4_ADDR: 0, abi.SCTP_FRAGMENT_INTERLEAVE: 1,
	} {
		s.set(abi.SOL_SCTP, opt, v)
	}
	d, got, _ := s.detail()
	want := abi.SCTPInfo{SAutoclose: 9, SAdaptationInd: 77, SPdPoint: 1234, SNodelay: 1, SDisableFragments: 1, SFragInterleave: 1}
	if got != want || !slices.Equal(d.Locals, []netip.Addr{netip.IPv6Unspecified()}) || len(d.Assocs) != 0 {
		t.Errorf("%+v; %v, %d associations", got, d.Locals, len(d.Assocs))
	}
	if _, got, _ = a.open("one4").detail(); got != (abi.SCTPInfo{SV4mapped: 1, SType: 2}) {
		t.Errorf("of a new one: %+v", got)
	}
	l := b.listening("many4", addrB+":9")
	a.open("one4").with(addrB + ":9")
	_, _, of := l.detail()
	if len(of) != 1 {
		t.Fatal(of)
	}
	n, err := l.Peel(firstAssoc(l).id)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, of = (&sock{n, b}).detail(); got.SType != 1 || len(of) != 1 {
		t.Errorf("of a peeled one: %+v, %d associations", got, len(of))
	}
}

// firstAssoc is the first association of a socket.
func firstAssoc(s *sock) *sctpAssoc { return sctpOf(s.Socket).assocs }

// What it tells of an association: the ends, by the primary path, the queues, and struct sctp_info.
func TestSCTPDiagAssociation(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("one4", "0.0.0.0:7")
	x := a.open("one4").at(addrA + ":5000").with(addrB + ":7")
	y := l.accept()
	y.send("12345", "-")
	a.cut = true
	x.send("1234567", "-")
	d, _, of := x.detail()
	if len(of) != 1 {
		t.Fatal(of)
	}
	at := d.Assocs[0]
	if at.State != 3 || at.Local != addrport(addrA+":5000") || at.Peer != addrport(addrB+":7") || at.Interface != a.eth.Index() ||
		!slices.Equal(at.Locals, []netip.Addr{addr(addrA)}) || !slices.Equal(at.Peers, []netip.Addr{addr(addrB)}) || at.RecvQ != 5 || at.SendQ < 7 {
		t.Errorf("%+v", at)
	}
	v := of[0]
	var own, peers uint32
	a.do(func() { own, peers = firstAssoc(x).core.Tags() })
	if v.Tag != own || v.PeerTag != peers || v.State != 3 || v.Instrms != 10 || v.Outstrms != 10 || v.Unackdata != 1 || v.Penddata != 0 || v.MaxBurst != 4 || v.Maxseg == 0 {
		t.Errorf("%+v", v)
	}
	if v.PAddress.String() != addrB+":7" || v.PState != 2 || v.PHbinterval != 30_000 || v.PPathmaxrxt != 5 || v.PSackdelay != 200 || v.PSackfreq != 2 || v.PFlightSize != 7 || v.PRto == 0 || v.PCwnd == 0 || v.PSsthresh == 0 {
		t.Errorf("the primary path: %+v", v)
	}
	if v.PeerCapable != 0x62 { // ECN, IPv4, partial reliability
		t.Errorf("what both can do: %#x", v.PeerCapable)
	}
	if v.PeerSack&^4 != 2 {
		t.Errorf("the next SACK: %#x", v.PeerSack)
	}
	// The second chunk makes a SACK due, which the timer does for one (RFC 9260, section 6.2).
	a.cut = false
	due := v.PeerSack & 4
	a.clock.Advance(time.Second)
	y.send("1", "-")
	if _, _, of = x.detail(); len(of) != 1 || due == of[0].PeerSack&4 {
		t.Errorf("of an odd number of chunks %d, of an even one %d", due, of[0].PeerSack&4)
	}
	// The other end was bound to the wildcard: its local addresses are all, and its own is of the primary path's family.
	if d, _, _ = y.detail(); d.Assocs[0].Local != addrport(addrB+":7") || d.Assocs[0].Peer != addrport(addrA+":5000") {
		t.Errorf("%+v", d.Assocs[0])
	}
}

// The families that a socket can have decide what an association's ends are able to do, and which of its addresses is named.
func TestSCTPDiagFamilies(t *testing.T) {
	for _, c := range []struct {
		at      string
		only    bool
		capable uint8
		local   string
	}{
		{"[" + addrB6 + "]:7", false, 0x72, addrA6},
		{"[" + addrB6 + "]:7", true, 0x52, addrA6},
		{"[::ffff:" + addrB + "]:7", false, 0x62, addrA},
	} {
		a, b := newPair(t, Config{})
		b.listening("one6", c.at)
		x := a.open("one6").set(abi.SOL_IPV6, abi.IPV6_V6ONLY, toInt(c.only)).with(c.at)
		d, _, of := x.detail()
		if len(of) != 1 || of[0].PeerCapable != c.capable || d.Assocs[0].Local.Addr() != addr(c.local) {
			t.Errorf("%s, of IPv6 only %v: %+v, %+v", c.at, c.only, d.Assocs, of)
		}
	}
}

// Endpoints whose sockets were closed are listed once each, until their last association is over.
func TestSCTPDiagClosed(t *testing.T) {
	for _, kind := range []string{"one4", "many4", "one6", "many6"} {
		at, family := addrB, abi.AF_INET
		if kind[len(kind)-1] == '6' {
			at, family = "["+addrB6+"]", abi.AF_INET6
		}
		typ := map[bool]int{true: abi.SOCK_SEQPACKET, false: abi.SOCK_STREAM}[kind[0] == 'm']
		a, b := newPair(t, Config{})
		x := a.open(kind)
		var peers []*sock
		for _, port := range []string{":7", ":8"} {
			peers = append(peers, b.listening(kind, at+port))
			if kind[0] == 'm' || port == ":7" {
				x.send("hello", at+port)
				x.connect(at + port)
			}
		}
		associations := len(func() []abi.SCTPInfo { _, _, of := x.detail(); return of }())
		a.cut = true
		x.send("data", map[bool]string{true: at + ":7", false: "-"}[kind[0] == 'm'])
		x.Close()
		if associations != map[bool]int{true: 2, false: 1}[kind[0] == 'm'] {
			t.Errorf("%s: %d associations", kind, associations)
		}
		list := a.listed()
		if len(list) != 1 {
			t.Errorf("%s: %d are listed", kind, len(list))
			continue
		}
		if in := list[0]; in.ID != 0 || in.Domain != family || in.Type != typ || in.Protocol != abi.IPPROTO_SCTP || len(in.Detail.(*SCTPDetail).Assocs) == 0 {
			t.Errorf("%s: %+v", kind, in)
		}
		// In parts as well as at once.
		var parts []socket.Info
		a.do(func() {
			for place, n := 0, 0; ; n++ {
				if parts, place = a.st.sctp.ListRest(parts, place, 3); place == 0 || n > 1<<16 {
					break
				}
			}
		})
		if len(parts) != 1 {
			t.Errorf("%s: %d are listed in parts", kind, len(parts))
		}
		a.cut = false
		a.clock.Advance(time.Minute)
		if list := a.listed(); len(list) != 0 {
			t.Errorf("%s: left: %+v", kind, list)
		}
		for _, s := range peers {
			s.Close()
		}
	}
}

// Who wants to know is told of each connection that has ended, as it was at its end: once, whichever way it came about.
func TestEnded(t *testing.T) {
	for _, c := range []struct {
		kind, at, local string
		domain          int
		end             func(c, s *sock)
		peers           bool // the peer has ended it
	}{
		{"tcp4", addrB + ":80", addrA + ":5000", abi.AF_INET, func(c, s *sock) { c.Opt.Linger = 0; c.Close() }, false},
		{"tcp4", addrB + ":80", addrA + ":5000", abi.AF_INET, func(c, s *sock) { s.Opt.Linger = 0; s.Close() }, true},
		{"tcp6", "[" + addrB6 + "]:80", "[" + addrA6 + "]:5000", abi.AF_INET6, func(c, s *sock) { s.Close(); c.Close() }, false},
		{"tcp6", "[::ffff:" + addrB + "]:80", "[::ffff:" + addrA + "]:5000", abi.AF_INET6, func(c, s *sock) { s.Close(); c.Close() }, false},
	} {
		var told []socket.Info
		a, b := newPair(t, Config{Ended: func(in socket.Info) { told = append(told, in) }})
		l := b.open(c.kind).at(c.at)
		l.Listen(1)
		k := a.open(c.kind).at(c.local)
		k.Owner.Store(7)
		k.with(c.at)
		id := k.ID
		s := l.accept()
		k.send("data", "-")
		if s.text() != "data" || len(told) != 0 {
			t.Errorf("%s: told of %+v before the end", c.at, told)
		}
		c.end(k, s)
		a.clock.Advance(time.Second)
		if len(told) != 1 {
			t.Errorf("%s: told of %+v", c.at, told)
			continue
		}
		in := told[0]
		unmapped := func(s string) netip.AddrPort {
			p := addrport(s)
			return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
		}
		if in.ID != id || in.Owner != 7 || in.Domain != c.domain || in.Local.AddrPort() != unmapped(c.local) || in.Peer.AddrPort() != unmapped(c.at) || in.Detail == nil {
			t.Errorf("%s: told of %+v", c.at, in)
		}
		a.clock.Advance(2 * time.Minute)
		if len(told) != 1 {
			t.Errorf("%s: told of it %d times", c.at, len(told))
		}
	}

	// An attempt of a peer that came to nothing was no connection.
	var told []socket.Info
	a, b := newPair(t, Config{Ended: func(in socket.Info) { told = append(told, in) }})
	a.open("tcp4").at(addrA + ":80").Listen(1)
	a.cut = true
	b.open("tcp4").with(addrA + ":80").Close()
	a.clock.Advance(5 * time.Minute)
	if len(told) != 0 || a.connections() != 0 {
		t.Errorf("told of %+v", told)
	}
}

// What a list tells of sockets of datagrams: the bytes that have come and gone, those that wait, and which were dropped.
func TestDatagramsListed(t *testing.T) {
	a, b := newPair(t, Config{})
	s := a.open("udp4").at(addrA+":7").set(abi.SOL_SOCKET, abi.SO_RCVBUF, 1)
	d := b.open("udp4").at(addrB + ":9").with(addrA + ":7")
	s.send("12345", addrB+":9")
	for range 100 {
		d.send("123", "-")
	}
	list := a.listed()
	if len(list) != 1 || list[0].TxBytes != 5 || list[0].RxBytes == 0 || list[0].RxBytes%3 != 0 || list[0].RxBytes/3+list[0].Drops != 100 || list[0].RecvQ == 0 || list[0].Drops == 0 {
		t.Errorf("%+v", list)
	}
	if list = b.listed(); len(list) != 1 || list[0].TxBytes != 300 || list[0].RxBytes != 5 || list[0].State != socket.Established {
		t.Errorf("%+v", list)
	}
}

// A listener of one-to-one style has associations waiting, one of one-to-many style none.
func TestSCTPDiagListening(t *testing.T) {
	a, b := newPair(t, Config{})
	for kind, waiting := range map[string]int{"one4": 2, "many4": 0} {
		at := map[string]string{"one4": addrB + ":7", "many4": addrB + ":8"}[kind]
		l := b.listening(kind, at)
		l.Owner.Store(9)
		for range 2 {
			a.open("one4").with(at)
		}
		in := socket.Info{}
		b.do(func() { l.Proto.Describe(l.Socket, &in) })
		if in.State != socket.Listening || in.RecvQ != waiting || in.SendQ != 5 {
			t.Errorf("%s: %+v", kind, in)
		}
		b.do(func() {
			if own := b.st.SCTP().Owner(0, addrport(at), addrport(addrA+":1")); own != 9 {
				t.Errorf("%s: who comes there comes to %d", kind, own)
			}
			if own := b.st.SCTP().Owner(0, addrport(addrB+":1"), addrport(addrA+":1")); own != 0 {
				t.Errorf("where nobody listens: %d", own)
			}
		})
	}
	x := a.open("one4").at(addrA + ":5000").with(addrB + ":7")
	x.Owner.Store(4)
	a.do(func() {
		if own := a.st.SCTP().Owner(0, addrport(addrA+":5000"), addrport(addrB+":7")); own != 4 {
			t.Errorf("of an association: %d", own)
		}
	})
}

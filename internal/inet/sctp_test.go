package inet

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// listening returns a socket of SCTP that listens.
func (m *machine) listening(kind, at string) *sock {
	m.t.Helper()
	l := m.open(kind).at(at)
	if err := l.Listen(5); err != nil {
		m.t.Fatalf("listen: %v", err)
	}
	return l
}

// sctpPair returns the two ends of an association of one-to-one style.
func sctpPair(t testing.TB, a, b *machine) (x, y *sock) {
	t.Helper()
	return sctpPairAt(t, a, b, 7)
}

func sctpPairAt(t testing.TB, a, b *machine, port int) (x, y *sock) {
	t.Helper()
	at := fmt.Sprintf("%s:%d", addrB, port)
	l := b.listening("one4", at)
	x = a.open("one4").with(at)
	return x, l.accept()
}

// sndinfo is the control message SCTP_SNDINFO.
func sndinfo(v abi.SCTPSndinfo) []byte {
	return cmsg(abi.SOL_SCTP, abi.SCTP_SNDINFO, abi.AppendStruct(nil, &v))
}

// events subscribes to the notifications.
func (s *sock) events(types ...int) *sock {
	s.m.t.Helper()
	var v abi.SCTPEventSubscribe
	for _, n := range types {
		v[n-abi.SCTP_SN_TYPE_BASE] = 1
	}
	if err := s.SetOpt(abi.SOL_SCTP, abi.SCTP_EVENTS, v[:]); err != nil {
		s.m.t.Fatal(err)
	}
	return s
}

// told returns a notification in words: its type, and what of it tests look at.
func told(g got) string {
	var n abi.SCTPNotification
	b := []byte(g.data)
	switch {
	case g.err != nil:
		return name(g.err)
	case g.flags&abi.MSG_NOTIFICATION == 0:
		return fmt.Sprintf("%q", g.data)
	case abi.ParseStruct(b, &n) != nil || int(n.Length) != len(b) || g.flags&abi.MSG_EOR == 0:
		return fmt.Sprintf("a notification of %d bytes, flags %#x", len(b), g.flags)
	}
	switch n.Type {
	case abi.SCTP_ASSOC_CHANGE:
		var v abi.SCTPAssocChange
		abi.ParseStruct(b, &v)
		return fmt.Sprintf("assoc %d error %d streams %d/%d", v.State, v.Error, v.OutboundStreams, v.InboundStreams)
	case abi.SCTP_SHUTDOWN_EVENT:
		return "shutdown"
	case abi.SCTP_PEER_ADDR_CHANGE:
		var v abi.SCTPPaddrChange
		abi.ParseStruct(b, &v)
		return fmt.Sprintf("addr %v state %d", v.Addr, v.State)
	case abi.SCTP_SENDER_DRY_EVENT:
		return "dry"
	}
	return fmt.Sprintf("notification %#x", n.Type)
}

// Messages keep their bounds, streams and identifiers, both ways, over IPv4 and IPv6.
func TestSCTPMessages(t *testing.T) {
	for _, c := range []struct{ kind, at string }{
		{"one4", addrB + ":7"}, {"one6", "[" + addrB6 + "]:7"}, {"one6", "[::ffff:" + addrB + "]:7"},
	} {
		a, b := newPair(t, Config{})
		l := b.listening(c.kind, c.at)
		x := a.open(c.kind).with(c.at)
		if err := x.FinishConnect(); err != nil {
			t.Fatalf("%s: connect: %v", c.at, err)
		}
		y := l.accept()
		y.set(abi.SOL_SCTP, abi.SCTP_RECVRCVINFO, 1)
		for i, text := range []string{"one", "two", strings.Repeat("three", 4000)} {
			if err := x.send(text, "-", sndinfo(abi.SCTPSndinfo{SID: uint16(i), PPID: 100 + uint32(i)})); err != nil {
				t.Fatal(err)
			}
			var info abi.SCTPRcvinfo
			g := y.recv(0)
			if len(g.control) == 1 {
				abi.ParseStruct(g.control[0].Data, &info)
			}
			if g.data != text || g.flags != abi.MSG_EOR || info.SID != uint16(i) || info.PPID != 100+uint32(i) || info.AssocID == 0 {
				t.Errorf("%s: %d bytes, flags %#x, %+v, %v", c.at, len(g.data), g.flags, info, g.err)
			}
		}
		if err := y.send("back", "-"); err != nil {
			t.Fatal(err)
		}
		if g := x.recv(0); g.data != "back" || g.from != c.at {
			t.Errorf("%q from %s", g.data, g.from)
		}
		if x.remote() != c.at || y.local() != c.at {
			t.Errorf("names: %s, %s", x.remote(), y.local())
		}
	}
}

// A message is received in parts where the buffers are small; MSG_EOR comes with the last one, and
// MSG_PEEK takes nothing.
func TestSCTPParts(t *testing.T) {
	a, b := newPair(t, Config{})
	x, y := sctpPair(t, a, b)
	x.send("abcdef", "-")
	x.send("gh", "-")
	if g := y.recvInto(4, abi.MSG_PEEK); g.data != "abcd" || g.flags != 0 {
		t.Errorf("peeked %q, %#x", g.data, g.flags)
	}
	for _, c := range []struct {
		room  int
		data  string
		flags int
	}{{4, "abcd", 0}, {4, "ef", abi.MSG_EOR}, {2, "gh", abi.MSG_EOR}} {
		if g := y.recvInto(c.room, 0); g.data != c.data || g.flags != c.flags || g.err != nil {
			t.Errorf("%q, %#x, %v, want %q, %#x", g.data, g.flags, g.err, c.data, c.flags)
		}
	}
	if g := y.recv(0); g.err != syscall.EAGAIN {
		t.Errorf("then %q, %v", g.data, g.err)
	}
	if in, _ := y.Queued(false); in != 0 {
		t.Errorf("%d bytes to be read", in)
	}
}

// What poll says of a socket of one-to-one style, from the listener to the end (Linux, sctp_poll).
func TestSCTPPollOne(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("one4", addrB+":7")
	x := a.open("one4")
	if l.ready() != 0 || x.ready() != 0 {
		t.Errorf("at rest: %x, %x", l.ready(), x.ready())
	}
	x.with(addrB + ":7")
	if l.ready() != wait.In || x.ready() != wait.Out {
		t.Errorf("connected: %x, %x", l.ready(), x.ready())
	}
	y := l.accept()
	x.send("data", "-")
	if y.ready() != wait.In|wait.Out {
		t.Errorf("data: %x", y.ready())
	}
	if err := x.Shutdown(abi.SHUT_WR); err != nil {
		t.Error(err)
	}
	if y.ready() != wait.In|wait.Out|wait.RdHup {
		t.Errorf("shut down: %x", y.ready())
	}
	if got := y.text(); got != "data " {
		t.Errorf("received %q, and not data and the end", got)
	}
	if g := x.recv(0); g.err != syscall.EAGAIN {
		t.Errorf("the one who has shut down receives %q, %v", g.data, g.err)
	}
	if err := x.send("more", "-"); err != syscall.EPIPE {
		t.Errorf("and sends: %v", err)
	}
}

// Nobody listens: the attempt is refused, or ends for want of an answer.
func TestSCTPConnectFails(t *testing.T) {
	a, _ := newPair(t, Config{})
	x := a.open("one4").with(addrB + ":7")
	if err := x.FinishConnect(); err != syscall.ECONNREFUSED {
		t.Errorf("%v, want ECONNREFUSED", err)
	}
	if got := x.get(abi.SOL_SOCKET, abi.SO_ERROR); got != int(syscall.ECONNREFUSED) {
		t.Errorf("SO_ERROR %d", got)
	}
	a.cut = true
	y := a.open("one4").with(addrB + ":7")
	if err := y.FinishConnect(); err != syscall.EALREADY {
		t.Errorf("under way: %v", err)
	}
	if err := y.connect(addrB + ":7"); err != syscall.EALREADY {
		t.Errorf("once more: %v", err)
	}
	a.clock.Advance(10 * time.Minute)
	if err := y.FinishConnect(); err != syscall.ETIMEDOUT {
		t.Errorf("%v, want ETIMEDOUT", err)
	}
	for _, c := range []struct {
		to   string
		want error
	}{
		{"", syscall.EOPNOTSUPP}, {"0.0.0.0:7", syscall.EINVAL}, {"224.0.0.1:7", syscall.EINVAL},
		{"255.255.255.255:7", syscall.EINVAL}, {"[" + addrB6 + "]:7", syscall.EINVAL},
	} {
		if err := a.open("one4").connect(c.to); err != c.want {
			t.Errorf("connect to %q: %v, want %v", c.to, err, c.want)
		}
	}
}

// A socket of one-to-many style has associations with whoever writes, opens one with the first
// message, and tells whose a message is.
func TestSCTPMany(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("many4", addrB+":7").events(abi.SCTP_ASSOC_CHANGE, abi.SCTP_SHUTDOWN_EVENT)
	l.set(abi.SOL_SCTP, abi.SCTP_RECVRCVINFO, 1)
	var ids []int32
	var clients []*sock
	for i := range 2 {
		x := a.open("many4").at(fmt.Sprintf("%s:%d", addrA, 5000+i))
		if err := x.send("hello", addrB+":7"); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, x)
		if got := told(l.recv(0)); got != "assoc 0 error 0 streams 10/10" {
			t.Errorf("told %s", got)
		}
		g := l.recv(0)
		var info abi.SCTPRcvinfo
		if len(g.control) == 1 {
			abi.ParseStruct(g.control[0].Data, &info)
		}
		if g.data != "hello" || g.from != fmt.Sprintf("%s:%d", addrA, 5000+i) {
			t.Errorf("%q from %s, %v", g.data, g.from, g.err)
		}
		ids = append(ids, info.AssocID)
	}
	if ids[0] == ids[1] || ids[0] < 3 {
		t.Errorf("associations %v", ids)
	}
	if l.get(abi.SOL_SCTP, abi.SCTP_GET_ASSOC_NUMBER) != 2 {
		t.Error("not two associations")
	}
	// By address, and by number.
	if err := l.send("by address", addrA+":5000"); err != nil {
		t.Error(err)
	}
	if err := l.send("by number", "-", sndinfo(abi.SCTPSndinfo{AssocID: ids[1]})); err != nil {
		t.Error(err)
	}
	if err := l.send("by neither", "-"); err != syscall.EPIPE {
		t.Errorf("by neither: %v", err)
	}
	if clients[0].text() != "by address" || clients[1].text() != "by number" {
		t.Error("messages went elsewhere")
	}
	// An association ends by SCTP_EOF, with a notification on either side.
	clients[0].events(abi.SCTP_ASSOC_CHANGE)
	if err := clients[0].send("", addrB+":7", sndinfo(abi.SCTPSndinfo{Flags: abi.SCTP_EOF})); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"shutdown", "assoc 3 error 0 streams 0/0"} {
		if got := told(l.recv(0)); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	if got := told(clients[0].recv(0)); got != "assoc 3 error 0 streams 0/0" {
		t.Errorf("the other end is told %s", got)
	}
	// And by SCTP_ABORT, whose reason comes with the notification.
	if err := clients[1].send("why", addrB+":7", sndinfo(abi.SCTPSndinfo{Flags: abi.SCTP_ABORT})); err != nil && err.Error() != "0 bytes of 3 were sent" {
		t.Error(err)
	}
	g := l.recv(0)
	var lost abi.SCTPAssocChange
	if abi.ParseStruct([]byte(g.data), &lost) != nil || lost.State != abi.SCTP_COMM_LOST || lost.AssocID != ids[1] || !strings.Contains(g.data, "why") {
		t.Errorf("lost: %+v of %q", lost, g.data)
	}
	if l.get(abi.SOL_SCTP, abi.SCTP_GET_ASSOC_NUMBER) != 0 {
		t.Error("associations are left")
	}
}

// An association that is peeled off takes what was not read with it.
func TestSCTPPeel(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("many4", addrB+":7")
	x, y := a.open("many4").at(addrA+":5000"), a.open("many4").at(addrA+":5001")
	x.send("x1", addrB+":7")
	y.send("y1", addrB+":7")
	x.send("x2", addrB+":7")
	var status abi.SCTPPaddrinfo
	v := abi.AppendStruct(nil, &abi.SCTPPaddrinfo{Address: x.sockaddr(addrA + ":5000")})
	if _, err := l.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_PEER_ADDR_INFO, v); err != nil {
		t.Fatal(err)
	}
	abi.ParseStruct(v, &status)
	n, err := l.Peel(status.AssocID)
	if err != nil {
		t.Fatal(err)
	}
	peeled := &sock{n, b}
	n.SetNonblock(true)
	if got := peeled.text(); got != "x1 x2" {
		t.Errorf("the peeled one has %q", got)
	}
	if got := l.text(); got != "y1" {
		t.Errorf("the other one has %q", got)
	}
	if peeled.remote() != addrA+":5000" {
		t.Errorf("its peer is %s", peeled.remote())
	}
	if err := peeled.send("back", "-"); err != nil || x.text() != "back" {
		t.Errorf("back: %v", err)
	}
	if _, err := peeled.Peel(status.AssocID); err != syscall.EINVAL {
		t.Errorf("peeled twice: %v", err)
	}
	if err := peeled.Listen(1); err != syscall.EINVAL {
		t.Errorf("it listens: %v", err)
	}
}

// A message that is given up, of which parts were to be read behind others, does not move what was told before it.
func TestSCTPAbortedBehindTold(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("one4", addrB+":7").set(abi.SOL_SCTP, abi.SCTP_PARTIAL_DELIVERY_POINT, 1000)
	x := a.open("one4").with(addrB+":7").set(abi.SOL_SCTP, abi.SCTP_NODELAY, 1).set(abi.SOL_SOCKET, abi.SO_SNDBUF, 1<<20)
	y := l.accept()
	x.sends(0, 3)
	y.events(abi.SCTP_SENDER_DRY_EVENT, abi.SCTP_PARTIAL_DELIVERY_EVENT) // the first is told at once
	x.sends(3, 2)
	if err := x.send(strings.Repeat("long", 100000), "-"); err != nil {
		t.Fatal(err)
	}
	b.must(x.SetOpt(abi.SOL_SOCKET, abi.SO_LINGER, abi.AppendLinger(nil, abi.Linger{On: true})))
	x.Close()
	var all []string
	for g := y.recv(0); g.err == nil; g = y.recv(0) {
		all = append(all, told(g))
	}
	if want := []string{"notification 0x8006", `"0"`, `"1"`, `"2"`, "dry", `"3"`, `"4"`}; !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

// Close sends SHUTDOWN; ABORT where something was not read, or SO_LINGER says so.
func TestSCTPClose(t *testing.T) {
	for _, c := range []struct {
		how  string
		do   func(x, y *sock)
		want string
	}{
		{"in order", func(x, y *sock) { x.Close() }, ""},
		{"with data on its way", func(x, y *sock) { x.send("last", "-"); x.Close() }, "last "},
		{"unread data", func(x, y *sock) { y.send("unread", "-"); x.Close() }, "ECONNRESET"},
		{"SO_LINGER", func(x, y *sock) {
			x.SetOpt(abi.SOL_SOCKET, abi.SO_LINGER, abi.AppendLinger(nil, abi.Linger{On: true}))
			x.Close()
		}, "ECONNRESET"},
	} {
		a, b := newPair(t, Config{})
		x, y := sctpPair(t, a, b)
		c.do(x, y)
		if got := y.text(); got != c.want {
			t.Errorf("%s: the peer receives %q, want %q", c.how, got, c.want)
		}
		var left int
		a.do(func() { left = len(a.st.sctp.byID) + a.st.sctp.assocs.n })
		if left != 0 {
			t.Errorf("%s: %d entries are left", c.how, left)
		}
	}
}

// Whom a port belongs to, with SO_REUSEADDR and several addresses.
func TestSCTPPorts(t *testing.T) {
	a, _ := newPair(t, Config{})
	try := func(s *sock, addr string, want error) {
		t.Helper()
		if err := s.bind(addr); err != want {
			t.Errorf("bind %s: %v, want %v", addr, err, want)
		}
	}
	first := a.open("one4").at(addrA + ":7")
	try(first, addrA+":8", syscall.EINVAL)
	try(a.open("many4"), addrA+":7", syscall.EADDRINUSE)
	try(a.open("one4"), "0.0.0.0:7", syscall.EADDRINUSE)
	try(a.open("one4"), "127.0.0.1:7", nil)
	try(a.open("one4"), "192.0.2.9:7", syscall.EADDRNOTAVAIL)
	try(a.open("one4"), "224.0.0.1:7", syscall.EADDRNOTAVAIL)

	more := func(s *sock, opt int, addrs ...string) error {
		var v []byte
		for _, x := range addrs {
			v = abi.AppendAddr(v, s.sockaddr(x))
		}
		return s.SetOpt(abi.SOL_SCTP, opt, v)
	}
	s := a.open("one4").at(addrA + ":9")
	for _, c := range []struct {
		opt   int
		addrs []string
		want  error
	}{
		{abi.SCTP_SOCKOPT_BINDX_REM, []string{addrA + ":9"}, syscall.EBUSY},
		{abi.SCTP_SOCKOPT_BINDX_ADD, []string{"127.0.0.1:10"}, syscall.EINVAL},
		{abi.SCTP_SOCKOPT_BINDX_ADD, []string{"127.0.0.1:0", "127.0.0.2:9"}, nil},
		{abi.SCTP_SOCKOPT_BINDX_ADD, []string{"127.0.0.1:9"}, syscall.EINVAL},
		{abi.SCTP_SOCKOPT_BINDX_ADD, []string{"127.0.0.3:9", "127.0.0.3:9"}, syscall.EINVAL},
		{abi.SCTP_SOCKOPT_BINDX_REM, []string{addrA + ":9"}, nil},
		{abi.SCTP_SOCKOPT_BINDX_REM, []string{addrA + ":9"}, syscall.EINVAL},
		{abi.SCTP_SOCKOPT_BINDX_ADD, nil, syscall.EINVAL},
	} {
		if err := more(s, c.opt, c.addrs...); err != c.want {
			t.Errorf("option %d of %v: %v, want %v", c.opt, c.addrs, err, c.want)
		}
	}
	v := make([]byte, 200)
	n, err := s.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_LOCAL_ADDRS, v)
	var head abi.SCTPGetaddrs
	abi.ParseStruct(v, &head)
	if err != nil || head.AddrNum != 2 || n != 2*abi.SizeofInet {
		t.Errorf("%d addresses in %d bytes, %v", head.AddrNum, n, err)
	}
	if _, err := s.GetOpt(abi.SOL_SCTP, abi.SCTP_GET_LOCAL_ADDRS, v[:20]); err != syscall.ENOMEM {
		t.Errorf("in 20 bytes: %v", err)
	}
	s.Close()
	try(a.open("one4"), "127.0.0.2:9", nil)
}

// A message that opens an association is sent once that is made, and the call that waits returns then.
func TestSCTPImplicit(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.listening("many4", addrB+":7")
	x := a.open("one4")
	init := cmsg(abi.SOL_SCTP, abi.SCTP_INIT, abi.AppendStruct(nil, &abi.SCTPInitmsg{NumOstreams: 3}))
	if err := x.send("first", addrB+":7", init, sndinfo(abi.SCTPSndinfo{SID: 2})); err != nil {
		t.Fatal(err)
	}
	if got := l.text(); got != "first" {
		t.Errorf("received %q", got)
	}
	if err := x.send("second", "-", sndinfo(abi.SCTPSndinfo{SID: 3})); err != syscall.EINVAL {
		t.Errorf("a stream that there is not: %v", err)
	}
	if err := x.send("other", addrB+":8"); err != syscall.EADDRNOTAVAIL {
		t.Errorf("another peer: %v", err)
	}
	var m socket.Msg
	if _, err := x.Send(noContext, nil, &m); err != syscall.EINVAL {
		t.Errorf("nothing: %v", err)
	}
	if _, err := x.Send(noContext, make([]byte, 300000), &m); err != syscall.EMSGSIZE {
		t.Errorf("more than the buffer: %v", err)
	}
}

// Each packet is counted once, on both sides of the wire.
func TestSCTPPacketsCounted(t *testing.T) {
	a, b := newPair(t, Config{})
	x, y := sctpPair(t, a, b)
	x.send("hello", "-")
	if g := y.recv(0); g.data != "hello" {
		t.Fatalf("%q, %v", g.data, g.err)
	}
	for _, m := range []*machine{a, b} {
		sent, came := m.st.sctp.cfg.Counters.OutPackets, m.to.st.sctp.cfg.Counters.InPackets
		if n := uint64(len(m.sent)); n == 0 || sent != n || came != n {
			t.Errorf("%d packets on the wire, %d sent, %d received", n, sent, came)
		}
	}
}

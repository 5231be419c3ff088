package inet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
	"usock/trace"
)

// Who watches a socket is told of each change, once (epoll(7), EPOLLET): of what comes, of room, of errors
// and of the ends of directions, also of those that the program itself brings about.
func TestNotifies(t *testing.T) {
	const in, out, pri, err, hup, rdhup = wait.In, wait.Out, wait.Pri, wait.Err, wait.Hup, wait.RdHup
	type step struct {
		what string
		do   func()
		want wait.Events // 0: not told
	}
	watch := func(t *testing.T, s *sock, steps []step) {
		t.Helper()
		set := socket.NewPollSet(s.m.h)
		defer set.Close()
		if e := set.Add(s.Socket, in|out|pri|rdhup|socket.EdgeTriggered, nil); e != nil {
			t.Fatal(e)
		}
		events := func() (ev wait.Events) {
			list := make([]socket.Event, 4)
			n, _ := set.Wait(noContext, list)
			for _, x := range list[:n] {
				ev |= x.Events
			}
			return ev
		}
		events()
		for _, x := range steps {
			x.do()
			if got := events(); got != x.want {
				t.Errorf("%s: told of %#x, want %#x", x.what, got, x.want)
			}
			if got := events(); got != 0 {
				t.Errorf("%s: told of %#x again", x.what, got)
			}
		}
	}

	a, b := newPair(t, Config{})
	u, s := a.open("udp4").at(addrA+":7").set(abi.SOL_IP, abi.IP_RECVERR, 1), b.open("udp4").at(addrB+":9")
	watch(t, u, []step{
		{"a datagram", func() { s.send("x", addrA+":7") }, in | out},
		{"another", func() { s.send("y", addrA+":7") }, in | out},
		{"all received", func() { u.text() }, 0},
		{"an error", func() { u.send("x", addrB+":10") }, out | err},
		{"it is taken", func() { u.recv(abi.MSG_ERRQUEUE) }, 0},
		{"connected", func() { u.with(addrB + ":9") }, out},
		{"reading is shut", func() { u.Shutdown(abi.SHUT_RD) }, in | out | rdhup},
		{"both are shut", func() { u.Shutdown(abi.SHUT_WR) }, in | out | rdhup | hup},
	})

	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	var c, d *sock
	watch(t, l, []step{
		{"a connection", func() { c = a.open("tcp4").with(addrB + ":80") }, in},
		{"it is taken", func() { d = l.accept() }, 0},
		{"listening is ended", func() { l.Shutdown(abi.SHUT_RD) }, out | hup},
	})
	watch(t, c, []step{
		{"data", func() { d.send("x", "-") }, in | out},
		{"it is received", func() { c.text() }, 0},
		{"urgent data", func() { d.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB}) }, out | pri},
		{"it is received", func() { c.recv(abi.MSG_OOB) }, 0},
		{"no room is left", func() { c.set(abi.SOL_SOCKET, abi.SO_SNDBUF, 5000); a.cut = true; c.fill() }, 0},
		{"room", func() { a.cut = false; a.clock.Advance(3 * time.Second); d.text(); a.clock.Advance(3 * time.Second) }, out},
		{"the peer's end", func() { d.Shutdown(abi.SHUT_WR) }, in | out | rdhup},
		{"its own end", func() { c.Shutdown(abi.SHUT_WR) }, in | out | rdhup | hup},
	})

	a, b = newPair(t, Config{})
	b.cut = true
	c = a.open("tcp4")
	watch(t, c, []step{
		{"an attempt begins", func() { c.with(addrB + ":80") }, 0},
		{"it is refused", func() { b.cut = false; a.clock.Advance(2 * time.Second) }, in | out | err | hup | rdhup},
		{"that is told", func() { c.connect(addrB + ":80") }, 0},
	})
	c, d = joined(t, a, b, addrB+":81")
	watch(t, c, []step{{"a reset", func() { d.Opt.Linger = 0; d.Close() }, in | out | err | hup | rdhup}})
	c, _ = joined(t, a, b, addrB+":82")
	watch(t, c, []step{
		{"reading is shut", func() { c.Shutdown(abi.SHUT_RD) }, in | out | rdhup},
		{"disconnected", func() { c.connect("") }, out | err | hup},
	})
	b.cut = true
	c = a.open("tcp4").with(addrB + ":83")
	watch(t, c, []step{{"an attempt is shut", func() { c.Shutdown(abi.SHUT_WR) }, out | err | hup}})
	fresh := a.open("tcp4")
	watch(t, fresh, []step{{"one that was never connected", func() { fresh.Shutdown(abi.SHUT_RDWR) }, in | out | hup | rdhup}})
}

// fill sends until there is no room.
func (s *sock) fill() {
	for s.send(strings.Repeat("x", 1000), "-") == nil {
	}
}

// Dissolving a connection resets it, keeps what bind has named and what options say, and the socket can be
// used again (connect(2); Linux, tcp_disconnect).
func TestStreamDisconnect(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      string
		pending string
		then    string // the local address
		do      func(c, d *sock)
	}{
		{"connected", "", "ECONNRESET", "0.0.0.0:PORT", func(c, d *sock) {}},
		{"bound to an address", addrA + ":5000", "ECONNRESET", addrA + ":5000", func(c, d *sock) {}},
		{"bound to a port", "0.0.0.0:5000", "ECONNRESET", "0.0.0.0:5000", func(c, d *sock) {}},
		{"the peer has closed", addrA + ":5000", "ECONNRESET", addrA + ":5000", func(c, d *sock) { d.Close() }},
		{"both have closed", addrA + ":5000", "EAGAIN", addrA + ":5000", func(c, d *sock) { d.Shutdown(abi.SHUT_WR); c.Shutdown(abi.SHUT_WR) }},
	} {
		a, b := newPair(t, Config{})
		l := b.open("tcp4").at(addrB + ":80")
		l.Listen(5)
		s := a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).set(abi.SOL_TCP, abi.TCP_KEEPIDLE, 33).set(abi.SOL_TCP, abi.TCP_NODELAY, 1)
		if c.at != "" {
			s.at(c.at)
		}
		s.with(addrB + ":80")
		d := l.accept()
		c.do(s, d)
		port := s.port()
		if err := s.connect(""); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if want := strings.Replace(c.then, "PORT", fmt.Sprint(port), 1); s.local() != want || s.remote() != "ENOTCONN" || s.state() != "UNCONN" {
			t.Errorf("%s: %s, %s, %s", c.name, s.local(), s.remote(), s.state())
		}
		if g := s.recv(0); name(g.err) != c.pending && !(c.pending == "EAGAIN" && name(g.err) == "ENOTCONN") {
			t.Errorf("%s: %v is pending, want %s", c.name, g.err, c.pending)
		}
		if c.pending == "ECONNRESET" && !d.isClosed() && d.recv(0).err != syscall.ECONNRESET {
			t.Errorf("%s: the peer is not told", c.name)
		}
		if s.get(abi.SOL_TCP, abi.TCP_KEEPIDLE) != 33 || s.get(abi.SOL_TCP, abi.TCP_NODELAY) != 1 {
			t.Errorf("%s: options are lost", c.name)
		}
		if n := a.st.tcp.ports.buckets.n; (n == 0) != (c.at == "") {
			t.Errorf("%s: %d ports are bound", c.name, n)
		}
		a.clock.Advance(2 * time.Second)
		s.with(addrB + ":80")
		if n := l.accept(); s.send("again", "-") != nil || n.text() != "again" {
			t.Errorf("%s: not connected again", c.name)
		}
	}
}

// isClosed is Closed for those who do not hold the lock.
func (s *sock) isClosed() (closed bool) {
	s.m.do(func() { closed = s.Closed() })
	return closed
}

// A receive that may wait does so for SO_RCVLOWAT, and for all that it asks for where it says so; not
// where no more comes (tcp(7); Linux, tcp_recvmsg_locked).
func TestStreamAwaits(t *testing.T) {
	fin := func(_, d *sock) { d.Shutdown(abi.SHUT_WR) }
	for _, c := range []struct {
		name     string
		low      int
		room     int
		flags    int
		do       func(k, d *sock)
		nonblock bool
		waits    bool
		want     string // of the four bytes that are there, and of five that come later
	}{
		{"what is there", 1, 9, 0, nil, false, false, "data"}, {"more than is there", 5, 9, 0, nil, false, true, "dataxyz12"}, {"as much as is there", 4, 9, 0, nil, false, false, "data"}, {"no more than there is room for", 5, 3, 0, nil, false, false, "dat"},
		{"all, looking", 1, 6, abi.MSG_PEEK | abi.MSG_WAITALL, nil, false, true, "dataxy"}, {"all that is there, looking", 1, 4, abi.MSG_PEEK | abi.MSG_WAITALL, nil, false, false, "data"}, {"looking", 1, 9, abi.MSG_PEEK, nil, false, false, "data"}, {"all", 1, 6, abi.MSG_WAITALL, nil, false, true, "dataxy"},
		{"more, without waiting", 5, 9, abi.MSG_DONTWAIT, nil, false, false, "data"}, {"more, non-blocking", 5, 9, 0, nil, true, false, "data"}, {"all, without waiting", 1, 6, abi.MSG_WAITALL | abi.MSG_DONTWAIT, nil, false, false, "data"},
		{"more, at the end", 5, 9, 0, fin, false, false, "data"}, {"all, at the end", 1, 9, abi.MSG_WAITALL, fin, false, false, "data"}, {"all, looking, at the end", 1, 9, abi.MSG_PEEK | abi.MSG_WAITALL, fin, false, false, "data"},
		{"more, with an error", 5, 9, 0, func(k, _ *sock) { k.m.do(func() { k.SetErr(syscall.EPIPE) }) }, false, false, "data"},
		{"more, behind a reset", 5, 9, 0, func(_, d *sock) { d.Opt.Linger = 0; d.Close() }, false, false, "data"},
		{"more, with urgent data", 6, 9, 0, func(_, d *sock) { d.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB}) }, false, false, "data"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b := newPair(t, Config{})
			k, d := joined(t, a, b, addrB+":80")
			k.set(abi.SOL_SOCKET, abi.SO_RCVLOWAT, c.low)
			d.send("data", "-")
			if c.do != nil {
				c.do(k, d)
			}
			k.SetNonblock(c.nonblock)
			defer k.SetNonblock(true)
			got := make(chan string, 1)
			go func() {
				text := make([]byte, c.room)
				n, err := k.Recv(noContext, text, &socket.Msg{Flags: c.flags})
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				got <- string(text[:n])
			}()
			synctest.Wait()
			if waits := len(got) == 0; waits != c.waits {
				t.Errorf("%s: waits %v", c.name, waits)
			}
			if c.waits {
				a.clock.Advance(time.Second) // what came is acknowledged, and Nagle's algorithm lets more out
				d.send("xyz12", "-")
			}
			if synctest.Wait(); len(got) == 0 {
				k.Close()
			}
			if s := <-got; s != c.want {
				t.Errorf("%s: %q, want %q", c.name, s, c.want)
			}
		})
	}
}

// What lists tell of sockets, and of connections that have none (ss(8)).
func TestList(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("tcp6").at("[::]:80")
	l.Listen(5)
	only := a.open("udp6").set(abi.SOL_IPV6, abi.IPV6_V6ONLY, 1).at("[::]:53")
	u := a.open("udp4").at(addrA + ":54").with(addrB + ":7")
	p := a.open("ping4").at(addrA + ":9")
	r := a.open("raw4:99").at(addrA + ":0")
	c := a.open("tcp6").at("[" + addrA6 + "]:5000").with("[" + addrB6 + "]:80")
	c.Owner.Store(7)
	d := l.accept()
	d.send("data", "-")
	old := a.open("tcp4").at(addrA + ":5001").with(addrB + ":80")
	old.Owner.Store(8)
	old.Close()
	for _, s := range []*sock{u, p, r} {
		s.Owner.Store(6)
	}
	var all []socket.Info
	a.do(func() { all = a.st.Sockets() })
	var got []string
	for _, in := range all {
		x := fmt.Sprintf("%s %s %v %v own%d dom%d %v", in.Kind.Name, in.State, in.Local, in.Peer, in.Owner, in.Domain, in.V6Only)
		if info, ok := in.Detail.(*tcp.Info); ok {
			x += fmt.Sprintf(" q%d/%d %s pmtu%d", in.RecvQ, in.SendQ, in.Congestion, info.PMTU)
		}
		got = append(got, x)
	}
	slices.Sort(got)
	want := []string{
		"icmp UNCONN 10.0.0.1:9 unspec own6 dom2 false",
		"raw UNCONN 10.0.0.1:99 unspec own6 dom2 false",
		"tcp ESTAB [2001:db8::1]:5000 [2001:db8::2]:80 own7 dom10 true q4/0 cubic pmtu1500",
		"tcp FIN-WAIT-2 10.0.0.1:5001 10.0.0.2:80 own8 dom2 false q0/0 cubic pmtu1500",
		"udp ESTAB 10.0.0.1:54 10.0.0.2:7 own6 dom2 false",
		"udp UNCONN [::]:53 unspec own0 dom10 true",
	}
	a.clock.Advance(time.Second)
	a.do(func() { all = a.st.Sockets() })
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range got {
		if got[i] != want[i] && strings.Replace(got[i], "FIN-WAIT-1", "FIN-WAIT-2", 1) != strings.Replace(want[i], "q0/0", "q0/1", 1) {
			t.Errorf("%s, want %s", got[i], want[i])
		}
	}
	for _, s := range []*sock{only, u, p, r, c} {
		s.Close()
	}
	d.Close()
	a.do(func() {
		for _, in := range a.st.Sockets() {
			if in.State != "TIME-WAIT" && in.Owner != 8 && in.Owner != 7 {
				t.Errorf("a closed socket is listed: %+v", in)
			}
		}
	})
}

// Events of datagrams: what was sent, received and dropped, why, of which socket and program.
func TestDatagramEvents(t *testing.T) {
	a, b := newPair(t, Config{})
	var got []string
	stop := b.h.Trace(func(list []trace.Event) {
		for _, e := range list {
			if e.Kind != trace.Called {
				got = append(got, fmt.Sprintf("%v why%v len%d sock%d own%d proto%d %v %v %s", e.Kind, e.Why, e.Len, e.Socket, e.Owner, e.Protocol, e.Local, e.Peer, e.Err))
			}
		}
	})
	defer stop()
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", what, got, want)
		}
		got = nil
	}
	line := func(kind trace.Kind, why trace.Why, n int, s *sock, proto int, local, peer, err string) string {
		id, own := uint64(0), int32(0)
		if s != nil {
			id, own = s.ID, s.Owner.Load()
		}
		return fmt.Sprintf("%v why%v len%d sock%d own%d proto%d %v %v %s", kind, why, n, id, own, proto, local, peer, err)
	}
	s := a.open("udp4").at(addrA + ":5000")
	r := b.open("udp4").at(addrB + ":7")
	r.Owner.Store(7)
	s.send("data", addrB+":7")
	expect("received", line(trace.Received, 0, 4, r, 17, addrB+":7", addrA+":5000", ""))
	r.send("answer", addrA+":5000")
	expect("sent", line(trace.Sent, 0, 6, r, 17, addrB+":7", addrA+":5000", ""))
	s.send("data", addrB+":8")
	expect("to nobody", line(trace.Dropped, trace.NoSocket, 4, nil, 17, addrB+":8", addrA+":5000", ""))
	r.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 0, 0, 0, 0})
	s.send("out", addrB+":7")
	expect("filtered", line(trace.Dropped, trace.ByFilter, 3, r, 17, addrB+":7", addrA+":5000", ""))
	r.SetOpt(abi.SOL_SOCKET, abi.SO_DETACH_FILTER, ints(0))
	bad := whole(addrA, addrB, 17, []byte{5000 >> 8, 5000 & 0xff, 0, 7, 0, 12, 9, 9, 'd', 'a', 't', 'a'})
	b.arrive(bad)
	expect("checksum", line(trace.Dropped, trace.BadChecksum, 4, nil, 17, addrB+":7", addrA+":5000", ""))
	b.arrive(whole(addrA, addrB, 17, []byte{1, 2, 3}))
	expect("too short", line(trace.Dropped, trace.BadChecksum, 0, nil, 17, addrB+":0", addrA+":0", ""))
	r.set(abi.SOL_SOCKET, abi.SO_RCVBUF, 0)
	s.send(strings.Repeat("x", 1400), addrB+":7")
	s.send(strings.Repeat("x", 1400), addrB+":7")
	expect("full", line(trace.Dropped, trace.NoRoom, 1400, r, 17, addrB+":7", addrA+":5000", ""), line(trace.Dropped, trace.NoRoom, 1400, r, 17, addrB+":7", addrA+":5000", ""))
	r.send("refused", addrA+":9")
	expect("refused", line(trace.Sent, 0, 7, r, 17, addrB+":7", addrA+":9", ""), line(trace.Refused, 0, 0, r, 17, addrB+":7", addrA+":9", syscall.ECONNREFUSED.Error()))
	raw := b.open("raw4:99")
	b.arrive(whole(addrA, addrB, 99, []byte("raw")))
	expect("raw", line(trace.Received, 0, 23, raw, 99, addrB+":99", addrA+":0", ""))
	raw.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 0, 0, 0, 0})
	b.arrive(whole(addrA, addrB, 99, []byte("raw")))
	expect("raw, filtered", line(trace.Dropped, trace.ByFilter, 23, raw, 99, addrB+":99", addrA+":0", ""))
}

// Segments' events say whose they are.
func TestStreamEvents(t *testing.T) {
	a, b := newPair(t, Config{})
	var all []trace.Event
	stop := a.h.Trace(func(list []trace.Event) { all = append(all, list...) })
	defer stop()
	b.open("tcp4").at(addrB + ":80").Listen(1)
	c := a.open("tcp4")
	c.Owner.Store(7)
	c.with(addrB + ":80")
	c.send("data", "-")
	n := 0
	for _, e := range all {
		if e.Kind == trace.Called {
			continue
		}
		if n++; e.Protocol != abi.IPPROTO_TCP || e.Owner != 7 || e.Socket != c.ID || e.Local.String() != c.local() || e.Peer != addrport(addrB+":80") || e.Time != time.Hour {
			t.Errorf("%+v", e)
		}
	}
	if n < 4 {
		t.Errorf("%d events", n)
	}
}

// What a filter sees besides the bytes: the protocol, to whom the packet was, the interface and its type,
// where the payload begins; and the headers in front (socket(7); include/uapi/linux/filter.h).
func TestFilterSees(t *testing.T) {
	const ad, net, link = 0xfffff000, 0xfff00000, 0xffe00000
	equal := func(code uint16, at, want uint32) (b []byte) {
		for _, i := range []struct {
			code   uint16
			jt, jf byte
			k      uint32
		}{{code, 0, 0, at}, {0x15, 0, 1, want}, {6, 0, 0, 0xffffffff}, {6, 0, 0, 0}} {
			b = binary.NativeEndian.AppendUint16(b, i.code)
			b = binary.NativeEndian.AppendUint32(append(b, i.jt, i.jf), i.k)
		}
		return b
	}
	const word, half, octet = 0x20, 0x28, 0x30
	for _, c := range []struct {
		name     string
		kind, to string
		code     uint16
		at, want uint32
	}{
		{"the protocol", "udp4", addrB, word, ad + 0, etherIPv4}, {"the protocol of IPv6", "udp6", addrB6, word, ad + 0, etherIPv6}, {"to this host", "udp4", addrB, word, ad + 4, packetHost}, {"to all", "udp4", "10.0.0.255", word, ad + 4, packetBroadcast}, {"to a group", "udp4", "224.0.0.1", word, ad + 4, packetMulticast},
		{"the interface", "udp4", addrB, word, ad + 8, 2}, {"its type", "udp4", addrB, word, ad + 28, arphrdNone}, {"where the payload begins", "udp4", addrB, word, ad + 52, 8},
		{"the port", "udp4", addrB, half, 2, 7}, {"the payload", "udp4", addrB, octet, 8, 'd'}, {"the last byte", "udp4", addrB, octet, 11, 'a'}, {"the IP header", "udp4", addrB, octet, net + 9, 17}, {"the IPv6 header", "udp6", addrB6, octet, net + 6, 17},
		{"loopback's type", "udp4", "127.0.0.1", word, ad + 28, arphrdLoopback}, {"to this host, on loopback", "udp4", "127.0.0.1", word, ad + 4, packetHost}, {"loopback's header", "udp4", "127.0.0.1", half, link + 12, etherIPv4}, {"loopback's header of IPv6", "udp6", "::1", half, link + 12, etherIPv6},
	} {
		for _, off := range []uint32{0, 1} {
			a, b := newPair(t, Config{})
			if addr(c.to).IsLoopback() {
				a = b
			}
			at, to := "0.0.0.0:7", c.to+":7"
			if c.kind == "udp6" {
				at, to = "[::]:7", "["+c.to+"]:7"
			}
			r := b.open(c.kind).at(at)
			if err := r.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, equal(c.code, c.at, c.want+off)); err != nil {
				t.Fatal(c.name, err)
			}
			s := a.open(c.kind).set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1)
			if !addr(c.to).IsLoopback() {
				s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2)
			}
			if err := s.send("data", to); err != nil {
				t.Fatal(c.name, err)
			}
			if got := r.text(); (got == "data") != (off == 0) {
				t.Errorf("%s, %d beside it: %q", c.name, off, got)
			}
		}
	}
	// The payload of TCP begins behind its options; that of what is not known at once.
	tcpHeader := make([]byte, 40)
	for words := byte(5); words <= 10; words++ {
		tcpHeader[12] = words << 4
		if got := payloadAt(6, tcpHeader); got != int(words)*4 {
			t.Errorf("%d words: %d", words, got)
		}
	}
	for _, c := range []struct {
		proto uint8
		n     int
		want  int
	}{{6, 12, 0}, {6, 13, 20}, {17, 0, 8}, {1, 0, 8}, {58, 0, 8}, {99, 40, 0}} {
		if got := payloadAt(c.proto, make([]byte, c.n)); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	// A stream's filter, also one of a listener, sees each segment.
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	l.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, equal(half, 2, 81))
	if a.open("tcp4").with(addrB+":80").state() != "SYN-SENT" {
		t.Error("a SYN passes the listener's filter")
	}
	l.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, equal(half, 2, 80))
	c := a.open("tcp4").with(addrB + ":80")
	d := l.accept()
	d.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, equal(half, 2, 81))
	if c.send("x", "-"); d.text() != "" {
		t.Error("a segment passes the connection's filter")
	}
}

// Shutting a datagram socket down: which calls end, and that one without peer is told so, though it is done
// (Linux, inet_shutdown).
func TestDatagramShutdown(t *testing.T) {
	for _, kind := range []string{"udp4", "ping4", "raw4:99"} {
		for how, want := range []wait.Events{wait.In | wait.Out | wait.RdHup, wait.Out, wait.In | wait.Out | wait.RdHup | wait.Hup} {
			a, _ := newPair(t, Config{})
			s := a.open(kind)
			if err := s.Shutdown(how); err != syscall.ENOTCONN || s.ready() != want {
				t.Errorf("%s: %v, ready for %#x, want %#x", kind, err, s.ready(), want)
			}
			if err := a.open(kind).with(addrB + ":7").Shutdown(how); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			// Only a call that would wait learns of the end.
			s.SetNonblock(false)
			for _, flags := range []int{0, abi.MSG_DONTWAIT} {
				_, err := s.Recv(noContext, make([]byte, 4), &socket.Msg{Flags: flags | map[bool]int{true: abi.MSG_DONTWAIT}[how == abi.SHUT_WR]})
				if ends := err == nil; ends != (how != abi.SHUT_WR && flags == 0) {
					t.Errorf("%s, %d: flags %#x: %v", kind, how, flags, err)
				}
			}
		}
	}
}

// Many datagrams that wait keep their order as the queue grows, wraps and shrinks.
func TestQueueOrder(t *testing.T) {
	a, b := newPair(t, Config{})
	s, r := a.open("udp4"), b.open("udp4").at(addrB+":7").set(abi.SOL_SOCKET, abi.SO_RCVBUF, 4<<20).set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, 0)
	next, sent := 0, 0
	for _, n := range []int{5, -3, 20, -10, 300, -200, 50, -162, 7, -7, 1, -1} {
		for ; n > 0; n-- {
			s.send(fmt.Sprint(sent), addrB+":7")
			sent++
		}
		for ; n < 0; n++ {
			if g := r.recv(0); g.data != fmt.Sprint(next) {
				t.Fatalf("%q, want %d", g.data, next)
			}
			next++
		}
	}
	if g := r.recv(0); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
}

// Stacks that make no sense are not made, and what is drawn at random is a function of the seed.
func TestNewStack(t *testing.T) {
	settings := func(f func(s *tcp.Settings)) *tcp.Settings {
		s := tcp.DefaultConfig().Settings
		f(&s)
		return &s
	}
	for _, c := range []struct {
		name string
		cfg  Config
		ok   bool
	}{
		{"the defaults", Config{}, true}, {"a congestion control", Config{Congestion: "reno"}, true}, {"one that is not known", Config{Congestion: "none"}, false},
		{"equal limits", Config{TCP: settings(func(s *tcp.Settings) { s.RMem = [3]int{5000, 5000, 5000} })}, true}, {"no least", Config{TCP: settings(func(s *tcp.Settings) { s.RMem[0] = 0 })}, false}, {"the first below the least", Config{TCP: settings(func(s *tcp.Settings) { s.RMem[1] = s.RMem[0] - 1 })}, false},
		{"the most below the first", Config{TCP: settings(func(s *tcp.Settings) { s.WMem[2] = s.WMem[1] - 1 })}, false}, {"the largest", Config{TCP: settings(func(s *tcp.Settings) { s.WMem[2] = 1 << 30 })}, true}, {"larger", Config{TCP: settings(func(s *tcp.Settings) { s.WMem[2] = 1<<30 + 1 })}, false},
	} {
		st, err := New(host.New(&clock.Manual{}), c.cfg)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && c.cfg.Congestion != "" && st.tcp.cfg.CC != c.cfg.Congestion || c.ok && c.cfg.TCP != nil && st.tcp.cfg.RMem != c.cfg.TCP.RMem {
			t.Errorf("%s: not as asked for", c.name)
		}
	}

	drawn := func(seed uint64) (out []uint64) {
		var f prf
		if err := f.init(seed); err != nil {
			t.Fatal(err)
		}
		k := tuple{addr(addrA), addr(addrB), 1, 2}
		for _, x := range []struct {
			label byte
			k     tuple
			extra uint64
		}{
			{1, k, 0}, {2, k, 0}, {1, tuple{addr("10.0.0.3"), k.raddr, 1, 2}, 0}, {1, tuple{k.laddr, addr("10.0.0.3"), 1, 2}, 0}, {1, tuple{k.laddr, k.raddr, 3, 2}, 0}, {1, tuple{k.laddr, k.raddr, 1, 3}, 0}, {1, tuple{k.raddr, k.laddr, 2, 1}, 0}, {1, k, 1},
		} {
			hi, lo := f.sumWith(x.label, &x.k, x.extra)
			out = append(out, hi, lo)
		}
		return append(out, f.random(), f.random(), f.random())
	}
	one, again, two, none, other := drawn(1), drawn(1), drawn(2), drawn(0), drawn(0)
	if !slices.Equal(one, again) || slices.Equal(one, two) || slices.Equal(none, other) {
		t.Error("not a function of the seed")
	}
	slices.Sort(one)
	if len(slices.Compact(one)) != 19 {
		t.Error("two of them are equal")
	}
	for _, x := range two {
		if slices.Contains(one, x) {
			t.Error("two seeds draw the same")
		}
	}
}

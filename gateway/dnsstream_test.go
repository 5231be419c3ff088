//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"usock"
)

// framed returns a message with its length before it.
func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// deframe cuts a stream into its messages.
func deframe(t *testing.T, b []byte) (out []string) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			t.Fatalf("the stream ends within a message: %x", b)
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		out = append(out, string(b[2:n]))
		b = b[n:]
	}
	return out
}

// TestFraming splits both directions of a stream in all pairs of places: messages stay whole
// and in order, and those for the server are what they were.
func TestFraming(t *testing.T) {
	n := someNames(t)
	known, other := question(t, "db.", dnsmessage.TypeA, nil), question(t, "elsewhere.test.", dnsmessage.TypeA, nil)
	up := bytes.Join([][]byte{framed(other), framed(known), framed(nil), framed([]byte("?")), framed(known)}, nil)
	server := bytes.Join([][]byte{framed([]byte("first")), framed(nil), framed([]byte("second of them"))}, nil)
	wantUp := string(bytes.Join([][]byte{framed(other), framed(nil), framed([]byte("?"))}, nil))
	answer, _, _ := n.answer(known, true)
	reply := string(answer)
	for i := range up {
		for j := range server {
			f := dnsFilter{names: n}
			var toServer, toProgram []byte
			for k, part := range [][]byte{up[:i], up[i:]} {
				f.take(bytes.Clone(part))
				for b := f.next(); len(b) > 0; b = f.next() {
					toServer = append(toServer, b...)
				}
				toProgram = append(toProgram, f.waiting()...)
				toProgram = append(toProgram, f.down(bytes.Clone([][]byte{server[:j], server[j:]}[k]))...)
			}
			if f.holds() || string(toServer) != wantUp {
				t.Fatalf("split at %d: the server has %q", i, toServer)
			}
			var own, others []string
			for _, m := range deframe(t, toProgram) {
				if m == reply {
					own = append(own, m)
				} else {
					others = append(others, m)
				}
			}
			if len(own) != 2 || fmt.Sprintf("%q", others) != `["first" "" "second of them"]` {
				t.Fatalf("split at %d and %d: %d own answers, others %q", i, j, len(own), others)
			}
		}
	}
}

// TestFramingEnd has the program's side end within a message.
func TestFramingEnd(t *testing.T) {
	f := dnsFilter{names: someNames(t)}
	f.take([]byte{0, 9, 1})
	if b := f.next(); len(b) != 0 || !f.holds() {
		t.Errorf("%x goes to the server", b)
	}
	if b := f.rest(); !bytes.Equal(b, []byte{0, 9, 1}) || f.holds() {
		t.Errorf("the rest is %x", b)
	}
}

// dnsServer is a name server outside, on UDP and TCP at one port.
type dnsServer struct {
	addr    netip.AddrPort
	queries atomic.Int32
}

// elsewhere is what the server says that it is.
var elsewhere = [4]byte{198, 51, 100, 1}

func (s *dnsServer) reply(q []byte) []byte {
	s.queries.Add(1)
	var m dnsmessage.Message
	if m.Unpack(q) != nil {
		return q // comes back as it was
	}
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.AResource{A: elsewhere},
	}}
	b, _ := m.Pack()
	return b
}

// serveDNS starts a name server at a port of a.
func serveDNS(t *testing.T, a netip.Addr) *dnsServer {
	t.Helper()
	s := new(dnsServer)
	s.addr = serve(t, a, func(c *net.TCPConn) {
		defer c.Close()
		for {
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			q := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, q); err != nil {
				return
			}
			for _, b := range framed(s.reply(q)) { // in pieces
				c.Write([]byte{b})
			}
		}
	})
	p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, from, err := p.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			p.WriteToUDPAddrPort(s.reply(b[:n]), from)
		}
	}()
	t.Cleanup(func() {
		p.Close()
		<-done
	})
	return s
}

// asks has the gateway take a server for one of resolv.conf's.
func (r *run) asks(server netip.AddrPort, alone bool) {
	done := make(chan struct{})
	r.g.leave(func() {
		r.g.names = someNames(r.t)
		r.g.names.servers = []netip.AddrPort{server}
		r.g.names.alone = alone
		close(done)
	})
	<-done
}

// TestQuestions asks a server outside and the run by turns, over UDP and TCP, in one stream
// and by one socket: each from the address that was asked.
func TestQuestions(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		server := serveDNS(t, a)
		r.asks(server.addr, false)
		names := []string{"db.", "elsewhere.test.", "DB.corp.test.", "web.", "More.test."}
		want := "rcode 0 192.0.2.7|rcode 0 198.51.100.1|rcode 0 192.0.2.7|rcode 0 192.0.2.10|rcode 0 198.51.100.1"
		ask := func(i int) []byte { return question(t, names[i], dnsmessage.TypeA, nil) }

		u := r.bound(a)
		b := make([]byte, 65536)
		var got []string
		for i := range names {
			u.SendTo(ask(i), 0, usock.Inet(server.addr))
			n, from, err := u.RecvFrom(b, 0)
			if err != nil || from.AddrPort() != server.addr {
				t.Fatalf("%s: from %v, %v", names[i], from, err)
			}
			checkID(t, ask(i), b[:n])
			got = append(got, told(t, b[:n]))
		}
		u.SendTo([]byte("no question"), 0, usock.Inet(server.addr))
		if n, err := u.Recv(b, 0); string(b[:n]) != "no question" || err != nil {
			t.Errorf("%q, %v", b[:n], err)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("by UDP %s", s)
		}

		s := r.dial(server.addr)
		var all []byte
		for i := range names {
			all = append(all, framed(ask(i))...)
		}
		for _, c := range all { // a byte at a time
			if _, err := s.Send([]byte{c}, 0); err != nil {
				t.Fatal(err)
			}
		}
		s.Shutdown(usock.SHUT_WR)
		sorted := map[string]int{}
		for _, m := range deframe(t, r.readAll(s)) {
			sorted[told(t, []byte(m))]++
		}
		if sorted["rcode 0 192.0.2.7"] != 2 || sorted["rcode 0 198.51.100.1"] != 2 || sorted["rcode 0 192.0.2.10"] != 1 || len(sorted) != 3 {
			t.Errorf("by TCP %v", sorted)
		}
		if n := server.queries.Load(); n != 5 {
			t.Errorf("the server was asked %d times", n)
		}
		within(t, "the gateway forgets the stream", func() bool { return r.count() == 0 })
	})
}

func checkID(t *testing.T, q, reply []byte) {
	t.Helper()
	if len(reply) < 2 || !bytes.Equal(q[:2], reply[:2]) {
		t.Errorf("%x is the answer to %x", reply, q)
	}
}

func (r *run) readAll(s *usock.Socket) (all []byte) {
	r.t.Helper()
	b := make([]byte, 65536)
	for {
		n, err := s.Recv(b, 0)
		if err != nil {
			r.t.Fatalf("after %d bytes: %v", len(all), err)
		}
		if n == 0 {
			return all
		}
		all = append(all, b[:n]...)
	}
}

// flood sends questions until the stream has taken none for a while, and returns how many
// bytes it took.
func flood(t *testing.T, s *usock.Socket, q []byte) int {
	t.Helper()
	s.SetNonblock(true)
	defer s.SetNonblock(false)
	sent, part := 0, q
	for last := time.Now(); time.Since(last) < 50*time.Millisecond && sent < 64<<20; {
		n, err := s.Send(part, 0)
		if errors.Is(err, syscall.EAGAIN) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
		last = time.Now()
		sent += n
		if part = part[n:]; len(part) == 0 {
			part = q
		}
	}
	return sent
}

// TestAnswersNotTaken has a program ask and ask and take no answer: what waits for it is
// bounded, and nothing is lost when it does; also when it resets the stream instead.
func TestAnswersNotTaken(t *testing.T) {
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("alone %v", alone), func(t *testing.T) {
			r := newRun(t, Config{Isolated: alone})
			a := netip.MustParseAddr("127.0.0.1")
			server := serveDNS(t, a)
			r.asks(server.addr, alone)
			q := framed(question(t, "db.", dnsmessage.TypeALL, nil))
			dial := func() *usock.Socket {
				s := r.socket(usock.AF_INET, usock.SOCK_STREAM)
				s.SetDeadline(time.Now().Add(time.Minute))
				s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_SNDBUF, 64<<10)
				s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 64<<10)
				if err := s.Connect(usock.Inet(server.addr)); err != nil {
					t.Fatal(err)
				}
				return s
			}
			s := dial()
			sent := flood(t, s, q)
			if sent > 16<<20 {
				t.Fatalf("%d bytes were taken", sent)
			}
			s.Shutdown(usock.SHUT_WR)
			if got := len(deframe(t, r.readAll(s))); got != sent/len(q) {
				t.Errorf("%d answers to %d questions", got, sent/len(q))
			}
			s = dial()
			flood(t, s, q)
			s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerNot)
			s.Close()
			within(t, "the gateway forgets the streams", func() bool { return r.count() == 0 })
		})
	}
}

// TestIsolated has no outside but the names: all else is refused as where there is no gateway.
func TestIsolated(t *testing.T) {
	r := newRun(t, Config{Isolated: true})
	a := netip.MustParseAddr("127.0.0.1")
	server := netip.AddrPortFrom(a, 5353)
	r.asks(server, true)
	outside := serveDNS(t, a)
	b := make([]byte, 65536)
	for _, c := range []struct{ name, want string }{{"db.", "rcode 0 192.0.2.7"}, {"elsewhere.test.", "rcode 5"}} {
		q := question(t, c.name, dnsmessage.TypeA, nil)
		u := r.bound(a)
		u.Connect(usock.Inet(server))
		u.Send(q, 0)
		n, err := u.Recv(b, 0)
		if err != nil || told(t, b[:n]) != c.want {
			t.Errorf("%s by UDP: %q, %v", c.name, b[:n], err)
		}
		s := r.dial(server)
		s.Send(framed(q), 0)
		s.Shutdown(usock.SHUT_WR)
		if m := deframe(t, r.readAll(s)); len(m) != 1 || told(t, []byte(m[0])) != c.want {
			t.Errorf("%s by TCP: %q", c.name, m)
		}
	}
	s := r.socket(usock.AF_INET, usock.SOCK_STREAM)
	if err := s.Connect(usock.Inet(outside.addr)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect to the machine's loopback: %v", err)
	}
	u := r.bound(a)
	u.Connect(usock.Inet(outside.addr))
	u.Send([]byte("x"), 0)
	if _, err := u.Recv(b, 0); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a datagram to the machine's loopback: %v", err)
	}
	if n := outside.queries.Load(); n != 0 {
		t.Errorf("the machine was asked %d times", n)
	}
}

package usock_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"usock"
	"usock/link"
)

// Without name servers a name that nobody knows is none, at once: nothing asks the machine.
func TestNameOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, usock.Config{})
		begin := time.Now()
		_, err := h.Dial("tcp", "server.test:80")
		var d *net.DNSError
		if !errors.As(err, &d) || !d.IsNotFound || time.Since(begin) != 0 {
			t.Errorf("%v after %v, want no such host at once", err, time.Since(begin))
		}
		if want := "dial tcp: lookup server.test: no such host"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
		if _, err := h.Listen("tcp", "server.test:80"); !errors.As(err, &d) {
			t.Errorf("listen: %v", err)
		}
	})
}

// Hosts know the names of the table that they share, their own, and those of the loopback.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names usock.Names
		names.Set("Server.Test", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2"))
		x, y := link.Pipe(link.PipeConfig{MTU: 1500})
		a := newHost(t, usock.Config{Name: "alpha", Names: &names, Interfaces: []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24", "fd00::1/64")}}})
		b := newHost(t, usock.Config{Names: &names, Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}})
		l := have(b.Listen("tcp", ":http-alt"))(t)
		c := have(a.Dial("tcp", "server.test:8080"))(t)
		have(l.Accept())(t)
		if got := c.RemoteAddr().String(); got != "10.0.0.2:8080" { // fd00::/7 comes after IPv4 (RFC 6724 §2.1)
			t.Errorf("connected to %s", got)
		}

		ctx, r := t.Context(), a.Resolver()
		for _, q := range []struct{ name, want string }{
			{"SERVER.test.", "[10.0.0.2 fd00::2]"},
			{"alpha", "[10.0.0.1 fd00::1]"},
			{"x.localhost", "[::1 127.0.0.1]"},
			{"192.0.2.7", "[192.0.2.7]"},
		} {
			if got, err := r.LookupHost(ctx, q.name); fmt.Sprint(got) != q.want || err != nil {
				t.Errorf("%s: %v, %v, want %s", q.name, got, err, q.want)
			}
		}
		for _, q := range []struct{ addr, want string }{
			{"fd00::2", "[server.test]"}, {"10.0.0.1", "[alpha]"}, {"127.0.0.1", "[localhost]"},
		} {
			if got, err := r.LookupAddr(ctx, q.addr); fmt.Sprint(got) != q.want || err != nil {
				t.Errorf("%s: %v, %v, want %s", q.addr, got, err, q.want)
			}
		}
		if got, err := r.LookupNetIP(ctx, "ip6", "server.test"); fmt.Sprint(got) != "[fd00::2]" || err != nil {
			t.Errorf("ip6: %v, %v", got, err)
		}
		names.Set("server.test")
		if got, err := r.LookupHost(ctx, "server.test"); err == nil {
			t.Errorf("the name was taken away and is %v", got)
		}
	})
}

// nameServer answers questions by UDP and TCP at port 53, until its host is closed. answer
// adds records, and returns the code; rcode -1 is silence.
type nameServer struct {
	h      *usock.Host
	answer func(q dnsmessage.Question, b *dnsmessage.Builder) (rcode int)
	asked  chan string
	longer bool // answers are cut by UDP
}

func (s *nameServer) start(t *testing.T) {
	t.Helper()
	s.asked = make(chan string, 100)
	p := have(s.h.ListenPacket("udp", ":53"))(t)
	l := have(s.h.Listen("tcp", ":53"))(t)
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			if out := s.respond(b[:n], s.longer); out != nil {
				p.WriteTo([]byte("what is no answer"), from)
				p.WriteTo(out, from)
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			io.ReadFull(c, length[:])
			b := make([]byte, binary.BigEndian.Uint16(length[:]))
			io.ReadFull(c, b)
			out := s.respond(b, false)
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			c.Close()
		}
	}()
}

func (s *nameServer) respond(msg []byte, cut bool) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	s.asked <- fmt.Sprint(q.Name, " ", q.Type)
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.StartQuestions()
	b.Question(q)
	b.StartAnswers()
	rcode := 0
	if !cut {
		rcode = s.answer(q, &b)
	}
	if rcode < 0 {
		return nil
	}
	out, _ := b.Finish()
	// The header is known only now.
	flags := uint16(1<<15) | uint16(rcode)
	if cut {
		flags |= 1 << 9
	}
	binary.BigEndian.PutUint16(out, h.ID)
	binary.BigEndian.PutUint16(out[2:], flags)
	return out
}

// Other names are the name servers' to say, over the host's own link: one after another where
// one is silent, by TCP where the answer is cut, with the aliases followed.
func TestNameServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := link.Pipe(link.PipeConfig{MTU: 1500})
		b := newHost(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}})
		a := newHost(t, usock.Config{
			NameServers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.3:53"), netip.MustParseAddrPort("[fd00::2]:53")},
			Search:      []string{"example."},
			Interfaces:  []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24", "fd00::1/64")}},
		})
		s := &nameServer{h: b, answer: zone}
		s.start(t)
		ctx, r := t.Context(), a.Resolver()

		begin := time.Now()
		if got, err := r.LookupHost(ctx, "www.example"); fmt.Sprint(got) != "[10.0.0.2]" || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if d := time.Since(begin); d != 5*time.Second { // 10.0.0.3 is nobody
			t.Errorf("it took %v, want 5s", d)
		}
		s.longer = true
		if got, err := r.LookupTXT(ctx, "text"); fmt.Sprint(got) != "[one two]" || err != nil { // by Search, and TCP
			t.Errorf("%v, %v", got, err)
		}
		s.longer = false
		if got, err := r.LookupAddr(ctx, "10.0.0.2"); fmt.Sprint(got) != "[web.example.]" || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := r.LookupCNAME(ctx, "www.example"); got != "web.example." || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if _, got, err := r.LookupSRV(ctx, "sip", "udp", "example"); err != nil || len(got) != 2 || got[0].Port != 2 {
			t.Errorf("%v, %v", got, err)
		}
		_, err := r.LookupHost(ctx, "none.example")
		if want := "lookup none.example on [fd00::2]:53: no such host"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		_, err = r.LookupHost(ctx, "broken.example")
		var d *net.DNSError
		if !errors.As(err, &d) || !d.IsTemporary || d.IsNotFound {
			t.Errorf("%v, want a temporary error", err)
		}

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		begin = time.Now()
		_, err = a.DialContext(short, "tcp", "www.example:80")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v, want the context's end after 1s", err, time.Since(begin))
		}
	})
}

// zone is what the test's name server knows.
func zone(q dnsmessage.Question, b *dnsmessage.Builder) int {
	h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	name := strings.ToLower(q.Name.String())
	web := dnsmessage.MustNewName("web.example.")
	switch {
	case name == "www.example." && q.Type == dnsmessage.TypeA:
		b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: web})
		h.Name = web
		b.AResource(h, dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}})
	case name == "text.example." && q.Type == dnsmessage.TypeTXT:
		b.TXTResource(h, dnsmessage.TXTResource{TXT: []string{"one ", "two"}})
	case name == "2.0.0.10.in-addr.arpa.":
		b.PTRResource(h, dnsmessage.PTRResource{PTR: web})
	case name == "_sip._udp.example.":
		b.SRVResource(h, dnsmessage.SRVResource{Priority: 2, Port: 1, Target: web})
		b.SRVResource(h, dnsmessage.SRVResource{Priority: 1, Port: 2, Target: web})
	case name == "broken.example.":
		return int(dnsmessage.RCodeServerFailure)
	case name == "www.example.":
	default:
		return int(dnsmessage.RCodeNameError)
	}
	return 0
}

// A name whose preferred address is silent is connected to by the other one after 300 ms (RFC
// 8305), and at once if the preferred one refuses.
func TestHappyEyeballs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names usock.Names
		names.Set("silent", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::9"))
		names.Set("refuses", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::2"))
		x, y := link.Pipe(link.PipeConfig{MTU: 1500})
		a := newHost(t, usock.Config{Names: &names, Interfaces: []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24", "2001:db8::1/64")}}})
		b := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24", "2001:db8::2/64")}}})
		l := have(b.Listen("tcp4", ":8080"))(t)
		for _, c := range []struct {
			name string
			want time.Duration
		}{{"silent", 300 * time.Millisecond}, {"refuses", 0}} {
			begin := time.Now()
			conn := have(a.Dial("tcp", c.name+":8080"))(t)
			if d := time.Since(begin); d != c.want || !strings.HasPrefix(conn.RemoteAddr().String(), "10.") {
				t.Errorf("%s: %v after %v, want 10.0.0.2 after %v", c.name, conn.RemoteAddr(), d, c.want)
			}
			conn.Close()
			have(l.Accept())(t).Close()
		}

		// Neither: the error is the preferred one's.
		l.Close()
		_, err := a.Dial("tcp", "refuses:8080")
		if err == nil || !strings.Contains(err.Error(), "2001:db8::2") {
			t.Errorf("%v, want that of 2001:db8::2", err)
		}
		d := usock.Dialer{Host: a, FallbackDelay: -1, Timeout: 10 * time.Second}
		begin := time.Now()
		_, err = d.DialContext(t.Context(), "tcp", "silent:8080")
		if !strings.Contains(fmt.Sprint(err), "2001:db8::9") || time.Since(begin) != 5*time.Second {
			t.Errorf("one after another: %v after %v, want half of 10s for each", err, time.Since(begin))
		}
	})
}

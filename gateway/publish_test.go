//go:build linux

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock/internal/freeport"

	"golang.org/x/sys/unix"

	"usock"
)

// inner is the port inside of what these tests publish.
const inner = 7070

// freePort returns a port of the machine that nobody has, on any address, and each once.
func freePort(t *testing.T) uint16 {
	t.Helper()
	return uint16(freeport.Get(t))
}

// published calls f with a run whose port is published on each address of the machine, and
// where it is reached.
func published(t *testing.T, proto int, f func(t *testing.T, r *run, at netip.AddrPort)) {
	for _, a := range addrs(t) {
		t.Run(a.String(), func(t *testing.T) {
			at := netip.AddrPortFrom(a, freePort(t))
			f(t, newRun(t, Config{Publish: []Publish{{Proto: proto, Addr: a, Port: at.Port(), Inner: inner}}}), at)
		})
	}
}

// listen listens inside; "" is all addresses.
func (r *run) listen(host string) *usock.TCPListener {
	r.t.Helper()
	l, err := r.host.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(inner)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	r.settle()
	return l.(*usock.TCPListener)
}

// settle waits until the gateway has followed what the run's sockets have done so far.
func (r *run) settle() {
	done := make(chan struct{})
	r.g.leave(func() { close(done) })
	<-done
}

// dialOut connects outside.
func dialOut(t *testing.T, at netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

// pair returns both ends of a connection from outside.
func pair(t *testing.T, l *usock.TCPListener, at netip.AddrPort) (in *usock.TCPConn, out *net.TCPConn) {
	t.Helper()
	out = dialOut(t, at)
	l.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*usock.TCPConn), out
}

func refused(t *testing.T, when string, at netip.AddrPort) {
	t.Helper()
	if c, err := net.Dial("tcp", at.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%s: %v, %v", when, c, err)
	}
}

func TestPublished(t *testing.T) {
	published(t, unix.IPPROTO_TCP, func(t *testing.T, r *run, at netip.AddrPort) {
		for range 3 { // it goes on with connections of earlier listeners, and in TIME-WAIT
			refused(t, "nobody listens", at)
			if l, err := net.Listen("tcp", at.String()); err == nil {
				l.Close()
				t.Error("another took the port")
			}
			l := r.listen("")
			in, out := pair(t, l, at)
			if got, want := in.RemoteAddr().String(), out.LocalAddr().String(); got != want {
				t.Errorf("the server sees %s, not %s", got, want)
			}
			want := netip.AddrPortFrom(at.Addr(), inner).String()
			if got := in.LocalAddr().String(); at.Addr().IsLoopback() && got != want {
				t.Errorf("the client came to %s, not %s", got, want)
			}
			l.Close()
			r.settle()
			refused(t, "the listener has ended", at)
			data := bytes.Repeat([]byte("0123456789"), 300_000)
			exchange(t, in, out, data)
			exchange(t, out, in, data)
			in.CloseWrite()
			if b, err := io.ReadAll(out); len(b) != 0 || err != nil {
				t.Errorf("after the server's end: %d bytes, %v", len(b), err)
			}
			exchange(t, out, in, []byte("after the end"))
			out.CloseWrite()
			if b, err := io.ReadAll(in); len(b) != 0 || err != nil {
				t.Errorf("after the client's end: %d bytes, %v", len(b), err)
			}
			in.Close()
			out.Close()
		}
		within(t, "the gateway forgets them", func() bool { return r.count() == 0 })
	})
}

// TestPublishedSettings has the outer socket of a client's connection follow what the server
// has set on its listener, which is inherited, and on the connection.
func TestPublishedSettings(t *testing.T) {
	published(t, unix.IPPROTO_TCP, func(t *testing.T, r *run, at netip.AddrPort) {
		level, tos, ttl := unix.IPPROTO_IP, unix.IP_TOS, unix.IP_TTL
		if at.Addr().Is6() {
			level, tos, ttl = unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_UNICAST_HOPS
		}
		type option struct{ level, name, v int }
		domain := usock.AF_INET
		if at.Addr().Is6() {
			domain = usock.AF_INET6
		}
		l := r.socket(domain, usock.SOCK_STREAM)
		set := func(s *usock.Socket, options []option) {
			for _, o := range options {
				if err := s.SetSockOptInt(o.level, o.name, o.v); err != nil {
					t.Fatal(err)
				}
			}
		}
		inherited := []option{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345}, {level, tos, 0xb8}, {level, ttl, 33},
		}
		set(l, inherited)
		all := netip.IPv4Unspecified()
		if at.Addr().Is6() {
			all = netip.IPv6Unspecified()
		}
		if err := l.Bind(usock.Inet(netip.AddrPortFrom(all, inner))); err != nil {
			t.Fatal(err)
		}
		if err := l.Listen(1); err != nil {
			t.Fatal(err)
		}
		r.settle()
		dialOut(t, at)
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		check := func(options []option) {
			for _, o := range options {
				within(t, fmt.Sprintf("option %d of level %d is %d outside", o.name, o.level, o.v), func() (ok bool) {
					r.turned(func() {
						for out := range r.g.streams {
							ok = getInt(out.fd, o.level, o.name) == o.v
						}
					})
					return ok
				})
			}
		}
		check(inherited)
		later := []option{{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 88}, {level, ttl, 44}}
		set(s, later)
		check(later)
		s.Close()
	})
}

// exchange has data go from one end to the other.
func exchange(t *testing.T, from, to net.Conn, data []byte) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := from.Write(data); err != nil {
			t.Error(err)
		}
	})
	got := make([]byte, len(data))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes than were sent, or %v", err)
	}
	wg.Wait()
}

func TestPublishedResets(t *testing.T) {
	published(t, unix.IPPROTO_TCP, func(t *testing.T, r *run, at netip.AddrPort) {
		l := r.listen("")
		in, out := pair(t, l, at)
		out.SetLinger(0)
		out.Close()
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server read %v", err)
		}
		in, out = pair(t, l, at)
		in.Socket().SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerNot)
		in.Close()
		if _, err := out.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client read %v", err)
		}
		// One that the listener has not accepted is reset with it.
		out = dialOut(t, at)
		within(t, "the client is inside", func() bool { return l.Socket().Events()&usock.POLLIN != 0 })
		l.Close()
		if _, err := out.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client that was not accepted read %v", err)
		}
		within(t, "the gateway forgets them", func() bool { return r.count() == 0 })
	})
}

func TestPublishedUrgent(t *testing.T) {
	published(t, unix.IPPROTO_TCP, func(t *testing.T, r *run, at netip.AddrPort) {
		in, out := pair(t, r.listen(""), at)
		out.Write([]byte("ab"))
		raw, _ := out.SyscallConn()
		raw.Control(func(fd uintptr) { sysSend(int(fd), []byte("!"), syscall.MSG_OOB) })
		out.Write([]byte("cd"))
		s := in.Socket()
		if _, err := s.Poll(t.Context(), usock.POLLPRI); err != nil {
			t.Fatal(err)
		}
		got, marked, b := "", "", make([]byte, 10)
		for len(got) < 4 {
			if at, _ := s.AtMark(); at {
				if n, err := s.Recv(b, usock.MSG_OOB); err == nil {
					marked += got + string(b[:n])
				}
			}
			n, err := s.Recv(b, 0)
			if err != nil || n == 0 {
				t.Fatalf("after %q (urgent: %q): %d, %v", got, marked, n, err)
			}
			got += string(b[:n])
		}
		if got != "abcd" || marked != "ab!" {
			t.Errorf("received %q, with the urgent byte %q", got, marked)
		}
	})
}

// TestPublishedTo has a server on the run's loopback alone, and one on its address alone.
func TestPublishedTo(t *testing.T) {
	published(t, unix.IPPROTO_TCP, func(t *testing.T, r *run, at netip.AddrPort) {
		lo, eth := localhost(at.Addr().Is4()), r.g.addrs.host4.Addr()
		if at.Addr().Is6() {
			eth = r.g.addrs.host6.Addr()
		}
		l := r.listen(lo.String())
		if at.Addr().IsLoopback() {
			in, out := pair(t, l, at)
			exchange(t, in, out, []byte("hello"))
			in.Close()
		} else {
			refused(t, "a server on the run's loopback", at)
		}
		l.Close()
		r.settle()
		if !r.g.routes.serves(at.Addr().Is4()) {
			t.Skip("the machine has no route of this family: the run has no address")
		}
		l = r.listen(eth.String())
		in, out := pair(t, l, at)
		exchange(t, in, out, []byte("hello"))
		from, want := in.RemoteAddr().(*net.TCPAddr).AddrPort(), out.LocalAddr().(*net.TCPAddr).AddrPort()
		if at.Addr().IsLoopback() {
			want = netip.AddrPortFrom(r.g.addrs.router(at.Addr().Is4()), from.Port())
		}
		if from != want {
			t.Errorf("the server sees %v, not %v", from, want)
		}
	})
}

// TestPublishedClash has a client whose address and port have the same connection inside.
func TestPublishedClash(t *testing.T) {
	for _, a := range addrs(t) {
		t.Run(a.String(), func(t *testing.T) {
			one, two := netip.AddrPortFrom(a, freePort(t)), netip.AddrPortFrom(a, freePort(t))
			var list []Publish
			for _, p := range []netip.AddrPort{one, two} {
				list = append(list, Publish{Proto: unix.IPPROTO_TCP, Addr: a, Port: p.Port(), Inner: inner})
			}
			r := newRun(t, Config{Publish: list})
			l := r.listen("")
			local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, freePort(t)))
			d := net.Dialer{LocalAddr: local, Control: func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { setInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
			}}
			out, err := d.Dial("tcp", one.String())
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			l.SetDeadline(time.Now().Add(10 * time.Second))
			in, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			second, err := d.Dial("tcp", two.String())
			if err == nil {
				defer second.Close()
				second.SetDeadline(time.Now().Add(10 * time.Second))
			}
			if a.IsLoopback() {
				if err == nil { // dial tells of a reset already, or the read does
					_, err = second.Read(make([]byte, 1))
				}
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the second client saw %v", err)
				}
				within(t, "it is told", func() bool { return strings.Contains(r.warned(), "was refused at "+two.String()) })
			} else if err != nil {
				t.Error(err)
			} else {
				l.SetDeadline(time.Now().Add(10 * time.Second))
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				exchange(t, second, c, []byte("hello"))
				if host := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); host != r.g.addrs.router(a.Is4()) {
					t.Errorf("the second client is %v", host)
				}
			}
			exchange(t, in, out, []byte("still there"))
		})
	}
}

// warned returns what the user was told.
func (r *run) warned() (text string) {
	done := make(chan struct{})
	r.g.leave(func() {
		text = r.warn.String()
		close(done)
	})
	<-done
	return text
}

// TestPublishedNobody has the listener end unseen: a client of the run's loopback must not be
// handed out to the machine's again.
func TestPublishedNobody(t *testing.T) {
	for _, a := range []netip.Addr{localhost(true), localhost(false)} {
		at := netip.AddrPortFrom(a, freePort(t))
		r := newRun(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_TCP, Addr: a, Port: at.Port(), Inner: at.Port()}}})
		done := make(chan struct{})
		r.g.leave(func() {
			r.g.ports[0].follow([]netip.Addr{a})
			close(done)
		})
		<-done
		c, err := net.Dial("tcp", at.String()) // tells of a reset already, or the read does
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client saw %v", err)
		}
		within(t, "the gateway forgets it", func() bool { return r.count() == 0 })
	}
}

func TestPublishErrors(t *testing.T) {
	a := localhost(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free := freePort(t)
	tcp := func(a netip.Addr, port uint16) Publish {
		return Publish{Proto: unix.IPPROTO_TCP, Addr: a, Port: port, Inner: port}
	}
	before := descriptors(t)
	for _, c := range []struct {
		list []Publish
		want string
	}{
		{[]Publish{tcp(a, l.Addr().(*net.TCPAddr).AddrPort().Port())}, "published twice"}, // by this process
		{[]Publish{tcp(a, free), tcp(a, free)}, "published twice"},                        // though a bound socket is not in /proc
		{[]Publish{tcp(a, free), tcp(netip.IPv4Unspecified(), free)}, "published twice"},
		{[]Publish{tcp(netip.MustParseAddr("192.0.2.250"), free)}, "does not have this address"},
	} {
		if g, err := New(Config{Publish: c.list}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, %v", c.list, g, err)
		}
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, before it %d", n, before)
	}
}

func TestPublishAuto(t *testing.T) {
	r := newRun(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_TCP, Auto: true}, {Proto: unix.IPPROTO_UDP, Auto: true}}})
	port := freePort(t)
	for _, c := range []struct {
		host   string
		v4, v6 bool
	}{{"127.0.0.1", true, false}, {"::1", false, true}, {"", true, true}, {"0.0.0.0", true, false}} {
		l, err := r.host.Listen("tcp", net.JoinHostPort(c.host, fmt.Sprint(port)))
		if err != nil {
			t.Fatal(err)
		}
		r.settle()
		for _, v4 := range []bool{true, false} {
			at := netip.AddrPortFrom(localhost(v4), port)
			if v4 && !c.v4 || !v4 && !c.v6 {
				refused(t, "not listened on", at)
				continue
			}
			in, out := pair(t, l.(*usock.TCPListener), at)
			exchange(t, in, out, []byte("hello"))
			if want := fmt.Sprintf("usock: published %v → %d\n", at, port); strings.Count(r.warned(), want) != 1 {
				t.Errorf("told: %q", r.warned())
			}
		}
		l.Close()
		r.settle()
		refused(t, "after the end", netip.AddrPortFrom(localhost(true), port))
	}
	// One that is taken is told of.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l, err := r.host.Listen("tcp", taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	within(t, "it is told", func() bool { return strings.Contains(r.warned(), taken.Addr().String()+" cannot be published") })
	// A UDP socket counts if it has named its port.
	s := r.socket(usock.AF_INET, usock.SOCK_DGRAM)
	if err := s.Bind(usock.Inet(netip.AddrPortFrom(localhost(true), port))); err != nil {
		t.Fatal(err)
	}
	r.settle()
	ask(t, s, netip.AddrPortFrom(localhost(true), port), nil)
	s.Close()
	r.settle()
	if reachable(t, netip.AddrPortFrom(localhost(true), port)) {
		t.Error("nobody has the port, and it is reached")
	}
}

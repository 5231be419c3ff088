//go:build linux

package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// run is a host with a gateway, which is checked to leave nothing.
type run struct {
	t    *testing.T
	host *usock.Host
	g    *Gateway
	warn *bytes.Buffer
}

func newRun(t *testing.T, c Config) *run {
	t.Helper()
	return newRunWith(t, c, nil)
}

// newRunWith is newRun of a host with settings of SCTP.
func newRunWith(t *testing.T, c Config, sctp *usock.SCTPConfig) *run {
	t.Helper()
	before := descriptors(t)
	r := &run{t: t, warn: new(bytes.Buffer)}
	c.Warn = r.warn
	var err error
	if r.g, err = New(c); err != nil {
		t.Fatal(err)
	}
	conf := usock.Config{Flows: &side{g: r.g, own: true}, Listening: r.g.Listening, StreamSettings: r.g.StreamSettings, Privileged: true, SCTP: sctp}
	if !c.Isolated {
		conf.Interfaces = []usock.Interface{r.g.Interface()}
	}
	r.host, err = usock.NewHost(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.g.Start(r.host); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		r.g.Run()
		close(done)
	}()
	t.Cleanup(func() {
		if err := r.g.Close(); err != nil {
			t.Error(err)
		}
		<-done
		r.host.Close()
		within(t, "all descriptors are closed", func() bool { return descriptors(t) <= before })
	})
	return r
}

// descriptors returns how many this process has, but for the runtime's own.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range list {
		to, _ := os.Readlink("/proc/self/fd/" + f.Name())
		if strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// within waits for a condition.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// addrs are addresses of the machine by which a run reaches it: the loopback ones, and one
// by way of the router, if the machine has any.
func addrs(t *testing.T) []netip.Addr {
	out := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() {
			out = append(out, p.Addr())
		}
	}
	return out
}

// eachAddr calls f with a run and each address of the machine.
func eachAddr(t *testing.T, f func(t *testing.T, r *run, a netip.Addr)) {
	for _, a := range addrs(t) {
		t.Run(a.String(), func(t *testing.T) { f(t, newRun(t, Config{}), a) })
	}
}

// serve accepts connections outside and gives each to f.
func serve(t *testing.T, a netip.Addr, f func(c *net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Go(func() { f(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (r *run) socket(domain, typ int) *usock.Socket {
	r.t.Helper()
	s, err := r.host.Socket(domain, typ, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(5 * time.Second))
	r.t.Cleanup(func() { s.Close() })
	return s
}

func (r *run) dial(to netip.AddrPort) *usock.Socket {
	r.t.Helper()
	a := usock.Inet(to)
	s := r.socket(a.Family, usock.SOCK_STREAM)
	if err := s.Connect(a); err != nil {
		r.t.Fatalf("connect to %v: %v", to, err)
	}
	return s
}

func (r *run) bound(a netip.Addr) *usock.Socket {
	return r.socket(usock.Inet(netip.AddrPortFrom(a, 0)).Family, usock.SOCK_DGRAM)
}

// TestBytes has everything that is sent come back, and the ends cross.
func TestBytes(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			io.Copy(c, c)
			c.CloseWrite()
		})
		const clients, size = 20, 1 << 20
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				s := r.dial(to)
				data := make([]byte, size)
				rnd := rand.NewChaCha8([32]byte{byte(i)})
				rnd.Read(data)
				wg.Go(func() {
					if n, err := s.Send(data, 0); n != size || err != nil {
						t.Errorf("sent %d: %v", n, err)
					}
					s.Shutdown(usock.SHUT_WR)
				})
				sum, n := sha256.New(), 0
				for buf := make([]byte, 100_000); ; {
					k, err := s.Recv(buf, 0)
					if err != nil {
						t.Errorf("after %d bytes: %v", n, err)
						return
					}
					if k == 0 {
						break
					}
					sum.Write(buf[:k])
					n += k
				}
				if want := sha256.Sum256(data); n != size || !bytes.Equal(sum.Sum(nil), want[:]) {
					t.Errorf("%d bytes came back, or others than were sent", n)
				}
			})
		}
		wg.Wait()
		within(t, "the gateway forgets them", func() bool { return r.count() == 0 })
	})
}

// TestSettings has the outer socket follow what the program asks of its own.
func TestSettings(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		to := serve(t, a, func(c *net.TCPConn) {
			io.Copy(io.Discard, c)
			c.Close()
		})
		level, tos, ttl := unix.IPPROTO_IP, unix.IP_TOS, unix.IP_TTL
		if a.Is6() {
			level, tos, ttl = unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_UNICAST_HOPS
		}
		options := []struct{ level, name, v int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 7}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12345}, {level, tos, 0xb8}, {level, ttl, 33},
		}
		congestion := otherCongestion(t)
		a4 := usock.Inet(to)
		for _, before := range []bool{true, false} {
			s := r.socket(a4.Family, usock.SOCK_STREAM)
			set := func() {
				for _, o := range options {
					if err := s.SetSockOptInt(o.level, o.name, o.v); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.SetSockOpt(usock.SOL_TCP, usock.TCP_CONGESTION, []byte(congestion)); err != nil {
					t.Fatal(err)
				}
			}
			if before {
				set()
			}
			if err := s.Connect(a4); err != nil {
				t.Fatal(err)
			}
			if !before {
				set()
			}
			name, err := s.GetSockName()
			if err != nil {
				t.Fatal(err)
			}
			outside := func(holds func(fd int) bool) func() bool {
				return func() (ok bool) {
					r.turned(func() {
						if out := r.g.byEnds[ends{name.AddrPort(), to}]; out != nil {
							ok = holds(out.fd)
						}
					})
					return ok
				}
			}
			for _, o := range options {
				within(t, fmt.Sprintf("option %d of level %d is %d outside (set before connect: %v)", o.name, o.level, o.v, before),
					outside(func(fd int) bool { return getInt(fd, o.level, o.name) == o.v }))
			}
			within(t, fmt.Sprintf("the congestion control is %s outside (set before connect: %v)", congestion, before), outside(func(fd int) bool {
				has, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
				return err == nil && has == congestion
			}))
			s.Close()
		}
		within(t, "the gateway forgets them", func() bool { return r.count() == 0 && len(r.g.byEnds) == 0 })
	})
}

// otherCongestion returns a congestion control that this machine's users may choose and usock
// has; if there is one, another than both's default.
func otherCongestion(t *testing.T) string {
	t.Helper()
	var names [2]string // the allowed ones, the machine's default
	for i, file := range []string{"tcp_allowed_congestion_control", "tcp_congestion_control"} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names[i] = strings.TrimSpace(string(b))
	}
	for _, name := range []string{"reno", "bbr"} {
		if name != names[1] && slices.Contains(strings.Fields(names[0]), name) {
			return name
		}
	}
	return "reno" // which every kernel has
}

// count returns how many streams there are.
func (r *run) count() (n int) {
	done := make(chan struct{})
	r.g.leave(func() {
		n = len(r.g.streams) + len(r.g.local)
		close(done)
	})
	<-done
	return n
}

func TestRefused(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			t.Fatal(err)
		}
		to := l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		s := r.socket(usock.Inet(to).Family, usock.SOCK_STREAM)
		s.SetNonblock(true)
		// On a machine's own addresses the outcome is known at once.
		if err := s.Connect(usock.Inet(to)); !errors.Is(err, syscall.EINPROGRESS) {
			t.Fatal(err)
		}
		if err := s.FinishConnect(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect: %v", err)
		}
	})
}

// TestPolicy is for addresses that are no way out.
func TestPolicy(t *testing.T) {
	r := newRun(t, Config{})
	for _, c := range []struct {
		to   string
		want error
	}{
		{r.g.addrs.gateway4.Addr().String(), syscall.ECONNREFUSED},
		{r.g.addrs.gateway4.Addr().Next().Next().String(), syscall.ECONNREFUSED},
		{"224.0.0.1", syscall.ENETUNREACH},
	} {
		a := netip.MustParseAddr(c.to)
		s := r.socket(usock.AF_INET, usock.SOCK_STREAM)
		if err := s.Connect(usock.Inet(netip.AddrPortFrom(a, 80))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v instead of %v", c.to, err, c.want)
		}
	}
}

// TestResets has either side reset a connection.
func TestResets(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		ended := make(chan error, 1)
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			b := make([]byte, 5)
			if _, err := io.ReadFull(c, b); err != nil {
				ended <- err
				return
			}
			if string(b) == "reset" {
				c.Write([]byte("last words"))
				c.SetLinger(0)
				return
			}
			_, err := c.Read(b)
			ended <- err
		})
		s := r.dial(to)
		s.Send([]byte("reset"), 0)
		buf := make([]byte, 100)
		got := ""
		for {
			n, err := s.Recv(buf, 0)
			got += string(buf[:max(n, 0)])
			if err != nil {
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("after %q: %v", got, err)
				}
				break
			}
			if n == 0 {
				t.Errorf("a reset became the end of the stream, after %q", got)
				break
			}
		}
		s = r.dial(to)
		s.Send([]byte("hello"), 0)
		s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerNot)
		within(t, "the bytes are outside", func() bool { n, _ := s.OutQueue(); return n == 0 })
		s.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server saw %v", err)
		}
	})
}

// TestHalfClosed has each side go on after the other's end.
func TestHalfClosed(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			c.Write([]byte("first "))
			c.CloseWrite()
			b, err := io.ReadAll(c)
			if err != nil || string(b) != "question" {
				t.Errorf("the server read %q, %v", b, err)
			}
		})
		s := r.dial(to)
		b := make([]byte, 100)
		n := 0
		for {
			k, err := s.Recv(b[n:], 0)
			if err != nil {
				t.Fatal(err)
			}
			if k == 0 {
				break
			}
			n += k
		}
		if string(b[:n]) != "first " {
			t.Errorf("received %q", b[:n])
		}
		s.Send([]byte("ques"), 0)
		s.Send([]byte("tion"), 0)
		s.Shutdown(usock.SHUT_WR)
	})
}

// TestBackPressure has a receiver who does not read: what is taken from the sender is
// bounded.
func TestBackPressure(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		read := make(chan struct{})
		total := make(chan int64, 1)
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			<-read
			n, _ := io.Copy(io.Discard, c)
			total <- n
		})
		s := r.dial(to)
		s.SetNonblock(true)
		data := make([]byte, 256<<10)
		sent := 0
		for room := true; room; {
			n, err := s.Send(data, 0)
			if sent += max(n, 0); err == nil {
				continue
			} else if !errors.Is(err, syscall.EAGAIN) {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err = s.Poll(ctx, usock.POLLOUT)
			room = err == nil
			cancel()
		}
		if sent > 32<<20 {
			t.Errorf("%d bytes were taken that nobody reads", sent)
		}
		close(read)
		s.SetNonblock(false)
		s.Shutdown(usock.SHUT_WR)
		if n := <-total; n != int64(sent) {
			t.Errorf("%d bytes of %d arrived", n, sent)
		}
	})
}

// TestUrgent has an urgent byte cross, both ways, in its place.
func TestUrgent(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		to := serve(t, a, func(c *net.TCPConn) {
			defer c.Close()
			raw, _ := c.SyscallConn()
			raw.Control(func(fd uintptr) { setInt(int(fd), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1) })
			c.Write([]byte("."))
			b := make([]byte, 6)
			io.ReadFull(c, b)
			c.Write([]byte("abc"))
			raw.Control(func(fd uintptr) { sysSend(int(fd), []byte("!"), syscall.MSG_OOB) })
			c.Write([]byte("def"))
			fmt.Fprintf(c, "%s", b)
			io.Copy(io.Discard, c)
		})
		s := r.dial(to)
		b := make([]byte, 100)
		if n, err := s.Recv(b, 0); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s.Send([]byte("12"), 0)
		s.Send([]byte("?"), usock.MSG_OOB)
		s.Send([]byte("345"), 0)
		if _, err := s.Poll(t.Context(), usock.POLLPRI); err != nil {
			t.Fatal(err)
		}
		got, marked := "", ""
		for len(got) < 12 {
			if at, _ := s.AtMark(); at {
				n, err := s.Recv(b, usock.MSG_OOB)
				if err == nil {
					marked += got + string(b[:n])
				}
			}
			n, err := s.Recv(b, 0)
			if err != nil || n == 0 {
				t.Fatalf("after %q (urgent: %q): %d, %v", got, marked, n, err)
			}
			got += string(b[:n])
		}
		if got != "abcdef12?345" || marked != "abc!" {
			t.Errorf("received %q, with the urgent byte %q", got, marked)
		}
	})
}

// echoUDP answers datagrams outside.
func echoUDP(t *testing.T, a netip.Addr) netip.AddrPort {
	t.Helper()
	p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 65536)
		for {
			n, from, err := p.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			p.WriteToUDPAddrPort(b[:n], from)
		}
	})
	t.Cleanup(func() {
		p.Close()
		wg.Wait()
	})
	return p.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestDatagrams has one socket talk with several servers: they see one address and port.
func TestDatagrams(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		s := r.bound(a)
		b := make([]byte, 65536)
		for i, size := range []int{1, 0, 1400, 9000, 60000, 65507} {
			to := echoUDP(t, a)
			data := bytes.Repeat([]byte{byte(i + 1)}, size)
			if _, err := s.SendTo(data, 0, usock.Inet(to)); err != nil {
				t.Fatal(err)
			}
			n, from, err := s.RecvFrom(b, 0)
			if err != nil || !bytes.Equal(b[:n], data) || from.AddrPort() != to {
				t.Fatalf("%d bytes of %d from %v, not %v: %v", n, size, from, to, err)
			}
		}
		within(t, "there is one mapping", func() bool { return r.mappings() == 1 })
		s.Close()
		within(t, "the mapping ends with the socket", func() bool { return r.mappings() == 0 })
	})
}

func (r *run) mappings() (n int) {
	done := make(chan struct{})
	r.g.leave(func() {
		n = len(r.g.mappings)
		close(done)
	})
	<-done
	return n
}

// TestDatagramsRefused sends to a port outside that nobody has.
func TestDatagramsRefused(t *testing.T) {
	eachAddr(t, func(t *testing.T, r *run, a netip.Addr) {
		p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			t.Fatal(err)
		}
		to := p.LocalAddr().(*net.UDPAddr).AddrPort()
		p.Close()
		s := r.bound(a)
		if err := s.Connect(usock.Inet(to)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(make([]byte, 10), 0); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("receive: %v", err)
		}
		// One that is there is reached all the same, by the same socket.
		good := echoUDP(t, a)
		s.Connect(usock.Inet(good))
		s.Send([]byte("hello"), 0)
		b := make([]byte, 10)
		if n, err := s.Recv(b, 0); err != nil || string(b[:n]) != "hello" {
			t.Errorf("received %q: %v", b[:n], err)
		}
	})
}

// TestManyMappings has more sockets send than there may be mappings.
func TestManyMappings(t *testing.T) {
	r := newRun(t, Config{})
	to := echoUDP(t, netip.MustParseAddr("127.0.0.1"))
	b := make([]byte, 10)
	for i := range maxMappings + 100 {
		s := r.bound(to.Addr())
		s.SendTo([]byte("x"), 0, usock.Inet(to))
		if n, err := s.Recv(b, 0); n != 1 || err != nil {
			t.Fatalf("socket %d: %d, %v (%s)", i, n, err, r.warn)
		}
		s.Close()
	}
	if n := r.mappings(); n > maxMappings {
		t.Errorf("%d mappings", n)
	}
}

// TestWarnOnce has a warning told once, whoever's words are in it.
func TestWarnOnce(t *testing.T) {
	r := newRun(t, Config{})
	done := make(chan struct{})
	r.g.leave(func() {
		for i := range 100 {
			r.g.warn("from %d", i)
		}
		close(done)
	})
	<-done
	if got := r.warn.String(); got != "from 0\n" || len(r.g.told) != 1 {
		t.Errorf("%q, and %d remembered", got, len(r.g.told))
	}
}

// TestRefusedByNobody connects to an address that is no sender's: the router answers for it.
func TestRefusedByNobody(t *testing.T) {
	r := newRun(t, Config{})
	s := r.socket(usock.AF_INET, usock.SOCK_STREAM)
	if err := s.Connect(usock.Inet(netip.MustParseAddrPort("0.1.2.3:80"))); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("connect: %v", err)
	}
}

package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"usock"
	"usock/link"
	"usock/sim"
)

// distant is a link whose round trip takes 50 ms.
var distant = sim.Both(link.Impairment{Delay: 25 * time.Millisecond})

// A server of net/http takes one line, and answers in virtual time.
func TestNewServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sim.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			fmt.Fprint(w, "hello")
		}), distant)
		begin := time.Now()
		r, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if string(b) != "hello" || err != nil || r.StatusCode != 200 {
			t.Errorf("%s: %q, %v", r.Status, b, err)
		}
		if d := time.Since(begin); d != time.Hour+100*time.Millisecond { // two round trips: SYN, and the request
			t.Errorf("it took %v, want an hour and 100ms", d)
		}
	})
}

// Connections and listeners fail as the test says, calls that wait included.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("fault")
		check := func(what string, err error, op string) {
			t.Helper()
			var o *net.OpError
			if !errors.Is(err, fault) || !errors.As(err, &o) || o.Op != op {
				t.Errorf("%s: %v, want the fault in an OpError of %s", what, err, op)
			}
		}
		l := sim.NewListener(t, distant)
		c := l.NewConnConfig(func(d *usock.Dialer) { d.Local = netip.AddrPortFrom(l.Client().Addr(), 4000) })
		s := accept(t, l)
		if c.Peer() != s || s.Peer() != c || s.RemoteAddr().(*net.TCPAddr).Port != 4000 {
			t.Errorf("peers %p, %p of %p, %p, client %v", c.Peer(), s.Peer(), c, s, s.RemoteAddr())
		}

		// Addresses are what the test says, at both ends.
		c.SetLocalAddr(netip.MustParseAddrPort("203.0.113.7:1"))
		s.SetLocalAddr(netip.MustParseAddrPort("[2001:db8::1]:2"))
		c.SetRemoteAddr(netip.MustParseAddrPort("198.51.100.1:3"))
		if got := fmt.Sprint(c.LocalAddr(), c.RemoteAddr(), s.LocalAddr(), s.RemoteAddr()); got != "203.0.113.7:1 198.51.100.1:3 [2001:db8::1]:2 203.0.113.7:1" {
			t.Errorf("addresses %s", got)
		}

		// A read that waits; then what has come is read before the error.
		got := make(chan error)
		go func() { _, err := s.Read(make([]byte, 9)); got <- err }()
		synctest.Wait()
		s.SetReadError(fault)
		check("read", <-got, "read")
		c.Write([]byte("hello"))
		time.Sleep(time.Second)
		b := make([]byte, 9)
		if n, err := s.Read(b); string(b[:n]) != "hello" || err != nil {
			t.Errorf("%q, %v", b[:n], err)
		}
		_, err := s.Read(b)
		check("read of nothing", err, "read")
		if !s.CanRead() {
			t.Error("a read would return the error, and CanRead says that it would wait")
		}
		s.SetReadError(nil)
		if s.CanRead() {
			t.Error("nothing is there, and CanRead says otherwise")
		}

		// A write that waits for room.
		wrote := make(chan int)
		go func() {
			n, err := c.Write(make([]byte, 100<<20))
			got <- err
			wrote <- n
		}()
		time.Sleep(time.Minute)
		c.SetWriteError(fault)
		check("write", <-got, "write")
		if n := <-wrote; n == 0 || n == 100<<20 {
			t.Errorf("%d bytes were written", n)
		}
		c.SetWriteError(nil)

		c.SetDeadline(time.Now())
		if _, err := c.Read(b); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
			t.Errorf("read after the deadline: %v", err)
		}
		c.SetCloseError(fault)
		check("close", c.Close(), "close")
		if !s.Peer().IsClosed() || s.IsClosed() {
			t.Error("the client is closed and the server is not")
		}
		if _, err := c.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}

		// An accept that waits; then what waits is accepted before the error.
		go func() { _, err := l.Accept(); got <- err }()
		synctest.Wait()
		l.SetAcceptError(fault)
		check("accept", <-got, "accept")
		l.NewConn()
		time.Sleep(time.Second)
		accept(t, l).Close()
		_, err = l.Accept()
		check("accept of nothing", err, "accept")
		l.SetAcceptError(nil)
		l.Link().Cut()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.DialContext(short, "tcp", "any:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial over a link that is cut: %v", err)
		}
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after Close: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func accept(t *testing.T, l *sim.Listener) *sim.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*sim.Conn)
}

// A Conn is a net.Conn by all that golang.org/x/net/nettest asks.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := sim.NewConnPair(t, sim.LinkConfig{})
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

// Sockets at any addresses reach each other, and fail as the test says.
func TestPacketNet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.NewPacketNet(t, link.Impairment{Delay: 10 * time.Millisecond})
		conn := func(at string) *sim.PacketConn {
			t.Helper()
			c, err := n.NewConn(netip.MustParseAddrPort(at))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, at := range [][2]string{{"192.0.2.1:53", "203.0.113.9:53"}, {"[2001:db8::1]:53", "[2001:db8:5::1]:53"}} {
			a, b := conn(at[0]), conn(at[1])
			if _, err := n.NewConn(netip.MustParseAddrPort(at[0])); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("a second one at %s: %v", at[0], err)
			}
			begin := time.Now()
			a.WriteTo([]byte("question"), b.LocalAddr())
			p := make([]byte, 20)
			k, from, err := b.ReadFrom(p)
			if string(p[:k]) != "question" || from.String() != at[0] || err != nil || time.Since(begin) != 10*time.Millisecond {
				t.Errorf("%q from %v, %v, after %v", p[:k], from, err, time.Since(begin))
			}

			fault := errors.New("fault")
			got := make(chan error)
			go func() { _, _, err := b.ReadFrom(p); got <- err }()
			synctest.Wait()
			b.SetReadError(fault)
			if err := <-got; !errors.Is(err, fault) {
				t.Errorf("read: %v", err)
			}
			a.SetWriteError(fault)
			if _, err := a.WriteTo(p, b.LocalAddr()); !errors.Is(err, fault) {
				t.Errorf("write: %v", err)
			}
			b.SetCloseError(fault)
			if err := b.Close(); !errors.Is(err, fault) || !b.IsClosed() {
				t.Errorf("close: %v, closed: %t", err, b.IsClosed())
			}
		}
	})
}

// Hosts of a network know each other by their names.
func TestHostNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _ := pair(t, 1, sim.LinkConfig{})
		n.Start()
		l, err := b.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Dial("tcp", strings.ToUpper(b.Name())+":80")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
		if names, err := a.Resolver().LookupAddr(t.Context(), b.Addr6().String()); len(names) != 1 || names[0] != b.Name() || err != nil {
			t.Errorf("%v, %v, want %s", names, err, b.Name())
		}
	})
}

// failing is a test that has failed, and what it was told to log.
type failing struct {
	testing.TB
	done []func()
	log  strings.Builder
}

func (f *failing) Failed() bool                    { return true }
func (f *failing) Cleanup(d func())                { f.done = append(f.done, d) }
func (f *failing) Logf(format string, args ...any) { fmt.Fprintf(&f.log, format, args...) }

// A test that fails is told the seed, and the environment replays it.
func TestSeed(t *testing.T) {
	t.Setenv("USOCK_SEED", "77")
	f := &failing{TB: t}
	sim.New(f, sim.Seed(f))
	for _, d := range f.done {
		d()
	}
	if !strings.Contains(f.log.String(), "USOCK_SEED=77") {
		t.Errorf("the log is %q", f.log.String())
	}
	t.Setenv("USOCK_SEED", "")
	if a, b := sim.Seed(t), sim.Seed(t); a == b {
		t.Error("two seeds are the same")
	}
}

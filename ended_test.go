package usock_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// endings are the connections that a host has told the end of.
type endings struct {
	mu   sync.Mutex
	list []usock.SocketInfo // mu
}

func (e *endings) told(in usock.SocketInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, in)
}

// take returns what was told since it was called last.
func (e *endings) take() []usock.SocketInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

// one returns the only one of them.
func (e *endings) one(t *testing.T) usock.SocketInfo {
	t.Helper()
	synctest.Wait()
	list := e.take()
	if len(list) != 1 || list[0].TCP == nil {
		t.Fatalf("%d were told: %+v", len(list), list)
	}
	return list[0]
}

// endingHosts are two hosts on a link of 20 ms, which tell the ends of their connections, and a listener on the second.
func endingHosts(t *testing.T) (a, b *usock.Host, l net.Listener, ea, eb *endings) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	slow, err := link.Impair(x, link.ImpairConfig{Out: link.Impairment{Delay: 10 * time.Millisecond}, In: link.Impairment{Delay: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ea, eb = new(endings), new(endings)
	a = newHost(t, usock.Config{Ended: ea.told, Interfaces: []usock.Interface{{Link: slow, Addrs: prefixes("10.0.0.1/24")}}})
	b = newHost(t, usock.Config{Ended: eb.told, Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	if l, err = b.Listen("tcp", "10.0.0.2:8000"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return a, b, l, ea, eb
}

func pairOf(t *testing.T, a *usock.Host, l net.Listener) (c, s *usock.TCPConn) {
	t.Helper()
	x, err := a.Dial("tcp", "10.0.0.2:8000")
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x.(*usock.TCPConn), y.(*usock.TCPConn)
}

// TestEnded has a connection carry a megabyte to a reader that begins after two seconds. Both ends are told once, with what
// they have carried and what was in the way.
func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, l, ea, eb := endingHosts(t)
		c, s := pairOf(t, a, l)
		const size = 8 << 20
		go func() {
			c.Write(make([]byte, size))
			c.Close()
		}()
		time.Sleep(2 * time.Second)
		if n, _ := io.Copy(io.Discard, s); n != size {
			t.Errorf("%d bytes", n)
		}
		time.Sleep(time.Second)
		s.Close()
		time.Sleep(time.Second)

		in := ea.one(t)
		if in.State != "TIME-WAIT" || in.ID == 0 || in.Peer.String() != "10.0.0.2:8000" || in.TCP.BytesAcked < size || in.TCP.BytesReceived != 0 {
			t.Errorf("the client's: %+v, %+v", in, in.TCP)
		}
		if in.Age < 3*time.Second || in.Age > 3500*time.Millisecond {
			t.Errorf("it lasted %v", in.Age)
		}
		if w := time.Duration(in.TCP.RwndLimited) * time.Microsecond; w < time.Second || w > 2100*time.Millisecond || in.TCP.BusyTime < in.TCP.RwndLimited {
			t.Errorf("the receiver was in the way for %v of %d µs", w, in.TCP.BusyTime)
		}
		if in := eb.one(t); in.State != "UNCONN" || in.Local.String() != "10.0.0.2:8000" || in.TCP.BytesReceived != size || in.Age < 3*time.Second {
			t.Errorf("the server's: %+v, %+v", in, in.TCP)
		}
		time.Sleep(2 * time.Minute) // TIME-WAIT's own end is none
		if list := append(ea.take(), eb.take()...); len(list) > 0 {
			t.Errorf("told again: %+v", list)
		}
	})
}

// TestEndedOtherwise has connections end that are refused, unanswered, reset, dissolved, and that end with their host.
func TestEndedOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, l, ea, eb := endingHosts(t)
		a.Dial("tcp", "10.0.0.2:8001")
		if in := ea.one(t); in.State != "UNCONN" || in.Peer.Port() != 8001 || in.TCP.BytesAcked != 0 || in.Age < 20*time.Millisecond || in.Age > 30*time.Millisecond {
			t.Errorf("refused: %+v", in)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		a.DialContext(ctx, "tcp", "10.0.0.3:8000") // where nobody is
		if in := ea.one(t); in.TCP.Retransmits == 0 && in.TCP.TotalRetrans == 0 || in.Age < 5*time.Second {
			t.Errorf("unanswered: %+v, %+v", in, in.TCP)
		}

		c, s := pairOf(t, a, l)
		s.SetLinger(0)
		s.Close()
		eb.one(t)
		time.Sleep(time.Second)
		if in := ea.one(t); in.State != "UNCONN" || in.Peer.Port() != 8000 {
			t.Errorf("reset: %+v", in)
		}
		c.Close()

		k := mustSocket(t, a, usock.AF_INET, usock.SOCK_STREAM)
		if err := k.Connect(mustAddr(t, "10.0.0.2:8000")); err != nil {
			t.Fatal(err)
		}
		l.Accept()
		if err := k.Connect(usock.Addr{Family: usock.AF_UNSPEC}); err != nil {
			t.Fatal(err)
		}
		if in := ea.one(t); in.Peer.Port() != 8000 {
			t.Errorf("dissolved: %+v", in)
		}
		time.Sleep(time.Second)
		eb.one(t)

		pairOf(t, a, l)
		b.Close()
		if in := eb.one(t); in.Peer.Addr().String() != "10.0.0.1" {
			t.Errorf("its host is closed: %+v", in)
		}
		if list := append(ea.take(), eb.take()...); len(list) > 0 {
			t.Errorf("%+v were told, too", list)
		}
	})
}

// TestEndedCallsHost has who is told use the host.
func TestEndedCallsHost(t *testing.T) {
	var h *usock.Host
	states := make(chan string, 2)
	h = newHost(t, usock.Config{Ended: func(in usock.SocketInfo) {
		if len(h.Sockets()) == 0 {
			t.Error("not even the listener is there")
		}
		states <- in.State
	}})
	l, err := h.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := h.Dial("tcp", "127.0.0.1:8000")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Close()
	got := []string{<-states, <-states}
	if slices.Sort(got); !slices.Equal(got, []string{"TIME-WAIT", "UNCONN"}) {
		t.Errorf("%q", got)
	}
}

// TestEndedDatagrams has UDP sockets be closed: those that have carried something are told of.
func TestEndedDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, ea, eb := endingHosts(t)
		l := hears(t, b, "10.0.0.2:7007")
		c, err := a.Dial("udp", "10.0.0.2:7007")
		if err != nil {
			t.Fatal(err)
		}
		hears(t, a, "10.0.0.1:7008").Close() // has carried nothing
		c.Write(make([]byte, 700))
		buf := make([]byte, 1000)
		if _, from, err := l.ReadFrom(buf); err != nil {
			t.Fatal(err)
		} else if _, err := l.WriteTo(make([]byte, 30), from); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		c.Close()
		synctest.Wait()
		list := ea.take()
		if len(list) != 1 || list[0].Proto != "udp" || list[0].State != "ESTAB" || list[0].Peer.String() != "10.0.0.2:7007" || list[0].ID == 0 ||
			list[0].TxBytes != 700 || list[0].RxBytes != 30 || list[0].Age < 2*time.Second || list[0].Age > 2100*time.Millisecond {
			t.Errorf("%+v", list)
		}
		b.Close()
		if list := eb.take(); len(list) != 1 || list[0].Proto != "udp" || list[0].Local.String() != "10.0.0.2:7007" || list[0].RxBytes != 700 || list[0].TxBytes != 30 {
			t.Errorf("its host is closed: %+v", list)
		}
	})
}

// TestEndedAssociations has associations end by SHUTDOWN, by ABORT, with their host, and without having begun. Each end is told once, with
// whose it was when its program was there still.
func TestEndedAssociations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, ea, eb := endingHosts(t)
		one := func(e *endings, what string) usock.SCTPAssocInfo {
			t.Helper()
			synctest.Wait()
			list := e.take()
			if len(list) != 1 || list[0].Proto != "sctp" || list[0].SCTP == nil || len(list[0].SCTP.Assocs) != 1 {
				t.Fatalf("%s: %+v", what, list)
			}
			in := list[0]
			x := in.SCTP.Assocs[0]
			if in.ID == 0 || in.Local != x.Local || in.Peer != x.Peer || in.Age != x.Age || in.RxBytes != x.RxBytes || in.TxBytes != x.TxBytes {
				t.Errorf("%s: %+v", what, in)
			}
			return x
		}
		c, s := sctpConns(t, a, b, "10.0.0.2:7000")
		c.Write(make([]byte, 500))
		if _, err := io.ReadFull(s, make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.Close()
		time.Sleep(time.Second)
		if x := one(ea, "shut down"); !x.Made || x.Unanswered || x.TxBytes != 500 || x.RxBytes != 0 || x.Peer.String() != "10.0.0.2:7000" ||
			x.Age < time.Second || x.Age > 1200*time.Millisecond || x.SRTT < 19*time.Millisecond || x.SRTT > 40*time.Millisecond {
			t.Errorf("shut down: %+v", x)
		}
		if x := one(eb, "shut down, at the other end"); !x.Made || x.RxBytes != 500 || x.Peer.Addr().String() != "10.0.0.1" {
			t.Errorf("shut down, at the other end: %+v", x)
		}

		c, s = sctpConns(t, a, b, "10.0.0.2:7001")
		c.SetLinger(0)
		c.Close()
		time.Sleep(time.Second)
		one(ea, "aborted")
		one(eb, "aborted, at the other end")
		s.Close()

		a.DialSCTP(t.Context(), "sctp", "10.0.0.2:7009")
		if x := one(ea, "refused"); x.Made || x.Unanswered || x.Peer.Port() != 7009 {
			t.Errorf("refused: %+v", x)
		}
		a.DialSCTP(t.Context(), "sctp", "10.0.0.3:7009") // where nobody is
		if x := one(ea, "unanswered"); x.Made || !x.Unanswered || x.Age < 5*time.Second {
			t.Errorf("unanswered: %+v", x)
		}

		sctpConns(t, a, b, "10.0.0.2:7002")
		a.Close()
		if x := one(ea, "its host is closed"); !x.Made || x.State == 0 {
			t.Errorf("its host is closed: %+v", x)
		}
	})
}

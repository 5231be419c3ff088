package usock_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"usock"
	"usock/link"
)

// TestStats counts what a few calls bring about.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := usock.NewHost(usock.Config{Privileged: true})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if got := h.Stats(); got != (usock.Stats{}) {
			t.Errorf("%+v of a host that has done nothing", got)
		}
		l, err := h.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := h.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nobody, err := h.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer nobody.Close()
		nobody.Write([]byte("x"))
		if _, err := h.Dial("tcp", "127.0.0.1:9"); err == nil {
			t.Error("connected to nobody")
		}
		raw, err := h.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_UDP)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		pair, other, err := h.SocketPair(usock.AF_UNIX, usock.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer pair.Close()
		defer other.Close()
		synctest.Wait()

		got := h.Stats()
		// Handshake 3, the refused SYN and its reset.
		if w := got.TCP; w.ActiveOpens != 2 || w.PassiveOpens != 1 || w.InSegs != 5 || w.OutSegs != 5 || w.OutRsts != 1 {
			t.Errorf("%+v", w)
		}
		if w := got.UDP; w.OutDatagrams != 1 || w.NoPorts != 1 || w.InDatagrams != 0 {
			t.Errorf("%+v", w)
		}
		if got.ICMP.OutMsgs != 1 || got.ICMP.OutDestUnreachs != 1 || got.ICMP.InDestUnreachs != 1 {
			t.Errorf("%+v", got.ICMP)
		}
		if w := got.IP; w.InReceives != 7 || w.OutTransmits != 7 || w.InHdrErrors+w.InCsumErrors+w.InMartians != 0 {
			t.Errorf("%+v", w)
		}
		// The connection that waits to be accepted is no socket yet.
		if want := (usock.SocketCounts{Used: 6, TCP: 3, UDP: 1, Raw: 1, Unix: 2}); got.Sockets != want {
			t.Errorf("%+v, want %+v", got.Sockets, want)
		}

		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		synctest.Wait()
		if got := h.Stats().Sockets; got.TCPOrphan != 1 || got.TCP != 2 {
			t.Errorf("%+v with a connection that outlives its socket", got)
		}
		server.Close()
		synctest.Wait()
		if got := h.Stats().Sockets; got.TCPTimeWait != 1 || got.TCPOrphan != 0 {
			t.Errorf("%+v with a connection in TIME-WAIT", got)
		}
	})
}

// TestRemoveInterface takes an interface away from under a connection.
func TestRemoveInterface(t *testing.T) {
	a, b := link.Pipe(link.PipeConfig{})
	defer b.Close()
	h := newHost(t, usock.Config{})
	told := 0
	defer h.OnChange(func() { told++ })()
	own := usock.Interface{Link: a, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	if err := h.AddInterface(own); err != nil {
		t.Fatal(err)
	}
	name := a.Info().Name
	again, twin := link.Pipe(link.PipeConfig{})
	defer twin.Close()
	defer again.Close()
	if err := h.AddInterface(usock.Interface{Link: again}); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a second interface of one name: %v, want EEXIST", err)
	}
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	defer s.Close()
	to := usock.Inet(netip.MustParseAddrPort("10.0.0.2:9"))
	if _, err := s.SendTo([]byte("x"), 0, to); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveInterface(name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SendTo([]byte("x"), 0, to); err != syscall.ENETUNREACH {
		t.Errorf("send: %v, want ENETUNREACH", err)
	}
	if n := len(h.Interfaces()); n != 1 || len(h.Routes()) != 0 {
		t.Errorf("%d interfaces, routes %v", n, h.Routes())
	}
	if _, err := a.Recv(nil); err != link.ErrClosed {
		t.Errorf("the link says %v, want that it is closed", err)
	}
	if told != 2 {
		t.Errorf("told %d times of 2 changes", told)
	}
	for name, want := range map[string]error{name: syscall.ENODEV, "lo": syscall.EOPNOTSUPP} {
		if err := h.RemoveInterface(name); err != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}

	// An interface whose address makes no sense leaves nothing.
	c, d := link.Pipe(link.PipeConfig{})
	defer d.Close()
	own = usock.Interface{Link: c, Addrs: []netip.Prefix{netip.MustParsePrefix("224.0.0.1/24")}}
	if err := h.AddInterface(own); err == nil || len(h.Interfaces()) != 1 {
		t.Errorf("%v, and %d interfaces", err, len(h.Interfaces()))
	}
}

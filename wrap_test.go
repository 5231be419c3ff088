package usock_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// A connection goes on while the links under it become others: loopback and between hosts, delayed, lossy and with a smaller MTU.
func TestWrapWhileBytesFlow(t *testing.T) {
	t.Run("loopback", func(t *testing.T) {
		h, err := usock.NewHost(usock.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		throughChanges(t, h, h, "127.0.0.1:5080", "lo")
	})
	t.Run("pipe", func(t *testing.T) {
		a, b := link.Pipe(link.PipeConfig{})
		alpha, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: a, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer alpha.Close()
		beta, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer beta.Close()
		throughChanges(t, alpha, beta, "10.0.0.2:5080", a.Info().Name)
	})
}

// byteStream is a connection on which bytes flow until it is ended, and are looked at where they arrive.
type byteStream struct {
	t        *testing.T
	received atomic.Int64
	stop     chan struct{}
	digests  chan []byte
}

// startStream begins to send from one host to another.
func startStream(t *testing.T, from, to *usock.Host, at string) *byteStream {
	t.Helper()
	l, err := to.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &byteStream{t: t, stop: make(chan struct{}), digests: make(chan []byte, 2)}
	go s.receive(l)
	c, err := from.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go s.send(c.(*usock.TCPConn))
	return s
}

func (s *byteStream) receive(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	sum := sha256.New()
	buf := make([]byte, 100_000)
	for {
		n, err := c.Read(buf)
		sum.Write(buf[:n])
		s.received.Add(int64(n))
		if err != nil {
			if err != io.EOF {
				s.t.Error(err)
			}
			break
		}
	}
	s.digests <- sum.Sum(nil)
}

func (s *byteStream) send(c *usock.TCPConn) {
	sum := sha256.New()
	rnd := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 70_000)
	for {
		select {
		case <-s.stop:
			s.digests <- sum.Sum(nil)
			c.CloseWrite()
			return
		default:
		}
		rnd.Read(buf)
		sum.Write(buf)
		if _, err := c.Write(buf); err != nil {
			s.t.Error(err)
			return
		}
	}
}

// more waits until n bytes more have come.
func (s *byteStream) more(n int64) {
	s.t.Helper()
	goal := s.received.Load() + n
	for deadline := time.Now().Add(20 * time.Second); s.received.Load() < goal; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d bytes came, want %d", s.received.Load(), goal)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// end looks whether what was sent has arrived.
func (s *byteStream) end() {
	s.t.Helper()
	close(s.stop)
	if a, b := <-s.digests, <-s.digests; !bytes.Equal(a, b) {
		s.t.Error("the digests differ")
	}
}

// throughChanges sends bytes from one host to another until the interface's link has changed twice, and looks that they arrive.
func throughChanges(t *testing.T, from, to *usock.Host, at, iface string) {
	s := startStream(t, from, to, at)
	s.more(1 << 20)

	var imp *link.Impaired
	var all atomic.Int64
	err := from.Wrap(iface, func(l link.Link) link.Link {
		var err error
		if imp, err = link.Impair(l, link.ImpairConfig{Standby: true, Seed: 1}); err != nil {
			t.Fatal(err)
		}
		return &counting{Direct: imp, all: &all}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.more(4 << 20)
	if all.Load() == 0 {
		t.Error("nothing passed by the new link")
	}
	if err := from.SetMTU(iface, 1500); err != nil {
		t.Fatal(err)
	}
	if err := imp.Set(link.Impairment{Delay: 2 * time.Millisecond, Loss: 0.001}, link.Impairment{}); err != nil {
		t.Fatal(err)
	}
	s.more(4 << 20)
	if out, _ := imp.Stats(); out.Lost == 0 {
		t.Errorf("nothing was lost of %+v", out)
	}
	begun := time.Now()
	if _, err := from.Dial("tcp", at); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d < 2*time.Millisecond {
		t.Errorf("a connect took %v, with a delay of 2ms", d)
	}

	// A second one around the first.
	if err := from.Wrap(iface, func(l link.Link) link.Link {
		outer, err := link.Impair(l, link.ImpairConfig{Standby: true})
		if err != nil {
			t.Fatal(err)
		}
		return outer
	}); err != nil {
		t.Fatal(err)
	}
	s.more(1 << 20)
	s.end()
}

// counting counts what is sent.
type counting struct {
	link.Direct
	all *atomic.Int64
}

func (c *counting) Send(batch []*link.Packet) int {
	c.all.Add(int64(len(batch)))
	return c.Direct.Send(batch)
}

func TestWrapErrors(t *testing.T) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	same := func(l link.Link) link.Link { return l }
	check := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("no such interface", h.Wrap("eth7", same), syscall.ENODEV)
	check("nothing in return", h.Wrap("lo", func(link.Link) link.Link { return nil }), syscall.EOPNOTSUPP)
	check("MTU of no interface", h.SetMTU("eth7", 1500), syscall.ENODEV)
	check("an MTU too small for IPv6", h.SetMTU("lo", 1279), syscall.EINVAL)
	check("an MTU larger than the link's", h.SetMTU("lo", 1<<17), syscall.EINVAL)
	if err := h.SetMTU("lo", 1280); err != nil {
		t.Error(err)
	}
	for _, i := range h.Interfaces() {
		if i.Name == "lo" && i.MTU != 1280 {
			t.Errorf("the MTU is %d", i.MTU)
		}
	}
	h.Close()
	check("a closed host", h.Wrap("lo", same), syscall.EBADF)
	check("MTU of a closed host", h.SetMTU("lo", 1500), syscall.EBADF)
}

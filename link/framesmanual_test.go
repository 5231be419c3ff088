package link_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
)

// cable is an end of a pipe that carries Ethernet frames, each after a while, but for every
// so-manieth, which is lost. It is for one goroutine.
type cable struct {
	link.Direct
	address byte
	clock   clock.Clock
	every   int
	sent    int
	under   []frame // on their way
}

type frame struct {
	p  *link.Packet
	at time.Duration
}

const cableDelay = 3 * time.Millisecond

func (c *cable) Info() link.Info {
	i := c.Direct.Info()
	i.Medium, i.Address = link.Ethernet, [6]byte{2, 0, 0, 0, 0, c.address}
	return i
}

// Send implements link.Link.
func (c *cable) Send(batch []*link.Packet) int {
	for _, p := range batch {
		if c.sent++; c.sent%c.every == 0 {
			p.Free()
			continue
		}
		c.under = append(c.under, frame{p, c.clock.Now() + cableDelay})
		c.clock.NewAlarm(c.arrive).Set(cableDelay)
	}
	return len(batch)
}

// arrive hands on what is due.
func (c *cable) arrive() {
	for len(c.under) > 0 && c.under[0].at <= c.clock.Now() {
		p := c.under[0].p
		c.under = c.under[1:]
		c.Direct.Send([]*link.Packet{p})
	}
}

// back is the cable's other end.
type back struct{ link.Direct }

func (b back) Info() link.Info {
	i := b.Direct.Info()
	i.Medium, i.Address = link.Ethernet, [6]byte{2, 0, 0, 0, 0, 0xb}
	return i
}

// etherHost returns a host whose frames go over l.
func etherHost(t *testing.T, c clock.Clock, seed uint64, l link.Link, addrs ...string) *usock.Host {
	t.Helper()
	f, err := link.Frames(l, link.FramesConfig{Addresses: prefixes(addrs...), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, usock.Config{Clock: c, Seed: seed, Interfaces: []usock.Interface{{Link: f, Addrs: prefixes(addrs...)}}})
}

// framesReplay has two hosts send each other over Ethernet frames, some of which are lost, in
// manual time, and returns the digest of what one of them has sent and received. The way back
// takes no time: a host's call leads to the other's and back to it.
func framesReplay(t *testing.T, seed uint64) string {
	t.Helper()
	c := new(clock.Manual)
	digest := sha256.New()
	x, y := link.Pipe(link.PipeConfig{MTU: 1500, SmallSegments: true})
	record := link.NewPcapWriter(digest, 0)
	slow := &cable{Direct: x, address: 0xa, clock: c, every: 37}
	a := etherHost(t, c, seed, link.Pcap(slow, record, link.BothWays), "10.0.0.1/24", "2001:db8::1/64")
	b := etherHost(t, c, seed+1, back{y}, "10.0.0.2/24", "2001:db8::2/64")

	const size = 200_000
	for _, to := range []string{"10.0.0.2:8080", "[2001:db8::2]:8080"} {
		exchange(t, c, a, b, netip.MustParseAddrPort(to), size)
	}
	c.Advance(time.Minute)
	for _, h := range []*usock.Host{a, b} {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := record.Close(); err != nil {
		t.Error(err)
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}

// exchange has a send size bytes to b, which sends them back, from one event to the next.
func exchange(t *testing.T, c *clock.Manual, a, b *usock.Host, to netip.AddrPort, size int) {
	t.Helper()
	open := func(h *usock.Host) *usock.Socket {
		family := usock.AF_INET
		if to.Addr().Is6() {
			family = usock.AF_INET6
		}
		s, err := h.Socket(family, usock.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.SetNonblock(true)
		return s
	}
	l, client := open(b), open(a)
	defer l.Close()
	defer client.Close()
	if err := l.Bind(usock.Inet(to)); err != nil {
		t.Fatal(err)
	}
	l.Listen(1)
	if err := client.Connect(usock.Inet(to)); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	var server *usock.Socket
	sent, echoed, got := 0, 0, 0
	buf := make([]byte, 10_000)
	for end := c.Now() + time.Hour; got < size; {
		if server == nil {
			if s, _, err := l.Accept(); err == nil {
				server = s
				server.SetNonblock(true)
				defer server.Close()
			}
		}
		if n, err := client.Send(buf[:min(len(buf), size-sent)], 0); err == nil {
			sent += n
		}
		if server != nil {
			if n, err := server.Recv(buf, usock.MSG_PEEK); err == nil && n > 0 {
				if n, err := server.Send(buf[:n], 0); err == nil {
					server.Recv(buf[:n], 0)
					echoed += n
				}
			}
		}
		if n, err := client.Recv(buf, 0); err == nil {
			got += n
		}
		at, ok := c.Next()
		if !ok || at > end {
			t.Fatalf("%d bytes sent, %d echoed, %d back, and nothing goes on", sent, echoed, got)
		}
		c.Advance(at - c.Now())
	}
}

// In manual time hosts on an Ethernet in memory are a function of their seeds: ARP, neighbour
// discovery and what waits for them run on the goroutine that advances the clock.
func TestFramesReplay(t *testing.T) {
	want := framesReplay(t, 1)
	if framesReplay(t, 2) == want {
		t.Error("another seed gives the same")
	}
	for _, n := range []int{1, 2, 8} {
		was := runtime.GOMAXPROCS(n)
		got := framesReplay(t, 1)
		runtime.GOMAXPROCS(was)
		if got != want {
			t.Errorf("with %d processors the digest is %s, and was %s", n, got, want)
		}
	}
}

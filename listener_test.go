package usock_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"usock"
	"usock/internal/wire"
	"usock/link"
)

// rawPeer is the far end of a host's link, where a test makes segments by hand.
type rawPeer struct {
	t           testing.TB
	link        link.Direct
	got         []wire.TCP
	local, host netip.Addr
}

// newRawPeer returns a host with 10.0.0.2 and 2001:db8::2, and a peer, 10.0.0.1, on its link.
func newRawPeer(t testing.TB, c usock.Config) (*usock.Host, *rawPeer) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	p := &rawPeer{t: t, link: x, local: netip.MustParseAddr("10.0.0.1"), host: netip.MustParseAddr("10.0.0.2")}
	x.Deliver(func(batch []*link.Packet) {
		for _, k := range batch {
			b := k.AppendTo(nil)
			k.Free()
			n, proto := wire.IPv6Len, uint8(0)
			var err error
			if b[0]>>4 == 4 {
				var ip wire.IPv4
				ip, n, err = wire.ParseIPv4(b)
				proto = ip.Proto
			} else {
				var ip wire.IPv6
				ip, err = wire.ParseIPv6(b)
				proto = ip.Next
			}
			if err != nil {
				t.Error(err)
				continue
			}
			if proto != 6 {
				continue
			}
			h, _, err := wire.ParseTCP(b[n:])
			if err != nil {
				t.Error(err)
				continue
			}
			p.got = append(p.got, h)
		}
	})
	c.Interfaces = []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24", "2001:db8::2/64")}}
	return newHost(t, c), p
}

// six has the peer go on as 2001:db8::1.
func (p *rawPeer) six() {
	p.local, p.host = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
}

// send sends a segment and returns the answers.
func (p *rawPeer) send(h wire.TCP, data string) []wire.TCP {
	p.got = nil
	n := wire.IPv6Len
	if p.local.Is4() {
		n = 20
	}
	b := make([]byte, n+h.Len(), n+h.Len()+len(data))
	if p.local.Is4() {
		ip := wire.IPv4{TotalLen: uint16(cap(b)), TTL: 64, Proto: 6, Src: p.local, Dst: p.host}
		ip.Put(b[:n])
	} else {
		ip := wire.IPv6{PayloadLen: uint16(cap(b) - n), HopLimit: 64, Next: 6, Src: p.local, Dst: p.host}
		ip.Put(b[:n])
	}
	h.Put(b[n:])
	b = append(b, data...)
	k := link.NewPacket(b)
	k.Trusted = true
	p.link.Send([]*link.Packet{k})
	return p.got
}

func TestSYNCookies(t *testing.T) {
	h, p := newRawPeer(t, usock.Config{})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "0.0.0.0:80")); err == nil {
		t.Error("an unprivileged host bound port 80")
	}
	if err := l.Bind(mustAddr(t, "0.0.0.0:8080")); err != nil {
		t.Fatal(err)
	}
	const backlog = 4
	l.Listen(backlog)
	syn := func(port uint16) wire.TCP {
		h := wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}
		h.Options = wire.TCPOptions{MSS: 1460, HasWScale: true, WScale: 7, SACKPermitted: true, HasTimestamp: true, TSVal: 5}
		return h
	}
	var last wire.TCP
	for port := uint16(1); port <= 2000; port++ {
		got := p.send(syn(port), "")
		if len(got) != 1 || got[0].Flags != wire.SYN|wire.ACK {
			t.Fatalf("SYN %d: answers %+v", port, got)
		}
		last = got[0]
	}
	if n := len(h.Sockets()); n > backlog+3 {
		t.Errorf("a flood of SYNs left %d sockets, backlog %d", n, backlog)
	}
	if o := last.Options; o.MSS != 1460 || !o.HasWScale || !o.SACKPermitted || !o.HasTimestamp {
		t.Errorf("options of the cookie's SYN-ACK: %+v", o)
	}
	ack := wire.TCP{SrcPort: 2000, DstPort: 8080, Seq: 1001, Ack: last.Seq + 1, Flags: wire.ACK | wire.PSH, Window: 500}
	ack.Options = wire.TCPOptions{HasTimestamp: true, TSVal: 6, TSEcr: last.Options.TSVal}
	forged := ack
	forged.Ack += 77
	if got := p.send(forged, ""); len(got) != 1 || got[0].Flags&wire.RST == 0 {
		t.Errorf("answer to a forged cookie: %+v", got)
	}
	p.send(ack, "hello")
	c, from, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := c.Recv(b, usock.MSG_DONTWAIT); string(b[:n]) != "hello" || err != nil {
		t.Errorf("from %v: %q, %v", from, b[:n], err)
	}
	var in usock.TCPInfo
	for _, s := range h.Sockets() {
		if s.ID == c.ID() {
			in = *s.TCP
		}
	}
	if in.SndWScale != 7 {
		t.Errorf("the peer's window scale is %d, want 7", in.SndWScale)
	}
	// What is sent comes in segments of the size that the cookie held.
	p.got = nil
	if _, err := c.Send(make([]byte, 1448), 0); err != nil {
		t.Fatal(err)
	}
	if len(p.got) != 1 || p.got[0].Ack != 1006 {
		t.Errorf("data: %+v", p.got)
	}
}

// TestAssumedMSS connects a peer whose SYN has no MSS option, as it is and with a cookie: 536 bytes are
// assumed over IPv4 and 1220 over IPv6 (RFC 9293, section 3.7.1).
func TestAssumedMSS(t *testing.T) {
	for _, six := range []bool{false, true} {
		for _, cookie := range []bool{false, true} {
			t.Run(fmt.Sprint("six=", six, " cookie=", cookie), func(t *testing.T) {
				h, p := newRawPeer(t, usock.Config{})
				family, at, want := usock.AF_INET, "0.0.0.0:8080", uint32(536)
				if six {
					p.six()
					family, at, want = usock.AF_INET6, "[::]:8080", 1220
				}
				l := mustSocket(t, h, family, usock.SOCK_STREAM)
				if err := l.Bind(mustAddr(t, at)); err != nil {
					t.Fatal(err)
				}
				l.Listen(1)
				first := uint16(1)
				if cookie {
					first = 20 // SYNs before it have filled the queue
				}
				var synack []wire.TCP
				for port := uint16(1); port <= first; port++ {
					synack = p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")
				}
				if len(synack) != 1 {
					t.Fatalf("answers %+v", synack)
				}
				if sent := h.Stats().TCP.SyncookiesSent; (sent > 0) != cookie {
					t.Fatalf("%d cookies were sent", sent)
				}
				p.send(wire.TCP{SrcPort: first, DstPort: 8080, Seq: 1001, Ack: synack[0].Seq + 1, Flags: wire.ACK, Window: 65535}, "")
				c, _, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range h.Sockets() {
					if s.ID == c.ID() && s.TCP.SndMSS != want {
						t.Errorf("MSS %d, want %d", s.TCP.SndMSS, want)
					}
				}
			})
		}
	}
}

// TestAcceptOverflow completes three handshakes where the accept queue has room for
// two connections: the third ACK is taken as lost, or answered with a reset where
// the host says so (tcp_abort_on_overflow).
func TestAcceptOverflow(t *testing.T) {
	for _, abort := range []bool{false, true} {
		t.Run(fmt.Sprint("abort=", abort), func(t *testing.T) {
			c := usock.DefaultTCPConfig()
			c.AbortOnOverflow = abort
			h, p := newRawPeer(t, usock.Config{TCP: c})
			l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
			if err := l.Bind(mustAddr(t, "0.0.0.0:8080")); err != nil {
				t.Fatal(err)
			}
			l.Listen(1) // a queue of more than the backlog is full
			iss := make(map[uint16]uint32)
			syn := func(port uint16) {
				t.Helper()
				got := p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")
				if len(got) != 1 || got[0].Flags != wire.SYN|wire.ACK {
					t.Fatalf("SYN %d: %+v", port, got)
				}
				iss[port] = got[0].Seq
			}
			ack := func(port uint16) []wire.TCP {
				return p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1001, Ack: iss[port] + 1, Flags: wire.ACK, Window: 65535}, "")
			}
			syn(1)
			if got := ack(1); len(got) != 0 {
				t.Fatalf("first ACK: %+v", got)
			}
			syn(2)
			syn(3)
			if got := ack(2); len(got) != 0 {
				t.Fatalf("second ACK: %+v", got)
			}
			got := ack(3)
			if abort && (len(got) != 1 || got[0].Flags&wire.RST == 0) || !abort && len(got) != 0 {
				t.Errorf("ACK for a full queue: %+v", got)
			}
			if abort {
				return
			}
			// With room again the repeated ACK completes the handshake.
			for _, port := range []uint16{1, 2, 3} {
				if port == 3 {
					ack(3)
				}
				if _, from, err := l.Accept(); err != nil || from.Port != port {
					t.Fatalf("accepted from %v, %v", from, err)
				}
			}
		})
	}
}

// What was accepted ahead of a program counts against the backlog until it is let go.
func TestHold(t *testing.T) {
	h := newHost(t, usock.Config{})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "127.0.0.1:8080")); err != nil {
		t.Fatal(err)
	}
	const backlog = 2
	l.Listen(backlog)
	connect := func(want bool) {
		t.Helper()
		c := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM|usock.SOCK_NONBLOCK)
		c.Connect(mustAddr(t, "127.0.0.1:8080"))
		if made := c.Events()&usock.POLLOUT != 0; made != want {
			t.Errorf("a connection is made: %v, want %v", made, want)
		}
	}
	for range backlog + 1 {
		connect(true)
	}
	connect(false)
	l.Hold(1)
	if _, _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	connect(false)
	l.Hold(0)
	connect(true)
	connect(false)
}

// What is asked of a listener, and told it, goes with the connections that come meanwhile in their own lock domains:
// for the race detector.
func TestListenerMeanwhile(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	h := must[*usock.Host](t)(usock.NewHost(usock.Config{Privileged: true}))
	defer h.Close()
	l := must[*usock.Socket](t)(h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0))
	if err := errors.Join(l.Bind(usock.Inet(netip.MustParseAddrPort("127.0.0.1:80"))), l.Listen(1000)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var done atomic.Bool
	all.Go(func() {
		for pid := int32(1); !done.Load(); pid++ {
			l.Events()
			l.SetOwner(pid)
			l.Hold(0)
		}
	})
	const each, clients = 20, 4
	var dialled sync.WaitGroup
	for range clients {
		dialled.Go(func() {
			for range each {
				c, err := h.Dial("tcp", "127.0.0.1:80")
				if err != nil {
					t.Error(err)
					return
				}
				c.Close()
			}
		})
	}
	dialled.Wait()
	done.Store(true)
	all.Wait()
	for range each * clients {
		if _, _, err := l.Accept(); err != nil {
			t.Error(err)
		}
	}
}

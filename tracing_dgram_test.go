package usock_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"usock"
	"usock/internal/wire"
	"usock/link"
	"usock/packet"
	"usock/trace"
)

// heard collects what a host tells.
type heard struct {
	mu     sync.Mutex
	events []trace.Event
}

func (h *heard) hear(events []trace.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, events...)
}

// take returns what was told since the last time, without the calls.
func (h *heard) take() []trace.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []trace.Event
	for _, e := range h.events {
		if e.Kind != trace.Called {
			out = append(out, e)
		}
	}
	h.events = nil
	return out
}

// wantLines compares what was told, as protocol, addresses and text.
func (h *heard) wantLines(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, e := range h.take() {
		_, line, _ := strings.Cut(e.String(), " ") // without the time
		got = append(got, line)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func boundUDP(t *testing.T, h *usock.Host, addr string) *usock.Socket {
	t.Helper()
	a := mustAddr(t, addr)
	s := mustSocket(t, h, a.Family, usock.SOCK_DGRAM)
	if err := s.Bind(a); err != nil {
		t.Fatal(err)
	}
	return s
}

// A datagram is sent and received, or dropped for a reason; an ICMP error that comes back is told.
func TestTraceUDP(t *testing.T) {
	for _, ip := range []string{"10.0.0.", "fd00::"} {
		t.Run(ip, func(t *testing.T) {
			x, y := twoHosts(t, link.PipeConfig{MTU: 1500})
			at := func(n, port string) string {
				return netip.AddrPortFrom(netip.MustParseAddr(ip+n), mustAddr(t, "0.0.0.0:"+port).Port).String()
			}
			from, to := at("1", "4000"), at("2", "5000")
			a, b := boundUDP(t, x, from), boundUDP(t, y, to)
			var ax, by heard
			defer x.Trace(ax.hear)()
			defer y.Trace(by.hear)()

			send := func(to string) {
				t.Helper()
				if _, err := a.SendTo([]byte("hello"), 0, mustAddr(t, to)); err != nil {
					t.Fatal(err)
				}
			}
			send(to)
			ax.wantLines(t, "udp "+from+" > "+to+" sent 5")
			by.wantLines(t, "udp "+to+" > "+from+" received 5")

			// Nobody is there; the error reaches the sender, though its program is not told of it.
			nobody := at("2", "5001")
			send(nobody)
			by.wantLines(t, "udp "+nobody+" > "+from+" dropped 5: no socket")
			ax.wantLines(t, "udp "+from+" > "+nobody+" sent 5", "udp "+from+" > "+nobody+" refused: connection refused")

			// A filter, and a full buffer: one datagram always fits.
			reject := []byte{6, 0, 0, 0, 0, 0, 0, 0}
			binary.NativeEndian.PutUint16(reject, 6) // BPF_RET
			if err := b.SetSockOpt(usock.SOL_SOCKET, usock.SO_ATTACH_FILTER, reject); err != nil {
				t.Fatal(err)
			}
			send(to)
			by.wantLines(t, "udp "+to+" > "+from+" dropped 5: filter")
			if err := b.SetSockOptInt(usock.SOL_SOCKET, usock.SO_DETACH_FILTER, 0); err != nil {
				t.Fatal(err)
			}
			b.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 1)
			for range 20 {
				send(to)
			}
			mustEvent(t, by.take(), "dropped 5: no room")
		})
	}
}

// A checksum that is wrong, and a length that is.
func TestTraceDamagedUDP(t *testing.T) {
	h, p := newRawPeer(t, usock.Config{})
	boundUDP(t, h, "10.0.0.2:5000")
	var told heard
	defer h.Trace(told.hear)()
	for _, udp := range [][]byte{
		{0x0f, 0xa0, 0x13, 0x88, 0, 9, 0xde, 0xad, 'x'},
		{0x0f, 0xa0, 0x13, 0x88, 0, 99, 0, 0, 'x'},
		{0x0f},
	} {
		b := make([]byte, 20+len(udp))
		ip := wire.IPv4{TotalLen: uint16(len(b)), TTL: 64, Proto: 17, Src: p.local, Dst: p.host}
		ip.Put(b[:20])
		copy(b[20:], udp)
		p.link.Send([]*link.Packet{packet.FromBytes(b)})
	}
	told.wantLines(t,
		"udp 10.0.0.2:5000 > 10.0.0.1:4000 dropped 1: checksum",
		"udp 10.0.0.2:5000 > 10.0.0.1:4000 dropped 1: checksum",
		"udp 10.0.0.2:0 > 10.0.0.1:0 dropped 0: checksum")
}

// An echo and its reply, as a ping socket and a raw one have them.
func TestTracePing(t *testing.T) {
	p, q := link.Pipe(link.PipeConfig{MTU: 1500})
	x := newHost(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{Link: p, Addrs: prefixes("10.0.0.1/24")}}})
	y := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: q, Addrs: prefixes("10.0.0.2/24")}}})
	raw, err := x.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	ping, err := x.Socket(usock.AF_INET, usock.SOCK_DGRAM, usock.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	if err := ping.Bind(mustAddr(t, "10.0.0.1:77")); err != nil {
		t.Fatal(err)
	}
	var ax, by heard
	defer x.Trace(ax.hear)()
	defer y.Trace(by.hear)()
	if _, err := ping.SendTo([]byte{8, 0, 0, 0, 0, 0, 0, 1, 'h', 'i'}, 0, mustAddr(t, "10.0.0.2:0")); err != nil {
		t.Fatal(err)
	}
	ax.wantLines(t,
		"icmp 10.0.0.1:77 > 10.0.0.2:0 sent 10",
		"icmp 10.0.0.1:1 > 10.0.0.2:0 received 30", // a raw socket has its protocol for a port, and reads IP headers
		"icmp 10.0.0.1:77 > 10.0.0.2:0 received 10")
	by.wantLines(t)
	raw.Close()
}

// Datagrams that were put together and cut apart are told as the program writes and reads them.
func TestTraceUDPSegments(t *testing.T) {
	x, y := twoHosts(t, link.PipeConfig{MTU: 1500})
	a, b := boundUDP(t, x, "10.0.0.1:4000"), boundUDP(t, y, "10.0.0.2:5000")
	a.SetSockOptInt(usock.SOL_UDP, usock.UDP_SEGMENT, 100)
	b.SetSockOptInt(usock.SOL_UDP, usock.UDP_GRO, 1)
	var ax, by heard
	defer x.Trace(ax.hear)()
	defer y.Trace(by.hear)()
	if _, err := a.SendTo(make([]byte, 250), 0, mustAddr(t, "10.0.0.2:5000")); err != nil {
		t.Fatal(err)
	}
	for _, events := range [][]trace.Event{ax.take(), by.take()} {
		n := 0
		for _, e := range events {
			n += int(e.Len)
		}
		if n != 250 {
			t.Errorf("%d bytes were told of 250: %v", n, events)
		}
	}
}

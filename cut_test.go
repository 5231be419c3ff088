package usock_test

import (
	"bytes"
	"io"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// wireEnd is an end of a pipe that looks at what is sent.
type wireEnd struct {
	link.Parallel
	t       *testing.T
	packets atomic.Uint64
}

func (w *wireEnd) look(batch []*link.Packet) {
	for _, p := range batch {
		if p.Len() > w.Info().MTU || p.SegmentSize != 0 {
			w.t.Errorf("a packet of %d bytes, segments of %d", p.Len(), p.SegmentSize)
		}
	}
	w.packets.Add(uint64(len(batch)))
}

func (w *wireEnd) Send(batch []*link.Packet) int {
	w.look(batch)
	return w.Parallel.Send(batch)
}

func (w *wireEnd) SendFlow(batch []*link.Packet) int {
	w.look(batch)
	return w.Parallel.SendFlow(batch)
}

// Over a link that takes no large segments each is a packet of its own, counted as such, though they are made together.
func TestSegmentsCutForPipe(t *testing.T) {
	for name, prefix := range map[string][2]string{"IPv4": {"10.0.0.1/24", "10.0.0.2/24"}, "IPv6": {"fd00::1/64", "fd00::2/64"}} {
		t.Run(name, func(t *testing.T) {
			x, y := link.Pipe(link.PipeConfig{MTU: 1500, SmallSegments: true})
			out := &wireEnd{Parallel: x.(link.Parallel), t: t}
			var hosts [2]*usock.Host
			for i, l := range []link.Link{out, y} {
				h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(prefix[i])}}}})
				if err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				hosts[i] = h
			}
			at := netip.AddrPortFrom(netip.MustParsePrefix(prefix[1]).Addr(), 8080).String()
			l, err := hosts[1].Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			c, err := hosts[0].Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			data := bytes.Repeat([]byte("0123456789abc"), 100_000)
			go func() {
				c.Write(data)
				c.Close()
			}()
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(data), err)
			}
			sent := hosts[0].Stats().TCP.OutSegs
			if n := out.packets.Load(); n < uint64(len(data)/1460) || n < uint64(sent) {
				t.Errorf("%d packets for %d segments of %d bytes", n, sent, len(data))
			}
			if uint64(sent) < uint64(len(data)/1460) {
				t.Errorf("%d segments of %d bytes", sent, len(data))
			}
		})
	}
}

// stingy is a wireEnd that has no room for one packet of so many.
type stingy struct {
	wireEnd
	every          uint64
	bytes, refused atomic.Uint64
}

// Send keeps to the order of flows as SendFlow does.
func (s *stingy) Send(batch []*link.Packet) int { return s.SendFlow(batch) }

func (s *stingy) SendFlow(batch []*link.Packet) int {
	s.look(batch)
	taken := make([]*link.Packet, 0, len(batch))
	for _, p := range batch {
		if n := s.bytes.Add(uint64(p.Len())); n%s.every == 0 {
			s.refused.Add(1)
			p.Free()
			continue
		}
		taken = append(taken, p)
	}
	s.Parallel.SendFlow(taken)
	return len(taken)
}

// What a link has no room for is a packet each for the interface's counters, and comes again, also while recorders, to whom each packet is
// shown, come and go.
func TestSegmentsCutAndLost(t *testing.T) {
	x, y := link.Pipe(link.PipeConfig{MTU: 600, SmallSegments: true})
	out := &stingy{wireEnd: wireEnd{Parallel: x.(link.Parallel), t: t}, every: 41}
	from := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: out, Addrs: prefixes("10.0.0.1/24")}}})
	to := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	stream := startStream(t, from, to, "10.0.0.2:8080")
	for range 10 {
		stop, err := from.Record(link.NewPcapWriter(io.Discard, 0))
		if err != nil {
			t.Fatal(err)
		}
		stream.more(50_000)
		stop()
		stream.more(50_000)
	}
	stream.end()
	if out.refused.Load() == 0 {
		t.Error("nothing was refused")
	}
	var got, want usock.InterfaceStats
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() { // the last packets are on their way
		for _, i := range from.Interfaces() {
			if i.Name == "pipe0" {
				got = i.Stats
			}
		}
		want = got
		want.TxPackets, want.TxBytes, want.TxDropped = out.packets.Load(), out.bytes.Load(), out.refused.Load()
		if got == want {
			return
		}
	}
	t.Errorf("the interface counts %+v, the link %+v", got, want)
}

package sctp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// sends is a sender alone. TSNs are counted from 1 in its tests.
type sends struct {
	t   testing.TB
	now time.Duration
	sender
	f     *flow
	first uint64
}

const testWindow = 1 << 20

func newSends(t testing.TB, set ...func(s *sends)) *sends {
	s := &sends{t: t, now: time.Second, f: new(flow)}
	s.rto = &RTOBounds{3 * time.Second, time.Second, 60 * time.Second}
	s.noDelay, s.partial = true, true
	s.addFlow(s.f, testMTU, testOverhead)
	s.begin(1<<32 - 3)
	s.first = s.una
	s.agree(testWindow, 20)
	for _, f := range set {
		f(s)
	}
	t.Cleanup(s.free)
	return s
}

// queue pushes messages of so many bytes to stream 0.
func (s *sends) queue(sizes ...int) {
	for _, n := range sizes {
		s.message(outMessage{}, n)
	}
}

func (s *sends) message(o outMessage, n int) {
	var views []packet.View
	for left := n; left > 0; left -= min(left, packet.MaxBlock) {
		views = append(views, packet.Copy(make([]byte, min(left, packet.MaxBlock))))
	}
	s.push(s.now, &o, views)
}

// packet returns the chunks of one packet to f: "TSN:stream.SSN(bytes)" with the flags behind it.
func (s *sends) packet(f *flow) string {
	l := load{room: int(f.room), bare: true}
	var d outData
	var out []string
	for s.next(s.now, f, &l, &d) {
		out = append(out, s.name(&d))
	}
	return strings.Join(out, " ")
}

func (s *sends) name(d *outData) string {
	number, c := fmt.Sprint(d.SSN), ""
	if d.interleaved {
		number = fmt.Sprintf("%d+%d", d.mid, d.fsn)
	}
	for i, letter := range "EBUI" {
		if d.Flags>>i&1 != 0 {
			c += string(letter)
		}
	}
	return fmt.Sprintf("%d:%d.%s(%d)%s", wide(s.first, d.TSN)-s.first+1, d.Stream, number, d.payload.Len(), c)
}

// tsns returns the TSNs of all packets that leave by f now, packets apart.
func (s *sends) tsns(f *flow) string {
	var out []string
	for {
		p := s.packet(f)
		if p == "" {
			return strings.Join(out, " | ")
		}
		var t []string
		for _, c := range strings.Fields(p) {
			t = append(t, c[:strings.IndexByte(c, ':')])
		}
		out = append(out, strings.Join(t, " "))
	}
}

// want compares.
func (s *sends) want(have, want string) {
	s.t.Helper()
	if have != want {
		s.t.Fatalf("left: %q, want %q", have, want)
	}
}

// sack takes a SACK up to the TSN cum, and with the gap blocks from to from to.
func (s *sends) sack(cum int, gaps ...int) sackResult { return s.sackWindow(cum, testWindow, gaps...) }

func (s *sends) sackWindow(cum int, arwnd uint32, gaps ...int) sackResult {
	var g []wire.GapBlock
	for i := 0; i < len(gaps); i += 2 {
		g = append(g, wire.GapBlock{Start: uint16(gaps[i] - cum), End: uint16(gaps[i+1] - cum)})
	}
	b := wire.AppendSack(nil, uint32(s.first)+uint32(cum)-1, arwnd, g, nil)
	k, err := wire.ParseSack(b[wire.ChunkHeaderLen:])
	if err != nil {
		s.t.Fatal(err)
	}
	return s.onSACK(s.now, &k)
}

func (s *sends) windows(cwnd, ssthresh, pba, flight uint32) {
	s.t.Helper()
	if f := s.f; f.cwnd != cwnd || f.ssthresh != ssthresh || f.pba != pba || f.flight != flight {
		s.t.Fatalf("cwnd %d ssthresh %d pba %d flight %d, want %d %d %d %d", f.cwnd, f.ssthresh, f.pba, f.flight, cwnd, ssthresh, pba, flight)
	}
}

// timer fails unless T3-rtx expires so much later, 0: unless it does not run.
func (s *sends) timer(after time.Duration) {
	s.t.Helper()
	have := s.f.t3 - s.now
	if s.f.t3 == 1<<63-1 {
		have = 0
	}
	if have != after {
		s.t.Fatalf("T3-rtx expires in %v, want %v", have, after)
	}
}

// many returns a message of n small views, and what is in them.
func many(n int) (views []packet.View, all string) {
	for i := range n {
		p := fmt.Sprintf("view %d;", i)
		views = append(views, packet.Copy([]byte(p)), packet.View{})
		all += p
	}
	return views, all
}

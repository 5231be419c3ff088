package sctp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// FuzzSenderHostile has a peer acknowledge whatever it likes. The sender's accounts stay right, and it
// neither panics nor forgets a message.
func FuzzSenderHostile(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(randomBytes(seed, 300))
	}
	f.Fuzz(senderHostile)
}

func TestSenderHostile(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { senderHostile(t, randomBytes(seed, 600)) })
	}
}

func randomBytes(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 11))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func senderHostile(t *testing.T, b []byte) {
	c := choices(b)
	s := newSends(t, func(s *sends) { s.interleaved = c.byte()&1 != 0 })
	other := new(flow)
	s.addFlow(other, 1280, testOverhead)
	sent, gone := 0, 0
	for len(c) > 0 {
		s.now += time.Duration(c.n(200)) * time.Millisecond
		switch c.n(8) {
		case 0, 1:
			o := outMessage{stream: uint16(c.n(4)), unordered: c.n(3) == 0, policy: PRPolicy(c.n(4) << 4), value: uint32(c.n(3))}
			s.message(o, 1+c.n(5000))
			sent++
		case 2, 3, 4:
			var gaps []wire.GapBlock
			for range c.n(6) {
				gaps = append(gaps, wire.GapBlock{Start: uint16(c.n(20)), End: uint16(c.n(20))})
			}
			cum := uint32(s.una) + uint32(c.n(8)) - 3
			k, _ := wire.ParseSack(wire.AppendSack(nil, cum, uint32(c.n(1<<16)), gaps, nil)[wire.ChunkHeaderLen:])
			s.onSACK(s.now, &k)
		case 5:
			for f := s.flows; f != nil; f = f.next {
				if f.t3 <= s.now || s.outgoing != nil && c.n(4) == 0 {
					s.timeout(s.now, f)
				}
			}
		case 6:
			s.retran = s.flows
			if c.n(2) == 1 {
				s.retran = s.flows.next
			}
			s.onECNE(uint32(s.una) + uint32(c.n(8)) - 3)
			s.appendCWR(nil, 8)
		case 7:
			s.appendForward(s.now, s.retran, nil, c.n(40))
		}
		for range c.n(3) {
			s.packet(s.f)
			s.packet(other)
		}
		gone += s.fails()
		checkSender(t, &s.sender)
	}
	s.fail()
	gone += s.fails()
	if gone > sent || !s.empty() || s.queued != 0 || s.held != 0 {
		t.Fatalf("%d messages of %d have failed, queued %d", gone, sent, s.queued)
	}
}

// FuzzReceiverHostile has a peer send whatever chunks it likes. The receiver's accounts stay right, and
// its memory is bounded.
func FuzzReceiverHostile(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(randomBytes(seed, 300))
	}
	f.Fuzz(receiverHostile)
}

func TestReceiverHostile(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { receiverHostile(t, randomBytes(seed, 1500)) })
	}
}

func receiverHostile(t *testing.T, b []byte) {
	c := choices(b)
	kind := c.byte()
	r := newReceives(t, func(r *receives) {
		r.interleaved = kind&1 != 0
		r.bufSize = 3000 << (kind >> 1 & 3)
		r.pdPoint = []uint32{0, 500, 1}[c.n(3)]
	})
	for len(c) > 0 {
		r.now += time.Duration(c.n(100)) * time.Millisecond
		next := int(r.cum + 1 - r.first + 1)
		switch c.n(12) {
		case 0:
			var skips []wire.Skipped
			for range c.n(4) {
				skips = append(skips, wire.Skipped{Stream: uint16(c.n(4)), MID: uint32(c.n(6)), Unordered: r.interleaved && c.n(2) == 0})
			}
			r.forwards(next+c.n(10)-3, skips...)
		case 1:
			r.resetStreams([]uint16{uint16(c.n(4))})
		case 2:
			if c.n(4) == 0 {
				r.renumber(uint32(c.n(1 << 15)))
				r.first = r.cum + 1
			}
		case 3, 4:
			r.takeMessage(1 + c.n(3000))
			var m inMessage
			for r.pdAborted(&m) {
				continue
			}
		case 5:
			packet.ReleaseAll(r.peek(c.n(100), c.n(3000), nil))
		default:
			flags := []string{"", "B", "E", "BE", "U", "BU", "EU", "BEU"}[c.n(8)]
			tsn := next
			if c.n(3) > 0 {
				tsn += c.n(12) - 3
			}
			r.makeIncoming()
			st := r.streams.at(uint16(c.n(4)))
			number := uint32(st.next) + uint32(c.n(4))
			r.chunk(max(tsn, 1), uint32(c.n(4)), number, flags, strings.Repeat("x", 1+c.n(1500)), uint32(c.n(4)))
			if c.n(2) == 0 {
				r.packet(r.now)
			}
		}
		r.sack()
		checkReceiver(t, &r.receiver)
		if r.charged > 2*r.memory()+2*pieceCost+1500 {
			t.Fatalf("charged %d of %d", r.charged, r.memory())
		}
	}
	r.abandon()
	checkReceiver(t, &r.receiver)
	r.makeIncoming() // where nothing has come there is none
	if r.holds() || r.parts != 0 {
		t.Fatal("something is held")
	}
}

// A peer that leaves a hole behind each of tens of thousands of chunks, the last one first, has each of them
// looked for in few steps.
func TestManyHoles(t *testing.T) {
	for _, interleaved := range []bool{false, true} {
		r := newReceives(t, func(r *receives) { r.bufSize, r.interleaved = 1<<30, interleaved })
		const n = maxAhead / 2
		for i := n; i > 0; i-- {
			r.message(2*i, 0, uint32(i), "BE", "x")
		}
		st := r.streams.at(0)
		if h := int(st.ordered.root.height); h > 24 { // 1.44 times the logarithm
			t.Errorf("%d runs are looked through in %d steps", n, h)
		}
		checkReceiver(t, &r.receiver)
	}
}

// A peer that has only every second chunk, and says so again and again, has what is missed counted until it is
// lost, and not looked through any more.
func TestSackHoles(t *testing.T) {
	s := newSends(t)
	s.f.cwnd, s.widest = 1<<20, 1<<30
	const n = 10000
	for range n {
		s.queue(1)
	}
	for s.packet(s.f) != "" {
	}
	var gaps []int
	for i := 2; i < n-100; i += 2 {
		gaps = append(gaps, i, i)
	}
	for i := range 40 {
		top := n - 100 + 2*i
		s.sack(0, append(gaps, top, top)...)
		if left := s.highGap - s.missFrom; i > fastMisses && left > 2*(fastMisses+1) {
			t.Fatalf("SACK %d has %d chunks looked through", i, left)
		}
		gaps = append(gaps, top, top)
		checkSender(t, &s.sender)
	}
	if want := uint32(n-100)/2 + 40 - fastMisses; s.marked < want-1 {
		t.Errorf("%d chunks are lost, want %d", s.marked, want)
	}
}

// Of many SACKs in one packet some are heard.
func TestManySacks(t *testing.T) {
	p := newPair(t, 1500, 1)
	p.end[0].e.Options.NoDelay = true
	p.connect()
	a, b := p.end[0].a, p.end[1].a
	p.carry = func(_ int, in *In) { in.Body.Release() }
	for range 20 {
		a.Send(p.now, &SendInfo{}, views(make([]byte, 10)))
		p.pump()
	}
	una := a.snd.una
	var chunks []byte
	for i := range uint32(10) {
		chunks = wire.AppendSack(chunks, uint32(una)+i, testWindow, nil, nil)
	}
	in := jumboIn(pairAddr(1, 0), pairAddr(0, 0), b.port, a.port, chunks)
	in.VTag = a.tag
	a.Packet(p.now, in)
	if n := a.snd.una - una; n != maxDear {
		t.Errorf("%d chunks were acknowledged", n)
	}
	a.Release()
	b.Release()
}

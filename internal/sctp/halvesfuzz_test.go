package sctp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"usock/packet"
)

// choices is a source of decisions: the fuzzer's bytes, and zeros behind them.
type choices []byte

func (s *choices) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

// n returns a number below n.
func (s *choices) n(n int) int { return (int(s.byte())<<8 | int(s.byte())) % n }

// FuzzHalves has a sender and a receiver with a network between them that does what the script says.
// What is reliable arrives once, whole and in the order of its stream; what is not arrives so or has
// failed. Nothing is left behind.
func FuzzHalves(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(fuzzHalves)
}

// TestHalvesRandom is what the fuzzer does, with scripts by chance.
func TestHalvesRandom(t *testing.T) {
	for seed := range uint64(tries(150)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			b := make([]byte, 200+rnd.IntN(1500))
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			fuzzHalves(t, b)
		})
	}
}

func fuzzHalves(t *testing.T, b []byte) {
	s := choices(b)
	packet.Track(true)
	live := packet.Live()
	z := newFuzzed(t, &s)
	for len(s) > 0 {
		z.step()
	}
	z.end()
	if n := packet.Live() - live; n != 0 {
		t.Fatalf("%d blocks are left", n)
	}
}

// fuzzed is an association that a script drives, and what was sent by it.
type fuzzed struct {
	*halves
	s      *choices
	n      int
	sent   map[uint32]string // by the PPID
	may    map[uint32]bool   // may have failed
	loss   int               // of 256 packets
	latest map[uint16]uint32
}

func newFuzzed(t *testing.T, s *choices) *fuzzed {
	z := &fuzzed{s: s, sent: map[uint32]string{}, may: map[uint32]bool{}, latest: map[uint16]uint32{}}
	flags := s.byte()
	z.halves = newHalves(t, func(h *halves) {
		h.snd.interleaved = flags&1 != 0
		h.snd.noDelay = flags&2 != 0
		h.rcv.mixed = flags&4 != 0
		h.rcv.bufSize = []uint32{1 << 12, 1 << 14, 1 << 18}[s.n(3)]
		h.rcv.pdPoint = []uint32{0, 1, 3000}[s.n(3)]
		h.snd.maxBurst = uint32(s.n(5))
		h.snd.setScheduler(Sched(s.n(int(numScheds))))
	})
	if flags&8 != 0 {
		z.path()
	}
	z.net = func(*flow) (p passage) {
		d := int(s.byte())
		p.lost = d < z.loss
		p.twice = d > 250
		if d > 230 {
			p.late = time.Duration(s.byte()) * time.Millisecond
		}
		return p
	}
	return z
}

func (z *fuzzed) step() {
	s := z.s
	switch s.n(12) {
	case 0:
		z.loss = s.n(120)
	case 1:
		z.stall = s.n(3) == 0
		z.recv()
	case 2:
		z.snd.retran = z.paths[s.n(len(z.paths))]
		z.snd.primary = z.paths[s.n(len(z.paths))]
	case 3:
		z.snd.setMTU(z.paths[s.n(len(z.paths))], 400+s.n(2000), testOverhead)
	case 4:
		z.snd.setScheduler(Sched(s.n(int(numScheds))))
		z.snd.setSchedule(uint16(s.n(5)), uint16(s.n(5)))
	case 5:
		z.snd.prune(uint32(s.n(4)), uint32(s.n(5000)))
		z.check()
	case 6:
		if len(z.paths) > 1 && s.n(8) == 0 {
			gone := z.paths[1]
			z.paths = z.paths[:1]
			z.snd.primary, z.snd.retran = z.paths[0], z.paths[0]
			z.snd.removeFlow(gone)
			z.check()
		}
	case 7, 8:
		z.run(time.Duration(s.n(3000)) * time.Millisecond)
	case 9:
		z.run(time.Duration(s.n(30)) * time.Millisecond)
	default:
		z.push()
	}
}

func (z *fuzzed) push() {
	s := z.s
	o := outMessage{stream: uint16(s.n(5)), ppid: uint32(z.n), unordered: s.n(4) == 0, immediate: s.n(5) == 0}
	if s.n(3) == 0 {
		o.policy = PRPolicy(s.n(4) << 4)
		o.value = uint32(s.n(5))
		if o.policy == PRTTL {
			o.value = uint32(s.n(2000))
		}
	}
	size := 1 + s.n(300)
	if s.n(3) == 0 {
		size = 1 + s.n(9000)
	}
	z.may[o.ppid] = o.policy != PRNone
	z.sent[o.ppid] = text(byte('a'+z.n%26), size)
	z.send(o, z.sent[o.ppid])
	z.n++
}

func (z *fuzzed) end() {
	t := z.t
	z.loss, z.stall = 0, false
	z.recv()
	z.finish()
	if z.violation != dataTaken {
		t.Fatalf("violation %d", z.violation)
	}
	for _, g := range z.read {
		want, ok := z.sent[g.ppid]
		if !ok || g.data != want {
			t.Fatalf("message %d of %d bytes is not what was sent, or came twice", g.ppid, len(g.data))
		}
		delete(z.sent, g.ppid)
		if !g.unordered {
			if l, ok := z.latest[g.stream]; ok && l > g.ppid {
				t.Fatalf("stream %d: %d came behind %d", g.stream, g.ppid, l)
			}
			z.latest[g.stream] = g.ppid
		}
	}
	for ppid := range z.sent {
		if !z.may[ppid] {
			t.Fatalf("message %d did not come", ppid)
		}
	}
	if len(z.sent) > len(z.fails) {
		t.Fatalf("%d messages did not come, %d have failed", len(z.sent), len(z.fails))
	}
	if r := &z.rcv; r.payload != 0 || r.charged != 0 || r.incoming != nil && (r.stored != 0 || r.holds() || r.parts != 0 || r.tsns.a != nil) {
		t.Fatalf("the receiver holds %d bytes, charged %d", r.payload, r.charged)
	}
	z.close()
}

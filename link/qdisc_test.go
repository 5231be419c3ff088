package link

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/wire"
	"usock/packet"
)

const ms = time.Millisecond

// waiter is a discipline under test, with what it has dropped and marked.
type waiter struct {
	t    *testing.T
	env  qdiscEnv
	q    qdisc
	sent int
	lost []string // "7 codel"
	ce   int
}

func newWaiter(t *testing.T, text string) *waiter {
	t.Helper()
	m, err := ParseImpairment("rate 10mbit " + text)
	if err != nil {
		t.Fatal(err)
	}
	w := &waiter{t: t}
	w.env = qdiscEnv{queueing: m.queueing(), rnd: rand.New(rand.NewPCG(1, 2)), seed: 3}
	w.env.marked = func() { w.ce++ }
	w.env.lost = func(p *Packet, fate string) {
		w.lost = append(w.lost, fmt.Sprintf("%d %s", numberIn(p), fate))
		p.Free()
	}
	w.q = newQdisc(&w.env)
	return w
}

// queuedPacket is an IP packet of n bytes with a number, of a flow, with an ECN field.
func queuedPacket(flow, number, n int, ecn uint8) *Packet {
	b := make([]byte, n)
	h := wire.IPv4{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), TOS: ecn, Proto: 17, TTL: 9, TotalLen: uint16(n)}
	h.Put(b[:20])
	binary.BigEndian.PutUint16(b[20:], uint16(flow))
	binary.BigEndian.PutUint32(b[28:], uint32(number))
	return packet.FromBytes(b)
}

func numberIn(p *Packet) int { return int(binary.BigEndian.Uint32(p.AppendTo(nil)[28:])) }

// add adds packets of a flow at a time, and returns what was said of the last one.
func (w *waiter) add(now time.Duration, n, flow, size int, ecn uint8) (v verdict) {
	for range n {
		p := queuedPacket(flow, w.sent, size, ecn)
		w.sent++
		if v = w.q.admit(p, now); v.fate != "" {
			w.lost = append(w.lost, fmt.Sprintf("%d %s", numberIn(p), v.fate))
			p.Free()
			continue
		}
		if v.mark && mark(p) {
			w.ce++
		}
		w.q.push(p, now)
	}
	return v
}

// pop returns the number of the next packet, -1 if there is none.
func (w *waiter) pop(now time.Duration) int {
	p := w.q.pop(now)
	if p == nil {
		return -1
	}
	defer p.Free()
	return numberIn(p)
}

func (w *waiter) wantLost(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.lost, want) {
		w.t.Errorf("lost %q, want %q", w.lost, want)
	}
}

var everyDiscipline = []string{"drop-tail", "pfifo", "bfifo", "codel", "codel,ecn", "fq_codel", "fq_codel,noecn", "pie", "pie,ecn,bytemode", "pie,dq_rate_estimator"}

// What is pushed comes out, is dropped, or is taken, and nothing is kept or counted twice.
func TestDisciplinesKeepCount(t *testing.T) {
	for _, kind := range everyDiscipline {
		t.Run(kind, func(t *testing.T) {
			packet.Track(true)
			defer packet.Track(false)
			before := packet.Live()
			limit := "40"
			if kind == "bfifo" {
				limit = "30kb"
			}
			w := newWaiter(t, "limit "+limit+" queue "+kind)
			r := rand.New(rand.NewPCG(7, 7))
			now, out := time.Duration(0), 0
			for range 20000 {
				now += time.Duration(r.IntN(1200)) * time.Microsecond
				if r.IntN(2) == 0 {
					w.add(now, 1+r.IntN(2), r.IntN(5), 40+r.IntN(1400), uint8(r.IntN(4)))
				} else if w.pop(now) >= 0 {
					out++
				}
				if n := w.q.waiting(); n.Packets != w.sent-out-len(w.lost) || n.Packets > 300 || n.Bytes < 40*n.Packets || n.Bytes > 1440*n.Packets {
					t.Fatalf("%+v wait after %d came, %d left and %d were lost", n, w.sent, out, len(w.lost))
				}
			}
			if out < 4000 || len(w.lost) < 1000 {
				t.Errorf("%d left, %d were lost", out, len(w.lost))
			}
			if wants := strings.Contains(kind, "ecn") != strings.Contains(kind, "noecn") || kind == "fq_codel"; (w.ce > 0) != wants {
				t.Errorf("%d marked", w.ce)
			}
			w.add(now, 10, 1, 100, 0)
			for left := w.q.waiting().Packets; left > 0; left-- {
				w.q.take().Free()
			}
			if p := w.q.take(); p != nil || w.pop(now) != -1 || w.q.waiting() != (Amount{}) {
				t.Errorf("%v, %+v at the end", p, w.q.waiting())
			}
			if w.add(now, 1, 1, 100, 0); w.pop(now) != w.sent-1 {
				t.Error("what comes after that does not leave")
			}
			if n := packet.Live() - before; n != 0 {
				t.Errorf("%d blocks are left", n)
			}
		})
	}
}

// An empty queue takes a packet larger than its limit.
func TestDisciplinesTakeOne(t *testing.T) {
	for _, kind := range everyDiscipline {
		if kind == "pfifo" {
			continue // it counts no bytes
		}
		w := newWaiter(t, "limit 1000b queue "+kind)
		if w.add(0, 1, 1, 1400, 0); w.pop(ms) != 0 || w.lost != nil {
			t.Errorf("%s: lost %v", kind, w.lost)
		}
	}
}

// The packet that is being sent has its place in a drop-tail queue, and not in others.
func TestDisciplineLimits(t *testing.T) {
	for _, c := range []struct {
		text string
		take int // of 30 packets that come at once, while another is sent
	}{
		{"limit 10", 9},
		{"queue pfifo limit 10", 9},
		{"queue bfifo limit 10000b", 9},
		{"queue codel limit 10", 10},
		{"queue pie limit 10", 10},
		{"queue pie limit 9500b", 9},
	} {
		w := newWaiter(t, c.text)
		w.add(0, 1, 1, 1000, 0)
		w.pop(0)
		w.add(0, 30, 1, 1000, 0)
		if got := w.q.waiting().Packets; got != c.take || len(w.lost) != 30-c.take || !strings.HasSuffix(w.lost[0], fateFull) {
			t.Errorf("%s: %d taken, lost %v", c.text, got, w.lost)
		}
	}
	for kind, want := range map[DisciplineKind]Amount{
		PFIFO: {Packets: 1000}, BFIFO: {Bytes: 1_500_000}, CoDel: {Packets: 1000}, FQCoDel: {Packets: 10240}, PIE: {Packets: 1000}, DropTail: {Bytes: 125_000},
	} {
		m := Impairment{Rate: 10e6, Queue: Discipline{Kind: kind}}
		if got := m.limit(); got != want {
			t.Errorf("%v: %+v, want %+v", kind, got, want)
		}
	}
}

// The rate asks for the next packet when the one before has left, whenever that is looked at: what CoDel drops does not
// depend on timers. 1250 bytes are 10 ms at 1 Mbit/s.
func TestImpairCoDel(t *testing.T) {
	run := func(late bool) (order []int, stats ImpairStats, fates []string) {
		var c clock.Manual
		a, b := Pipe(PipeConfig{})
		l, err := Impair(a, ImpairConfig{Out: Impairment{Rate: 1e6, Queue: Discipline{Kind: CoDel}}, Clock: &c})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.out.watch(&watcher{func(p *Packet, fate string, again bool) { fates = append(fates, fmt.Sprint(numberIn(p), fate)) }})
		b.Deliver(func(batch []*Packet) {
			for _, p := range batch {
				order = append(order, numberIn(p))
				p.Free()
			}
		})
		for i := range 60 {
			l.Send([]*Packet{queuedPacket(1, i, 1250, 0)})
		}
		if late {
			l.out.mu.Lock()
			l.out.base.alarm.Stop() // nothing happens until something is sent
			l.out.base.armed = never
			l.out.mu.Unlock()
		}
		c.Advance(time.Second)
		l.Send([]*Packet{queuedPacket(1, 60, 1250, 0)})
		c.Advance(time.Second)
		stats, _ = l.Stats()
		return order, stats, fates
	}
	order, stats, fates := run(false)
	again, _, _ := run(true)
	if !slices.Equal(order, again) {
		t.Errorf("with timers %v, without %v", order, again)
	}
	// Packet k waits for k times 10 ms; the first to be dropped is that of 120 ms (TestCoDelLaw).
	if stats.Dropped == 0 || stats.Early != stats.Dropped || stats.Carried != 61-stats.Dropped || stats.Waiting != 0 || slices.Contains(order, 12) {
		t.Errorf("%+v, %v", stats, order)
	}
	if fates[12] != "12" || fates[60] != "12codel" {
		t.Errorf("told %q", fates)
	}
}

// What waits goes over to another discipline, and settings of the same one hold from the next packet on.
func TestImpairChangesQueue(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	var c clock.Manual
	a, b := Pipe(PipeConfig{})
	l, err := Impair(a, ImpairConfig{Out: Impairment{Rate: 1e6, Limit: Amount{Packets: 100}}, Clock: &c})
	if err != nil {
		t.Fatal(err)
	}
	var order []int
	b.Deliver(func(batch []*Packet) {
		for _, p := range batch {
			order = append(order, numberIn(p))
			p.Free()
		}
	})
	sent := 0
	for _, kind := range []DisciplineKind{DropTail, PFIFO, CoDel, FQCoDel, PIE, BFIFO, FQCoDel, DropTail} {
		if err := l.Set(Impairment{Rate: 1e6, Queue: Discipline{Kind: kind}}, Impairment{}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			l.Send([]*Packet{queuedPacket(1, sent, 1250, 0)})
			sent++
		}
		c.Advance(20 * ms)
	}
	if err := l.Set(Impairment{}, Impairment{}); err != nil { // no rate any more
		t.Fatal(err)
	}
	l.Send([]*Packet{queuedPacket(1, sent, 1250, 0)})
	c.Advance(20 * ms)
	if len(order) != sent+1 || !slices.IsSorted(order) {
		t.Errorf("%d of %d: %v", len(order), sent+1, order)
	}
	if err := l.Set(Impairment{Rate: 1e6, Queue: Discipline{Kind: FQCoDel}}, Impairment{}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		l.Send([]*Packet{queuedPacket(i, i, 1250, 0)})
	}
	l.Close()
	if n := packet.Live() - before; n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

// One seed, one outcome, also where chance drops.
func TestImpairPIESeeds(t *testing.T) {
	run := func(seed uint64) (order []int) {
		var c clock.Manual
		a, b := Pipe(PipeConfig{})
		l, err := Impair(a, ImpairConfig{Out: Impairment{Rate: 1e6, Queue: Discipline{Kind: PIE}}, Seed: seed, Clock: &c})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		b.Deliver(func(batch []*Packet) {
			for _, p := range batch {
				order = append(order, numberIn(p))
				p.Free()
			}
		})
		for i := range 1000 {
			l.Send([]*Packet{queuedPacket(1, i, 1250, 0)})
			c.Advance(7 * ms)
		}
		return order
	}
	one, same, other := run(1), run(1), run(2)
	if !slices.Equal(one, same) || slices.Equal(one, other) {
		t.Errorf("%d, %d and %d came", len(one), len(same), len(other))
	}
	if len(one) < 550 || len(one) > 700 {
		t.Errorf("%d came, and 700 would be the rate", len(one))
	}
}

func TestDisciplinesAllocateNothing(t *testing.T) {
	for _, kind := range everyDiscipline {
		w := newWaiter(t, "queue "+kind)
		w.env.lost = func(p *Packet, _ string) { w.q.push(p, 0) } // none is lost
		now := time.Duration(0)
		w.add(now, 50, 1, 1000, 2)
		p := queuedPacket(2, 0, 1000, 2)
		if n := testing.AllocsPerRun(1000, func() {
			now += 10 * time.Microsecond
			w.q.admit(p, now)
			w.q.push(p, now)
			p = w.q.pop(now)
		}); n != 0 {
			t.Errorf("%s: %v allocations a packet", kind, n)
		}
	}
}

func BenchmarkDiscipline(b *testing.B) {
	for _, kind := range []string{"drop-tail", "codel", "fq_codel", "pie"} {
		for _, flows := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, flows), func(b *testing.B) {
				m, err := ParseImpairment("rate 1gbit queue " + kind)
				if err != nil {
					b.Fatal(err)
				}
				var q qdisc
				var back *Packet
				e := qdiscEnv{queueing: m.queueing(), rnd: rand.New(rand.NewPCG(1, 2)), marked: func() {}}
				e.lost = func(p *Packet, _ string) { back = p }
				q = newQdisc(&e)
				now := time.Duration(0)
				for i := range 128 {
					q.push(queuedPacket(i%flows, i, 1000, 0), now)
				}
				b.ReportAllocs()
				for b.Loop() {
					now += 8 * time.Microsecond
					p := q.pop(now)
					if back != nil {
						q.push(back, now)
						back = nil
					}
					if v := q.admit(p, now); v.fate == "" || v.fate == fatePie {
						q.push(p, now)
					}
				}
			})
		}
	}
}

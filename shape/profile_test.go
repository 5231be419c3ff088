package shape_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/link"
	"usock/shape"
)

// wire is a shaped link in manual time, and what comes out of its two ends.
type wire struct {
	t     *testing.T
	clock *clock.Manual
	near  *shape.Link // up is what it sends
	far   link.Link
	came  [2]func(p *link.Packet) // of up and down
}

const (
	up   = 0
	down = 1
)

func newWire(t *testing.T, s shape.Shape, seed uint64) *wire {
	t.Helper()
	w := &wire{t: t, clock: new(clock.Manual)}
	a, b := link.Pipe(link.PipeConfig{MTU: 1500})
	var err error
	if w.near, err = shape.Impair(a, s, shape.Config{Seed: seed, Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.near.Close() })
	w.far = b
	b.Deliver(func(batch []*link.Packet) { w.arrive(up, batch) })
	w.near.Deliver(func(batch []*link.Packet) { w.arrive(down, batch) })
	return w
}

func (w *wire) arrive(direction int, batch []*link.Packet) {
	for _, p := range batch {
		if f := w.came[direction]; f != nil {
			f(p)
		}
		p.Free()
	}
}

func (w *wire) send(direction int, p *link.Packet) {
	if direction == up {
		w.near.Send([]*link.Packet{p})
	} else {
		w.far.Send([]*link.Packet{p})
	}
}

// datagram returns a packet of IPv4 and UDP of n bytes, from 10.0.0.1:1000 to 10.0.0.2:2000 or, downwards, back.
func datagram(direction, n int) *link.Packet {
	b := make([]byte, n)
	b[0], b[2], b[3], b[8], b[9] = 0x45, byte(n>>8), byte(n), 64, 17
	src, dst := []byte{10, 0, 0, 1, 3, 232}, []byte{10, 0, 0, 2, 7, 208}
	if direction == down {
		src, dst = dst, src
	}
	copy(b[12:], src[:4])
	copy(b[16:], dst[:4])
	copy(b[20:], src[4:])
	copy(b[22:], dst[4:])
	b[24], b[25] = byte((n-20)>>8), byte(n-20)
	return link.NewPacket(b)
}

// within reports whether got is want but for a share.
func within(got, want, share float64) bool { return math.Abs(got-want) <= share*math.Abs(want) }

// Each profile's rates, delays and losses are those that packets meet, within 2 %.
func TestProfilesAreMet(t *testing.T) {
	for i, p := range shape.Profiles() {
		if testing.Short() && i%6 != 0 {
			continue // one goroutine each: of no interest to the race detector
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for direction, m := range []link.Impairment{p.Shape.Up, p.Shape.Down} {
				s := p.Shape
				s.Course = shape.Course{} // TestHandovers
				if m.Loss < 1 {
					checkDelay(t, s, direction, &m)
					checkRate(t, s, direction, &m)
				}
				checkLoss(t, s, direction, &m)
			}
		})
	}
}

// checkDelay sends packets one after the other, so that none waits for another: their mean delay is that of the profile, with
// their own time at the rate.
func checkDelay(t *testing.T, s shape.Shape, direction int, m *link.Impairment) {
	s.Up.Loss, s.Down.Loss, s.Up.Burst, s.Down.Burst = 0, 0, link.Burst{}, link.Burst{}
	w := newWire(t, s, 1)
	const packets, size = 1000, 100
	var sent, sum, shortest, longest time.Duration
	shortest = math.MaxInt64
	n := 0
	w.came[direction] = func(*link.Packet) {
		d := w.clock.Now() - sent
		sum, shortest, longest, n = sum+d, min(shortest, d), max(longest, d), n+1
	}
	for range packets {
		sent = w.clock.Now()
		w.send(direction, datagram(direction, size))
		w.clock.Advance(2 * time.Second)
	}
	own := time.Duration(0)
	if m.Rate > 0 {
		own = time.Duration(size * 8 * 1e9 / float64(m.Rate))
	}
	want := m.Delay + own
	if mean := sum / max(time.Duration(n), 1); n != packets || !within(float64(mean), float64(want), 0.02) {
		t.Errorf("direction %d: a delay of %v in the mean of %d packets, want %v of %d", direction, mean, n, want, packets)
	}
	if shortest < want-m.Jitter || longest > want+m.Jitter+time.Nanosecond {
		t.Errorf("direction %d: delays of %v to %v, want %v and %v to either side", direction, shortest, longest, want, m.Jitter)
	}
}

// checkRate keeps the link full for a while, and counts what comes through in the later part of it.
func checkRate(t *testing.T, s shape.Shape, direction int, m *link.Impairment) {
	if m.Rate == 0 {
		return
	}
	s.Up.Loss, s.Down.Loss, s.Up.Burst, s.Down.Burst = 0, 0, link.Burst{}, link.Burst{}
	w := newWire(t, s, 1)
	const size = 1500
	one := time.Duration(size * 8 * 1e9 / float64(m.Rate))
	begin := w.clock.Now() + m.Delay + m.Jitter + 10*one
	end := begin + max(2000*one, 300*m.Jitter)
	bytes := 0
	w.came[direction] = func(p *link.Packet) {
		if now := w.clock.Now(); now >= begin && now < end {
			bytes += p.Len()
		}
	}
	for w.clock.Now() < end {
		w.send(direction, datagram(direction, size))
		w.clock.Advance(one * 9 / 10)
	}
	w.clock.Advance(time.Minute)
	if got := float64(bytes) * 8e9 / float64(end-begin); !within(got, float64(m.Rate), 0.02) {
		t.Errorf("direction %d: %.0f bit/s, want %d", direction, got, m.Rate)
	}
}

// checkLoss counts what is lost of packets that never wait. Chance has three of its standard deviations.
func checkLoss(t *testing.T, s shape.Shape, direction int, m *link.Impairment) {
	s.Up.Rate, s.Down.Rate = 0, 0
	w := newWire(t, s, 1)
	want, in := m.Loss, 1.
	if b := m.Burst; b.Enter > 0 {
		bad := b.Enter / (b.Enter + b.Leave)
		want, in = bad*b.LossBad+(1-bad)*b.LossGood, 2/b.Leave // packets of a burst share its luck
	}
	packets := 200_000
	if want == 0 {
		packets = 1000
	}
	n := 0
	w.came[direction] = func(*link.Packet) { n++ }
	for range packets {
		w.send(direction, datagram(direction, 100))
	}
	w.clock.Advance(time.Minute)
	deviation := math.Sqrt(want * (1 - want) * in / float64(packets))
	if got := 1 - float64(n)/float64(packets); math.Abs(got-want) > max(0.02*want, 3*deviation) {
		t.Errorf("direction %d: %.4f %% are lost, want %.4f", direction, 100*got, 100*want)
	}
}

// A satellite's handovers: nothing comes through for 120 ms each 15 s, then the delay is another one; after a minute it is the first
// one's turn again.
func TestHandovers(t *testing.T) {
	p, err := shape.FindProfile("satellite-leo")
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, p.Shape, 1)
	const packets, step = 7500, 10 * time.Millisecond
	var arrived [packets]bool
	w.came[up] = func(p *link.Packet) {
		b := p.AppendTo(nil)
		arrived[int(b[4])<<8|int(b[5])] = true
	}
	for i := range packets {
		b := datagram(up, 100).AppendTo(nil)
		b[4], b[5] = byte(i>>8), byte(i) // the identification
		w.send(up, link.NewPacket(b))
		w.clock.Advance(step)
	}
	w.clock.Advance(time.Second)
	lost := 0
	for i, here := range arrived {
		at := time.Duration(i) * step
		if gap := at%(15*time.Second) >= 15*time.Second-120*time.Millisecond; gap == here {
			t.Fatalf("at %v: arrived %v, want %v", at, here, !gap)
		}
		if !here {
			lost++
		}
	}
	if lost != 5*12 {
		t.Errorf("%d are lost, want 12 at each of 5 handovers", lost)
	}
}

func TestFindProfile(t *testing.T) {
	if p, err := shape.FindProfile("dsl"); err != nil || p.Name != "dsl" || p.Shape.Down.Rate != 2_000_000 || p.Shape.Down.Delay != 2500*time.Microsecond {
		t.Errorf("%+v, %v", p, err)
	}
	for given, want := range map[string]string{
		"3g":      `there is no profile "3g"; usock profiles lists them, such as regular-3g, good-3g, slow-3g, apple-3g`,
		"Slow 4G": `there is no profile "Slow 4G"; usock profiles lists them, such as regular-4g, slow-4g, slow-3g`,
		"moon":    `there is no profile "moon"; usock profiles lists them`,
	} {
		if _, err := shape.FindProfile(given); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", given, err, want)
		}
	}
	seen := map[string]bool{}
	for _, p := range shape.Profiles() {
		if seen[p.Name] || strings.ToLower(p.Name) != p.Name || p.From == "" {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		if err := p.Shape.Check(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

package sim_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"usock"
	"usock/link"
	"usock/sim"
)

var (
	soakSeeds = flag.Int("soak", 2000, "how many seeds TestSoak runs")
	soakSeed  = flag.Int64("seed", -1, "the one seed that TestSoak runs, with details")
	soakPcap  = flag.String("pcap", "", "name under which TestSoak -seed writes captures of both ends")
)

// soakCase is what a seed makes of the network, the connection and the programs.
type soakCase struct {
	to, back    link.Impairment
	mtu, hole   int
	congestion  string
	bytes, more int64
	chunk       int
	sndbuf      int
	rcvbuf      int
	nodelay     bool
	v6          bool
	cuts        []cut
	changes     int
}

// cut is a partition: after how long, for how long, and which directions.
type cut struct {
	after, lasts time.Duration
	to, back     bool
}

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

func between(r *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Int64N(int64(hi-lo)+1))
}

func randomImpairment(r *rand.Rand) link.Impairment {
	m := link.Impairment{Delay: between(r, 0, 2*time.Millisecond)}
	if chance(r, 0.6) {
		m.Delay = between(r, 0, 150*time.Millisecond)
	}
	if chance(r, 0.3) {
		m.Jitter = time.Duration(r.Float64() * float64(m.Delay))
	}
	switch {
	case chance(r, 0.4):
		m.Loss = r.Float64() * 0.02
	case chance(r, 0.3):
		m.Loss = r.Float64() * 0.2
	case chance(r, 0.3):
		m.Burst = link.Burst{Enter: r.Float64() * 0.02, Leave: 0.4 + float64(r.Float64()*0.6), LossBad: 0.3 + float64(0.7*r.Float64())}
	}
	if chance(r, 0.4) {
		m.Reorder = r.Float64() * 0.1
		m.ReorderBy = between(r, 0, 60*time.Millisecond)
	}
	if chance(r, 0.3) {
		m.Duplicate = r.Float64() * 0.1
	}
	if chance(r, 0.3) {
		m.Corrupt = r.Float64() * 0.03
	}
	if chance(r, 0.5) {
		m.Rate = uint64(200_000 + float64(r.ExpFloat64()*20e6))
		if chance(r, 0.5) {
			m.Limit.Packets = 1 + r.IntN(200)
		}
		if chance(r, 0.3) {
			m.Mark.Packets = 1 + r.IntN(20)
		}
	}
	return m
}

func newSoakCase(seed uint64) soakCase {
	r := rand.New(rand.NewPCG(seed, 0x50a4))
	c := soakCase{
		to: randomImpairment(r), back: randomImpairment(r),
		mtu:        []int{1500, 1500, 1500, 9000, 1280, 576}[r.IntN(6)],
		congestion: []string{"cubic", "reno", "bbr", "bbr3"}[r.IntN(4)],
		bytes:      int64(r.ExpFloat64() * 150_000),
		chunk:      1 + r.IntN(100_000),
		nodelay:    chance(r, 0.5),
		v6:         chance(r, 0.3),
	}
	if c.mtu < 1280 {
		c.v6 = false
	}
	if chance(r, 0.5) {
		c.more = int64(r.ExpFloat64() * 100_000)
	}
	if chance(r, 0.1) {
		c.chunk = 1 + r.IntN(200)
		c.bytes /= 10
	}
	if chance(r, 0.2) {
		c.sndbuf = 2048 + r.IntN(100_000)
	}
	if chance(r, 0.2) {
		c.rcvbuf = 1024 + r.IntN(100_000)
	}
	if chance(r, 0.1) {
		c.hole = 576 + r.IntN(1000) // what every host accepts (RFC 791) passes
		if c.v6 {
			c.hole = max(c.hole, 1280)
		}
	}
	for chance(r, 0.3) && len(c.cuts) < 4 {
		// Not for as long as makes handshakes give up.
		both, lasts := r.IntN(3), 10*time.Second
		if len(c.cuts) > 0 {
			lasts = time.Second
		}
		c.cuts = append(c.cuts, cut{
			between(r, 0, 2*time.Second), between(r, 10*time.Millisecond, lasts), both != 1, both != 2,
		})
	}
	if chance(r, 0.2) {
		c.changes = 1 + r.IntN(5)
	}
	return c
}

// run carries the bytes and returns an error if one is amiss, the end is not in
// order, or anything is left behind.
func (c *soakCase) run(t *testing.T, seed uint64) (err error) {
	lc := sim.LinkConfig{MTU: c.mtu, To: c.to, Back: c.back, BlackHole: c.hole}
	if *soakPcap != "" {
		lc.Capture, lc.CaptureFar = capture(t, *soakPcap+".a.pcapng"), capture(t, *soakPcap+".b.pcapng")
	}
	n, a, b, l := manualPair(t, seed, lc)
	defer n.Close()
	n.Start()
	f := n.Flow(a, b, sim.FlowConfig{
		Bytes: c.bytes, Back: c.more, Congestion: c.congestion, Chunk: c.chunk, IPv6: c.v6,
		Limit: 4 * time.Hour,
		Setup: func(s *usock.Socket) {
			if c.sndbuf != 0 {
				s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_SNDBUF, c.sndbuf)
			}
			if c.rcvbuf != 0 {
				s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, c.rcvbuf)
			}
			if c.nodelay {
				s.SetSockOptInt(usock.SOL_TCP, usock.TCP_NODELAY, 1)
			}
		},
	})
	over := false
	c.disturb(n, l, seed, &over)
	res := f.Wait()
	over = true
	if res.Err != nil {
		return res.Err
	}
	// The connections end by themselves: retransmissions of the last FIN, and
	// TIME-WAIT, take minutes at most.
	n.Sleep(30 * time.Minute)
	for _, h := range []*sim.Host{a, b} {
		if left := h.Sockets(); len(left) > 0 {
			err = fmt.Errorf("host %s: %s of %v left", h.Name(), left[0].State, left[0].Local)
		}
	}
	if *soakSeed >= 0 {
		to, back := l.Stats()
		t.Logf("%+v\n%+v\nto %+v\nback %+v", *c, res, to, back)
	}
	return err
}

// capture opens a file for a capture.
func capture(t *testing.T, name string) io.Writer {
	w, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// disturb cuts the link and changes it, until over is set, and leaves it as it was in the
// beginning.
func (c *soakCase) disturb(n *sim.Net, l *sim.Link, seed uint64, over *bool) {
	r := rand.New(rand.NewPCG(seed, 0xd157))
	at := time.Duration(0)
	after := func(d time.Duration, do func()) {
		at += d
		n.Clock().NewAlarm(func() {
			if !*over {
				do()
			}
		}).Set(at)
	}
	for _, k := range c.cuts {
		after(k.after, func() { l.CutTo(k.to, k.back) })
		after(k.lasts, l.Heal)
	}
	for range c.changes {
		d, to, back := between(r, 0, 3*time.Second), randomImpairment(r), randomImpairment(r)
		after(d, func() { l.Set(to, back) })
	}
	if c.changes > 0 {
		after(3*time.Second, func() { l.Set(c.to, c.back) })
	}
}

// Random networks: every byte arrives, both directions end in order, nothing
// hangs, and nothing is left behind. A seed that fails is run again, with
// details, by
//
//	go test ./sim -run TestSoak -v -seed N
func TestSoak(t *testing.T) {
	if *soakSeed >= 0 {
		c := newSoakCase(uint64(*soakSeed))
		if err := c.run(t, uint64(*soakSeed)); err != nil {
			t.Fatal(err)
		}
		return
	}
	begin, slowest, worst := time.Now(), time.Duration(0), 0
	seeds := *soakSeeds
	if testing.Short() {
		seeds = min(seeds, 200)
	}
	for seed := range seeds {
		c := newSoakCase(uint64(seed))
		at := time.Now()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { // which lets go of its hosts
			if err := c.run(t, uint64(seed)); err != nil {
				t.Errorf("seed %d: %v\n\tgo test ./sim -run TestSoak -v -seed %d\n\t%+v", seed, err, seed, c)
			}
		})
		if d := time.Since(at); d > slowest {
			slowest, worst = d, seed
		}
	}
	t.Logf("%d seeds in %v; seed %d took %v", seeds, time.Since(begin), worst, slowest)
}

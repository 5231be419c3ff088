//go:build linux

package main

import (
	"io"
	"slices"
	"time"
)

// roundTrip sends a byte and waits for its answer. Beside it stands what goroutines take that do as much work with no stack
// between them (alone).
func roundTrip(p *pair, t Task) (Result, error) {
	client, server, err := p.connections(1)
	if err != nil {
		return Result{}, err
	}
	var m meter
	failed := make(chan error, 2)
	go func() { failed <- echo(server[0]) }()
	times := make([]uint32, 0, 1<<23)
	done := make(chan struct{})
	go func() {
		defer close(done)
		count := m.counter()
		var err error
		if times, err = trips(client[0], times, func() bool { count.Add(1); return m.stopped.Load() }); err != nil {
			failed <- err
		}
	}()
	rate, c, err := m.measure(t, failed)
	if err != nil {
		return Result{}, err
	}
	<-done
	more := c.more()
	p50 := tail(more, "", times)
	more["mean µs"] = 1e6 / rate
	if times, err = alone(times[:0], time.Duration(p50*1e3), t.Time); err != nil {
		return Result{}, err
	}
	more["no stack: p50 µs"] = tail(more, "no stack: ", times)
	return Result{Value: p50, More: more}, nil
}

// trips sends a byte over c and waits for its answer, again and again until that is over, and returns what each took, in ns.
func trips(c io.ReadWriter, times []uint32, over func() bool) ([]uint32, error) {
	b := make([]byte, 1)
	for last := time.Now(); !over(); {
		if _, err := c.Write(b); err != nil {
			return times, err
		}
		if _, err := c.Read(b); err != nil {
			return times, err
		}
		now := time.Now()
		if len(times) < cap(times) {
			times = append(times, uint32(now.Sub(last)))
		}
		last = now
	}
	return times, nil
}

// over returns a function that says when so much time has passed.
func over(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

// tail reports what the slowest of round trips take, and returns their median, all in µs. The first eighth is the warm-up.
func tail(more map[string]float64, of string, times []uint32) float64 {
	times = times[len(times)/8:]
	slices.Sort(times)
	us := func(q float64) float64 { return float64(times[int(q*float64(len(times)-1))]) / 1e3 }
	more[of+"p90 µs"], more[of+"p99 µs"], more[of+"p99.9 µs"], more[of+"longest µs"] = us(0.9), us(0.99), us(0.999), us(1)
	return us(0.5)
}

// alone has two goroutines hand a byte to each other by channels, with work in between so that a round trip takes as long as
// that of a stack: what is slow in this is Go's and the machine's.
func alone(times []uint32, trip, d time.Duration) ([]uint32, error) {
	there, back := make(chan byte), make(chan byte)
	e := laden{in: back, out: there, work: grinding(trip / 2)}
	go func() {
		echo := laden{in: there, out: back, work: e.work}
		b := make([]byte, 1)
		for {
			if _, err := echo.Read(b); err != nil {
				return
			}
			echo.Write(b)
		}
	}()
	defer close(there)
	return trips(e, times, over(d))
}

// laden is an end of two channels that works before it writes.
type laden struct {
	in, out chan byte
	work    int // steps
}

func (l laden) Read(b []byte) (n int, err error) {
	c, ok := <-l.in
	if !ok {
		return 0, io.EOF
	}
	b[0] = c
	return 1, nil
}

func (l laden) Write(b []byte) (n int, err error) {
	ground = grind(ground, l.work)
	l.out <- b[0]
	return len(b), nil
}

// handing is about what a channel takes of half a round trip.
const handing = 200 * time.Nanosecond

// grinding returns how many steps of work take so long, with the handing over of a byte. The fastest of several tries counts, as others may
// have the processor meanwhile.
func grinding(d time.Duration) int {
	const tries, steps = 8, 1 << 17
	least := time.Hour
	for range tries {
		start := time.Now()
		ground = grind(ground, steps)
		least = min(least, time.Since(start))
	}
	return int(max(0, d-handing) * steps / max(least, 1))
}

// ground keeps work from being left out. It goes to and fro with the byte.
var ground uint64 = 1

func grind(x uint64, steps int) uint64 {
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

package sim

import (
	"sync"
	"time"

	"usock/clock"
)

// Meter counts bytes over time. Its zero value counts from the first Add.
type Meter struct {
	mu    sync.Mutex
	clock clock.Clock // nil: nothing was counted
	begin time.Duration
	total int64
	bins  []int64 // bytes of each bin
}

// bin is the meter's resolution.
const bin = 10 * time.Millisecond

// Add counts n bytes now.
func (m *Meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clock == nil {
		m.from(clock.System())
	}
	i := int((m.clock.Now() - m.begin) / bin)
	for len(m.bins) <= i {
		m.bins = append(m.bins, 0)
	}
	m.bins[i] += n
	m.total += n
}

// from has the meter count on the clock c from now on.
func (m *Meter) from(c clock.Clock) { m.clock, m.begin = c, c.Now() }

// Bytes returns how many bytes were counted.
func (m *Meter) Bytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// Rate returns the bits a second between two times since the beginning, counted
// in steps of 10 ms.
func (m *Meter) Rate(from, to time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, j := int(from/bin), int(to/bin)
	if j <= i {
		return 0
	}
	n := int64(0)
	for k := i; k < min(j, len(m.bins)); k++ {
		n += m.bins[k]
	}
	return float64(n) * 8 / (time.Duration(j-i) * bin).Seconds()
}

// Jain returns Jain's index of fairness: 1 where all shares are equal, 1/n where
// one has all.
func Jain(shares []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range shares {
		sum += x
		squares += float64(x * x) // not fused: the same on all processors
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(shares)) * squares)
}

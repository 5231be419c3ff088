//go:build linux

package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// handover is the name of that measurement.
const handover = "limit-handover"

// near is the hand-over, in ns, below which two processors are near: they share a cache.
// Within a cache it takes 20 to 70 ns, between caches or sockets 120 and more.
const near = 100

// handOver passes a word between two threads, each on a processor of its own, and
// returns the ns that one hand-over takes: the median of batches, so that a batch in
// which a thread lost its processor does not count.
func handOver(_ *pair, t Task) (Result, error) {
	cpus, err := allowed()
	if err != nil {
		return Result{}, err
	}
	if len(cpus) < 2 {
		return Result{}, errNotServed
	}
	const (
		batch = 100 // takes some µs, of a time slice's ms
		least = 200 // batches, unless all takes ten times as long as it should
	)
	var (
		_       [128]byte
		word    atomic.Uint32
		_       [124]byte
		stopped atomic.Bool
		there   = make(chan error, 1)
	)
	// take waits until it is the thread's turn. It reports false once all is over.
	take := func(turn uint32) bool {
		for word.Load() != turn {
			if stopped.Load() {
				return false
			}
		}
		return true
	}
	go func() {
		runtime.LockOSThread() // for good: the thread stays on one processor
		there <- pin(cpus[1])
		for take(1) {
			word.Store(0)
		}
	}()
	defer stopped.Store(true)
	runtime.LockOSThread()
	if err := pin(cpus[0]); err != nil {
		return Result{}, err
	}
	if err := <-there; err != nil {
		return Result{}, err
	}
	var ns []float64
	for start := time.Now(); ; {
		if d := time.Since(start); d >= t.Time && len(ns) >= least || d >= 10*t.Time {
			break
		}
		begin := time.Now()
		for range batch {
			word.Store(1)
			take(0)
		}
		ns = append(ns, float64(time.Since(begin).Nanoseconds())/(2*batch))
	}
	return Result{Value: median(ns)}, nil
}

// pin keeps the thread on a processor.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// allowed returns the processors on which the thread may run.
func allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var cpus []int
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// neighbourhood says in words where two processors lie, from what hand-overs took, in ns.
func neighbourhood(ns []float64) string {
	if len(ns) == 0 {
		return "–"
	}
	least, most := slices.Min(ns), slices.Max(ns)
	figure := fmt.Sprintf("%.0f", median(ns))
	if most >= 1.2*least {
		figure += fmt.Sprintf(" (%.0f–%.0f)", least, most)
	}
	word := "near"
	switch {
	case least >= near:
		word = "far"
	case most >= near:
		word = "near and far"
	}
	return word + ", " + figure + " ns"
}

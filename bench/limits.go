//go:build linux

package main

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// limits are what the machine can do at best: the lower bound under any stack's
// way of doing the work.
var limits = []workload{
	{name: "limit-copy", title: "copying a block twice, one core", unit: "Gbit/s", topology: machine, run: limitCopy},
	{name: "limit-channel", title: "channel hand-over, there and back", unit: "µs", less: true, topology: machine, run: limitChannel},
	{name: "limit-futex", title: "futex wake, there and back", unit: "µs", less: true, topology: machine, run: limitFutex},
	{name: handover, title: "a word handed from one processor to another", unit: "ns", less: true, topology: machine, run: handOver},
}

// limitCopy copies blocks into a ring of 4 MiB, a send buffer's size, and from
// there out again, 64 KiB at a time.
func limitCopy(_ *pair, t Task) (Result, error) {
	const piece = 64 << 10
	src, dst, ring := make([]byte, piece), make([]byte, piece), make([]byte, 4<<20)
	n, start := 0, time.Now()
	for time.Since(start) < t.Time {
		for at := 0; at < len(ring); at += piece {
			copy(ring[at:at+piece], src)
			copy(dst, ring[at:at+piece])
			n += piece
		}
	}
	return Result{Value: float64(n) * 8 / 1e9 / time.Since(start).Seconds()}, nil
}

// limitChannel passes a token between two goroutines.
func limitChannel(_ *pair, t Task) (Result, error) {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range there {
			back <- struct{}{}
		}
	}()
	n, start := 0, time.Now()
	for time.Since(start) < t.Time {
		for range 1000 {
			there <- struct{}{}
			<-back
		}
		n += 1000
	}
	took := time.Since(start)
	close(there)
	return Result{Value: float64(took.Nanoseconds()) / 1e3 / float64(n)}, nil
}

// limitFutex has two threads wake each other: what a hand-over costs where the
// other side sleeps in the kernel.
func limitFutex(_ *pair, t Task) (Result, error) {
	var words [2]atomic.Uint32
	var stopped atomic.Bool
	futex := func(w *atomic.Uint32, op, value uintptr) {
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(w)), op, value, 0, 0, 0)
	}
	const wait, wake = 128, 129 // FUTEX_WAIT, FUTEX_WAKE with FUTEX_PRIVATE_FLAG
	take := func(w *atomic.Uint32) {
		for !w.CompareAndSwap(1, 0) {
			futex(w, wait, 0)
		}
	}
	give := func(w *atomic.Uint32) {
		w.Store(1)
		futex(w, wake, 1)
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		for !stopped.Load() {
			take(&words[0])
			give(&words[1])
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n, start := 0, time.Now()
	for time.Since(start) < t.Time {
		give(&words[0])
		take(&words[1])
		n++
	}
	took := time.Since(start)
	stopped.Store(true)
	give(&words[0])
	<-done
	return Result{Value: float64(took.Nanoseconds()) / 1e3 / float64(n)}, nil
}

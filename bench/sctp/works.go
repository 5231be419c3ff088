//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// work is a row of the table.
type work struct {
	name, title, unit string
	less              bool    // less is better
	times             float64 // bar: usock to the better of the others
	value             float64 // bar: the figure itself
	prompt            bool    // a small message does not wait for company (SCTP_NODELAY)
	only              string  // the way that is measured alone; "": all are
	run               func(s stack, d time.Duration) (result, error)
}

var works = []work{
	{name: "bulk", title: "bulk, messages of 64 KiB", unit: "MB/s", times: 3, run: flood(64<<10, 64<<10/1e6)},
	{name: "small", title: "bulk, messages of 100 bytes", unit: "1/s", times: 2, run: flood(100, 1)},
	{name: "rr", title: "round trip of 100 bytes, p50", unit: "µs", less: true, times: 0.5, prompt: true, run: roundTrips},
	{name: "setup", title: "associations set up and ended", unit: "1/s", times: 2, run: setups},
	{name: "idle", title: "idle association, both ends, resident", unit: "byte", less: true, value: 4096, run: idle},
	{name: "beside", title: "small message beside bulk, I-DATA: mean delay without to with", unit: "times", value: 4, prompt: true, only: "usock", run: beside},
}

func findWork(name string) *work {
	for i := range works {
		if works[i].name == name {
			return &works[i]
		}
	}
	return nil
}

// warmup is how long a flow runs before it is measured.
const warmup = 200 * time.Millisecond

// pair returns the two ends of an association.
func pair(s stack) (client, server conn, err error) {
	if client, err = s.dial(); err == nil {
		server, err = s.accept()
	}
	return client, server, err
}

// flood sends messages of n bytes as fast as they go; the figure is how many came, scaled.
func flood(n int, scale float64) func(stack, time.Duration) (result, error) {
	return func(s stack, d time.Duration) (result, error) {
		client, server, err := pair(s)
		if err != nil {
			return result{}, err
		}
		var bytes atomic.Int64
		failed := make(chan error, 2)
		go func() {
			for p := make([]byte, n); ; {
				if err := client.send(p); err != nil {
					failed <- err
					return
				}
			}
		}()
		go func() {
			for p := make([]byte, 64<<10); ; {
				k, err := server.receive(p)
				if err != nil || k == 0 {
					failed <- fmt.Errorf("received %d bytes: %w", k, err)
					return
				}
				bytes.Add(int64(k))
			}
		}()
		wait := func(d time.Duration) error {
			select {
			case err := <-failed:
				return err
			case <-time.After(d):
				return nil
			}
		}
		if err := wait(warmup); err != nil {
			return result{}, err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin, first, used := time.Now(), bytes.Load(), processor()
		for came := false; !came; came = bytes.Load() > first { // there is no figure without a message
			if err := wait(d); err != nil {
				return result{}, err
			}
		}
		took, came := time.Since(begin), bytes.Load()-first
		used = processor() - used
		runtime.ReadMemStats(&after)
		messages := float64(came) / float64(n)
		return result{
			Value: messages / took.Seconds() * scale,
			More: map[string]float64{
				"allocations a message": float64(after.Mallocs-before.Mallocs) / messages,
				processorTime:           float64(used) / 1e3 / messages,
			},
		}, nil
	}
}

const processorTime = "processor time for a message, both ends, µs"

// processor returns the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// roundTrips sends a message there and back; the figure is the median in µs.
func roundTrips(s stack, d time.Duration) (result, error) {
	client, server, err := pair(s)
	if err != nil {
		return result{}, err
	}
	go func() {
		for p := make([]byte, 200); ; {
			n, err := server.receive(p)
			if err != nil || n == 0 || server.send(p[:n]) != nil {
				return
			}
		}
	}()
	p := make([]byte, 100)
	var took []time.Duration
	begin := time.Now()
	for at := begin; at.Sub(begin) < warmup+d; {
		if err := client.send(p); err != nil {
			return result{}, err
		}
		if n, err := client.receive(p); n != len(p) {
			return result{}, fmt.Errorf("%d bytes came back: %w", n, err)
		}
		t := time.Now()
		if t.Sub(begin) > warmup {
			took = append(took, t.Sub(at))
		}
		at = t
	}
	slices.Sort(took)
	return result{Value: float64(took[len(took)/2]) / 1e3}, nil
}

// setups opens and ends associations one after the other.
func setups(s stack, d time.Duration) (result, error) {
	go func() {
		for p := make([]byte, 10); ; {
			c, err := s.accept()
			if err != nil {
				return
			}
			for {
				if n, err := c.receive(p); n == 0 || err != nil {
					break
				}
			}
			c.close()
		}
	}()
	n := 0
	begin := time.Now()
	for n == 0 || time.Since(begin) < d {
		c, err := s.dial()
		if err != nil {
			return result{}, err
		}
		if err := c.close(); err != nil {
			return result{}, err
		}
		n++
	}
	return result{Value: float64(n) / time.Since(begin).Seconds()}, nil
}

// idle opens associations that do nothing; the figure is what each adds to the resident memory.
func idle(s stack, _ time.Duration) (result, error) {
	const associations = 3000
	ends := make([]conn, 0, 2*associations)
	open := func(n int) error {
		for range n {
			a, b, err := pair(s)
			if err != nil {
				return err
			}
			ends = append(ends, a, b)
		}
		return nil
	}
	if err := open(10); err != nil {
		return result{}, err
	}
	before, heapBefore, err := memory()
	if err != nil {
		return result{}, err
	}
	if err := open(associations); err != nil {
		return result{}, err
	}
	after, heapAfter, err := memory()
	runtime.KeepAlive(ends)
	return result{
		Value: (after - before) / associations,
		More:  map[string]float64{"of it Go's heap and stacks": (heapAfter - heapBefore) / associations},
	}, err
}

// memory returns the resident bytes, and those of the heap and the stacks, behind a collection.
func memory() (resident, heap float64, err error) {
	for range 3 {
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, err
	}
	var pages float64
	_, err = fmt.Sscan(strings.Fields(string(b))[1], &pages)
	return pages * float64(os.Getpagesize()), float64(m.HeapAlloc + m.StackInuse), err
}

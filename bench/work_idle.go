//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// perListener is how many idle connections go to one port of the server.
const perListener = 20_000

var errLost = errors.New("datagrams were lost, or the stack stands still")

// restful is a network whose connections can be had without the net package's
// adapters: what a program holds that uses the sockets themselves.
type restful interface {
	// dial and accept return what keeps a connection's end alive.
	dial(to netip.AddrPort) (any, error)
	listen(at netip.AddrPort) (accept func() (any, error), err error)
}

// idle opens n connections, lets them rest and counts what they cost: of the
// process's heap and stacks, or, where the kernel holds them, of its slab. Of the
// kernel's there are only as many as the process may have descriptors for; what one
// costs does not depend on it.
func idle(n int, adapters bool) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		n := n
		if t.Stack == "kernel" {
			n = min(n, raiseFiles()/2-100)
		}
		const dialers = 8
		client, server := make([]any, n), make([]any, n)
		sockets, ok := p.client.(restful)
		if adapters || !ok {
			sockets = adapted{p.client}
		}
		failed := make(chan error, dialers+n/perListener+1)
		var accepted sync.WaitGroup
		before := measureMemory()
		start, cpu := time.Now(), cpuTime()
		for i := 0; i < n; i += perListener {
			accept, err := sockets.listen(p.at(uint16(port + i/perListener)))
			if err != nil {
				return Result{}, err
			}
			accepted.Add(1)
			go func() {
				defer accepted.Done()
				for j := i; j < min(n, i+perListener); j++ {
					c, err := accept()
					if err != nil {
						failed <- err
						return
					}
					server[j] = c
				}
			}()
		}
		var dialed sync.WaitGroup
		for d := range dialers {
			dialed.Go(func() {
				for i := d; i < n; i += dialers {
					c, err := sockets.dial(p.at(uint16(port + i/perListener)))
					if err != nil {
						failed <- err
						return
					}
					client[i] = c
				}
			})
		}
		dialed.Wait()
		select {
		case err := <-failed:
			return Result{}, err
		default:
		}
		accepted.Wait()
		took, used := time.Since(start), cpuTime()-cpu
		after := measureMemory()
		per := func(a, b uint64) float64 { return (float64(b) - float64(a)) / float64(n) }
		r := Result{
			Value: per(before.process, after.process),
			More: map[string]float64{
				"goroutines": float64(after.goroutines-before.goroutines) / float64(n),
				"opened/s":   float64(n) / took.Seconds(),
				"CPU µs":     float64(used) / 1e3 / float64(n),
				"number":     float64(n),
				"peak MiB":   float64(peak()) / (1 << 20),
			},
		}
		if t.Stack == "kernel" {
			r.More["of the net package"] = r.Value
			r.Value = per(before.slab, after.slab)
		}
		runtime.KeepAlive(client)
		runtime.KeepAlive(server)
		return r, nil
	}
}

// adapted is any network's connections with the net package's adapters.
type adapted struct{ network }

func (a adapted) dial(to netip.AddrPort) (any, error) { return a.DialTCP(to) }

func (a adapted) listen(at netip.AddrPort) (func() (any, error), error) {
	l, err := a.ListenTCP(at)
	if err != nil {
		return nil, err
	}
	return func() (any, error) { return l.Accept() }, nil
}

// raiseFiles raises the number of descriptors that the process may have as far as it
// can and returns it.
func raiseFiles() int {
	const enough = 1 << 20
	l := unix.Rlimit{Cur: enough, Max: enough}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		return enough
	}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	l.Cur = l.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
	return int(l.Cur)
}

// memory is what is in use.
type memory struct {
	process    uint64 // bytes of the process's heap and stacks
	slab       uint64 // bytes of the kernel's slab, of the whole machine
	goroutines int
}

func measureMemory() memory {
	// Twice: what a sync.Pool holds survives the first.
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return memory{s.HeapAlloc + s.StackInuse, slab(), runtime.NumGoroutine()}
}

// slab returns Slab of /proc/meminfo.
func slab() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Slab:"); ok {
			var kib uint64
			fmt.Sscan(rest, &kib)
			return kib << 10
		}
	}
	return 0
}

// million is what no other stack here can hold.
func million(p *pair, t Task) (Result, error) {
	if t.Stack != "usock" {
		return Result{}, errNotServed
	}
	debug.SetMemoryLimit(millionLimit)
	return idle(1_000_000, false)(p, t)
}

// millionLimit is what the garbage collector is told to stay below: 3 GiB less what
// the process has besides its heap.
const millionLimit = 2900 << 20

// peak returns the most memory that the process has had resident, in bytes.
func peak() int64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return r.Maxrss << 10
}

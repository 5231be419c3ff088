//go:build linux

package main

import (
	"fmt"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Task is what a child process is asked to measure.
type Task struct {
	Stack    string
	Workload string
	Time     time.Duration // of the measurement proper
	Command  string        // cmd/usock, for the workloads that run programs
	Profile  string        // file for a CPU profile of the measurement; "": none
	Trace    string        // file for an execution trace of it; "": none
	Locks    bool          // see for how much of the time locks are held

	locks *lockWatch // the child's; nil unless Locks
}

// Result is what it found.
type Result struct {
	Value float64            // in the workload's unit
	More  map[string]float64 // what else was counted

	Locks map[string]LockShare `json:",omitempty"` // by the locks' name
	Notes string               `json:",omitempty"` // what is to be told in words
}

// workload is one row of the table.
type workload struct {
	name, title string
	unit        string
	less        bool // less is better
	topology    topology
	bars        bars
	limit       string // the machine's limit in the same unit; "": none
	run         func(p *pair, t Task) (Result, error)

	least time.Duration // a measurement takes at least so long
	runs  int           // it is measured at most so often; 0: as often as the others
	curve *curve        // of which it is a point; nil: none
	n     int           // of what the curve is about
}

// bars are what usock is to reach: at least, or at most if less is better. 0: no bar.
type bars struct {
	kernel, gvisor float64 // times the other's figure
	value          float64 // the figure itself
	peak           float64 // MiB resident at most
}

var workloads = slices.Concat(table, curveWorkloads())

// table are the workloads that are compared.
var table = []workload{
	{name: "bulk-1", title: "bulk TCP, 1 connection, one host", unit: "Gbit/s",
		topology: loopback, bars: bars{kernel: 1.3}, limit: "limit-copy", run: bulk(1)},
	{name: "bulk-8", title: "bulk TCP, 8 connections, one host", unit: "Gbit/s",
		topology: loopback, bars: bars{kernel: 1.2}, limit: "limit-copy", run: bulk(8)},
	{name: "bulk-1500", title: "bulk TCP, two hosts, MTU 1500", unit: "Gbit/s",
		topology: wire1500, bars: bars{kernel: 1.0, gvisor: 4}, limit: "limit-copy", run: bulk(1)},
	{name: "bulk-64k", title: "bulk TCP, two hosts, 64 KiB segments", unit: "Gbit/s",
		topology: wire64k, bars: bars{kernel: 1.2}, limit: "limit-copy", run: bulk(1)},
	{name: "bulk-1500-8", title: "bulk TCP, 8 connections, two hosts, MTU 1500", unit: "Gbit/s",
		topology: wire1500, limit: "limit-copy", run: bulk(8)},
	{name: "bulk-1500-tso", title: "bulk TCP, two hosts, MTU 1500, the kernel with TSO", unit: "Gbit/s",
		topology: wire1500tso, limit: "limit-copy", run: bulk(1)},
	{name: "bulk-1500-tso-8", title: "bulk TCP, 8 connections, two hosts, MTU 1500, the kernel with TSO", unit: "Gbit/s",
		topology: wire1500tso, limit: "limit-copy", run: bulk(8)},
	{name: "bulk-1500-off-8", title: "bulk TCP, 8 connections, two hosts, MTU 1500, usock and the kernel with TSO", unit: "Gbit/s",
		topology: wire1500off, limit: "limit-copy", run: bulk(8)},
	{name: "bulk-64k-8", title: "bulk TCP, 8 connections, two hosts, 64 KiB segments", unit: "Gbit/s",
		topology: wire64k, limit: "limit-copy", run: bulk(8)},
	{name: "bulk-lossy", title: "bulk TCP, two hosts, MTU 1500, 1 % loss, 10 ms round trip", unit: "Mbit/s",
		topology: lossy, least: 4 * time.Second, run: scaled(1000, bulk(1))},
	{name: "bulk-lossy-bbr", title: "the same, BBR", unit: "Mbit/s",
		topology: lossyBBR, least: 4 * time.Second, run: scaled(1000, bulk(1))},
	{name: "tun-out", title: "bulk TCP to the kernel over TUN", unit: "Gbit/s",
		topology: tunOut, bars: bars{gvisor: 1.3}, run: bulk(1)},
	{name: "tun-in", title: "bulk TCP from the kernel over TUN", unit: "Gbit/s",
		topology: tunIn, bars: bars{gvisor: 1.3}, run: bulk(1)},
	{name: "tap-out", title: "bulk TCP to the kernel over TAP", unit: "Gbit/s",
		topology: tapOut, run: bulk(1)},
	{name: "tap-in", title: "bulk TCP from the kernel over TAP", unit: "Gbit/s",
		topology: tapIn, run: bulk(1)},
	{name: "round-trip", title: "1-byte round trip, p50", unit: "µs", less: true,
		topology: loopback, bars: bars{kernel: 0.5}, limit: "limit-channel", run: roundTrip},
	{name: "round-trips-64", title: "1-byte round trips, 64 connections", unit: "1/s",
		topology: loopback, run: roundTrips(64)},
	{name: "connect-1", title: "connect, 1 byte each way, close; 1 client", unit: "1/s",
		topology: loopback, bars: bars{kernel: 2.5}, run: connect(1)},
	{name: "connect-64", title: "connect, 1 byte each way, close; 64 clients", unit: "1/s",
		topology: loopback, bars: bars{kernel: 2}, run: connect(64)},
	{name: "udp-flood-64", title: "UDP, 64 bytes, received while the sender floods", unit: "1/s",
		topology: loopback, run: datagrams(64, 0, 1)},
	{name: "udp-flood-64-2", title: "UDP, 64 bytes, two pairs, received while the senders flood", unit: "1/s",
		topology: loopback, run: datagrams(64, 0, 2)},
	{name: "udp-64", title: "UDP, 64 bytes, received", unit: "1/s",
		topology: loopback, bars: bars{kernel: 3.2}, run: datagrams(64, udpWindow, 1)},
	{name: "udp-64-2", title: "UDP, 64 bytes, two pairs, received", unit: "1/s",
		topology: loopback, run: datagrams(64, udpWindow, 2)},
	{name: "udp-1400", title: "UDP, 1400 bytes, received", unit: "1/s",
		topology: loopback, bars: bars{kernel: 2.2}, run: datagrams(1400, udpWindow, 1)},
	{name: "http", title: "net/http, 64 keep-alive clients, 1 KiB", unit: "1/s",
		topology: loopback, bars: bars{kernel: 1.2}, run: httpKeepAlive},
	{name: fairness, title: "a newcomer's getsockname beside 64 connections, p99", unit: "µs", less: true,
		topology: loopback, run: newcomer},
	{name: "run-iperf3", title: "usock run: iperf3", unit: "Gbit/s",
		topology: programsOnly, bars: bars{kernel: 0.6}, run: iperf},
	{name: "run-redis", title: "usock run: redis-benchmark, GET, 50 clients", unit: "1/s",
		topology: programsOnly, bars: bars{kernel: 0.7}, run: redis},
	{name: "run-nginx", title: "usock run: nginx and wrk, 64 connections kept", unit: "1/s",
		topology: programsOnly, bars: bars{kernel: 0.7}, run: nginxKept},
	{name: "run-nginx-close", title: "usock run: nginx and wrk, each request a connection", unit: "1/s",
		topology: programsOnly, bars: bars{kernel: 0.3}, run: nginxClose},
	{name: "idle-50k", title: "idle connection, both ends, 50,000 of them", unit: "byte", less: true,
		topology: loopback, run: idle(50_000, false)},
	{name: "idle-200k", title: "idle connection, both ends, 200,000 of them", unit: "byte", less: true,
		topology: loopback, bars: bars{value: 2200}, run: idle(200_000, false)},
	{name: "idle-conn-200k", title: "the same with the net package's adapters", unit: "byte", less: true,
		topology: loopback, run: idle(200_000, true)},
	{name: "idle-1m", title: "idle connection, both ends, 1,000,000 of them", unit: "byte", less: true,
		topology: loopback, bars: bars{peak: 3 << 10}, runs: 1, run: million},
}

func findWorkload(name string) (*workload, error) {
	for i := range workloads {
		if workloads[i].name == name {
			return &workloads[i], nil
		}
	}
	for i := range limits {
		if limits[i].name == name {
			return &limits[i], nil
		}
	}
	if name == settings.name {
		return &settings, nil
	}
	return nil, fmt.Errorf("no workload %q", name)
}

// do carries a task out.
func (t Task) do() (Result, error) {
	w, err := findWorkload(t.Workload)
	if err != nil {
		return Result{}, err
	}
	var p *pair
	if w.topology != machine && w.topology != programsOnly {
		if p, err = newPair(t.Stack, w.topology); err != nil {
			return Result{}, err
		}
	}
	t.Time = max(t.Time, w.least)
	if t.Locks {
		t.locks = &lockWatch{pair: p}
	}
	r, err := w.run(p, t)
	if t.locks != nil {
		r.Locks = t.locks.shares
	}
	return r, err
}

// scaled multiplies a workload's figure.
func scaled(by float64, run func(*pair, Task) (Result, error)) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		r, err := run(p, t)
		r.Value *= by
		return r, err
	}
}

// meter counts events over a task's time, behind a warm-up.
type meter struct {
	stopped atomic.Bool

	mu       sync.Mutex
	counters []*counter // mu
}

// counter counts the events of one goroutine. It fills two cache lines, as processors
// fetch lines by twos: what is measured is the stacks, not how a line of the harness moves
// from one processor to the other.
type counter struct {
	atomic.Int64
	_ [120]byte
}

// counter returns a counter for the calling goroutine.
func (m *meter) counter() *counter {
	c := new(counter)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters = append(m.counters, c)
	return c
}

// total returns how many events all goroutines have counted.
func (m *meter) total() (n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.counters {
		n += c.Load()
	}
	return n
}

// warmUp is how long a workload runs before its events count: congestion windows
// open, buffers grow, pools fill.
const warmUp = 300 * time.Millisecond

// cost is what an event took, of all that the process did.
type cost struct {
	allocations float64 // of heap objects
	cpu         float64 // µs of processor time, the kernel's part included
}

// measure waits for the task's time and returns the events a second and what they
// cost. failed ends it early.
func (m *meter) measure(t Task, failed <-chan error) (rate float64, c cost, err error) {
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-time.After(d):
			return nil
		}
	}
	if err := wait(warmUp); err != nil {
		return 0, c, err
	}
	stop, err := record(t.Profile, pprof.StartCPUProfile, pprof.StopCPUProfile)
	if err != nil {
		return 0, c, err
	}
	defer stop()
	if stop, err = record(t.Trace, trace.Start, trace.Stop); err != nil {
		return 0, c, err
	}
	defer stop()
	before, cpu := mallocs(), cpuTime()
	if err := t.locks.start(); err != nil {
		return 0, c, err
	}
	n, start := m.total(), time.Now()
	if err := wait(t.Time); err != nil {
		return 0, c, err
	}
	events, took := float64(m.total()-n), time.Since(start)
	if err := t.locks.stop(); err != nil {
		return 0, c, err
	}
	c.cpu = float64(cpuTime()-cpu) / 1e3 / max(events, 1)
	c.allocations = float64(mallocs()-before) / max(events, 1)
	m.stopped.Store(true)
	return events / took.Seconds(), c, nil
}

// more is how a cost is reported.
func (c cost) more() map[string]float64 {
	return map[string]float64{"allocations": c.allocations, "CPU µs": c.cpu}
}

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func mallocs() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.Mallocs
}

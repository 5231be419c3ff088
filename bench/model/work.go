package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// What no measurement of `bench -cores` tells, in ns. Those marked C were measured on two cores in throw-away programs
// (atomics, locks, hand-overs), the others are assumptions.
const (
	atomicAdd   = 2.5 // C, line at hand; 12 to 27 where two cores do nothing else: they keep a line for a few
	nearDefault = 60  // C, a word to another core and back is twice that; the measured file has its own
	far         = 150 // C, the most of 60 to 150 a hand-over
	group       = 8   // cores with a cache of the third level in common (EPYC)
	wake        = 250 // C, a contended sync.Mutex: 255 to 345 a hand-over beyond the hold
	lockFree    = 20  // a short hold, where no look found the lock held
	longest     = 1e3 // what is found held for longer by its share belongs to a holder who was not running
	laneLines   = 3   // lock, queue, wake-ups, counters of IP and TCP: six lines, half of them fetched while others are
	lanesPer    = 4   // lanes a core (host.lanesPerProcessor)
	slice       = 10e6
	soon        = 50e3 // until run queues are empty, when everybody waits
	wholeWork   = 2e3  // opening a UDP socket
	tunWrite    = 800  // write(2) of a small packet to a TUN device, one after another in a queue
)

// use is how often an operation uses a class.
type use struct {
	lock  string // name of the lock in the measured file; "": a line of the name
	name  string
	n     int // how many there are; perCore: as many as cores
	times int
	lines float64
	hold  float64 // where not measured
}

const perCore = -1

// workload is what one core does for an operation, and what it uses.
type workload struct {
	name, measured string
	per            float64 // operations a unit of the measured figure
	entries        int
	uses           []use
	link           bool // a sender's half of a datagram's work, and what the link takes besides; not measured
}

// The entries and uses of locks were counted by counters in the locks, in a throw-away copy of the tree; so were charges
// of tcp.Memory, each of which is one or two adds to a line that all connections have: small changes are not charged, so
// that only bulk does. Other lines: by the sources.
var account = use{name: "tcp.Memory (line)", n: 1, lines: 1, hold: 2 * atomicAdd}

func charges(n int) use { u := account; u.times = n; return u }

var workloads = []workload{
	{"round trips", "round-trips-64", 1, 6, []use{
		{lock: "inet.connStripe", n: 64, times: 2, lines: 1},
	}, false},
	{"UDP, a pair a core", "udp-64-2", 1, 1, nil, false},
	{"net/http", "http", 1, 9, []use{
		{lock: "inet.connStripe", n: 64, times: 2, lines: 1}, {lock: "host.shard", n: lanesPer * perCore, times: 1, lines: 2},
	}, false},
	{"connect and close", "connect-64", 1, 17, []use{
		{lock: "inet.connStripe", n: 64, times: 17, lines: 1},
		{lock: "inet.portTable", n: 1, times: 6, lines: 2},
		{lock: "inet.listener", n: 1, times: 3, lines: 2},
		{lock: "socket.Registry", n: 1, times: 4, lines: 2},
		{lock: "host.shard", n: lanesPer * perCore, times: 11, lines: 2},
		{name: "listener's counters (line)", n: 1, times: 4, lines: 1, hold: atomicAdd},
		{name: "tcpProto.timeWaits (line)", n: 1, times: 2, lines: 1, hold: atomicAdd},
		{name: "Stack.prf (line)", n: 1, times: 3, lines: 1, hold: atomicAdd},
		{name: "Stack.paths (line)", n: 1, times: 2, lines: 1, hold: 2 * atomicAdd}, // readers of an RWMutex count themselves
	}, false},
	{"bulk, a MB", "bulk-8", 125, 26, []use{charges(15), {lock: "inet.connStripe", n: 64, times: 29, lines: 1}, {lock: "host.shard", n: lanesPer * perCore, times: 5, lines: 2}}, false},
	{"small packets to a TUN, one queue", "udp-64-2", 1, 1, []use{
		{name: "relay", n: 1, times: 1, lines: 2, hold: lockFree}, {name: "queue of the device", n: 1, times: 1, lines: 2, hold: tunWrite},
	}, true},
	{"the same, a queue a core", "udp-64-2", 1, 1, []use{
		{name: "relay", n: perCore, times: 1, lines: 2, hold: lockFree}, {name: "queue of the device", n: perCore, times: 1, lines: 2, hold: tunWrite},
	}, true},
}

// measured is what is read of the file that `bench -cores -json` writes.
type measured struct {
	Date       time.Time
	CPU, Go    string
	Kernel     string
	Neighbours []float64
	Rows       []struct {
		Workload   string
		Values     map[string][]float64
		Neighbours []float64
		LockRates  []float64
		Locks      map[string][]struct{ Sum float64 }
	}
}

func read(file string) (*measured, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := new(measured)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// rate returns a workload's figure on so many processors; 0: not measured.
func (m *measured) rate(workload string, processors int) float64 {
	for _, x := range m.Rows {
		if x.Workload == workload {
			return median(x.Values[fmt.Sprintf("usock on %d", processors)])
		}
	}
	return 0
}

// share returns for how much of the time the locks of a name were held, all together, and the rate beside it.
func (m *measured) share(workload, lock string) (sum, rate float64) {
	for _, x := range m.Rows {
		if x.Workload == workload {
			var sums []float64
			for _, s := range x.Locks[lock] {
				sums = append(sums, s.Sum)
			}
			return median(sums), median(x.LockRates)
		}
	}
	return 0, 0
}

// near is what a line takes from a neighbour.
func (m *measured) near() float64 {
	all := slices.Clone(m.Neighbours)
	for _, x := range m.Rows {
		all = append(all, x.Neighbours...)
	}
	if v := median(all); v > 0 {
		return min(v, far)
	}
	return nearDefault
}

// inLane is the part of an operation in which it has a lane: of a workload in which nobody is ever waited for.
func (m *measured) inLane() float64 {
	if sum, _ := m.share("udp-64-2", "host.Lane"); sum > 0 {
		return min(sum/2, 0.9)
	}
	return 0.65
}

// away is for how long a goroutine that has lost its core in a lane stays away: so that there are as many lanes held
// beyond those that run as were seen (Little's law).
func (m *measured) away() float64 {
	sum, _ := m.share("round-trips-64", "host.Lane")
	running := 2 * m.inLane()
	return max(sum-running, 0) / running * slice
}

// machine returns what a workload runs on and its operation, so that one core reaches the measured rate.
func (m *measured) machine(w workload, cores int) (machine, error) {
	one := m.rate(w.measured, 1) * w.per
	if one == 0 {
		return machine{}, fmt.Errorf("%s on one processor is not in the measured file", w.measured)
	}
	x := machine{
		cores: cores, near: m.near(), far: far, group: group, wake: wake, laneLine: laneLines,
		slice: slice, away: m.away(), soon: soon, wholeWork: wholeWork, conns: max(1, 64/cores),
	}
	for x.lanes = 1; cores > 1 && x.lanes < lanesPer*cores || x.lanes < 1; {
		x.lanes *= 2
	}
	var steps []step
	own := 1e9 / one
	if w.link {
		own /= 2
	}
	for _, u := range w.uses {
		c := class{name: u.name, n: u.n, hold: u.hold, lines: u.lines, line: strings.HasSuffix(u.name, "(line)")}
		if u.n < 0 {
			c.n = -u.n * cores
		}
		if u.lock != "" {
			c.name, c.hold = u.lock, lockFree
			if sum, rate := m.share(w.measured, u.lock); sum > 0 && rate > 0 {
				c.hold = min(max(sum/(rate*w.per)*1e9/float64(u.times), lockFree), longest)
			}
		}
		if !w.link {
			own -= float64(u.times) * c.hold
		}
		for range u.times {
			steps = append(steps, step{use: len(x.classes)})
		}
		x.classes = append(x.classes, c)
	}
	x.op = w.spread(steps, max(own, 0), m.inLane())
	return x, nil
}

// spread puts the uses into the entries of an operation, in turns, between work within and without a lane.
func (w workload) spread(steps []step, own, inLane float64) (op []step) {
	out, in := own*(1-inLane)/float64(w.entries), own*inLane/float64(w.entries)
	for i := range w.entries {
		op = append(op, step{work: out, kind: enters})
		n := 0
		for k := i; k < len(steps); k += w.entries {
			n++
		}
		for k := i; k < len(steps); k += w.entries {
			st := steps[k]
			st.work = in / float64(n+1)
			op = append(op, st)
		}
		op = append(op, step{work: in / float64(n+1), kind: leaves})
	}
	return op
}

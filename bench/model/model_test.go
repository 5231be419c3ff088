package main

import (
	"bytes"
	"math"
	"testing"
)

// plain is a machine whose cores share nothing, with 1 µs of work an operation.
func plain(cores int) machine {
	return machine{cores: cores, near: 50, far: 150, group: 8, lanes: 4 * cores, conns: 8, op: []step{{work: 1000, kind: works}}}
}

// The report is the same each time, and has a line for each workload.
func TestReport(t *testing.T) {
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} {
		if err := run(out, "measured.json", "1,2"); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != b.String() {
		t.Error("two reports differ")
	}
	for _, w := range workloads {
		if !bytes.Contains(a.Bytes(), []byte("| "+w.name+" | 1.0 | ")) {
			t.Errorf("no line of %q", w.name)
		}
	}
	for _, list := range []string{"", "0", "x", "1,-2"} {
		if run(new(bytes.Buffer), "measured.json", list) == nil {
			t.Errorf("-cores %q is taken", list)
		}
	}
	if run(new(bytes.Buffer), "none.json", "1") == nil {
		t.Error("no measured file is needed")
	}
}

// Cores that share nothing are as fast together as each alone.
func TestNothingShared(t *testing.T) {
	for _, n := range []int{1, 2, 16, 64} {
		if r := plain(n).run(1e6); math.Abs(r.ops/(float64(n)*1e6)-1) > 0.01 {
			t.Errorf("%d cores: %.0f operations a second", n, r.ops)
		}
	}
}

// One lock for all is held always and no more, and nobody gets beyond what that allows.
func TestOneLock(t *testing.T) {
	for _, n := range []int{1, 4, 64} {
		m := plain(n)
		m.classes = []class{{n: 1, hold: 500}}
		m.op = []step{{work: 500}}
		r := m.run(1e6)
		if want := min(float64(n)*1e6, 2e6); math.Abs(r.ops/want-1) > 0.01 {
			t.Errorf("%d cores: %.0f operations a second, want %.0f", n, r.ops, want)
		}
		if want := min(0.5*float64(n), 1); math.Abs(r.busy[0]-want) > 0.01 {
			t.Errorf("%d cores: in use for %.3f of the time", n, r.busy[0])
		}

		// A line that comes from another core each time, and a sleeper to be woken.
		m.classes[0].lines, m.wake = 1, 250
		if r := m.run(1e6); n > 8 && (r.ops > 1e9/(500+250+50) || r.ops < 1e9/(500+250+150)) {
			t.Errorf("%d cores: %.0f operations a second with hand-overs", n, r.ops)
		}
	}
}

// Nothing is ever in use for more than all of the time, whatever the workload.
func TestInUse(t *testing.T) {
	m, err := read("measured.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workloads {
		for _, n := range []int{1, 2, 16} {
			x, err := m.machine(w, n)
			if err != nil {
				t.Fatal(err)
			}
			x.wholeEvery = 1e5
			r := x.run(1e6)
			for i, b := range append(r.busy, r.lanes) {
				if b > 1+1e-9 {
					t.Errorf("%s, %d cores: class %d is in use for %.3f of the time", w.name, n, i, b)
				}
			}
		}
	}
}

// Who wants the whole host gets it between all entries, which then go on; behind a gate also where goroutines lose
// their cores in midst of entries.
func TestWhole(t *testing.T) {
	m := plain(4)
	m.op = []step{{work: 200, kind: enters}, {work: 800, kind: leaves}}
	m.wholeEvery, m.wholeWork = 1e5, 1e4
	r := m.run(1e7)
	if math.Abs(r.wholes/1e4-1) > 0.02 || r.wholeTook < 1e4 || r.wholeTook > 2.5e4 {
		t.Errorf("%.0f entries a second of %.0f ns", r.wholes, r.wholeTook)
	}
	if r.ops > 0.92*4e6 || r.ops < 0.6*4e6 {
		t.Errorf("%.0f operations beside them", r.ops)
	}
	m.slice, m.away, m.soon = 1e6, 1e7, 1e4
	bare := m.run(1e7)
	m.gate = true
	if gated := m.run(1e7); gated.wholes < 2*bare.wholes {
		t.Errorf("%.0f entries of the whole host a second behind a gate, %.0f without", gated.wholes, bare.wholes)
	}
}

// An operation's work and holds are together what was measured on one core.
func TestOneCore(t *testing.T) {
	m, err := read("measured.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workloads {
		if w.link {
			continue
		}
		r, err := m.at(w, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := m.rate(w.measured, 1) * w.per; math.Abs(r.ops/want-1) > 0.05 {
			t.Errorf("%s: %.0f operations a second on one core, measured %.0f", w.name, r.ops, want)
		}
	}
}

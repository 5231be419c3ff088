package sim

import (
	"slices"
	"time"

	"usock/clock"
)

// NewManual is New for a network in manual time: it stands still but in Sleep, Until and
// Flow.Wait, in which everything happens on the caller's goroutine. It is a function of the
// seed and of what the test does, on every machine and under any load, down to the bytes of
// its captures.
//
// Nothing in it may block: sockets are to be non-blocking, and what uses them are programs
// (Net.Program) and alarms of Net.Clock.
func NewManual(t TB, seed uint64) *Net {
	n := New(t, seed)
	n.manual = new(clock.Manual)
	n.clock = n.manual
	return n
}

// Clock returns the network's clock: what its hosts and links take their time from. Of a
// network in manual time it must not be advanced by anybody else.
func (n *Net) Clock() clock.Clock { return n.clock }

// Progress is what a program says of a step.
type Progress uint8

// The kinds of progress.
const (
	Idle  Progress = iota // there was nothing to do
	Moved                 // it has done something, which others may see
	Done                  // it has ended
)

// Program has step called, in manual time, whenever something may have happened, until it
// says Done: a program that does what can be done without waiting. It is called on the
// goroutine that lets time pass. Programs go on in the order in which they were added, each
// in turn, until all are idle; then time passes, to the next alarm.
func (n *Net) Program(step func() Progress) {
	n.t.Helper()
	if n.manual == nil {
		n.t.Fatalf("sim: programs are for networks in manual time")
	}
	n.programs = append(n.programs, step)
}

// Sleep lets the time d pass.
func (n *Net) Sleep(d time.Duration) {
	if n.manual != nil {
		n.Until(func() bool { return false }, d)
		return
	}
	awake := make(chan struct{})
	n.clock.NewAlarm(func() { close(awake) }).Set(d)
	<-awake
}

// Until lets time pass, in manual time, until cond holds, for d at most, and reports whether
// it does.
func (n *Net) Until(cond func() bool, d time.Duration) bool {
	n.t.Helper()
	if n.manual == nil || n.driving {
		n.t.Fatalf("sim: time passes in manual time, and not in a program or an alarm")
	}
	n.driving = true
	defer func() { n.driving = false }()

	for end := n.manual.Now() + d; ; {
		n.manual.Advance(0)
		n.runPrograms()
		if cond() {
			return true
		}
		now := n.manual.Now()
		if now >= end {
			return false
		}
		at, ok := n.manual.Next()
		if !ok || at > end {
			at = end
		}
		n.manual.Advance(at - now)
	}
}

// runPrograms has the programs go on until all are idle.
func (n *Net) runPrograms() {
	for moved := true; moved; {
		moved = false
		for i := 0; i < len(n.programs); i++ {
			switch n.programs[i]() {
			case Moved:
				moved = true
			case Done:
				moved = true
				n.programs = slices.Delete(n.programs, i, i+1)
				i--
			}
		}
	}
}

package link

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usock/clock"
)

// Stage is a piece of an impaired link's way that some packets pass, before the impairment that all pass.
type Stage struct {
	// Name tells a stage from others: one that is set again under its name keeps its packets, its chances and its counters.
	// In captures it is part of the reason why a packet is not there.
	Name       string
	Impairment Impairment
}

// Stages are those of one direction, and who passes which. Delays of several add up, the slowest rate is what comes through, and
// a packet has to survive each.
type Stages struct {
	List []Stage

	// Next returns the first stage that p is to pass, of those from the index from on: len(List), or more, if there is none.
	// now is on the link's clock. It is called by several goroutines at once, with no lock held, and leaves p as it is.
	Next func(p *Packet, now time.Duration, from int) int
}

// way is one direction of an impaired link: stages, and the netem that all packets pass. That one hands them on, so that it
// is one goroutine at a time that carries, in one order.
//
//	push → stage of Next(0) → stage of Next(i+1) → ... → base → carry
type way struct {
	base   *netem
	seed   uint64
	number uint64 // of the direction

	stages atomic.Pointer[stageList] // nil: none

	mu       sync.Mutex  // taken before a netem's
	clock    clock.Clock // mu; nil: the machine's, as no host has named one
	given    bool        // the clock is that of the configuration
	gone     ImpairStats // mu: what stages that are no more have counted
	left     []*stage    // mu: such that still have packets
	watchers []*watcher  // mu
}

type stageList struct {
	list []*stage
	next func(p *Packet, now time.Duration, from int) int
}

// stage is a netem for those that Next sends there.
type stage struct {
	name string
	*netem
}

func newWay(c clock.Clock, imp Impairment, seed, number uint64, carry func([]*Packet)) *way {
	return &way{base: newNetem(c, imp, seed, number, carry), seed: seed, number: number, clock: c, given: c != nil}
}

// push takes over the packets of batch. It may be called by several goroutines at once.
func (w *way) push(batch []*Packet) {
	s := w.stages.Load()
	if s == nil {
		w.base.push(batch, moment{}, true)
		return
	}
	w.pass(s, batch, 0, true)
}

// pass hands packets to the stages that they pass next, in runs of the same. They are fresh if they have passed none yet.
func (w *way) pass(s *stageList, batch []*Packet, from int, fresh bool) {
	now := w.base.moment()
	for len(batch) > 0 {
		at := min(s.next(batch[0], now.at, from), len(s.list))
		n := 1
		for n < len(batch) && min(s.next(batch[n], now.at, from), len(s.list)) == at {
			n++
		}
		if at < len(s.list) {
			s.list[at].push(batch[:n], moment{}, fresh)
		} else {
			w.base.push(batch[:n], now, fresh)
		}
		batch = batch[n:]
	}
}

// leave carries on what has passed a stage: from one that is in the list no more to the base.
func (w *way) leave(from *stage, batch []*Packet) {
	if s := w.stages.Load(); s != nil {
		if at := slices.Index(s.list, from); at >= 0 {
			w.pass(s, batch, at+1, false)
			return
		}
	}
	w.base.push(batch, moment{}, false)
}

// check returns an error for stages that make no sense.
func (s *Stages) check() error {
	seen := map[string]bool{}
	for _, x := range s.List {
		if err := x.Impairment.Check(); err != nil {
			return fmt.Errorf("%s: %w", x.Name, err)
		}
		if x.Name == "" || seen[x.Name] {
			return fmt.Errorf("link: stages need names, each its own: %q", x.Name)
		}
		seen[x.Name] = true
	}
	if len(s.List) > 0 && s.Next == nil {
		return errors.New("link: stages without Next, which says who passes them")
	}
	return nil
}

// set changes the stages, which are checked.
func (w *way) set(to Stages) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := map[string]*stage{}
	if s := w.stages.Load(); s != nil {
		for _, x := range s.list {
			old[x.name] = x
		}
	}
	s := &stageList{next: to.Next}
	for _, x := range to.List {
		st := old[x.Name]
		if delete(old, x.Name); st == nil {
			st = w.newStage(x)
		} else {
			st.netem.set(x.Impairment)
		}
		s.list = append(s.list, st)
	}
	if len(s.list) == 0 {
		s = nil // packets that come meanwhile are to find none that cannot be asked
	}
	w.stages.Store(s)
	for _, x := range old {
		w.left = append(w.left, x)
	}
	w.sweep()
}

// newStage makes a stage. Its chances follow from the link's seed and from its name, and not from the other stages. The caller
// holds mu.
func (w *way) newStage(x Stage) *stage {
	h := fnv.New64a()
	h.Write([]byte(x.Name))
	st := &stage{name: x.Name}
	st.netem = newNetem(w.clock, x.Impairment, w.seed^h.Sum64(), w.number, func(batch []*Packet) { w.leave(st, batch) })
	st.netem.given = w.given
	st.netem.stage = x.Name
	st.netem.watchers = slices.Clone(w.watchers)
	return st
}

// sweep forgets stages that are no more and empty, but for what they have counted. They are not closed: who has looked at the
// list before may come with a packet yet. The caller holds mu.
func (w *way) sweep() {
	w.left = slices.DeleteFunc(w.left, func(x *stage) bool {
		c := x.statistics()
		if c.Waiting > 0 {
			return false
		}
		w.gone.add(c)
		return true
	})
}

// useClock has all netems take their time from c.
func (w *way) useClock(c clock.Clock) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base.useClock(c)
	if w.given {
		return
	}
	w.clock = c
	for _, x := range w.netems() {
		x.useClock(c)
	}
}

// netems returns those of the stages. The caller holds mu.
func (w *way) netems() []*netem {
	var all []*netem
	if s := w.stages.Load(); s != nil {
		for _, x := range s.list {
			all = append(all, x.netem)
		}
	}
	for _, x := range w.left {
		all = append(all, x.netem)
	}
	return all
}

// watch has x told of packets, until stop is called: of each as it comes to the first stage that it passes, or to the base, and once
// more if it is lost behind that.
func (w *way) watch(x *watcher) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchers = append(w.watchers, x)
	w.base.watch(x)
	for _, n := range w.netems() {
		n.watch(x)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watchers = slices.DeleteFunc(w.watchers, func(y *watcher) bool { return x == y })
		w.base.unwatch(x)
		for _, n := range w.netems() {
			n.unwatch(x)
		}
	}
}

// statistics returns the counters of the whole direction.
func (w *way) statistics() ImpairStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep()
	sum := w.gone
	for _, n := range w.netems() {
		sum.add(n.statistics())
	}

	// A packet comes to the direction once, however many stages it passes, and leaves it by the base.
	s := w.base.statistics()
	packets, carried := s.Packets+sum.Lost+sum.Dropped, s.Carried
	s.add(sum)
	s.Packets, s.Carried = packets, carried
	return s
}

// stage returns the counters of one stage.
func (w *way) stage(name string) ImpairStats {
	if s := w.stages.Load(); s != nil {
		for _, x := range s.list {
			if x.name == name {
				return x.statistics()
			}
		}
	}
	return ImpairStats{}
}

func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base.close()
	for _, n := range w.netems() {
		n.close()
	}
}

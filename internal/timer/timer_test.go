package timer

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type owner struct {
	Entry
	id   int
	told *[]int
}

func (o *owner) Expired(e *Entry, now time.Duration) {
	if e != &o.Entry {
		panic("told of another's entry")
	}
	*o.told = append(*o.told, o.id)
}

// TestQueue compares the queue with a plain map of deadlines under random calls.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 40
		var (
			q     Queue
			told  []int
			all   [n]*owner
			model [n]time.Duration
			now   time.Duration
		)
		// Within a unit, over several, and farther ahead than the queue looks.
		scale := rapid.SampledFrom([]time.Duration{1, time.Millisecond, 4 * time.Hour}).Draw(t, "scale")
		for i := range all {
			all[i] = &owner{id: i, told: &told}
			all[i].On = all[i]
			model[i] = Never
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				at := now + scale*time.Duration(rapid.IntRange(-5, 100).Draw(t, "in"))
				if rapid.IntRange(0, 9).Draw(t, "stop") == 0 {
					at = Never
				}
				if all[i].Put(at) {
					q.Queue(&all[i].Entry, now)
				}
				model[i] = at
			},
			"remove": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				q.Remove(&all[i].Entry)
				model[i] = Never
			},
			"expire": func(t *rapid.T) {
				now += scale * time.Duration(rapid.IntRange(0, 50).Draw(t, "by"))
				told = told[:0]
				q.Expire(now)
				var want []int
				for i, at := range model {
					if at <= now {
						want = append(want, i)
						model[i] = Never
					}
				}
				slices.Sort(told)
				if !slices.Equal(told, want) {
					t.Fatalf("at %d told %v, want %v", now, told, want)
				}
			},
			"": func(t *rapid.T) {
				least, active := Never, 0
				for i, at := range model {
					if all[i].At() != at {
						t.Fatalf("entry %d: at %d, want %d", i, all[i].At(), at)
					}
					least = min(least, at)
					if at != Never {
						active++
					}
				}
				if next := q.Next(); next > least {
					t.Fatalf("next %d, but a deadline is %d", next, least)
				}
				if q.Active() != active || q.Len() < active {
					t.Fatalf("%d active of %d, want %d", q.Active(), q.Len(), active)
				}
			},
		})
	})
}

// The same with two locks, of owners and of the queue: what is due is told later, when its owner may have changed it.
func TestQueueOfTwoLocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const (
			n    = 40
			half = 1 << 19 // of what the entry tells the queue's times by
		)
		var (
			q     Queue
			all   [n]Entry
			model [n]time.Duration
			due   []*Entry // taken by Due, and not told yet
			now   time.Duration
		)
		for i := range model {
			model[i] = Never
		}
		index := func(e *Entry) int {
			return slices.IndexFunc(all[:], func(o Entry) bool { return o.On == e.On })
		}
		for i := range all {
			all[i].On = &owner{id: i}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				at := now + half*time.Duration(rapid.IntRange(-5, 100).Draw(t, "in"))
				if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
					at = now + time.Duration(rapid.IntRange(1, 400).Draw(t, "days"))*24*time.Hour
				}
				if rapid.IntRange(0, 9).Draw(t, "stop") == 0 {
					at = Never
				}
				if all[i].Put(at) {
					q.Queue(&all[i], now)
				}
				model[i] = at
			},
			"remove": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				if !all[i].Gone() {
					q.Remove(&all[i])
				}
				model[i] = Never
			},
			"due": func(t *rapid.T) {
				now += half * time.Duration(rapid.IntRange(0, 50).Draw(t, "by"))
				if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
					now += time.Duration(rapid.IntRange(1, 30).Draw(t, "days")) * 24 * time.Hour
				}
				due = q.Due(now, due)
			},
			"tell": func(t *rapid.T) {
				now += half * time.Duration(rapid.IntRange(0, 5).Draw(t, "by"))
				if len(due) == 0 {
					return
				}
				e := due[0]
				due = due[1:]
				if !q.Claim(e) {
					return
				}
				i := index(e)
				passed, later := e.Passed(now)
				if passed != (model[i] <= now) || later != (model[i] > now && model[i] != Never) {
					t.Fatalf("at %d passed %v, later %v, deadline %d", now, passed, later, model[i])
				}
				if passed {
					model[i] = Never
				}
				if later {
					q.Queue(e, now)
				}
			},
			"": func(t *rapid.T) {
				next := q.Next()
				for i, at := range model {
					if all[i].At() != at {
						t.Fatalf("entry %d: at %d, want %d", i, all[i].At(), at)
					}
					waits := slices.ContainsFunc(due, func(e *Entry) bool { return index(e) == i && e.index == taken })
					if at < next && !waits {
						t.Fatalf("next %d, but a deadline is %d, of entry %d", next, at, i)
					}
				}
			},
		})
	})
}

const taken = due // the test has a list of that name

func TestOrder(t *testing.T) {
	var q Queue
	var told []int
	for _, i := range []int{5, 3, 9, 1, 7} {
		o := &owner{id: i, told: &told}
		o.On = o
		o.Put(time.Duration(i))
		q.Queue(&o.Entry, 0)
	}
	q.Expire(100)
	if !slices.Equal(told, []int{1, 3, 5, 7, 9}) {
		t.Errorf("told in the order %v", told)
	}
}

func BenchmarkRearmLater(b *testing.B) {
	var q Queue
	o := &owner{}
	o.On = o
	for i := range b.N {
		if o.Put(time.Duration(i + 1)) {
			q.Queue(&o.Entry, time.Duration(i))
		}
	}
}

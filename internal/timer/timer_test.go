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
		for i := range all {
			all[i] = &owner{id: i, told: &told}
			all[i].On = all[i]
			model[i] = Never
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				at := now + time.Duration(rapid.IntRange(-5, 100).Draw(t, "in"))
				if rapid.IntRange(0, 9).Draw(t, "stop") == 0 {
					at = Never
				}
				q.Set(&all[i].Entry, at)
				model[i] = at
			},
			"remove": func(t *rapid.T) {
				i := rapid.IntRange(0, n-1).Draw(t, "i")
				q.Remove(&all[i].Entry)
				model[i] = Never
			},
			"expire": func(t *rapid.T) {
				now += time.Duration(rapid.IntRange(0, 50).Draw(t, "by"))
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

func TestOrder(t *testing.T) {
	var q Queue
	var told []int
	for _, i := range []int{5, 3, 9, 1, 7} {
		o := &owner{id: i, told: &told}
		o.On = o
		q.Set(&o.Entry, time.Duration(i))
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
		q.Set(&o.Entry, time.Duration(i+1))
	}
}

// Who shares an entry makes no deadline later, and takes none from those who are to be told.
func TestAdvance(t *testing.T) {
	var q Queue
	var told []int
	o := &owner{told: &told}
	o.On = o
	for _, c := range []struct{ at, want time.Duration }{{20, 20}, {30, 20}, {10, 10}, {Never, 10}} {
		if q.Advance(&o.Entry, c.at); o.At() != c.want {
			t.Errorf("after %d: %d, want %d", c.at, o.At(), c.want)
		}
	}
	if due := q.Due(15, nil); len(due) != 1 || due[0] != &o.Entry {
		t.Fatal(due)
	}
	q.Advance(&o.Entry, 100)
	if !q.Claim(&o.Entry) {
		t.Error("it is told no more")
	}
	if q.Advance(&o.Entry, 50); o.At() != 50 {
		t.Errorf("at %d, want 50", o.At())
	}
}

// Package timer is a host's queue of deadlines: an intrusive four-ary heap.
//
// An [Entry] is embedded in what it belongs to and is in the queue at most once.
// Moving a deadline later costs nothing until the old one is reached: protocols
// re-arm on nearly every packet, and nearly always to later.
//
// timer imports only the standard library. A queue and its entries are guarded by one
// lock. Times are durations since the host's epoch.
package timer

import (
	"math"
	"time"
)

// Never is the deadline of what waits for nothing.
const Never = time.Duration(math.MaxInt64)

// Entry is one deadline and who is told when it has passed.
type Entry struct {
	On Expirer

	at    time.Duration // the deadline asked for; Never when stopped
	index int32         // place in the heap plus one; 0: not queued; due: taken by Due, and not claimed
}

// Expirer is told that its entry's deadline has passed. The entry is no longer
// queued then and may be set again.
type Expirer interface {
	Expired(e *Entry, now time.Duration)
}

// Queue is the heap. Its zero value is empty.
type Queue struct{ heap []slot }

// slot is an entry's place. The key is here so that entries are only touched where
// they move: with many of them each costs a cache miss.
type slot struct {
	key time.Duration // the entry's deadline, or an earlier time
	e   *Entry
}

// Len returns the number of entries that are set, stopped ones not yet swept
// away included.
func (q *Queue) Len() int { return len(q.heap) }

// Active returns the number of entries that have a deadline.
func (q *Queue) Active() int {
	n := 0
	for _, s := range q.heap {
		if s.e.at != Never {
			n++
		}
	}
	return n
}

// due is the index of an entry that Due has returned.
const due = -1

// At returns the entry's deadline, Never if it has none.
func (e *Entry) At() time.Duration {
	if e.index <= 0 {
		return Never
	}
	return e.at
}

// Set gives e the deadline at, in place of any it had. Never stops it.
func (q *Queue) Set(e *Entry, at time.Duration) {
	if e.index <= 0 {
		e.index = 0
		if at == Never {
			return
		}
		e.at = at
		q.heap = append(q.heap, slot{at, e})
		q.up(len(q.heap) - 1)
		return
	}
	e.at = at
	if i := int(e.index) - 1; at < q.heap[i].key {
		q.heap[i].key = at
		q.up(i)
	}
}

// Advance is Set for who shares an entry: a deadline that is earlier stays, and so does one that has passed if its
// owner is yet to be told (Due), who then looks at all that the entry is for.
func (q *Queue) Advance(e *Entry, at time.Duration) {
	if e.index == due || e.index > 0 && e.at <= at {
		return
	}
	q.Set(e, at)
}

// Remove takes e out at once, so that nothing refers to its owner any more.
func (q *Queue) Remove(e *Entry) {
	if e.index <= 0 {
		e.index = 0
		return
	}
	i := int(e.index) - 1
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = slot{}
	q.heap = q.heap[:last]
	e.index, e.at = 0, Never
	if i != last {
		q.heap[i] = moved
		q.down(i)
		q.up(int(moved.e.index) - 1)
	}
}

// Next returns the time at which Expire has something to do, Never if none. It
// may be earlier than any deadline, and is then moved by Expire.
func (q *Queue) Next() time.Duration {
	if len(q.heap) == 0 {
		return Never
	}
	return q.heap[0].key
}

// Expire tells the owners of all entries whose deadline is now or earlier.
func (q *Queue) Expire(now time.Duration) {
	for len(q.heap) > 0 && q.heap[0].key <= now {
		e := q.heap[0].e
		if e.at > now && e.at != Never {
			q.heap[0].key = e.at
			q.down(0)
			continue
		}
		passed := e.at <= now
		q.Remove(e)
		if passed {
			e.On.Expired(e, now)
		}
	}
}

// Due takes out the entries whose deadline is now or earlier, and appends them to out: for those whose
// owners cannot be told under the lock of the queue. Whoever tells them calls Claim first.
func (q *Queue) Due(now time.Duration, out []*Entry) []*Entry {
	for len(q.heap) > 0 && q.heap[0].key <= now {
		e := q.heap[0].e
		if e.at > now && e.at != Never {
			q.heap[0].key = e.at
			q.down(0)
			continue
		}
		passed := e.at <= now
		q.Remove(e)
		if passed {
			e.index = due
			out = append(out, e)
		}
	}
	return out
}

// Claim reports, once, that e was taken by Due and not set or removed since.
func (q *Queue) Claim(e *Entry) bool {
	if e.index != due {
		return false
	}
	e.index = 0
	return true
}

const arity = 4

func (q *Queue) up(i int) {
	s := q.heap[i]
	for i > 0 {
		p := (i - 1) / arity
		if q.heap[p].key <= s.key {
			break
		}
		q.put(i, q.heap[p])
		i = p
	}
	q.put(i, s)
}

func (q *Queue) down(i int) {
	s := q.heap[i]
	for {
		first := i*arity + 1
		if first >= len(q.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(q.heap)); c++ {
			if q.heap[c].key < q.heap[least].key {
				least = c
			}
		}
		if q.heap[least].key >= s.key {
			break
		}
		q.put(i, q.heap[least])
		i = least
	}
	q.put(i, s)
}

func (q *Queue) put(i int, s slot) {
	q.heap[i] = s
	s.e.index = int32(i + 1)
}

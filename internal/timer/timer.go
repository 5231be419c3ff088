// Package timer is a host's queue of deadlines: an intrusive four-ary heap.
//
// An [Entry] is embedded in what it belongs to and is in the queue at most once.
// Moving a deadline later costs nothing until the old one is reached: protocols
// re-arm on nearly every packet, and nearly always to later.
//
// A queue and its entries are guarded by one lock, or by two: that of whoever owns an entry, and the queue's. Then the
// owner calls Put, Passed and Gone, and only where these say so the queue is locked within, for Queue and Remove. Whoever
// has the queue locked calls Due, and then Claim with both locks, for each entry, the owner's taken first.
//
// timer imports only the standard library. Times are durations since the host's epoch.
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

	at     time.Duration // the owner's: the deadline asked for; Never when stopped
	looked uint32        // the owner's: unit of the time at which the queue looks at it; 0: it does not
	index  int32         // the queue's: place in the heap plus one; 0: not queued; due: taken by Due, and not claimed
}

// unit returns the time in units of 2^20 ns, modulo 2^31, and a bit that makes it more than 0.
func unit(at time.Duration) uint32 { return uint32(at>>20) | 1<<31 }

// farthest is how far ahead the queue looks at an entry at most, less than half of what units tell apart (13 days):
// one with a later deadline is queued anew then.
const farthest = 6 * 24 * time.Hour

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

// Active returns the number of entries that have a deadline. It takes all locks.
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

// At returns the entry's deadline, Never if it has none. Of one that Due has taken and nobody claimed it
// is the one that has passed. It takes the owner's lock.
func (e *Entry) At() time.Duration {
	if e.looked == 0 {
		return Never
	}
	return e.at
}

// Put gives e the deadline at, in place of any it had, and reports whether Queue is to be called: it is not where the
// queue looks at the entry in time. Never stops it. It takes the owner's lock.
func (e *Entry) Put(at time.Duration) bool {
	if at == Never {
		e.at = at
		return false
	}
	// Where both are in one unit, the queue knows better.
	u := unit(at)
	in := e.looked != 0 && int32((u-e.looked)<<1) > 0
	e.at = at
	if !in {
		e.looked = u
	}
	return !in
}

// Queue has the queue look at e in time for what Put was given last. It takes both locks.
func (q *Queue) Queue(e *Entry, now time.Duration) {
	at := min(e.at, now+farthest)
	e.looked = unit(at)
	q.place(e, at)
}

// place puts e into the heap, to be looked at by then, or moves it to the front.
func (q *Queue) place(e *Entry, at time.Duration) {
	if e.index <= 0 {
		q.heap = append(q.heap, slot{at, e})
		q.up(len(q.heap) - 1)
		return
	}
	if i := int(e.index) - 1; at < q.heap[i].key {
		q.heap[i].key = at
		q.up(i)
	}
}

// Remove takes e out at once, so that nothing refers to its owner any more. It takes both locks.
func (q *Queue) Remove(e *Entry) {
	e.at, e.looked = Never, 0
	if e.index <= 0 {
		e.index = 0
		return
	}
	q.out(e)
}

// Gone reports whether e is not in the queue, nor taken by Due, so that it need not be removed. It takes the owner's
// lock.
func (e *Entry) Gone() bool { return e.looked == 0 }

// out takes e out of the heap.
func (q *Queue) out(e *Entry) {
	i := int(e.index) - 1
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = slot{}
	q.heap = q.heap[:last]
	e.index = 0
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

// Expire tells the owners of all entries whose deadline is now or earlier. It is for a queue with one lock.
func (q *Queue) Expire(now time.Duration) {
	for len(q.heap) > 0 && q.heap[0].key <= now {
		e := q.heap[0].e
		if e.at > now && e.at != Never {
			at := min(e.at, now+farthest)
			q.heap[0].key, e.looked = at, unit(at)
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

// Due takes out the entries at which it is time to look, and appends them to out. It takes the queue's lock.
func (q *Queue) Due(now time.Duration, out []*Entry) []*Entry {
	for len(q.heap) > 0 && q.heap[0].key <= now {
		e := q.heap[0].e
		q.out(e)
		e.index = due
		out = append(out, e)
	}
	return out
}

// Claim reports, once, that e was taken by Due and neither queued anew nor removed since. Then Passed is called.
func (q *Queue) Claim(e *Entry) bool {
	if e.index != due {
		return false
	}
	e.index = 0
	return true
}

// Passed reports whether the deadline of an entry that was claimed is now or earlier; the entry has none any more. Else
// it reports whether there is a later one, for which Queue is to be called. It takes the owner's lock.
func (e *Entry) Passed(now time.Duration) (passed, later bool) {
	e.looked = 0
	if e.at <= now {
		e.at = Never
		return true, false
	}
	return false, e.Put(e.at)
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

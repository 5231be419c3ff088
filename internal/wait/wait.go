// Package wait holds readiness: event masks, queues of those that wait for
// events, and the wake-ups that are carried out once a host's lock is released.
//
// A [Queue] hangs on each socket. What waits in it is an [Entry]: of a goroutine
// that blocks in a call ([Waiter]) or of a poll set. Queues and entries are
// guarded by their host's lock. A goroutine is never signalled under that lock:
// [Queue.Notify] puts it on a [List], and the host signals the list after it has
// unlocked.
//
// wait imports only the standard library.
package wait

// Events is a set of readiness events, with the bits of Linux's poll(2).
type Events uint32

// The events.
const (
	In    Events = 0x1    // data, a connection or end of stream can be read
	Pri   Events = 0x2    // urgent data
	Out   Events = 0x4    // a write would not block
	Err   Events = 0x8    // an error is pending
	Hup   Events = 0x10   // both directions are closed
	RdHup Events = 0x2000 // the peer has shut down its sending direction
)

// Entry is one registration in a Queue. Its zero value is ready for use; it is
// in at most one queue at a time.
type Entry struct {
	Mask   Events // what it waits for; Err and Hup always count
	Target Target // who is told

	// Exclusive entries are told one for an event, in the order in which they
	// were added, and leave the queue when they are told.
	Exclusive bool

	queue      *Queue
	prev, next *Entry
}

// Target is told that events happened. Notify is called under the host's lock
// and must not block; a goroutine to be woken is put on l.
type Target interface {
	Notify(e *Entry, ev Events, l *List)
}

// Queued reports whether the entry is in a queue.
func (e *Entry) Queued() bool { return e.queue != nil }

// Queue is the list of entries that wait on one object.
type Queue struct {
	head, tail *Entry
}

// Empty reports whether nobody waits.
func (q *Queue) Empty() bool { return q.head == nil }

// Add puts e at the end of the queue.
func (q *Queue) Add(e *Entry) {
	if e.queue != nil {
		panic("wait: entry is queued already")
	}
	e.queue, e.prev, e.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = e
	} else {
		q.head = e
	}
	q.tail = e
}

// Remove takes e out of the queue that it is in, if any.
func (e *Entry) Remove() {
	q := e.queue
	if q == nil {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.queue, e.prev, e.next = nil, nil, nil
}

// Notify tells the entries whose mask meets ev: every shared one, and the first
// exclusive one for In and for Out each. Err and Hup reach all of them.
func (q *Queue) Notify(ev Events, l *List) {
	const always = Err | Hup
	taken := Events(0)
	for e := q.head; e != nil; {
		next := e.next
		hit := ev & (e.Mask | always)
		if e.Exclusive && hit&always == 0 && hit&^taken == 0 {
			hit = 0
		}
		if hit != 0 {
			if e.Exclusive {
				taken |= hit
				e.Remove()
			}
			e.Target.Notify(e, hit, l)
		}
		e = next
	}
}

// Waiter is a goroutine that blocks until an event. C receives one value for
// each time the waiter was put on a List.
type Waiter struct {
	Entry
	C      chan struct{}
	next   *Waiter
	listed bool
}

// NewWaiter returns a waiter whose entry tells itself.
func NewWaiter() *Waiter {
	w := &Waiter{C: make(chan struct{}, 1)}
	w.Target = w
	return w
}

// Notify implements Target.
func (w *Waiter) Notify(_ *Entry, _ Events, l *List) { l.Push(w) }

// Listed reports whether a signal is under way or in C that has not been
// received yet; [Waiter.Received] ends that state. Guarded by the host's lock.
func (w *Waiter) Listed() bool { return w.listed }

// Received says that the value was taken from C.
func (w *Waiter) Received() { w.listed = false }

// List is what is to be signalled once the host is unlocked.
type List struct{ head *Waiter }

// Push adds w unless a signal for it is under way already.
func (l *List) Push(w *Waiter) {
	if w.listed {
		return
	}
	w.listed = true
	w.next, l.head = l.head, w
}

// Take empties the list and returns what was in it.
func (l *List) Take() List {
	t := *l
	l.head = nil
	return t
}

// Signal wakes everyone on the list. It is called without any lock.
func (l List) Signal() {
	for w := l.head; w != nil; {
		next := w.next
		w.next = nil
		w.C <- struct{}{}
		w = next
	}
}

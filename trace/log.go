package trace

import (
	"sync"
	"sync/atomic"
)

// Log takes the events of one host, by several goroutines at once. The zero Log is empty.
type Log struct {
	some   atomic.Bool // there are events
	mu     sync.Mutex
	events []Event // mu
}

// Add appends an event, which is the caller's again.
func (l *Log) Add(e *Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, *e)
	l.fill()
}

// AddAll appends events, which stay together.
func (l *Log) AddAll(events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
	l.fill()
}

// fill says that there are events. Who only adds writes no more than once what others read all the time.
func (l *Log) fill() {
	if !l.some.Load() {
		l.some.Store(true)
	}
}

// Empty reports whether there is nothing to take.
func (l *Log) Empty() bool { return !l.some.Load() }

// Take returns the events, which are the caller's, and goes on in spare's array.
func (l *Log) Take(spare []Event) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.events
	l.events = spare[:0]
	l.some.Store(false)
	return taken
}

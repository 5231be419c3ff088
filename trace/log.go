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

// Add appends events, which stay together. They are the caller's again.
func (l *Log) Add(events ...Event) {
	l.mu.Lock()
	l.events = append(l.events, events...)
	if !l.some.Load() {
		l.some.Store(true)
	}
	l.mu.Unlock()
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

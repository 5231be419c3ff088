package host

import (
	"sync"
	"time"

	"usock/internal/timer"
)

// Homed is a timer's owner whose deadline is told in its domain. Others are told in the whole host.
type Homed interface {
	Home() *Domain
}

// Loose is a timer's owner that has a lock of its own, within which its timer is set and removed: it is told in a lane
// that is in no domain.
type Loose interface {
	sync.Locker
	timer.Expirer // with the lock held
}

// SetLoose is Domain.SetTimer for an owner that is Loose. The number says which of the host's alarms it is for, and
// is always the same for an entry. Some lane of the host is taken, whose time is now.
func (h *Host) SetLoose(n int, e *timer.Entry, at, now time.Duration) {
	h.looseShard(n).set(e, at, now)
}

// RemoveLoose takes such an entry out.
func (h *Host) RemoveLoose(n int, e *timer.Entry) { h.looseShard(n).remove(e) }

// looseShard returns the part for the number. There may be thousands of such entries for each connection that is at work, whose deadlines
// come before all of theirs: in one heap, each that comes or goes would have some of them move.
func (h *Host) looseShard(n int) *shard {
	lanes := len(h.lanes)
	return &h.shards[lanes+n&(lanes-1)]
}

func (s *shard) init(h *Host) {
	s.host, s.armed = h, timer.Never
	s.alarm = h.clock.NewAlarm(s.expire)
}

func (s *shard) set(e *timer.Entry, at, now time.Duration) {
	if e.Put(at) {
		s.enqueue(e, now)
	}
}

func (s *shard) enqueue(e *timer.Entry, now time.Duration) {
	if s.host.one {
		s.queue.Queue(e, now) // whoever leaves the host sets the alarm
		return
	}
	s.mu.Lock()
	s.queue.Queue(e, now)
	s.rearm(now)
	s.mu.Unlock()
}

// rearm sets the alarm for an earlier deadline only. One that goes off too soon finds nothing due and is set
// anew, which is cheaper than to move it with each segment. mu is held, or the host has one lane.
func (s *shard) rearm(now time.Duration) {
	if next := s.queue.Next(); next < s.armed && !s.host.closed.Load() {
		s.armed = next
		s.alarm.Set(next - now)
	}
}

func (s *shard) remove(e *timer.Entry) {
	if e.Gone() {
		return
	}
	if s.host.one {
		s.queue.Remove(e)
		return
	}
	s.mu.Lock()
	s.queue.Remove(e)
	s.mu.Unlock()
}

func (s *shard) stop() {
	s.mu.Lock()
	s.alarm.Stop()
	s.mu.Unlock()
}

// expire is the alarm.
func (s *shard) expire() {
	h := s.host
	if h.one {
		h.Enter()

		// It has gone off: leaving sets it for what is next.
		s.armed = timer.Never
		if !h.closed.Load() {
			s.queue.Expire(h.Now())
		}
		h.Leave()
		return
	}

	// Who is due leaves the queue under its lock, and is told in its domain.
	var due []*timer.Entry
	s.mu.Lock()
	s.armed = timer.Never
	now := h.clock.Now()
	if !h.closed.Load() {
		due = s.queue.Due(now, nil)
	}
	s.rearm(now)
	s.mu.Unlock()
	for _, e := range due {
		s.visit(e)
	}
}

// visit goes to where e is owned, to tell of its deadline.
func (s *shard) visit(e *timer.Entry) {
	h := s.host
	if o, ok := e.On.(Loose); ok {
		l := h.EnterLane(0)
		o.Lock()
		s.tell(e, l.Now())
		o.Unlock()
		l.Leave()
		return
	}
	d := &h.Domain
	if o, ok := e.On.(Homed); ok {
		d = o.Home()
	}
	d.Enter()
	if !h.closed.Load() {
		s.tell(e, d.Now())
	}
	d.Leave()
}

// tell tells the owner of e that its deadline has passed, unless that was moved or taken away since it was queued.
func (s *shard) tell(e *timer.Entry, now time.Duration) {
	s.mu.Lock()
	claimed := s.queue.Claim(e)
	s.mu.Unlock()
	if !claimed {
		return
	}
	passed, later := e.Passed(now)
	switch {
	case passed:
		e.On.Expired(e, now)
	case later:
		s.enqueue(e, now)
	}
}

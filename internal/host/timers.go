package host

import (
	"time"

	"usock/internal/timer"
)

// Homed is a timer's owner whose deadline is told in its domain. Others are told in the whole host.
type Homed interface {
	Home() *Domain
}

// Loose is a timer's owner that has locks of its own: it is told in a lane that is in no domain.
type Loose interface {
	ExpiredIn(l *Lane, now time.Duration)
}

// SetLoose is Domain.SetTimer for an owner that is Loose. The number says which of the host's alarms it is for, and
// is always the same for an entry. Some lane of the host is taken.
func (h *Host) SetLoose(n int, e *timer.Entry, at time.Duration) {
	h.shards[n&(len(h.shards)-1)].set(e, at)
}

// RemoveLoose takes such an entry out.
func (h *Host) RemoveLoose(n int, e *timer.Entry) { h.shards[n&(len(h.shards)-1)].remove(e) }

func (s *shard) init(h *Host) {
	s.host, s.armed = h, timer.Never
	s.alarm = h.clock.NewAlarm(s.expire)
}

func (s *shard) set(e *timer.Entry, at time.Duration) {
	if s.host.one {
		s.queue.Set(e, at) // whoever leaves the host sets the alarm
		return
	}
	s.mu.Lock()
	s.queue.Set(e, at)
	s.rearm()
	s.mu.Unlock()
}

func (s *shard) advance(e *timer.Entry, at time.Duration) {
	if s.host.one {
		s.queue.Advance(e, at)
		return
	}
	s.mu.Lock()
	s.queue.Advance(e, at)
	s.rearm()
	s.mu.Unlock()
}

// rearm sets the alarm for an earlier deadline only. One that goes off too soon finds nothing due and is set
// anew, which is cheaper than to move it with each segment. mu is held.
func (s *shard) rearm() {
	if next := s.queue.Next(); next < s.armed && !s.host.closed.Load() {
		s.armed = next
		s.alarm.Set(next - s.host.clock.Now())
	}
}

// arm is rearm for a host of one lane.
func (s *shard) arm(l *Lane) {
	if next := s.queue.Next(); next < s.armed && !s.host.closed.Load() {
		s.armed = next
		s.alarm.Set(next - l.Now())
	}
}

func (s *shard) remove(e *timer.Entry) {
	if s.host.one {
		s.queue.Remove(e)
		return
	}
	s.mu.Lock()
	s.queue.Remove(e)
	s.mu.Unlock()
}

func (s *shard) active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Active()
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

	// Who is due leaves the queue under its lock, and is told in its domain, where it may have been set
	// anew meanwhile.
	var due []*timer.Entry
	s.mu.Lock()
	s.armed = timer.Never
	if !h.closed.Load() {
		due = s.queue.Due(h.clock.Now(), nil)
	}
	s.rearm()
	s.mu.Unlock()
	for _, e := range due {
		s.tell(e)
	}
}

// tell tells the owner of e that its deadline has passed, if it was not set anew.
func (s *shard) tell(e *timer.Entry) {
	h := s.host
	if o, ok := e.On.(Loose); ok {
		l := h.EnterLane(0)
		if s.claim(e) {
			o.ExpiredIn(l, l.Now())
		}
		l.Leave()
		return
	}
	d := &h.Domain
	if o, ok := e.On.(Homed); ok {
		d = o.Home()
	}
	d.Enter()
	if s.claim(e) && !h.closed.Load() {
		e.On.Expired(e, d.Now())
	}
	d.Leave()
}

func (s *shard) claim(e *timer.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Claim(e)
}

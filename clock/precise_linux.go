package clock

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Precise is the machine's time, with alarms that go off within a tenth of a millisecond of what was asked, as long as a processor
// is free. Package time's come up to a millisecond late on an idle machine: its poller sleeps in whole ones. Its methods may be
// called from any goroutine. It is not virtual in testing/synctest.
//
// It has a timer of the kernel's, a descriptor (timerfd_create(2)), and a thread that waits in a read of it, until it is closed. A processor
// that has slept takes tens of microseconds to wake, so that the timer goes off a little before an alarm, and the thread looks at the
// time until that is due: for 50 µs at most, once in a millisecond.
type Precise struct {
	epoch time.Time
	timer int           // its descriptor
	ended chan struct{} // closed when nobody reads the timer any more

	mu     sync.Mutex
	alarms alarms        // mu
	armed  time.Duration // mu: the alarm that the timer is set for, since the epoch; 0: it is not set
	lead   time.Duration // mu: by how much the timer goes off before it
	looked time.Duration // mu: when the thread has last looked at the time until an alarm was due
	closed bool          // mu
}

// NewPrecise returns a clock whose epoch is now. It fails where the process may have no more descriptors.
func NewPrecise() (*Precise, error) {
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	p := &Precise{epoch: time.Now(), timer: timer, ended: make(chan struct{})}
	go p.run()
	return p, nil
}

// Now implements Clock.
func (p *Precise) Now() time.Duration { return time.Since(p.epoch) }

// Wall is the machine's time of day.
func (p *Precise) Wall() time.Time { return time.Now() }

// NewAlarm implements Clock. The alarm goes off on a goroutine of its own.
func (p *Precise) NewAlarm(f func()) Alarm { return &preciseAlarm{p, newSetting(f)} }

// Close ends the clock: alarms go off no more.
func (p *Precise) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return os.ErrClosed
	}
	p.closed = true
	p.set(1) // whoever waits for the timer is to see it
	p.mu.Unlock()
	<-p.ended
	return nil
}

const (
	early   = 50 * time.Microsecond // how long the thread looks at the time at most
	between = time.Millisecond      // how long it does not, after it has
)

// run waits for the timer, and calls the first alarm that is due itself, after another goroutine has been found that waits: to have it
// called by another one takes as long again as the timer is late. No alarm waits until another one's call has ended.
func (p *Precise) run() {
	for {
		var expirations [8]byte
		unix.Read(p.timer, expirations[:]) // a signal may interrupt it: then nothing is due
		s, ended := p.first()
		if ended {
			return
		}
		if s != nil {
			go p.run()
			s.f()
			return
		}
	}
}

// first takes the first alarm that is due, or is soon, if there is one. Of several it has others called. It has ended when the clock is
// closed.
func (p *Precise) first() (s *setting, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s = p.alarms.due(p.Now()); s == nil && p.soon(); s = p.alarms.due(p.Now()) {
		p.mu.Unlock() // alarms are set and stopped meanwhile
		p.mu.Lock()
		p.looked = p.Now()
	}
	p.armed = 0
	if p.closed {
		unix.Close(p.timer) // nobody sets it any more
		close(p.ended)
		return nil, true
	}
	for more := p.alarms.due(p.Now()); more != nil; more = p.alarms.due(p.Now()) {
		go more.f()
	}
	p.arm()
	return s, false
}

// soon reports whether the next alarm is one that the timer was to go off before. The caller holds mu.
func (p *Precise) soon() bool {
	at, ok := p.alarms.next()
	return ok && !p.closed && at-p.Now() <= p.lead
}

// arm sets the timer for the first alarm, unless it goes off by then. The caller holds mu.
func (p *Precise) arm() {
	at, ok := p.alarms.next()
	if !ok || p.closed || p.armed != 0 && p.armed <= at {
		return
	}
	p.armed, p.lead = max(at, 1), 0
	if at-p.looked >= between {
		p.lead = early
	}
	p.set(at - p.lead - p.Now())
}

// set has the timer go off after so long. The caller holds mu, and the clock is not closed, or being so.
func (p *Precise) set(wait time.Duration) {
	wait = max(wait, 1) // 0 would unset it
	unix.TimerfdSettime(p.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(wait))}, nil)
}

type preciseAlarm struct {
	p *Precise
	setting
}

// Set implements Alarm.
func (a *preciseAlarm) Set(d time.Duration) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.alarms.set(&a.setting, a.p.Now()+max(d, 0))
	a.p.arm()
}

// Stop implements Alarm. The timer may go off for nothing.
func (a *preciseAlarm) Stop() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.alarms.stop(&a.setting)
}

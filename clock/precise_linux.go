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
// It has a timer of the kernel's, a descriptor (timerfd_create(2)), and a goroutine, until it is closed.
type Precise struct {
	epoch time.Time
	timer *os.File
	fd    int
	ended sync.WaitGroup

	mu     sync.Mutex
	alarms alarms        // mu
	armed  time.Duration // mu: when the timer goes off, since the epoch; 0: it is not set
	closed bool          // mu
}

// NewPrecise returns a clock whose epoch is now. It fails where the process may have no more descriptors.
func NewPrecise() (*Precise, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	p := &Precise{epoch: time.Now(), timer: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
	p.ended.Go(p.run)
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
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
		return os.ErrClosed
	}
	err := p.timer.Close()
	p.ended.Wait()
	return err
}

// run waits for the timer.
func (p *Precise) run() {
	var expirations [8]byte
	for {
		if _, err := p.timer.Read(expirations[:]); err != nil {
			return
		}
		p.mu.Lock()
		p.armed = 0
		for s := p.alarms.due(p.Now()); s != nil; s = p.alarms.due(p.Now()) {
			go s.f()
		}
		p.arm()
		p.mu.Unlock()
	}
}

// arm sets the timer to the first alarm, unless it goes off by then. The caller holds mu.
func (p *Precise) arm() {
	at, ok := p.alarms.next()
	if !ok || p.closed || p.armed != 0 && p.armed <= at {
		return
	}
	p.armed = max(at, 1)
	wait := max(at-p.Now(), 1) // 0 would unset it
	unix.TimerfdSettime(p.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(wait))}, nil)
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

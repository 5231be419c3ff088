//go:build amd64 || arm64

package run

import (
	"testing"
	"testing/synctest"
	"time"
)

// A thread that is away has the buffer for itself, whichever way it gave the loop to
// the others.
func TestAwayKeepsBuffer(t *testing.T) {
	ways := map[string]func(*loop) (slow bool){
		"its turn passed": func(l *loop) bool {
			l.turns.free.Store(1)
			return true
		},
		"let in": func(l *loop) bool {
			v := &visit{make(chan struct{}), make(chan struct{}, 1)}
			l.turns.now.guest = v
			return false
		},
	}
	for name, prepare := range ways {
		t.Run(name, func(t *testing.T) {
			l := &loop{msgBuf: make([]byte, 1), wake: -1, caller: new(Caller)}
			l.turns.init()
			l.turns.now = new(turn)
			slow := prepare(l)
			mine, same := &l.msgBuf[0], false
			kept := l.away(slow, func() {
				same = &l.msgBuf[0] == mine
				go serveInbox(l)
			})
			if kept || same {
				t.Errorf("the turn was kept: %v; the loop uses the buffer: %v", kept, same)
			}
			l.turns.now.guest.leave <- struct{}{}
		})
	}
}

// serveInbox does what the loop has been asked for, when it is.
func serveInbox(l *loop) {
	for {
		l.mu.Lock()
		fns := l.inbox
		l.mu.Unlock()
		if len(fns) > 0 {
			fns[0]()
			return
		}
	}
}

// A process is slow for longer each time that a call of its takes long, and not for ever.
func TestSlowProcess(t *testing.T) {
	var p process
	now := time.Unix(1000, 0)
	offend := func(want time.Duration) {
		t.Helper()
		p.late(now)
		if got := p.slowUntil.Sub(now); got != want {
			t.Errorf("slow for %v, want %v", got, want)
		}
	}
	for d := slowFirst; d < slowMost; d *= 2 {
		offend(d)
		now = now.Add(d + forgiven)
	}
	offend(slowMost)
	now = now.Add(slowMost)
	offend(slowMost)
	now = now.Add(slowMost + forgiven + 1)
	offend(slowFirst)
}

// Calls of a slow process that take no time do not keep it slow.
func TestSlowProcessForgiven(t *testing.T) {
	for _, took := range []time.Duration{0, watchTick} {
		synctest.Test(t, func(t *testing.T) { // where the machine takes no time of its own
			v := &visit{make(chan struct{}), make(chan struct{}, 1)}
			l := &loop{wake: -1, notify: waitsOn{}, caller: new(Caller)}
			l.turns.init()
			l.turns.now = &turn{guest: v}
			c := call{l: l, t: &task{l: l, tid: 1, owner: 1, proc: new(process)}}
			c.away(func() {
				time.Sleep(took)
				go serveInbox(l)
			})
			l.turns.now.guest.leave <- struct{}{}
			if late := !c.t.proc.slowUntil.IsZero(); late != (took > 0) {
				t.Errorf("a call of %v: late is %v", took, late)
			}
		})
	}
}

// waitsOn is a notifier whose calls wait for ever.
type waitsOn struct{ notifier }

func (waitsOn) valid(uint64) bool { return true }

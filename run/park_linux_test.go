//go:build amd64 || arm64

package run

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// answers is a notifier that keeps what it is to send. With err, nobody waits for it.
type answers struct {
	notifier
	sent []response
	err  syscall.Errno
}

func (a *answers) valid(uint64) bool { return a.err == 0 }

func (a *answers) send(r *response) syscall.Errno {
	a.sent = append(a.sent, *r)
	return a.err
}

// aCall returns a call of a thread, on a loop that does nothing else.
func aCall(to notifier) *call {
	l := &loop{notify: to, caller: new(Caller)}
	l.kicker = kicker{l: l, procs: make(map[int32]int), told: make(map[int32]struct{})}
	l.space.l = l
	return &call{l: l, t: &task{l: l, tid: 1, owner: 1}, dup: -1}
}

// A call that waits for the second time waits once: it has one duplicate to close and
// gets one answer.
func TestParkedOnce(t *testing.T) {
	to := &answers{}
	c := aCall(to)
	var list waiters
	tries := 0
	try := func(c *call) result {
		if tries++; tries < 3 {
			return c.park(&list, nil, timeout{after: time.Hour}, unix.EAGAIN)
		}
		return c.answer(7)
	}
	c.park(&list, try, noTimeout, 0)
	for tries < 3 {
		if len(list) != 1 {
			t.Fatalf("it waits %d times", len(list))
		}
		list[0].run()
		if tries == 1 && len(c.l.timers) != 1 {
			t.Errorf("%d limits", len(c.l.timers))
		}
	}
	if len(to.sent) != 1 || to.sent[0].val != 7 || len(list) != 0 || !c.l.timers.empty() || c.l.space.used != 0 {
		t.Errorf("answers %v, %d wait, %d limits, %d descriptors", to.sent, len(list), len(c.l.timers), c.l.space.used)
	}
}

// What a call has moved before a signal ended it is the answer to the call that the
// kernel makes in its place (before Linux 5.19, which tells nobody).
func TestLeftCallIsReplayed(t *testing.T) {
	to := &answers{err: unix.ENOENT}
	c := aCall(to)
	var list waiters
	c.park(&list, nil, noTimeout, 0)
	c.waits.leave = func(c *call) result { return c.answer(2) }
	c.t.parked.gone()
	if r := c.t.replay; !r.ok || r.resp.val != 2 {
		t.Errorf("the replay is %+v", r)
	}
}

// A call whose thread is gone is not tried again.
func TestGoneCallIsNotTried(t *testing.T) {
	c := aCall(&answers{err: unix.ENOENT})
	var list waiters
	tried := false
	c.park(&list, func(c *call) result { tried = true; return c.ok() }, noTimeout, 0)
	list[0].run()
	if tried || len(list) > 0 {
		t.Errorf("tried: %v, %d wait", tried, len(list))
	}
}

//go:build amd64 || arm64

package run

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// space counts the supervisor's descriptors, so that none is missing in the middle of a
// call. It needs one for each
//
//	stream that is or may be connected, and datagram socket: its far end
//	listener: the path to the program's end
//	thread that has made a trapped call: its pidfd
//	call that waits: the duplicate that it is about, so that its socket stays open
//
// and a few for the time of a call, which are kept back. A socket for which there is
// none is refused as one of the program's own would be: EMFILE.
type space struct {
	l     *loop
	limit int // 0: not known, and no bound
	used  int
	told  bool
	freed bool // since somebody went without

	wantFor time.Duration // that a call looks for one, and then it fails
}

// keptBack are the descriptors of free that no socket gets: for the duplicates of calls,
// the files of captures and what the Go runtime opens.
func keptBack(free int) int { return min(max(8, free/4), 48) }

// measure finds out how many descriptors there are for sockets.
func (p *space) measure() {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return
	}
	open := 32
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(fds)
	}
	free := int(min(lim.Cur, 1<<30)) - open
	p.limit = max(1, free-keptBack(free))
}

// take takes n descriptors for sockets, if there are so many.
func (p *space) take(n int) bool {
	if p.limit > 0 && p.used+n > p.limit {
		p.evict()
		if p.used+n > p.limit {
			return false
		}
	}
	p.used += n
	return true
}

// force takes n that cannot be refused.
func (p *space) force(n int) { p.used += n }

func (p *space) give(n int) {
	p.used -= n
	p.freed = true
}

// evict forgets threads if all descriptors are taken.
func (p *space) evict() {
	if p.limit > 0 && p.used >= p.limit {
		p.l.forgetTasks()
	}
}

// tell says once that descriptors have run out.
func (p *space) tell() {
	if p.told {
		return
	}
	p.told = true
	var lim unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
	p.l.log.warn(fmt.Sprintf("out of descriptors: RLIMIT_NOFILE (ulimit -n) of usock is %d, and each socket of the program takes one; "+
		"what finds none gets EMFILE, or waits in its listener's queue", lim.Cur))
}

// What finds no descriptor looks again when one is given back, and after a while: one
// may have become free without the loop's doing, or elsewhere on the machine.
const (
	retryStarved = 100 * time.Millisecond // a listener
	retryCall    = 5 * time.Millisecond
	wantFor      = time.Second // space.wantFor
)

// starve remembers a listener with connections for which there is no descriptor.
func (l *loop) starve(s *sock) {
	if !s.listen.starving {
		s.listen.starving = true
		l.starved = append(l.starved, s)
	}
	l.hungry(retryStarved)
}

// wanting is a call whose socket could not be looked at for want of a descriptor, or, with
// s, a socket whose calls wait for one.
type wanting struct {
	n     notification
	until time.Time
	s     *sock
}

// room looks whether there is a descriptor. While half of them are free it need not ask
// the kernel.
func (l *loop) room() syscall.Errno {
	if 2*l.space.used < l.space.limit {
		return 0
	}
	fd, e := sysDup(l.wake)
	sysClose(fd)
	return e
}

// wantsRoom has the calls that wait for the socket tried again when there may be a
// descriptor. It returns false once this one has waited long enough for that.
func (c *call) wantsRoom() bool {
	now := wall()
	if c.wantUntil.IsZero() {
		c.wantUntil = now.Add(c.l.space.wantFor)
	}
	if now.After(c.wantUntil) {
		return false
	}
	c.l.wanting = append(c.l.wanting, wanting{s: c.s})
	c.l.hungry(retryCall)
	return true
}

// wantRoom keeps a call until there is a descriptor for it, or until the time until; zero:
// it has not waited yet. It returns false if the call is to fail: those that wait for room
// at one time are many threads', and a moment later some of them need none any more.
// A call that makes a descriptor has an error of its own for that.
func (l *loop) wantRoom(n notification, until time.Time) bool {
	now := wall()
	if r := l.calls[n.data.nr]; r == nil || r.is&gives != 0 || !until.IsZero() && now.After(until) {
		l.space.tell()
		return false
	}
	if until.IsZero() {
		until = now.Add(l.space.wantFor)
	}
	l.wanting = append(l.wanting, wanting{n: n, until: until})
	l.hungry(retryCall)
	return true
}

// hungry has feed look again after d, or when something is given back.
func (l *loop) hungry(d time.Duration) {
	l.space.tell()
	l.feedAt = sooner(l.feedAt, wall().Add(d))
	l.space.freed = false
}

// feed has the starved listeners and the calls without room look again. It returns false
// when the turn is another thread's.
func (l *loop) feed(me *turn) bool {
	if len(l.starved)+len(l.wanting) == 0 || !l.space.freed && wall().Before(l.feedAt) {
		return true
	}
	list := l.starved
	l.starved, l.feedAt = nil, time.Time{}
	for _, s := range list {
		if s.listen != nil {
			s.listen.starving = false
			s.acceptAll()
		}
	}
	for n := len(l.wanting); n > 0 && len(l.wanting) > 0; n-- {
		switch w := shift(&l.wanting); {
		case w.s != nil:
			w.s.wakeAll()
		case l.notify.valid(w.n.id):
			l.handleUntil(w.n, w.until)
		}
		if me.guest != nil {
			break
		}
	}
	if len(l.wanting) > 0 { // also of those that were not looked at
		l.hungry(retryCall)
	}
	return me.guest == nil
}

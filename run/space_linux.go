//go:build amd64 || arm64

package run

import (
	"fmt"
	"os"
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

// retryStarved is when listeners look again for a descriptor that may have become
// free elsewhere on the machine.
const retryStarved = 100 * time.Millisecond

// starve remembers a listener with connections for which there is no descriptor.
func (l *loop) starve(s *sock) {
	l.space.tell()
	if !s.listen.starving {
		s.listen.starving = true
		l.starved = append(l.starved, s)
	}
	l.feedAt = time.Now().Add(retryStarved)
	l.space.freed = false
}

// feed has the starved listeners look again.
func (l *loop) feed() {
	if len(l.starved) == 0 || !l.space.freed && time.Now().Before(l.feedAt) {
		return
	}
	list := l.starved
	l.starved, l.feedAt = nil, time.Time{}
	for _, s := range list {
		if s.listen != nil {
			s.listen.starving = false
			s.acceptAll()
		}
	}
}

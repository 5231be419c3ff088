//go:build amd64 || arm64

package run

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// The kernel does not announce that a program has closed an unconnected socket, a
// listener or half of a datagram pair. Those are looked up in the list of AF_UNIX
// sockets: once a second, soon after a thread has ended, and when a call wants
// something that one of them may hold, a port or a descriptor: it waits for the scan, as does who lists sockets, from outside
// or by netlink.
//
// The list is as long as the machine has sockets, so a goroutine reads it, and the
// loop closes what is not in it in slices. The list is no snapshot. What has come, or
// was given a name, since the reading began may be missing: it is left for the next. So may
// be what comes after another that is closed while the list is read: the kernel goes on by
// counting (net/unix/af_unix.c, unix_from_bucket). So what is missing is looked at once
// more: a listener by its path, anything else in a second list.
const (
	scanEvery = time.Second
	scanDelay = 10 * time.Millisecond
	scanShare = 20 // a scan takes at most one part in so many of a processor
)

type scanner struct {
	l       *loop
	at      time.Time // when to scan next; zero: no scan is due
	took    time.Duration
	busy    bool
	number  uint64 // of the scans begun
	done    uint64 // of the last one that has ended
	need    uint64 // the last one that a call waits for
	news    bool   // one has ended, and who waits was not told
	waiting waiters
	lookers []looker
	missing map[*sock]struct{} // in the last scan
	closed  []*sock            // found closed, and not released yet
	after   uint64             // loop.endings when those are ended that epoll had told of by the end of the scan
}

// looker is who lists sockets once the scan need has ended.
type looker struct {
	need uint64
	look func()
}

// before has look called once all is released that was closed before now.
func (n *scanner) before(look func()) { n.lookers = append(n.lookers, looker{n.wait(), look}) }

func (n *scanner) later() { n.by(max(scanEvery, scanShare*n.took)) }

func (n *scanner) soon() {
	if len(n.l.silent) > 0 {
		n.by(max(scanDelay, scanShare*n.took))
	}
}

func (n *scanner) by(d time.Duration) {
	if at := wall().Add(d); n.at.IsZero() || at.Before(n.at) {
		n.at = at
	}
}

// more reports whether there is something to release, or to tell.
func (n *scanner) more() bool {
	return len(n.closed) > 0 || n.news && len(n.waiting)+len(n.lookers) > 0
}

// start begins a scan.
func (n *scanner) start() {
	n.at = time.Time{}
	switch {
	case n.busy:
		return
	case len(n.l.silent) == 0: // nothing is missed, once the loop has seen what epoll has to tell by now
		n.busy = true
		n.number = max(n.number+1, n.need)
		number := n.number
		n.l.do(func() { n.result(nil, number, n.took) })
		return
	}
	n.busy = true
	n.number++
	number := n.number
	go func() {
		begin := wall()
		b, err := os.ReadFile("/proc/net/unix")
		var open map[uint64]struct{}
		if err == nil {
			open = unixInodes(b)
		}
		took := since(begin)
		n.l.do(func() { n.result(open, number, took) })
	}()
}

// touch says that s has come, or has got a name, now.
func (s *sock) touch() { s.scan = s.l.scanner.number }

func (n *scanner) result(open map[uint64]struct{}, number uint64, took time.Duration) {
	n.busy, n.took, n.done, n.news = false, took, number, true
	n.after = n.l.endings + uint64(len(n.l.ending))
	if open != nil {
		n.compare(open, number)
	} else {
		n.missing = nil
	}
	switch {
	case !n.enough(n.need):
		n.start()
	case len(n.missing) > 0:
		n.soon()
	case len(n.l.silent) > 0:
		n.later()
	}
	n.release()
}

// wait returns the scan after which all is known that was closed before now: the second
// that begins from now on.
func (n *scanner) wait() (need uint64) {
	need = n.number + 2
	n.need = need
	n.start()
	return need
}

// enough reports whether the scan need has ended, or the one before it with nothing to be
// looked at again.
func (n *scanner) enough(need uint64) bool {
	return n.done >= need || n.done+1 == need && len(n.missing) == 0
}

// compare finds what is closed: what is not in the list that the scan has read.
func (n *scanner) compare(open map[uint64]struct{}, number uint64) {
	before := n.missing
	n.missing = nil
	for s := range n.l.silent {
		if _, ok := open[s.id.ino]; ok || s.scan >= number {
			continue
		}
		_, again := before[s]
		switch {
		case s.listen != nil && !n.l.listens(s):
			n.closed = append(n.closed, s)
		case s.listen != nil:
		case again:
			n.closed = append(n.closed, s)
		default:
			if n.missing == nil {
				n.missing = make(map[*sock]struct{})
			}
			n.missing[s] = struct{}{}
		}
	}
}

// release closes a slice of what was found closed. When all is closed, and what epoll has told of is ended, who waits for
// a scan looks whether it was his.
func (n *scanner) release() {
	if len(n.closed) > 0 {
		for begin := wall(); len(n.closed) > 0 && since(begin) < slice; {
			s := shift(&n.closed)
			if s.state == released {
				continue
			}
			if _, silent := n.l.silent[s]; silent {
				s.drain() // the last of what it sent
				s.closed()
			}
		}
	}
	if len(n.closed) == 0 && n.news && n.l.endings >= n.after {
		n.news = false
		n.waiting.wake(n.l)
		had := n.lookers
		n.lookers = nil // who looks may have something that waits for the next
		for _, k := range had {
			if n.enough(k.need) {
				k.look()
			} else {
				n.lookers = append(n.lookers, k)
			}
		}
	}
}

// unixInodes reads /proc/net/unix: a line a socket, whose seventh field is the
// inode.
func unixInodes(b []byte) map[uint64]struct{} {
	set := make(map[uint64]struct{}, bytes.Count(b, []byte("\n")))
	for line := range bytes.Lines(b) {
		f := line
		ok := true
		for range 6 {
			_, f, ok = bytes.Cut(f, []byte(" "))
			f = bytes.TrimLeft(f, " ")
		}
		if !ok {
			continue
		}
		end := 0
		for end < len(f) && '0' <= f[end] && f[end] <= '9' {
			end++
		}
		if ino, err := strconv.ParseUint(string(f[:end]), 10, 64); err == nil {
			set[ino] = struct{}{}
		}
	}
	return set
}

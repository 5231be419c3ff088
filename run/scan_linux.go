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
// sockets: once a second, soon after a thread has ended, and when a port is wanted
// that one of them may hold.
const (
	scanEvery = time.Second
	scanDelay = 10 * time.Millisecond
	scanShare = 20 // a scan takes at most one part in so many of the loop's time
)

func (l *loop) scanLater() { l.scanBy(max(scanEvery, scanShare*l.scanTook)) }

func (l *loop) scanSoon() {
	if len(l.silent) > 0 {
		l.scanBy(max(scanDelay, scanShare*l.scanTook))
	}
}

func (l *loop) scanBy(d time.Duration) {
	if at := time.Now().Add(d); l.nextScan.IsZero() || at.Before(l.nextScan) {
		l.nextScan = at
	}
}

// scan releases the sockets that the program has closed.
func (l *loop) scan() {
	if len(l.silent) == 0 {
		return
	}
	begin := time.Now()
	b, err := os.ReadFile("/proc/net/unix")
	if err == nil {
		open := unixInodes(b)
		for s := range l.silent {
			if _, ok := open[s.id.ino]; !ok {
				s.drain() // the last of what it sent
				s.release()
			}
		}
	}
	l.scanTook = time.Since(begin)
	if len(l.silent) > 0 {
		l.scanLater()
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

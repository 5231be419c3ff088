//go:build linux

package gateway

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// room says whether there are descriptors for another client of a published port. Its
// connection takes one outside, and what carries it on inside takes one, which in usock run is
// of this process as well; and that is not known to have been taken. So a client is accepted
// only while one is left for each that was: else those that are accepted could have all
// descriptors, and none of them a server. A few are left to others besides, as to calls of the
// run.
//
// The lowest free descriptor stands for how many there are: all below it are in use, and a gap
// further up is filled before it matters.
type room struct {
	clients int // streams that clients of published ports have begun
	last    int // the lowest descriptor that was free when last looked at
	limit   int // RLIMIT_NOFILE, as it was
}

// forClient returns EMFILE if another client must wait, for want of descriptors like fd. While a
// half of them is left it does not ask the kernel.
func (r *room) forClient(fd int) syscall.Errno {
	if 2*(r.last+r.clients) < r.limit {
		return 0
	}
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 0
	}
	r.limit = int(min(lim.Cur, 1<<30))
	free, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		return e
	}
	sysClose(int(free))
	if r.last = int(free); r.last+r.clients+leftOver(r.limit) >= r.limit {
		return unix.EMFILE
	}
	return 0
}

// leftOver is how many descriptors of limit are left to others.
func leftOver(limit int) int { return min(max(8, limit/16), 48) }

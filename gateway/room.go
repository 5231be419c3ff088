//go:build linux

package gateway

import (
	"errors"
	"os"
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
// Counting them takes as long as there are descriptors, on kernels before 6.2: it is done anew after a quarter of what was left.
type room struct {
	clients int // streams that clients of published ports have begun
	sure    int // clients for whom there is room without counting
}

// forClient returns EMFILE if another client must wait, for want of descriptors.
func (r *room) forClient() syscall.Errno {
	if r.sure > 0 {
		r.sure--
		return 0
	}
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 0
	}
	used, err := openFiles()
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return unix.EMFILE
	case err != nil: // accept tells when there are none
		return 0
	}
	limit := int(min(lim.Cur, 1<<30))
	left := limit - leftOver(limit) - used - r.clients
	if left <= 0 {
		return unix.EMFILE
	}
	r.sure = left / 4
	return 0
}

// openFiles returns how many descriptors this process has.
func openFiles() (int, error) {
	const dir = "/proc/self/fd"
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || st.Size > 0 { // their number, since Linux 6.2
		return int(st.Size), err
	}
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return len(names) - 1, err
}

// leftOver is how many descriptors of limit are left to others.
func leftOver(limit int) int { return min(max(8, limit/16), 48) }

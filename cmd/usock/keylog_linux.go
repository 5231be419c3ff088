package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file until it is closed; not ok: somebody else has.
func lock(f *os.File) (ok bool) {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// owns reports whether a file is this user's.
func owns(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Uid == uint32(os.Geteuid())
}

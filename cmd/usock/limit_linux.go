package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// beginsWith is how many descriptors usock run begins with: the gateway's, the loop's, the
// guard's and those of a few sockets.
const beginsWith = 32

// enoughDescriptors looks whether there are as many descriptors as usock run begins with.
// Go's runtime has raised the limit as far as it may be raised.
func enoughDescriptors() error {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return nil
	}
	used := 0
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		used = len(fds)
	}
	if lim.Cur >= uint64(used+beginsWith) {
		return nil
	}
	return fmt.Errorf("too few descriptors: RLIMIT_NOFILE (ulimit -n) is %d, and usock run begins with %d beside the %d that are open; raise it to 256 or more", lim.Cur, beginsWith, used)
}

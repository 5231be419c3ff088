//go:build amd64 || arm64

package run

import "golang.org/x/sys/unix"

// shield keeps processes of the same user out of this one: they cannot trace it, read
// its memory, or reach its descriptors through /proc/PID/fd, where there is much that
// they should not have: the other ends of all sockets. Root, or who else may trace
// anything, still can.
//
// It belongs to the memory, so a program that this process starts is as it always
// is: exec makes it anew (prctl(2), PR_SET_DUMPABLE).
func shield() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return denied("PR_SET_DUMPABLE", err, "2.4")
	}
	return nil
}

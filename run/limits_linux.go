//go:build amd64 || arm64

package run

import "golang.org/x/sys/unix"

// maxDescriptors is as many descriptors as this process asks for: a stream of the
// program takes one here, so they are for a million of them. It is also the kernel's
// own bound, unless fs.nr_open says otherwise.
const maxDescriptors = 1 << 20

// raiseDescriptors raises the limit of this process's descriptors as far as it may:
// it has one for each socket of all its programs together. It is called when the
// program has been started, which so has the limits that this process was started
// with (those of Go's runtime are taken back by os.StartProcess).
func raiseDescriptors() {
	var old unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &old) != nil {
		return
	}
	if old.Max < maxDescriptors {
		// Only with CAP_SYS_RESOURCE.
		l := unix.Rlimit{Cur: maxDescriptors, Max: maxDescriptors}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &l) == nil {
			return
		}
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(old.Max, max(old.Cur, maxDescriptors)), Max: old.Max})
}

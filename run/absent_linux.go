//go:build amd64 || arm64

package run

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// connectKernel is connect on a socket of the kernel's. It fails with ENOENT for the AF_UNIX
// sockets that are to be absent (Options.Absent). What cannot be read, the kernel judges.
func connectKernel(c *call) result {
	passes := result{how: byKernel}
	n := c.n.data.args[2]
	if len(c.l.absent) == 0 || n <= sizeofFamily || n > abi.SizeofStorage {
		return passes
	}
	a, e := c.loadAddr(c.n.data.args[1], n)
	if e == 0 && a.Family == unix.AF_UNIX && c.l.isAbsent(socketPath(a.Path)) {
		return c.fail(unix.ENOENT)
	}
	return passes
}

// isAbsent reports whether a path is absent, or in a directory that is.
func (l *loop) isAbsent(name string) bool {
	return l.absent[name] || l.absent[path.Dir(name)+"/"]
}

const sizeofFamily = 2

// absentPaths returns Options.Absent as it is looked up.
func absentPaths(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, p := range list {
		name := socketPath(p)
		if strings.HasSuffix(p, "/") {
			name += "/"
		}
		m[name] = true
	}
	return m
}

// socketPath returns a path as Options.Absent has it: /var/run is /run (Filesystem Hierarchy
// Standard 3.0, section 5.13).
func socketPath(p string) string {
	if p = path.Clean(p); strings.HasPrefix(p, "/var/run/") {
		p = p[len("/var"):]
	}
	return p
}

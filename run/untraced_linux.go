//go:build amd64 || arm64

package run

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program can forbid that others look into it: prctl(PR_SET_DUMPABLE, 0), a change of its
// user, an executable that its user may not read. Then the supervisor has neither its
// memory nor its descriptors, unless it has CAP_SYS_PTRACE. There is no other way to
// either, so the calls on a usock socket are refused.
//
// The kernel's own sockets are to stay usable, and which one a descriptor names can be
// inferred only: the supervisor has given every usock socket itself, and knows in which
// process it saw it last, and as which number. What it does not know there is the
// kernel's to carry out. It is wrong of a duplicate, and of a socket that came from
// another process. Then the kernel's call acts on what the program holds, an AF_UNIX
// socket: most fail there, some change it for its own holders, and none of them reaches a
// network. A program with two threads can have that anyway, by putting one file in
// another's place between the look and the answer.

// untraced judges the call on the descriptor fd of a process that lets nobody look. As find
// does, it returns false and no error for what is the kernel's.
func (c *call) untraced(fd int) (bool, syscall.Errno) {
	if c.n.data.nr == unix.SYS_IOCTL && requests[uint32(c.n.data.args[1])] == nil {
		return false, 0
	}
	given := c.l.givenAs(c.t, fd)
	if len(given) == 0 {
		return false, 0
	}
	var open map[uint64]struct{}
	if gone := c.away(func() {
		if b, err := os.ReadFile("/proc/net/unix"); err == nil {
			open = unixInodes(b)
		}
	}); gone != 0 {
		return false, gone
	}
	for _, s := range given {
		if _, is := open[s.id.ino]; s.state != released && (is || open == nil) {
			c.l.log.untraced(c.t)
			return false, unix.EPERM
		}
	}
	return false, 0
}

// givenAs returns the sockets that the descriptor fd of the thread may be: those seen as
// that number in its process, or in one whose descriptors it has by fork.
func (l *loop) givenAs(t *task, fd int) (list []*sock) {
	var line lineage
	for _, s := range l.socks {
		if s.fd != fd || s.state == released {
			continue
		}
		if line == nil {
			line = lineageOf(t.process())
		}
		if line.has(s.pid) {
			list = append(list, s)
		}
	}
	return list
}

// lineage is a process and those that it has come from by fork without exec, as far as
// they are there.
type lineage []int32

func lineageOf(pid int32) lineage {
	line := lineage{pid}
	for len(line) < maxLineage {
		parent, forked := forkedFrom(pid)
		if !forked {
			break
		}
		line = append(line, parent)
		pid = parent
	}
	return line
}

const maxLineage = 64

// has reports whether pid is of the lineage. One that has ended may be, if the process has
// not executed a program of its own.
func (w lineage) has(pid int32) bool {
	for _, p := range w {
		if p == pid {
			return true
		}
	}
	return len(w) > 1 && unix.Kill(int(pid), 0) == unix.ESRCH
}

// forkedFrom returns a process's parent, and whether the process has executed no program
// since it was forked (PF_FORKNOEXEC in /proc/PID/stat, which everyone may read).
func forkedFrom(pid int32) (parent int32, forked bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/stat")
	if err != nil {
		return 0, false
	}
	n, ok := parentOf(b)
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if !ok || len(f) <= statFlags {
		return 0, false
	}
	flags, err := strconv.ParseUint(string(f[statFlags]), 10, 64)
	return int32(n), err == nil && flags&forkNoExec != 0
}

const (
	statFlags  = 6    // the place of a task's flags behind its name
	forkNoExec = 0x40 // PF_FORKNOEXEC
)

// untraced tells the user, once of a program, why its calls are refused.
func (g *logger) untraced(t *task) {
	name := command(t.tid)
	if key := "untraced " + name; !g.told[key] {
		g.told[key] = true
		g.warn(fmt.Sprintf("%s (%d) does not let itself be traced (PR_SET_DUMPABLE, a change of user, or a file that cannot be read): "+
			"calls on its IPv4 and IPv6 sockets give EPERM; run usock with CAP_SYS_PTRACE, as root has it", name, t.process()))
	}
}

//go:build amd64 || arm64

package run

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program and its supervisor take turns, so what counts is how soon one runs after
// the other. The kernel likes to wake a thread on an idle CPU, which has to be woken
// itself first. It may do better to wake it where there is room in a moment: on the CPU
// of the thread that is about to sleep. With syncWake it does so for calls and their
// answers, but not for a thread that has to take a descriptor. That one can be kept here
// for as long as it takes.
//
// What that saves, the waking of a CPU, is worth as much as the machine makes of it, and
// its price is six system calls. With nginx and wrk, each request a connection, on two
// virtual CPUs: 5,400 requests a second without syncWake, 6,300 with it, 8,400 with both on
// one machine; on another one 2,740 with syncWake alone and 2,330 with both. So both ways
// are tried as it goes, and the sooner one taken.
type nearness struct {
	on    bool             // syncWake
	here  bool             // the way that is taken now
	count uint             // of the descriptors given
	took  [2]time.Duration // away, here: averages; 0: not known
}

// The other way is tried with the first few of so many descriptors, and not with single
// ones: the first after a change finds its thread where the one before has left it.
const (
	tryEvery = 1 << 16
	tryFor   = 256
)

func (n *nearness) init(on bool) { n.on, n.count = on, tryEvery-4*tryFor }

// next says whether the next descriptor is given here.
func (n *nearness) next() bool {
	switch n.count++; n.count % tryEvery {
	case 0:
		n.here = !n.here
	case tryFor:
		n.here = n.took[1] > 0 && n.took[1] < n.took[0]*3/4
	}
	return n.here
}

// note takes note of how long it took. A thread that is not let onto a CPU says
// nothing of the way.
func (n *nearness) note(here bool, d time.Duration) {
	avg := &n.took[0]
	if here {
		avg = &n.took[1]
	}
	if *avg == 0 {
		*avg = max(d, 1)
		return
	}
	*avg = max(*avg+(min(d, 4**avg)-*avg)/64, 1)
}

// syncWake has the kernel wake the supervisor on the CPU of the thread that calls,
// and that thread on the supervisor's (Linux 6.6). It reports whether it will.
func (l listener) syncWake() bool {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(l), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return e == 0
}

// answerFD gives the program a copy of fd, with the flag O_CLOEXEC or none, and
// answers the call with its number. Then fd is closed; where it fails it is not.
func (c *call) answerFD(fd, flags int) (int, syscall.Errno) {
	near := &c.l.near
	if !near.on {
		return c.addFD(fd, flags, true)
	}
	var m move
	begin := wall()
	here := near.next() && m.here(c.t.tid)
	defer func() { near.note(here, since(begin)) }()
	if !here {
		return c.addFD(fd, flags, true)
	}
	// The thread must not return to its program before it is back.
	n, e := c.addFD(fd, flags, false)
	m.back()
	if e == 0 {
		e = c.l.notify.send(&response{id: c.n.id, val: int64(n)})
	}
	if e == 0 {
		sysClose(fd)
	}
	return n, e
}

// move keeps a waiting thread on this CPU for a moment. A mask that the program gives
// that thread between the system calls of here, from another thread, is lost.
type move struct {
	tid  int
	old  unix.CPUSet // where the thread may run
	size int         // of the kernel's sets, in bytes
	to   unix.CPUSet
}

// here begins it. It returns false where the thread may not run on this CPU, or only
// on one, or may not be moved.
func (m *move) here(tid int) bool {
	m.tid = tid
	var e syscall.Errno
	if m.size, e = sysGetaffinity(tid, &m.old); e != 0 || m.old.Count() == 1 {
		return false
	}
	var cpu uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); e != 0 || !m.old.IsSet(int(cpu)) {
		return false
	}
	m.to.Set(int(cpu))
	return sysSetaffinity(tid, m.size, &m.to) == 0
}

// back ends it, unless somebody has moved the thread meanwhile.
func (m *move) back() {
	var now unix.CPUSet
	if _, e := sysGetaffinity(m.tid, &now); e == 0 && now == m.to {
		sysSetaffinity(m.tid, m.size, &m.old)
	}
}

func sysGetaffinity(tid int, set *unix.CPUSet) (size int, e syscall.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(tid), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	return int(n), e
}

func sysSetaffinity(tid, size int, set *unix.CPUSet) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), uintptr(size), uintptr(unsafe.Pointer(set)))
	return e
}

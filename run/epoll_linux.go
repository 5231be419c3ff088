//go:build amd64 || arm64

package run

import (
	"bytes"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A program's registration with epoll(7) belongs to the file and the number of a
// descriptor. When a new file takes the old one's place (renew), the program goes on to
// wait for it with the registration that it has made. So that is made again: with the same
// number, which the supervisor's own descriptors may have. A thread with a table of
// descriptors of its own does it.
type registrar struct {
	work   chan *reregistration
	closed chan struct{}
}

// reregistration has the epoll sets of a process that had its descriptor fd registered
// take the file that fd is now.
type reregistration struct {
	pid, fd int
	sets    []registered
	done    chan struct{}
}

// registered is a registration with the epoll set that a process has as epfd.
type registered struct {
	epfd int
	ev   unix.EpollEvent
}

// start makes the thread. Where the kernel does not let it have a table of its own (a
// container's profile), registrations stay with the old file.
func (r *registrar) start(closed chan struct{}) {
	r.closed = closed
	work, made := make(chan *reregistration), make(chan bool)
	go r.begin(work, made)
	if <-made {
		r.work = work
	}
}

// begin serves on a thread other than the process's first, whose table is the one that
// /proc/self shows.
func (r *registrar) begin(work chan *reregistration, made chan<- bool) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		other := make(chan bool)
		go r.begin(work, other)
		made <- <-other // this thread is kept from it
		runtime.UnlockOSThread()
		return
	}
	_, err := blockSignals() // the thread ends with this goroutine
	_, _, e := unix.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_FILES, 0, 0)
	if err != nil || e != 0 {
		made <- false
		return
	}
	closeFrom(0)
	made <- true
	for {
		select {
		case w := <-work:
			w.carryOut()
			close(w.done)
		case <-r.closed:
			return
		}
	}
}

func closeFrom(fd int) { unix.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(fd), uintptr(^uint32(0)), 0) }

// carryOut runs in the table that is empty but for what it opens. What fails leaves the
// registration where it was: the process may have changed it, or be gone.
func (w *reregistration) carryOut() {
	defer closeFrom(0)
	above := func(fd int) int { // beyond the number that must be free
		n, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, uintptr(w.fd+1))
		sysClose(fd)
		if e != 0 {
			return -1
		}
		return int(n)
	}
	pidfd, e := sysPidfdOpen(w.pid, 0)
	if e != 0 {
		return
	}
	if pidfd = above(pidfd); pidfd < 0 {
		return
	}
	for i := range w.sets {
		s := &w.sets[i]
		if s.epfd, e = sysGetFD(pidfd, s.epfd); e == 0 {
			s.epfd = above(s.epfd)
		}
	}
	file, e := sysGetFD(pidfd, w.fd)
	if e != 0 {
		return
	}
	if file != w.fd {
		if _, _, e := unix.RawSyscall(unix.SYS_DUP3, uintptr(file), uintptr(w.fd), unix.O_CLOEXEC); e != 0 {
			return
		}
	}
	for i := range w.sets {
		sysEpollCtl(w.sets[i].epfd, unix.EPOLL_CTL_ADD, w.fd, &w.sets[i].ev)
	}
}

// registrations returns the epoll sets of the thread's process that its descriptor fd, the
// file with the inode, is registered with.
func (t *task) registrations(fd int, id inode) (sets []registered) {
	dir := "/proc/" + strconv.Itoa(t.tid) + "/"
	files, err := os.ReadDir(dir + "fd")
	if err != nil {
		return nil
	}
	for _, f := range files {
		if to, err := os.Readlink(dir + "fd/" + f.Name()); err != nil || to != "anon_inode:[eventpoll]" {
			continue
		}
		info, err := os.ReadFile(dir + "fdinfo/" + f.Name())
		if err != nil {
			continue
		}
		epfd, _ := strconv.Atoi(f.Name())
		if ev, ok := parseRegistration(info, fd, id.ino); ok {
			sets = append(sets, registered{epfd, ev})
		}
	}
	return sets
}

// parseRegistration finds a registration in an epoll set's /proc/PID/fdinfo file
// (proc_pid_fdinfo(5)): lines of a number in decimal, and its events, its data and the
// file's inode in hexadecimal.
func parseRegistration(info []byte, fd int, ino uint64) (ev unix.EpollEvent, ok bool) {
	for line := range bytes.Lines(info) {
		f := bytes.Fields(bytes.ReplaceAll(line, []byte(":"), []byte(" ")))
		if len(f) < 10 || string(f[0]) != "tfd" || string(f[8]) != "ino" {
			continue
		}
		n, err1 := strconv.Atoi(string(f[1]))
		events, err2 := strconv.ParseUint(string(f[3]), 16, 32)
		data, err3 := strconv.ParseUint(string(f[5]), 16, 64)
		of, err4 := strconv.ParseUint(string(f[9]), 16, 64)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || n != fd || of != ino {
			continue
		}
		return unix.EpollEvent{Events: uint32(events), Fd: int32(data), Pad: int32(data >> 32)}, true
	}
	return ev, false
}

// noteRegistrations finds the epoll sets that may have to be given a new file, before
// anything is done: to look may take long.
func (c *call) noteRegistrations() {
	if s := c.s; s.state != fresh && c.l.registrar.work != nil {
		fd, id := s.fd, s.id
		c.away(func() { c.sets = c.t.registrations(fd, id) })
	}
}

// reregister makes the registrations of the process's descriptor fd again.
func (c *call) reregister(fd int) {
	r := &c.l.registrar
	if len(c.sets) == 0 {
		return
	}
	w := &reregistration{int(c.t.process()), fd, c.sets, make(chan struct{})}
	c.away(func() {
		select {
		case r.work <- w:
			<-w.done
		case <-r.closed:
		}
	})
}

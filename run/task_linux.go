//go:build amd64 || arm64

package run

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// task is a thread that has made a trapped call.
type task struct {
	l      *loop
	tid    int
	pidfd  int
	parked *parked
	owner  int32  // its process; 0: not looked up yet
	alive  string // a file that is there as long as the thread; "": pidfd is the thread's own
	replay replay
	here   bool     // it is in the run's network namespace
	leaves bool     // it has asked to change its namespaces
	proc   *process // once a call of its process has been away
	calls  int      // of its that are being handled

	receives int // the descriptor of a call that may bring descriptors and that the kernel carries out; -1: it has made another since
}

// replay is an answer that did not reach its call: a signal had ended the call. The
// kernel makes it again after the signal's handler, and it must not be carried out
// twice.
type replay struct {
	ok   bool
	n    notification
	resp response
}

// again reports whether n is the call of the replay.
func (r *replay) again(n *notification) bool { return r.ok && r.n.data == n.data }

const pidfdThread = unix.O_EXCL // PIDFD_THREAD, Linux 6.9

// task returns the thread with the number tid, which is in a trapped call now.
func (l *loop) task(tid int) (*task, syscall.Errno) {
	if t := l.tasks[tid]; t != nil {
		if t.alive == "" || unix.Access(t.alive, unix.F_OK) == nil {
			return t, 0
		}
		t.drop() // the number is another process's thread's by now
	}
	l.space.evict()
	t := &task{l: l, tid: tid, receives: -1}
	var e syscall.Errno
	t.pidfd, e = sysPidfdOpen(tid, pidfdThread)
	if e == unix.EMFILE && l.forgetTasks() {
		t.pidfd, e = sysPidfdOpen(tid, pidfdThread)
	}
	if e == unix.EINVAL || e == unix.EPERM || e == unix.ENOSYS { // an older kernel, or a profile that knows no such flag
		e = t.openProcess()
	}
	if e != 0 {
		return nil, e
	}
	if e := l.watch(t.pidfd, unix.EPOLLIN|unix.EPOLLET, t); e != 0 {
		sysClose(t.pidfd)
		return nil, e
	}
	l.tasks[tid] = t
	l.space.force(1)
	l.guard.tell(t)
	if len(l.procs) > 0 {
		t.proc = l.procs[t.process()]
	}
	return t, 0
}

// forgetTasks drops the threads of which nothing is waiting, and reports whether
// there were any: what is known of them can be found out again.
func (l *loop) forgetTasks() bool {
	some := false
	for _, t := range l.tasks {
		if t.parked == nil && t.calls == 0 && !t.replay.ok {
			t.drop()
			some = true
		}
	}
	return some
}

// openProcess opens the thread's process, which has the same descriptors: before
// Linux 6.9 there are no descriptors of threads.
func (t *task) openProcess() (e syscall.Errno) {
	pid := int(t.process())
	if t.pidfd, e = sysPidfdOpen(pid, 0); e == 0 && pid != t.tid {
		t.alive = "/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(t.tid)
		t.l.sweep()
	}
	return e
}

const manyTasks = 4096

// sweep drops threads that have ended unannounced, as one does whose process has a
// descriptor and not itself.
func (l *loop) sweep() {
	if len(l.tasks) < manyTasks || len(l.tasks)&(manyTasks/4-1) != 0 {
		return
	}
	for _, t := range l.tasks {
		if t.alive != "" && unix.Access(t.alive, unix.F_OK) != nil {
			t.drop()
		}
	}
}

// ready implements source: the thread has ended.
func (t *task) ready(uint32) {
	t.drop()
	t.l.scanner.soon()
}

func (t *task) drop() {
	if t.l.tasks[t.tid] == t {
		delete(t.l.tasks, t.tid)
		t.l.space.give(1)
	}
	if t.tid == int(t.owner) {
		delete(t.l.procs, t.owner)
	}
	t.l.guard.forget(int32(t.tid))
	if t.parked != nil {
		t.parked.gone()
	}
	t.l.forget(t.pidfd)
	sysClose(t.pidfd)
	t.pidfd = -1
}

// process returns the number of the thread's process.
func (t *task) process() int32 {
	if t.owner == 0 {
		t.owner = int32(processOf(t.tid))
	}
	return t.owner
}

// processOf returns the process that the thread belongs to, or the thread itself
// if that cannot be found out.
func processOf(tid int) int {
	if v, ok := statusField(tid, "Tgid:"); ok {
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
	}
	return tid
}

// statusField returns a line's value in /proc/TID/status.
func statusField(tid int, name string) (string, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return "", false
	}
	return field(b, name)
}

func field(status []byte, name string) (string, bool) {
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return string(bytes.TrimSpace(v)), true
		}
	}
	return "", false
}

// fetch duplicates the thread's descriptor into this process.
func (t *task) fetch(fd int) (int, syscall.Errno) {
	n, e := sysGetFD(t.pidfd, fd)
	if e == unix.EMFILE && t.l != nil && t.l.forgetTasks() {
		n, e = sysGetFD(t.pidfd, fd)
	}
	return n, e
}

// room reports whether the thread's process has a number left for a descriptor, below its
// RLIMIT_NOFILE. What cannot be found out counts as room.
func (t *task) room() bool {
	var lim unix.Rlimit
	if unix.Prlimit(t.tid, unix.RLIMIT_NOFILE, nil, &lim) != nil {
		return true
	}
	dir := "/proc/" + strconv.Itoa(t.tid) + "/fd"
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil || st.Size > 0 && uint64(st.Size) < lim.Cur {
		return true // the size is the number of descriptors since Linux 6.2
	}
	if v, ok := statusField(t.tid, "FDSize:"); ok {
		if n, err := strconv.ParseUint(v, 10, 64); err == nil && n < lim.Cur {
			return true // nor has the table that many places
		}
	}
	fds, err := os.ReadDir(dir)
	if err != nil {
		return true
	}
	below := uint64(0)
	for _, f := range fds {
		if n, err := strconv.ParseUint(f.Name(), 10, 64); err == nil && n < lim.Cur {
			below++
		}
	}
	return below < lim.Cur
}

// descriptor returns the number of the descriptor that the call is about.
func (c *call) descriptor() int {
	args := &c.n.data.args
	if c.row.is&either != 0 && (c.third || !c.l.stops(int(int32(args[0])))) {
		return int(int32(args[2]))
	}
	return int(int32(args[0]))
}

// find duplicates the descriptor that the call names and finds its socket. It
// returns false for one that is not a socket of the host; the duplicate is there then only if the call may bring
// descriptors.
//
// The inode is the identity: it is the same across dup, fork and descriptor
// passing. A number of a descriptor says nothing the next moment, so nothing is
// remembered about it.
func (c *call) find() (bool, syscall.Errno) {
	ours, e := c.findAs(c.descriptor())
	if !ours && e == 0 && c.row.is&either != 0 && c.l.every {
		c.third = true
		return c.findAs(c.descriptor())
	}
	return ours, e
}

// findAs is find for the descriptor fd.
func (c *call) findAs(fd int) (bool, syscall.Errno) {
	if fd < 0 {
		return false, 0
	}
	dup, e := c.t.fetch(fd)
	if e == unix.ESRCH {
		// The number belongs to a new thread by now.
		c.t.drop()
		if c.t, e = c.l.task(int(c.n.pid)); e != 0 {
			return false, e
		}
		dup, e = c.t.fetch(fd)
	}
	if e == unix.EPERM {
		return c.untraced(fd)
	}
	if e != 0 {
		return false, e
	}
	// Of any other file a file system is asked, and told of the close, and may take its
	// time (FUSE, NFS).
	var id inode
	e = c.away(func() { id, _ = statInode(dup) })
	if s := c.l.socks[id]; s != nil && e == 0 {
		c.s, c.dup = s, dup
		s.seen(c.t, fd)
		return true, 0
	}
	if nl := c.l.netlinks[id]; nl != nil && e == 0 {
		c.nl, c.dup = nl, dup
		return true, 0
	}
	if e == 0 && c.asksInterface() && c.l.sameNetwork(dup) {
		c.dup = dup
		return true, 0
	}
	if e == 0 && c.mayBring(dup) {
		c.dup = dup
		return false, 0
	}
	if gone := c.away(func() { unix.Close(dup) }); gone != 0 {
		e = gone
	}
	return false, e
}

// seen notes where the program's end of s is held, and as which number.
func (s *sock) seen(t *task, fd int) { s.tid, s.pid, s.fd = t.tid, t.process(), fd }

// heldBy duplicates the thread's descriptor fd if it is the program's end of s. It
// looks first: to close another file may take long.
func (s *sock) heldBy(t *task, fd int) int {
	if to, err := os.Readlink("/proc/" + strconv.Itoa(t.tid) + "/fd/" + strconv.Itoa(fd)); err != nil || to != s.id.link() {
		return -1
	}
	dup, e := t.fetch(fd)
	if e != 0 {
		return -1
	}
	if id, ok := sysInode(dup); ok && id == s.id {
		return dup
	}
	sysClose(dup)
	return -1
}

// fdFlags returns the flags of the thread's descriptor fd, as open(2) takes them.
func fdFlags(tid, fd int) (int, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, false
	}
	s, ok := field(b, "flags:")
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 8, 64)
	return int(v), err == nil
}

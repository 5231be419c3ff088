//go:build amd64 || arm64

package run

import (
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"usock"
)

// Marked descriptors: numbers by which the filter knows SCTP's sockets.
//
// Read and write are the kernel's on whatever a program holds: the filter sees a number and no file, and to
// stop each read of each file would cost all programs much. But no file of the kernel's does what SCTP does,
// which keeps what one write has written together, and the rest of a message for the next read. So SCTP's
// descriptors get numbers of a range that other files reach only where a program holds hundreds, and
// there the filter stops these calls, too. What else has a number of the range goes on to the kernel.
//
// The numbers are the program's to change: a descriptor that dup2(2) has put elsewhere is served as the kernel can. So is one
// for which there is no number, as the range is full or RLIMIT_NOFILE below it. Where the user has every call stop
// (Options.EveryCall), no number is marked, and SCTP's are the lowest that are free.
const (
	firstMarked = 896 // a multiple of markedRange; with it below FD_SETSIZE, for select(2)
	markedRange = 128 // a power of two

	// Numbers below the range that are free as long as ordinary files are far from it. To give a
	// number closes the file that another thread of the program has got under it a moment ago.
	belowMarked = 4
)

// marked has a call whose first argument is in the range trapped.
func marked(a *assembler) { inRange(a, 0, "notify") }

// inRange goes to a label where an argument is in the range.
func inRange(a *assembler, argument int, label string) {
	a.load(arg(argument))
	a.code = append(a.code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ^uint32(markedRange - 1)})
	a.jump(bpf.JumpEqual, firstMarked, label, "")
}

// allOr traps all calls where every call stops, and else what then traps.
func allOr(then func(*assembler)) func(*assembler) {
	return func(a *assembler) {
		if a.every {
			always(a)
			return
		}
		then(a)
	}
}

// noneOr traps none where every call stops, and no number is marked, and else what then traps.
func noneOr(then func(*assembler)) func(*assembler) {
	return func(a *assembler) {
		if a.every {
			a.ret(retAllow)
			return
		}
		then(a)
	}
}

func onMarked(a *assembler) {
	marked(a)
	a.ret(retAllow)
}

// onEither is for splice(2), whose third argument is a descriptor, too.
func onEither(a *assembler) {
	marked(a)
	inRange(a, 2, "notify")
	a.ret(retAllow)
}

// reads and writes are for read(2), write(2) and those with vectors.
func reads(a *assembler) {
	if a.Receives {
		always(a)
		return
	}
	onMarked(a)
}

func writes(a *assembler) {
	if a.Sends {
		always(a)
		return
	}
	onMarked(a)
}

// duplicates is for fcntl(2).
func duplicates(a *assembler) {
	a.load(arg(1))
	a.jump(bpf.JumpEqual, unix.F_DUPFD, "dup", "")
	a.jump(bpf.JumpEqual, unix.F_DUPFD_CLOEXEC, "dup", "allow")
}

// movesOut is for dup2(2) and dup3(2), where they take a descriptor out of the range.
func movesOut(a *assembler) {
	inRange(a, 1, "allow")
	onMarked(a)
}

// giveMarked gives the program a copy of fd under a marked number, if there is one, or else as addFD does.
func (c *call) giveMarked(fd, flags int) (int, syscall.Errno) {
	n, ok := c.freeMarked()
	if ok {
		if e := c.replaceFD(fd, n, flags); e == 0 || isGone(e) {
			return n, e
		}
	}
	n, e := c.addFD(fd, flags, false)
	if ok && e == 0 {
		c.tellMoved(n) // RLIMIT_NOFILE allows no other
	}
	return n, e
}

// answerNumber answers the call with the number of a descriptor that the program was given.
func (c *call) answerNumber(n int) syscall.Errno {
	return c.l.notify.send(&response{id: c.n.id, val: int64(n)})
}

// freeMarked returns the first number of the range that the calling process does not use: programs rely on
// a number being used again that was closed. So they do between protocols (iperf3 has a listener of SCTP's take
// the place of TCP's in a set for select, by its number): there is no marked one for what may be such.
func (c *call) freeMarked() (int, bool) {
	if c.l.every {
		return 0, false
	}
	dir, err := unix.Open("/proc/"+strconv.Itoa(c.t.tid)+"/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer sysClose(dir)
	isFree := func(n int) bool {
		var st unix.Stat_t
		return unix.Fstatat(dir, strconv.Itoa(n), &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT
	}
	lowest := 0
	for ; !isFree(lowest); lowest++ {
		if lowest == firstMarked-belowMarked {
			return 0, false
		}
	}
	if lowest <= unix.Stderr || c.l.vacated[place{c.t.process(), lowest}] {
		return 0, false
	}
	for _, s := range c.l.socks {
		if s.state == listening && s.pid == c.t.process() && s.fd == lowest {
			return 0, false // it is closed, which nothing has told yet
		}
	}
	for n := firstMarked - belowMarked; n < firstMarked+markedRange; n++ {
		if free := isFree(n); free == (n >= firstMarked) {
			return n, free
		}
	}
	return 0, false
}

// place is a descriptor's number in a process.
type place struct {
	pid int32
	fd  int
}

const manyPlaces = 4096

// vacate notes where a listener was that is closed.
func (l *loop) vacate(s *sock) {
	if len(l.vacated) >= manyPlaces {
		clear(l.vacated)
	}
	l.vacated[place{s.pid, s.fd}] = true
}

// isMarked reports whether a descriptor has a marked number.
func isMarked(fd int) bool { return fd&^(markedRange-1) == firstMarked }

// stops reports whether reads and writes of a descriptor come here.
func (l *loop) stops(fd int) bool { return l.every || isMarked(fd) }

// callRead is read(fd, buf, count).
func callRead(c *call) result {
	if c.s.sctp == nil && !c.l.traps.Receives {
		return result{how: byKernel}
	}
	return c.readMessage(c.bareMessage())
}

// callWrite is write(fd, buf, count).
func callWrite(c *call) result {
	m := c.bareMessage()
	if c.kernelWrites(m) {
		return result{how: byKernel}
	}
	return c.sendMessage(m)
}

// kernelWrites reports whether the kernel carries out a write of that message.
func (c *call) kernelWrites(m *message) bool {
	return c.s.sctp == nil && (!c.l.traps.Sends || m.total == 0)
}

// callReadv is readv(fd, iov, iovcnt).
func callReadv(c *call) result { return c.readVector(0) }

func (c *call) readVector(flags int) result {
	if c.s.sctp == nil && !c.l.traps.Receives {
		return result{how: byKernel}
	}
	m, e := c.vectorMessage()
	if e != 0 {
		return c.fail(e)
	}
	m.flags = flags
	return c.readMessage(m)
}

// callWritev is writev(fd, iov, iovcnt).
func callWritev(c *call) result { return c.writeVector(0) }

func (c *call) writeVector(flags int) result {
	if c.s.sctp == nil && !c.l.traps.Sends {
		return result{how: byKernel}
	}
	m, e := c.vectorMessage()
	if e != 0 || c.s.sctp != nil && m.total == 0 {
		return c.fail(e) // nothing is no message here (Linux, do_iter_write)
	}
	m.flags = flags
	if c.kernelWrites(m) {
		return result{how: byKernel}
	}
	return c.sendMessage(m)
}

// callPreadv2 is preadv2(fd, iov, iovcnt, low, high, flags).
func callPreadv2(c *call) result { return c.vectored(c.readVector) }

// callPwritev2 is pwritev2(fd, iov, iovcnt, low, high, flags).
func callPwritev2(c *call) result { return c.vectored(c.writeVector) }

// vectored has call, which is given flags of a message, be a preadv2 or pwritev2. On a socket these know no
// position, and no flag does anything but RWF_NOWAIT: what asks for more is the kernel's, which refuses it.
func (c *call) vectored(call func(flags int) result) result {
	args := &c.n.data.args
	if args[3] != noPosition || args[5]&^(rwfHipri|rwfDsync|rwfSync|rwfNowait|rwfAppend) != 0 {
		return result{how: byKernel}
	}
	if args[5]&rwfNowait != 0 {
		return call(usock.MSG_DONTWAIT)
	}
	return call(0)
}

// Arguments of preadv2 and pwritev2 (linux/fs.h).
const (
	noPosition = 1<<64 - 1
	rwfHipri   = 0x1
	rwfDsync   = 0x2
	rwfSync    = 0x4
	rwfNowait  = 0x8
	rwfAppend  = 0x10
)

// callSendfile is sendfile(out, in, offset, count).
func callSendfile(c *call) result { return c.takesFile() }

// callSplice is splice(in, offset, out, offset, len, flags).
func callSplice(c *call) result {
	args := &c.n.data.args
	if c.s.sctp == nil {
		return result{how: byKernel}
	}
	if c.descriptor() != int(int32(args[0])) {
		return c.takesFile()
	}
	if uint64(c.s.sctp.shown) > args[4] {
		return c.fail(unix.EINVAL) // what the kernel left would be lost; such a program reads then
	}
	return result{how: byKernel}
}

// takesFile has the kernel write to the socket what it takes from a file, if there is somebody to send it to.
func (c *call) takesFile() result {
	s, x := c.s, c.s.sctp
	if x == nil {
		return result{how: byKernel}
	}
	s.drain()
	if s.state == over {
		if e := c.overError(); e != 0 {
			return c.fail(e)
		}
	}
	if s.up.half != flowing || x.listening || s.parted() {
		return c.failSend(new(message), unix.EPIPE)
	}
	return result{how: byKernel}
}

// readMessage is receiveMessage for read(2), for which no room is no question (Linux, sock_read_iter).
func (c *call) readMessage(m *message) result {
	if m.total == 0 {
		return c.answer(0)
	}
	return c.receiveMessage(m)
}

// bareMessage returns the message of a read or write.
func (c *call) bareMessage() *message {
	args := &c.n.data.args
	m := &message{bare: true, total: int(min(args[2], maxTransfer))}
	m.spans = []span{{args[1], uint64(m.total)}}
	return m
}

// vectorMessage returns the message of a readv or writev.
func (c *call) vectorMessage() (*message, syscall.Errno) {
	args := &c.n.data.args
	if args[2] > maxIovec {
		return nil, unix.EINVAL
	}
	iov := make([]byte, args[2]*iovecSize)
	if e := c.read(args[1], iov); e != 0 {
		return nil, e
	}
	m := &message{bare: true}
	var e syscall.Errno
	m.spans, m.total, e = parseIovecs(iov)
	return m, e
}

// callDup is dup(fd).
func callDup(c *call) result { return c.duplicate(0, 0) }

// callFcntl is fcntl(fd, F_DUPFD or F_DUPFD_CLOEXEC, least).
func callFcntl(c *call) result {
	args := &c.n.data.args
	flags := 0
	if int32(args[1]) == unix.F_DUPFD_CLOEXEC {
		flags = unix.O_CLOEXEC
	}
	return c.duplicate(int(int32(args[2])), flags)
}

// duplicate gives the program another number of its descriptor, a marked one if that is at least least.
func (c *call) duplicate(least, flags int) result {
	if c.s.sctp == nil {
		return result{how: byKernel}
	}
	if least > firstMarked {
		if !isMarked(least) {
			c.tellMoved(least)
		}
		return result{how: byKernel}
	}
	n, ok := c.freeMarked()
	if !ok || c.replaceFD(c.dup, n, flags) != 0 {
		return result{how: byKernel}
	}
	return c.answer(int64(n))
}

// callDup2 is dup2(fd, to) and dup3(fd, to, flags), where to is no marked number. The program is to have that one and no other.
func callDup2(c *call) result {
	if to := int(int32(c.n.data.args[1])); c.s.sctp != nil && to >= 0 {
		c.tellMoved(to)
	}
	return result{how: byKernel}
}

// tellMoved tells the user that an SCTP socket gets a number that is not marked, to or one above, as the program wants it.
func (c *call) tellMoved(to int) {
	c.l.log.warnFirst("moved", c.t, fmt.Sprintf("an SCTP socket is to be descriptor %d, where usock does not see reads: "+
		"one without room for a whole message loses its rest there; with --every-call usock sees it", to))
}

// kernelServes reports whether the kernel carries out a call without address that is trapped for its
// number alone. allowed are the flags with which it would not have been trapped elsewhere.
func (c *call) kernelServes(m *message, allowed int) bool {
	return c.s.sctp == nil && m.h.name == 0 && m.flags&^allowed == 0 && m.flags&peekAll != peekAll
}

//go:build amd64 || arm64

package run

import (
	"bytes"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/rtnl"
)

// netlinkSock is a netlink socket of a program that asks about interfaces and routes
// (NETLINK_ROUTE) or sockets (NETLINK_SOCK_DIAG): the host answers, and not the machine.
//
// What the program holds is one end of a pair of AF_UNIX SOCK_SEQPACKET, whose messages keep
// their bounds as netlink's do, and whose far end learns of the program's close. What it writes
// without a trap is a request like one that it sends. Of an answer the payload alone is in the
// kernel's queue, so that a plain read is right, and a trapped receive adds the sender.
//
//	program ── write ─► far end ─┐
//	        ── sendmsg, trapped ─┴─► session ─► out ─► far end ─► read, or recvmsg, trapped
//
// A trapped send is answered before it returns, as the kernel does it: musl looks for the
// answer once. Who asks about sockets is answered once it is known which of them programs have closed before: a trapped
// send waits for a scan, and what was asked without a trap does (scan_linux.go). What the pair's queue does not hold stays in the session, which asks the host
// for each next datagram when there is room.
type netlinkSock struct {
	l   *loop
	id  inode
	far int   // the far end; -1: released
	pid int32 // the process that has asked last, or made it

	typ     int
	session rtnl.Session
	out     [][]byte // news that are written before what the session has
	held    []byte   // what there was no room for
	full    bool     // until the far end can be written to
	unread  bool     // the far end may have something
	later   bool     // a further turn of answer is on its way
	scans   bool     // what it asks without a trap waits for a scan

	bound   bool
	connect bool   // to somebody, who peer says
	peer    uint32 // port
	group   uint32 // the peer's, as a mask
	groups  uint64 // which it belongs to, by number less one
	grouped bool   // it has been given some
	options uint32 // SOL_NETLINK: those that are on, by number
	creds   bool   // SO_PASSCRED
	lost    bool   // news were lost: ENOBUFS is pending

	told    uint64 // how many datagrams it was given
	waiting waiters
	kernel  int // the kernel's socket for families that are not the host's; -1: none yet
}

// netlinkPorts are the numbers of netlink sockets that are in use, by protocol.
type netlinkPorts struct {
	used    map[netlinkPort]*netlinkSock
	members int        // sockets that belong to a group
	last    *rtnl.View // what those were told
	stop    func()     // ends what tells of changes
}

type netlinkPort struct {
	protocol int
	port     uint32
}

const (
	netlinkRoom = 1 << 20  // the far end's SO_SNDBUF, as far as the kernel grants it
	netlinkWait = 64 << 10 // bytes of requests that wait for the answers to others
	netlinkNews = 256      // datagrams of news that wait
)

// netlinkSocket is socket(AF_NETLINK, typ, protocol). In a program that cannot be looked into
// the kernel serves it: no call on it could be carried out here.
func (c *call) netlinkSocket(typ, protocol int) result {
	if e := badSocket(unix.AF_NETLINK, typ); e != 0 {
		return c.fail(e)
	}
	kind := typ & usock.SOCK_TYPE_MASK
	if kind != unix.SOCK_RAW && kind != unix.SOCK_DGRAM {
		return c.fail(unix.ESOCKTNOSUPPORT)
	}
	if protocol != unix.NETLINK_ROUTE && protocol != unix.NETLINK_SOCK_DIAG || !c.visible() {
		return result{how: byKernel}
	}
	if !c.l.space.take(1) {
		if !c.scanned {
			return c.afterScan(func(c *call) result { return c.netlinkSocket(typ, protocol) })
		}
		c.l.space.tell()
		return c.fail(unix.EMFILE)
	}
	fd, far, e := sysSocketpair(unix.SOCK_SEQPACKET)
	if e != 0 {
		c.l.space.give(1)
		return c.lacksOwn(e)
	}
	unix.SetNonblock(far, true)
	if typ&unix.SOCK_NONBLOCK != 0 {
		unix.SetNonblock(fd, true)
	}
	sysSetInt(far, unix.SO_SNDBUF, netlinkRoom)
	s := c.l.adoptNetlink(c, fd, far, kind, protocol)
	c.onFail(s.release)
	if e := c.l.watch(far, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET, s); e != 0 {
		sysClose(fd)
		return c.undone(e)
	}
	if _, e = c.answerFD(fd, typ&unix.SOCK_CLOEXEC); e != 0 {
		sysClose(fd)
		return c.undone(e)
	}
	return result{how: done}
}

// adoptNetlink makes the netlinkSock of the program's end fd.
func (l *loop) adoptNetlink(c *call, fd, far, kind, protocol int) *netlinkSock {
	s := &netlinkSock{l: l, far: far, pid: c.t.process(), typ: kind, kernel: -1}
	s.session = rtnl.Session{Source: l.source(s), Protocol: protocol}
	s.id, _ = statInode(fd)
	if old := l.netlinks[s.id]; old != nil {
		old.release() // the number was used again: the old one is closed
	}
	if old := l.socks[s.id]; old != nil {
		old.closed()
	}
	l.netlinks[s.id] = s
	return s
}

// visible reports whether the caller's descriptors can be duplicated.
func (c *call) visible() bool {
	dup, e := c.t.fetch(0)
	if e == 0 {
		c.away(func() { unix.Close(dup) }) // a file system is told, and may take its time
	}
	return e != unix.EPERM
}

// ready implements source.
func (s *netlinkSock) ready(events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.release()
		return
	}
	s.full, s.unread = false, true
	s.answer(false)
}

// answer tells the program what it has asked, as far as there is room for the answers. What a call
// of the program brings about, which waits, is done at once: what is told of interfaces and
// routes is bounded by the room, and of sockets there may be many.
func (s *netlinkSock) answer(waits bool) {
	waits = waits && s.session.Protocol == rtnl.NETLINK_ROUTE
	late := func(begin time.Time) bool { return !waits && since(begin) > slice }
	was, lost := s.told, s.lost
	for begin := wall(); s.far >= 0 && !s.full && !s.scans; {
		b := s.next()
		if b == nil && !s.session.Pending() {
			break
		}
		if b == nil { // a piece of work that gave nothing
			if late(begin) {
				s.again()
				break
			}
			continue
		}
		switch _, e := sysSend(s.far, b); e {
		case 0:
			s.told++
		case unix.EAGAIN:
			s.held, s.full = b, true
		case unix.EMSGSIZE:
			// No datagram is that large: the program is told that one is missing.
			s.lost = true
		case unix.ENOBUFS, unix.ENOMEM:
			s.held = b
			s.again()
			return
		default:
			s.release()
			return
		}
		if late(begin) {
			s.again()
			break
		}
	}
	if s.told != was || s.lost != lost {
		s.waiting.wake(s.l)
	}
}

// catchUp answers what the program has asked without a trap, before a call that has one.
func (s *netlinkSock) catchUp() {
	s.full, s.unread = false, true // there may be room again that epoll has not told of yet
	s.answer(true)
}

// next returns what the program is to be given next; nil if it has asked nothing more.
func (s *netlinkSock) next() (b []byte) {
	if b, s.held = s.held, nil; b != nil {
		return b
	}
	if len(s.out) > 0 {
		return shift(&s.out)
	}
	for {
		if b := s.session.Next(); b != nil || s.session.Pending() {
			return b
		}
		if !s.unread {
			return nil
		}
		n, e := sysRecv(s.far, s.l.arrivalsRoom(), 0)
		if e == 0 && n == 0 && unread(s.far) > 0 {
			continue // an empty datagram asks nothing, and others are behind it
		}
		if e != 0 || n == 0 {
			s.unread = false // a close is told by the far end itself
			return nil
		}
		s.autobind(s.pid)
		s.session.Take(bytes.Clone(s.l.upBuf[:n]))
		if s.listsSockets() {
			s.scans = true
			s.l.scanner.before(func() {
				s.scans = false
				s.answer(false)
			})
			return nil
		}
	}
}

// listsSockets reports whether what it is asked about is sockets.
func (s *netlinkSock) listsSockets() bool { return s.session.Protocol == rtnl.NETLINK_SOCK_DIAG }

// again has answer go on after others have had their turn.
func (s *netlinkSock) again() {
	if s.later {
		return
	}
	s.later = true
	s.l.do(func() {
		s.later = false
		s.answer(false)
	})
}

// release forgets the socket, which the program has closed.
func (s *netlinkSock) release() {
	if s.far < 0 {
		return
	}
	l := s.l
	l.forget(s.far)
	sysClose(s.far)
	if s.kernel >= 0 {
		sysClose(s.kernel)
		l.space.give(1)
	}
	s.far, s.kernel = -1, -1
	for len(s.waiting) > 0 {
		s.waiting[0].end(result{err: unix.EBADF})
	}
	s.join(0)
	if at := s.at(); l.netlink.used[at] == s {
		delete(l.netlink.used, at)
	}
	if l.netlinks[s.id] == s {
		delete(l.netlinks, s.id)
	}
	l.space.give(1)
}

func (s *netlinkSock) at() netlinkPort { return netlinkPort{s.session.Protocol, s.session.Port} }

// bind gives the socket a port: EADDRINUSE if another one has it.
func (s *netlinkSock) bind(port uint32) syscall.Errno {
	p := &s.l.netlink
	at := netlinkPort{s.session.Protocol, port}
	if old := p.used[at]; old != nil {
		if polled(old.far)&unix.POLLHUP == 0 {
			return unix.EADDRINUSE
		}
		old.release() // the program has closed it, and epoll has not told of that yet
	}
	if p.used == nil {
		p.used = make(map[netlinkPort]*netlinkSock)
	}
	p.used[at] = s
	s.session.Port, s.bound = port, true
	return 0
}

// autobind gives the socket a port, if it has none: the number of the process, or a negative
// one (netlink_autobind).
func (s *netlinkSock) autobind(pid int32) {
	for port := pid; !s.bound; port-- {
		if s.bind(uint32(port)) != 0 && port == pid {
			port = firstNegative + 1
		}
	}
}

const firstNegative = -4097

//go:build linux

package gateway

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// stream is a TCP connection inside and the one outside that carries it on.
//
//	asked: outer socket connects ──► joined ──► up ended, down ended ──► gone
//	            │ refused, unreachable             │ a reset on either side
//	            ▼                                  ▼
//	      the flow is answered so               the other side is reset
//
// One that a client of a published port begins is accepted first, as the kernel asks nobody;
// then the inner socket connects, and what becomes of that decides (publish.go).
//
// Up is from the host to the outside, down the other way. What was taken from one side and
// not yet by the other is held: at most one read. Besides that the inner socket's receive
// buffer (twice what was taken of it in a round trip; tcp_rmem, 60 MiB at most) holds what the
// program has sent and the outer socket does not take.
type stream struct {
	g    *Gateway
	side *side
	flow *usock.Flow   // nil: begun by an outer client
	in   *usock.Socket // nil: the flow is not answered yet
	fd   int
	open bool // both connections are made

	filter  *dnsFilter // nil: none, but to a name server
	stalled bool       // up waits until the program takes answers

	up, down half
	readable bool // outside
	writable bool
	failed   bool // the outer connection has an error
	urgent   bool // an urgent byte is on its way from outside
	queued   bool // in g.again
	gone     bool
	began    time.Duration // asked outside
	// The outer socket has had no room since then, 0 if it has; and before that.
	fullSince, fullFor time.Duration
	armed              bool // epoll tells of room outside
	ends               ends // of the host's connection
	asked              usock.StreamSettings
	why                syscall.Errno // the outer connection has ended; 0: by a reset, or not
	noDelay            bool          // TCP_NODELAY is set
	sent               bool          // something
	ended              bool          // outside has said all, or broken the connection: reads go on to the end
	arrival            arrival       // of an outer client
	acc                *account
}

// toRead are the events that a stream is always told of. Of room it is told when it has found
// none: the kernel tells of the first there is as well.
const toRead = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP

// half is one direction.
type half struct {
	held  []usock.Data // taken, and not given yet
	ended bool         // and that was passed on
}

// hold holds a copy of b.
func (h *half) hold(b []byte) {
	for len(b) > 0 {
		d := usock.NewData(min(len(b), usock.MaxData))
		b = b[copy(d.Room(), b):]
		h.held = append(h.held, d)
	}
}

// drop releases what is held.
func (h *half) drop() {
	for i := range h.held {
		h.held[i].Release()
	}
	h.held = nil
}

// maxRound is how many bytes a stream moves before the others have their turn, and maxRead
// how many it takes at once.
const (
	maxRound = 1 << 20
	maxRead  = 256 << 10
)

// connect begins a stream for a flow.
func (g *Gateway) connect(side *side, f *usock.Flow) {
	to := f.Local()
	if g.isolated {
		g.connectIsolated(f)
		return
	}
	if side.own && g.arrivals[arrival{true, f.Remote(), to.Port()}] != nil {
		f.Refuse() // an outer client's, for a port on which nobody listens any more
		return
	}
	if g.denies(unix.IPPROTO_TCP, outward, f.Remote(), to) {
		g.denyFlow(side, f)
		return
	}
	if errno := g.forbidden(to.Addr(), side.own); errno != 0 {
		g.fail(side, f, nil, -1, errno)
		return
	}
	if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
		g.reap()
		if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
			f.Drop()
			g.warn("usock: the gateway carries %d connections, %d of them not made yet: more must wait", len(g.streams), g.halfOpen)
			return
		}
	}
	fd, e := outerSocket(to.Addr(), unix.SOCK_STREAM, 0)
	if e != 0 {
		f.Drop()
		g.warn("usock: the gateway has no socket for another connection: %v%s", e, limitHint(e))
		return
	}
	setInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	if f.TOS()&dscp != 0 {
		setTOS(fd, to.Addr(), f.TOS())
	}
	if to.Addr().Is6() || f.TTL() != g.defaultTTL(fd) {
		setTTL(fd, to.Addr(), f.TTL())
	}
	s := &stream{g: g, side: side, flow: f, fd: fd, began: g.clock.Now(), acc: g.newAccount(unix.IPPROTO_TCP, outward, f.Remote(), to)}
	if g.names.asked(to) {
		s.filter = g.newFilter(f, func() { s.inside(0) })
	}
	e = sysConnect(fd, to)
	if e == unix.ENETUNREACH && !side.own {
		g.warn("usock: this machine has no route to %v, to which a program connects (ip route get %v shows it)", to.Addr(), to.Addr())
	}
	if e != 0 && e != unix.EINPROGRESS {
		g.fail(side, f, s.acc, fd, e)
		sysClose(fd)
		return
	}
	// What becomes of a connect to the machine's own addresses is known by now, though
	// connect does not tell.
	ev, events := polled(fd), uint32(toRead)
	if s.armed = ev == 0; s.armed {
		events |= unix.EPOLLOUT
	}
	if err := g.watch(fd, events, s); err != nil {
		f.Drop()
		sysClose(fd)
		return
	}
	g.streams[s] = struct{}{}
	g.halfOpen++
	s.know(f.Remote(), to)
	if now, ok := g.inner.StreamSettings(f.Remote(), to); ok {
		// The SYN had the type of service and the time to live.
		s.set(now, usock.StreamSettings{TOS: now.TOS, TTL: now.TTL})
	}
	s.outcome(ev)
}

const dscp = 0xfc // of a type of service

// setTOS gives an outer socket the DSCP of an inner packet. ECN's bits are each side's own.
func setTOS(fd int, a netip.Addr, tos uint8) {
	if a.Is4() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(tos&dscp))
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(tos&dscp))
	}
}

// defaultTTL is the time to live of IPv4 sockets that are given none, as of fd.
func (g *Gateway) defaultTTL(fd int) uint8 {
	if g.ttl == 0 {
		g.ttl = uint8(getInt(fd, unix.IPPROTO_IP, unix.IP_TTL))
	}
	return g.ttl
}

// setTTL gives an outer socket the time to live, or hop limit, of an inner packet.
func setTTL(fd int, a netip.Addr, ttl uint8) {
	if a.Is4() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_TTL, int(ttl))
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(ttl))
	}
}

// reap ends the streams that connect for programs that have given up.
func (g *Gateway) reap() {
	for s := range g.streams {
		if !s.open && s.flow != nil && (!s.flow.Waiting() || !g.inner.Connects(s.flow.Remote(), s.flow.Local())) {
			s.flow.Drop()
			s.acc.is(FlowGivenUp, "")
			s.end()
		}
	}
}

// ready implements source.
func (s *stream) ready(ev uint32) {
	if s.gone {
		return
	}
	if ev == 0 {
		s.queued = false
	}
	if !s.open && s.flow != nil {
		s.outcome(ev)
		return
	}
	s.note(ev)
	s.move()
}

// note takes note of the outer socket's events.
func (s *stream) note(ev uint32) {
	const over = unix.EPOLLHUP | unix.EPOLLERR
	s.ended = s.ended || ev&(unix.EPOLLRDHUP|over) != 0
	s.readable = s.readable || ev&unix.EPOLLIN != 0 || s.ended
	if ev&(unix.EPOLLOUT|over) != 0 {
		s.writable = true
		s.takes()
		s.fullSince = 0
	}
	s.urgent = s.urgent || ev&unix.EPOLLPRI != 0
	s.failed = s.failed || ev&unix.EPOLLERR != 0
}

// full says that the outer socket has no room now.
func (s *stream) full() {
	if s.fullSince == 0 {
		s.fullSince = s.g.clock.Now()
	}
	if s.writable = false; !s.armed {
		s.armed = true
		s.g.rewatch(s.fd, toRead|unix.EPOLLOUT)
	}
}

// outcome looks what became of the outer connect.
func (s *stream) outcome(ev uint32) {
	if s.gone || ev&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	if ev&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		// SO_ERROR comes first: to read the error queue clears it.
		if e := syscall.Errno(getInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)); e != 0 {
			s.acc.failed(e)
			s.g.refuse(s.side, s.flow, s.fd, e)
			s.end()
			return
		}
		if ev&unix.EPOLLOUT == 0 {
			return // an entry in the error queue, and no end
		}
	}
	s.note(ev &^ unix.EPOLLERR)
	s.join()
}

// join answers the program: the outer connection is made.
func (s *stream) join() {
	in, err := s.flow.Accept()
	if err != nil {
		reset(s.fd)
		s.acc.is(FlowGivenUp, "")
		s.end()
		return
	}
	s.in = in
	s.opened()
	s.watchInside()
}

// opened notes that both connections are made.
func (s *stream) opened() {
	s.g.halfOpen--
	s.open = true
}

// watchInside has the stream told of the inner socket's events.
func (s *stream) watchInside() {
	set := s.g.set
	if s.side.own {
		set = s.g.own
	}
	s.in.SetSockOptInt(usock.SOL_TCP, usock.TCP_NODELAY, 1)
	if err := set.Add(s.in, usock.POLLIN|usock.POLLOUT|usock.POLLPRI|usock.POLLRDHUP|usock.EPOLLET, s); err != nil {
		s.abort()
	}
}

// inside is told of the inner socket's events.
func (s *stream) inside(ev usock.Events) {
	switch {
	case s.gone:
	case !s.open:
		s.arrive()
	case ev&usock.POLLERR != 0 && !s.writable, ev&(usock.POLLERR|usock.POLLHUP) != 0 && s.stalled:
		s.abort() // reset by the program, and no receive would tell
	default:
		s.move()
	}
}

// move hands on what can be, in both directions.
func (s *stream) move() {
	if s.gone {
		return
	}
	if !s.open {
		if s.failed { // the client has given up
			s.abort()
		}
		return
	}
	more := s.moveUp()
	if s.gone {
		return
	}
	more = s.moveDown() || more
	if s.stalled && !s.gone && !s.answersWait() {
		s.stalled, more = false, true
	}
	switch {
	case s.gone:
	case s.up.ended && s.down.ended:
		s.acc.is(FlowClosed, "")
		s.in.Close()
		s.end()
	case more && !s.queued:
		s.queued = true
		s.g.later(s)
	}
}

// moveUp moves bytes from the host to the outside. It reports whether it stopped only to let
// others have their turn.
func (s *stream) moveUp() bool {
	for moved := 0; !s.up.ended; {
		if e := s.sendHeld(); e != 0 {
			return s.notSent(e)
		}
		if s.filter != nil {
			if b := s.filter.next(); len(b) > 0 {
				s.up.hold(b)
				continue
			}
			if s.answersWait() {
				s.stalled = true
				return false
			}
		}
		if moved >= maxRound {
			return true
		}
		// A name server knows no urgent bytes, and the filter must see all.
		if at, _ := s.in.AtMark(); at && s.filter == nil && s.passUrgent() {
			continue
		}
		got, err := s.in.RecvData(maxRead, 0, s.g.pieces[:0])
		s.g.pieces = got[:0]
		switch {
		case err == unix.EAGAIN:
			return false
		case err != nil:
			s.abort() // the program has reset the connection, or it timed out
			return false
		case len(got) == 0 && s.filter.holds():
			s.up.hold(s.filter.rest())
			continue
		case len(got) == 0:
			s.up.ended = true
			sysShutdown(s.fd, unix.SHUT_WR)
			return false
		}
		if s.filter != nil {
			for i := range got {
				s.filter.take(got[i].Bytes())
				got[i].Release()
			}
			continue
		}
		n, e := s.send(got)
		moved += n
		if rest := usock.TrimData(got, n); len(rest) > 0 {
			s.up.held = append([]usock.Data(nil), rest...)
		}
		clear(got)
		if e != 0 {
			return s.notSent(e)
		}
	}
	return false
}

// sendHeld sends what is held. It fails with EAGAIN if some is left.
func (s *stream) sendHeld() syscall.Errno {
	if !s.writable {
		return unix.EAGAIN
	}
	if len(s.up.held) == 0 {
		return 0
	}
	n, e := s.send(s.up.held)
	s.up.held = usock.TrimData(s.up.held, n)
	return e
}

// send sends pieces as sendAll does. The inner stack has done Nagle's work already: but for the
// first piece, which is not held back by it, the outer socket has TCP_NODELAY.
func (s *stream) send(pieces []usock.Data) (int, syscall.Errno) {
	if !s.noDelay && (s.sent || len(pieces) > 1) {
		setInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		s.noDelay = true
	}
	s.sent = true
	n, e := sendAll(s.fd, pieces)
	s.acc.carried(n, 0)
	return n, e
}

// sendAll sends pieces and returns how many bytes the outer socket took, and why not all.
func sendAll(fd int, pieces []usock.Data) (sent int, e syscall.Errno) {
	for at := 0; at < len(pieces); {
		n, e := sysSendData(fd, pieces[at:])
		if e != 0 {
			return sent, e
		}
		// A count in the midst of a piece means that there is no more room, which the next
		// send says.
		for sent += n; at < len(pieces) && n >= pieces[at].Len(); at++ {
			n -= pieces[at].Len()
		}
		if n > 0 {
			return sent, unix.EAGAIN
		}
	}
	return sent, 0
}

// notSent deals with an error of the outer socket's send.
func (s *stream) notSent(e syscall.Errno) bool {
	switch e {
	case unix.EAGAIN:
		s.full()
	case unix.ENOBUFS, unix.ENOMEM:
		return true
	default:
		// The connection is over. What came before is there to be read still.
		s.told(e)
		s.failed, s.readable = true, true
		s.up.drop()
		s.up.ended = true
	}
	return false
}

// passUrgent hands on the urgent byte, which is the next one, and reports whether it did.
func (s *stream) passUrgent() bool {
	var b [1]byte
	if n, err := s.in.Recv(b[:], usock.MSG_OOB); err != nil || n != 1 {
		return false
	}
	s.sent = true
	if _, e := sysSend(s.fd, b[:], unix.MSG_OOB); e != 0 {
		s.up.hold(b[:]) // in its place, if not as what it was
		return true
	}
	s.acc.carried(1, 0)
	return true
}

// moveDown moves bytes from the outside to the host.
func (s *stream) moveDown() bool {
	for moved := 0; !s.down.ended; {
		if s.filter != nil {
			s.down.hold(s.filter.waiting())
		}
		if !s.give() || !s.readable {
			return false
		}
		if moved >= maxRound {
			return true
		}
		n, urgent, e := s.read()
		switch {
		case e == unix.EAGAIN:
			s.readable = false
			return false
		case e != 0, n == 0 && s.failed:
			s.told(e)
			s.acc.broke(s.why)
			s.reset()
			return false
		case n == 0:
			s.down.ended = true
			s.in.Shutdown(usock.SHUT_WR)
			return false
		}
		moved += n
		s.acc.carried(0, n)
		s.take(n, urgent)
	}
	if s.failed && !s.gone {
		s.acc.broke(s.why)
		s.reset() // after the end came a reset
	}
	return false
}

// read reads from the outer socket into the gateway's blocks, and says whether it was the
// urgent byte.
func (s *stream) read() (n int, urgent bool, e syscall.Errno) {
	if s.urgent && atMark(s.fd) {
		s.urgent = false
		n, e = sysRecv(s.fd, s.g.blocks.room(0)[:1], 0)
		return n, n == 1, e
	}
	n, e = sysReadData(s.fd, &s.g.blocks)
	if n < maxRead && !s.ended && !s.urgent {
		s.readable = false // that was all, and what comes will be told
	}
	return n, false, e
}

// littleSent is up to how many bytes are copied: a block of its own would hold more memory
// than they need.
const littleSent = 8 << 10

// take has the n bytes that were read given to the inner socket.
func (s *stream) take(n int, urgent bool) {
	flags := usock.MSG_NOSIGNAL
	if urgent {
		flags |= usock.MSG_OOB
	}
	if n <= littleSent && s.filter == nil {
		b := s.g.blocks.room(0)[:n]
		k, _ := s.in.Send(b, flags) // an error is told once more
		s.down.hold(b[max(k, 0):])
		return
	}
	for i := 0; n > 0; i++ {
		k := min(n, usock.MaxData)
		n -= k
		if s.filter != nil {
			s.down.hold(s.filter.down(s.g.blocks.room(i)[:k]))
			continue
		}
		d := s.g.blocks[i]
		s.g.blocks[i] = usock.Data{}
		d.Cut(k)
		s.down.held = append(s.down.held, d)
	}
}

// answersWait reports whether the program is to take answers before it is asked for more
// questions.
func (s *stream) answersWait() bool {
	if s.down.ended {
		s.filter.answers = nil // the server has ended what they would be part of
	}
	return len(s.down.held) > 0 || s.filter.full()
}

// give hands what is held to the inner socket and reports whether it took all.
func (s *stream) give() bool {
	for len(s.down.held) > 0 {
		rest, err := s.in.SendData(s.down.held, usock.MSG_NOSIGNAL)
		s.down.held = rest
		switch {
		case err == nil: // if a part was taken, the next attempt says why not all
		case err == unix.EAGAIN:
			return false
		default:
			s.abort()
			return false
		}
	}
	s.down.held = nil
	return true
}

// reset passes a reset on to the program, or what else has ended the outer connection.
func (s *stream) reset() {
	if s.why != 0 {
		s.g.inner.FailStream(s.ends.local, s.ends.remote, s.why)
	}
	s.in.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerNot)
	s.in.Close()
	s.end()
}

// abort resets both sides, for what the run has done unless the account says other.
func (s *stream) abort() {
	if s.gone {
		return
	}
	s.acc.is(FlowReset, "run")
	reset(s.fd)
	if s.in == nil {
		s.flow.Drop()
		s.end()
		return
	}
	s.reset()
}

// end forgets the stream and closes the outer socket.
func (s *stream) end() {
	if s.gone {
		return
	}
	s.gone = true
	s.takes()
	s.filter.unanswered().end(s.g)
	if !s.open {
		s.g.halfOpen--
	}
	delete(s.g.streams, s)
	if s.g.byEnds[s.ends] == s {
		delete(s.g.byEnds, s.ends)
	}
	s.up.drop()
	s.down.drop()
	if s.flow == nil {
		delete(s.g.arrivals, s.arrival)
		s.g.room.clients--
	}
	s.g.acceptBehind()
	s.g.drop(s.fd)
	s.acc.end(FlowReset)
}

// lingerNot is the value of SO_LINGER that has close reset the connection.
var lingerNot = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 0)

// reset has the close of an outer socket reset its connection.
func reset(fd int) {
	v := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
}

// atMark reports whether the next byte of an outer socket is the urgent one.
func atMark(fd int) bool {
	var at int32
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCATMARK, uintptr(unsafe.Pointer(&at)))
	return e == 0 && at != 0
}

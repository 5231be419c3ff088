//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// maxRound is how many bytes a pump moves in one direction before it lets the
// other sockets have their turn.
const maxRound = 4 * pumpSize

// end is a descriptor of the supervisor's whose other end a program has.
type end struct {
	fd       int  // -1: there is none
	readable bool // there may be something to read
	ended    bool // the other end was shut down or closed: reads go on to the end
	hungUp   bool // in both directions
	writable bool // it may take more
	armed    bool // the kernel tells when it takes more
	wide     bool // its SO_SNDBUF is wideSndBuf
}

// pending are bytes that a pump has taken from one side and could not pass on.
type pending struct {
	buf   []byte // nil if empty
	off   int
	whole []byte // the loop's buffer that buf is in; nil: buf is its own
	from  sender // datagrams: where it is from

	held []usock.Data // streams: the bytes, in pieces
}

func (p *pending) empty() bool { return p.buf == nil && len(p.held) == 0 }

// Little is copied, so that a buffer is held only where it is used.
const (
	littlePending = 16 << 10
	spareBuffers  = 16
)

// keep makes b, which is in the loop's buffer whole, the pending bytes, and gives
// the loop another buffer if it has to.
func (l *loop) keep(p *pending, whole *[]byte, b []byte) {
	p.off = 0
	if len(b) <= littlePending {
		p.buf = append(make([]byte, 0, max(len(b), 1)), b...)
		return
	}
	p.buf, p.whole = b, *whole
	if n := len(l.spare); n > 0 {
		*whole, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		*whole = make([]byte, pumpSize)
	}
}

// drop forgets the pending bytes.
func (l *loop) drop(p *pending) {
	if p.whole != nil && len(l.spare) < spareBuffers {
		l.spare = append(l.spare, p.whole)
	}
	for i := range p.held {
		p.held[i].Release()
	}
	*p = pending{}
}

// watchStack has the loop told of the host's socket's events.
func (s *sock) watchStack() {
	s.l.set.Add(s.u, usock.POLLIN|usock.POLLOUT|usock.POLLRDHUP|usock.POLLPRI|usock.EPOLLET, s)
}

const farEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// setFar makes fd the far end.
func (s *sock) setFar(fd int) syscall.Errno {
	events := uint32(farEvents)
	if s.sctp != nil {
		events |= unix.EPOLLOUT // the program has taken a message
	}
	if e := s.l.watch(fd, events, s); e != 0 {
		return e
	}
	s.far, s.wide = end{fd: fd, writable: true}, false
	return 0
}

// full says that the far end takes no more now. Only then is the kernel asked to
// tell when it does: otherwise it would tell after each read of the program's.
func (s *sock) full() {
	s.far.writable = false
	if s.stream && !s.far.wide {
		s.far.wide = true
		sysSetInt(s.far.fd, unix.SO_SNDBUF, wideSndBuf)
	}
	if !s.far.armed {
		s.far.armed = true
		s.l.rewatch(s.far.fd, farEvents|unix.EPOLLOUT)
	}
}

// dropFar closes the far end.
func (s *sock) dropFar() {
	if s.far.fd < 0 {
		return
	}
	s.l.forget(s.far.fd)
	sysClose(s.far.fd)
	s.far, s.peeked = end{fd: -1}, 0
}

// ready implements source: something happened at the far end.
func (s *sock) ready(events uint32) {
	f := &s.far
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.readable = true
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.writable = true
		if f.armed && !s.pieces {
			f.armed = false
			s.l.rewatch(f.fd, farEvents)
		}
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		s.pump()
		return
	}
	f.ended = true
	if events&unix.EPOLLHUP != 0 {
		f.hungUp = true
	}
	if events&unix.EPOLLERR != 0 && (s.sctp == nil || s.up.half == ended) {
		s.abort = true // closed, with data unread; of SCTP's it may be notifications
	}
	if !s.toEnd {
		s.toEnd = true
		s.l.ending = append(s.l.ending, s)
	}
}

// stackEvent handles the host's socket's events.
func (s *sock) stackEvent(ev usock.Events) {
	switch {
	case s.state == released:
		return
	case !s.stream:
		s.pump()
	case s.state == listening:
		s.acceptAll()
	case s.state == connecting:
		s.outcome(ev)
		s.pump()
	case s.state == connected && s.down.half == ended:
		s.afterEnd(ev)
		s.pump()
	case s.state == connected || s.state == closing:
		s.pump()
	}
	s.wakeAll()
}

// afterEnd looks whether the connection was reset after the end of the stream, which was
// passed on: writing fails then.
func (s *sock) afterEnd(ev usock.Events) {
	if ev&usock.POLLERR == 0 {
		return
	}
	if e := s.takeError(); e != 0 { // else it is an entry in the error queue
		s.failed(e)
	}
}

// pump moves what can be moved, in both directions.
func (s *sock) pump() {
	if s.far.fd < 0 {
		return
	}
	if s.sctp != nil {
		s.pumpMessages()
		return
	}
	if !s.stream {
		s.pumpDatagrams()
		return
	}
	switch s.state {
	case connecting:
		s.watchConnecting()
		return
	case connected, closing:
	default:
		return
	}
	more := s.pumpUp()
	if s.state == connected && s.far.fd >= 0 {
		more = s.pumpDown() || more
	}
	if s.state == connected && s.up.half == ended {
		s.lookClosed()
	}
	if s.state == released {
		return
	}
	if more {
		s.l.later(s)
	}
	s.wakeAll()
}

// lookClosed looks whether the program has closed a socket that it has shut down for
// writing. A far end that hangs up says so, unless it does so anyway: because the
// program has shut down for reading too, or the end of the stream was passed on.
func (s *sock) lookClosed() {
	switch {
	case s.abort:
		s.reset()
	case !s.far.hungUp:
	case !s.shutRd && s.down.half == flowing:
		s.closed()
	default:
		s.hush(true)
		s.l.scanner.soon()
	}
}

// drain passes on what the program has written up to now, announced by the kernel
// or not yet.
func (s *sock) drain() {
	s.far.readable = true
	s.pump()
}

// watchConnecting looks whether the program has closed a socket that connects.
func (s *sock) watchConnecting() {
	n, e := sysRecv(s.far.fd, s.l.control[:1], unix.MSG_PEEK)
	switch {
	case e == unix.EAGAIN || e == 0 && n > 0 && polled(s.far.fd)&unix.POLLHUP == 0:
	case e == 0 || e == closedUnread:
		s.release()
	default:
		s.l.later(s)
	}
}

// closedUnread is the error of a far end whose program's end was closed with bytes unread.
// There is no other one that says something of the program: the rest is want of memory,
// or a signal.
const closedUnread = unix.ECONNRESET

// pumpUp moves bytes from the program to the stack. It reports whether it stopped
// only to let others have their turn.
func (s *sock) pumpUp() bool {
	for moved := 0; ; {
		if !s.up.empty() && !s.sendUp() {
			if s.abort {
				s.reset() // what has no room yet is lost with the rest (tcp_close)
			}
			return false
		}
		if s.state == closing {
			s.closes(false)
			return false
		}
		if !s.far.readable || s.up.half == ended {
			return false // after the end there is only the byte that stays unread
		}
		if moved >= maxRound {
			return true
		}
		n, e := s.readUp()
		switch {
		case e == closedUnread:
			s.closes(true)
			return false
		case e != 0:
			s.far.readable = e != unix.EAGAIN
			return s.far.readable
		case n == 0 && s.up.half == ending:
			s.endSent()
		case n == 0:
			s.closes(false) // a shutdown is trapped: it would have set up.half
			return false
		default:
			if n < pumpSize && !s.far.ended {
				s.far.readable = false // that was all, and what comes will be told
			}
			if n = s.skipFiller(n); n == 0 {
				continue
			}
			moved += n
			if !s.passUp(n) {
				return false
			}
		}
	}
}

// To take bytes from an AF_UNIX stream wakes who waits for room at its other end, and with
// him who waits there in a receive (unix_write_space): a program that has sent a request
// and waits for the answer. It would run for nothing, on a processor that had to be woken for
// it. So few bytes of a program that waits so are copied and stay where they are
// (MSG_PEEK) until it is given something, or sends more: then it does not wait for an answer.
//
// In the program's buffer a write of one byte costs as much as one of hundreds, and there is room
// for 277; with more than 69 that stay poll does not show POLLOUT, nor does a send that waits go
// on (unix_writable). As many bytes may be as many writes, and stay no longer than longPeeked.
const (
	littlePeeked = 1024
	manyPeeked   = 64
	longPeeked   = time.Millisecond
)

// readUp reads what the program has sent into the loop's blocks.
func (s *sock) readUp() (int, syscall.Errno) {
	if e := s.takePeeked(); e != 0 {
		return 0, e
	}
	if s.waits && !s.asked && !s.much && s.filler == 0 {
		n, e := sysRecv(s.far.fd, s.l.blocks.room(0)[:littlePeeked], unix.MSG_PEEK)
		if e != 0 || n < littlePeeked {
			if s.peeked = n; n >= manyPeeked {
				s.l.peeks.add(s)
			}
			s.asked = n > 0
			return n, e
		}
	}
	n, e := sysReadAll(s.far.fd, &s.l.blocks)
	s.much = n >= littlePeeked
	s.asked = s.asked || n > 0
	if n > pumpSize/2 && !s.wide {
		s.widen()
	}
	return n, e
}

// widen gives a program that fills its end's buffer a larger one, so that it need not wait for the
// supervisor, nor the supervisor for it.
func (s *sock) widen() {
	s.wide = true
	s.reach(func(dup int) {
		if dup >= 0 {
			sysSetInt(dup, unix.SO_SNDBUF, wideSndBuf)
		}
	})
}

// takePeeked takes the bytes that have been passed on already. If it fails they are taken
// later, before others are read.
func (s *sock) takePeeked() syscall.Errno {
	for s.peeked > 0 {
		n, e := sysRecv(s.far.fd, s.l.control[:min(s.peeked, len(s.l.control))], 0)
		switch {
		case e != 0:
			return e
		case n == 0:
			s.peeked = 0 // somebody has taken them with the rest
		default:
			s.peeked -= n
		}
	}
	return 0
}

// peeks are streams of which bytes were left where they are that may be many writes.
type peeks struct {
	socks []*sock
	at    time.Time // when those bytes are taken; zero: there are none
}

func (p *peeks) add(s *sock) {
	if s.inPeeks {
		return
	}
	s.inPeeks = true
	p.socks = append(p.socks, s)
	if p.at.IsZero() {
		p.at = wall().Add(longPeeked)
	}
}

// expire takes the bytes, if it is time.
func (p *peeks) expire(now time.Time) {
	if p.at.IsZero() || now.Before(p.at) {
		return
	}
	for _, s := range p.socks {
		s.inPeeks = false
		s.takePeeked()
	}
	clear(p.socks)
	p.socks, p.at = p.socks[:0], time.Time{}
}

// skipFiller takes the supervisor's own bytes off the head of the n that were read, and
// returns how many are left. They come alone, or before few.
func (s *sock) skipFiller(n int) int {
	if s.filler == 0 {
		return n
	}
	k := min(s.filler, n)
	s.filler -= k
	var all []byte
	for i := range s.l.blocks {
		all = append(all, s.l.blocks.room(i)...)
	}
	n -= k
	for i, rest := 0, all[k:]; i < len(s.l.blocks); i++ {
		rest = rest[copy(s.l.blocks.room(i), rest):]
	}
	return n
}

// littleSent is up to how many bytes are copied to the stack: a block of its own would hold
// more memory than they need.
const littleSent = 8 << 10

// passUp hands the n bytes that were read to the stack and keeps those that it does not
// take; then it reports false.
func (s *sock) passUp(n int) bool {
	if n <= littleSent {
		return s.passLittle(s.l.blocks.room(0)[:n])
	}
	for i := 0; n > 0; i++ {
		d := s.l.blocks[i]
		s.l.blocks[i] = usock.Data{}
		k := min(n, usock.MaxData)
		d.Cut(k)
		n -= k
		s.up.held = append(s.up.held, d)
	}
	return s.sendUp()
}

// passLittle is passUp for bytes that are copied.
func (s *sock) passLittle(b []byte) bool {
	n, err := s.u.Send(b, usock.MSG_NOSIGNAL)
	if n = max(n, 0); n == len(b) {
		return true
	}
	if e := errno(err); err != nil && e != unix.EAGAIN {
		s.failed(e)
		return false
	}
	rest := usock.NewData(len(b) - n)
	copy(rest.Room(), b[n:])
	s.up.held = append(s.up.held, rest)
	return s.sendUp()
}

// sendUp sends the kept bytes and reports whether all are sent.
func (s *sock) sendUp() bool {
	for len(s.up.held) > 0 {
		rest, err := s.u.SendData(s.up.held, usock.MSG_NOSIGNAL)
		s.up.held = rest
		switch e := errno(err); {
		case err == nil:
			// If a part was taken, the rest is tried once more, and says why not.
		case e == unix.EAGAIN:
			return false
		default:
			s.l.drop(&s.up.pending)
			s.failed(e)
			return false
		}
	}
	s.up.held = nil
	return true
}

// endSent ends the stream after a shutdown that found the stack's queue full.
func (s *sock) endSent() {
	s.u.Shutdown(usock.SHUT_WR)
	s.up.half, s.far.readable = ended, false
	s.hush(s.shutRd || s.down.half == ended)
}

// pumpDown moves bytes from the stack to the program.
func (s *sock) pumpDown() bool {
	if s.down.half == ended {
		return false
	}
	if s.giving {
		s.delayed = true
		return false
	}
	for moved := 0; ; {
		if !s.down.empty() && !s.sendDown() {
			return false
		}
		if !s.far.writable || s.pieceWaits() {
			return false
		}
		if moved >= maxRound {
			return true
		}
		// A receive at the mark would skip the urgent byte.
		if at, _ := s.u.AtMark(); at && s.passUrgent() {
			continue
		}
		got, err := s.u.RecvData(pumpSize, 0, s.l.pieces[:0])
		s.l.pieces = got[:0]
		if err != nil {
			e := errno(err)
			if e != unix.EAGAIN {
				s.failed(e)
			}
			return false
		}
		if len(got) == 0 {
			s.down.half = ended
			sysShutdown(s.far.fd, unix.SHUT_WR)
			s.hush(s.up.half == ended)
			s.afterEnd(s.u.Events())
			return false
		}
		for i := range got {
			moved += got[i].Len()
		}
		s.passDown(got)
		s.asked = false
		s.takePeeked()
	}
}

// passDown hands received bytes to the program and keeps those that it does not take.
func (s *sock) passDown(got []usock.Data) {
	rest := got
	for len(rest) > 0 {
		n, e := sysSendAll(s.far.fd, rest)
		if e != 0 {
			s.down.held = append([]usock.Data(nil), rest...)
			break
		}
		rest = usock.TrimData(rest, n)
		s.given += uint64(n)
	}
	clear(got)
}

// passUrgent hands on the urgent byte, which comes after all that was received up to
// its mark, and reports whether it did: it may have been handed on already, be inline,
// or not have arrived. AF_UNIX streams have urgent data as TCP has.
func (s *sock) passUrgent() bool {
	var b [1]byte
	if n, err := s.u.Recv(b[:], usock.MSG_OOB); err != nil || n != 1 {
		return false
	}
	if _, e := sysSendFlags(s.far.fd, b[:], unix.MSG_OOB); e == unix.EPIPE {
		s.lost = true
	}
	s.given++
	return true
}

// sendDown sends the kept bytes to the program and reports whether all are sent.
func (s *sock) sendDown() bool {
	for len(s.down.held) > 0 {
		n, e := sysSendAll(s.far.fd, s.down.held)
		switch {
		case e == unix.EAGAIN || e == unix.EINTR:
			s.full()
			return false
		case e == unix.ENOMEM || e == unix.ENOBUFS:
			s.l.later(s) // nothing tells when there is memory again
			return false
		case e != 0:
			// The program does not receive any more. What is on its way is
			// dropped; if it closed, the pump upwards sees that.
			s.lost = true
			s.l.drop(&s.down.pending)
			return true
		}
		s.down.held = usock.TrimData(s.down.held, n)
		s.given += uint64(n)
	}
	s.l.drop(&s.down.pending)
	return true
}

// flushDown hands the program what came before the connection broke down, as far as
// it takes it.
func (s *sock) flushDown() {
	for s.down.empty() || s.sendDown() {
		got, err := s.u.RecvData(pumpSize, 0, s.l.pieces[:0])
		s.l.pieces = got[:0]
		if err != nil || len(got) == 0 {
			return
		}
		s.passDown(got)
	}
}

// defaultSndBuf is what SO_SNDBUF is set to so that the kernel doubles it to its
// default.
const defaultSndBuf = 106496

// wideSndBuf is SO_SNDBUF for streams that move much: what a program without privileges may have,
// as net.core.wmem_max is by default, which the kernel doubles.
const wideSndBuf = 2 * defaultSndBuf

// lingerAbort is the value of SO_LINGER that has close reset the connection.
var lingerAbort = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 0)

// later has the loop pump s soon.
func (l *loop) later(s *sock) {
	if !s.queued && s.state != released {
		s.queued = true
		l.again = append(l.again, s)
	}
}

package sctp

import (
	"math"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/packet"
)

// Send queues a message, whose references pass to the association if it returns no error: EAGAIN
// where there is no room (SendSpace), EMSGSIZE, EINVAL for a stream that there is not, EPIPE.
func (a *Assoc) Send(now time.Duration, info *SendInfo, data []packet.View) (wait.Events, syscall.Errno) {
	n := 0
	for _, v := range data {
		n += v.Len()
	}
	switch {
	case a.state == Closed || a.state > Established:
		return 0, syscall.EPIPE
	case info.Stream >= a.out:
		return 0, syscall.EINVAL
	case n == 0:
		return 0, syscall.EINVAL // section 3.3.1: there is no DATA without data
	case n > a.snd.bufSize || a.opt.NoFragment && n > a.snd.maxPayload():
		return 0, syscall.EMSGSIZE
	}
	if space := a.SendSpace(); space < n && a.caps&capPR != 0 {
		// What is worth less makes room (RFC 7496, section 4.3).
		prio := uint32(0)
		if info.PR == PRPrio {
			prio = info.PRValue
		}
		a.snd.prune(prio, uint32(n-space))
		a.tellFailed(0)
	}
	if a.SendSpace() == 0 {
		return a.take(), syscall.EAGAIN
	}
	m := outMessage{
		stream: info.Stream, ppid: info.PPID, context: info.Context,
		unordered: info.Unordered, immediate: info.SackNow, policy: info.PR, value: info.PRValue,
	}
	if p := a.path(info.Dst); p != nil {
		m.to = &p.flow
	}
	if info.HasKey && a.auth != nil && info.Key != a.opt.AuthSetup.active() {
		m.key = a.opt.AuthSetup.key(info.Key)
	}
	a.startAutoClose(now)
	a.snd.more = info.More
	a.snd.push(now, &m, data)
	return a.take(), 0
}

// Deafen says that the program reads no more (SHUT_RD): messages that are not there yet are taken from the
// peer and dropped. Notifications are not.
func (a *Assoc) Deafen() { a.rcv.deaf = true }

// SendSpace returns how many bytes of messages fit into the send buffer. A message is taken whole if
// there is room for one byte of it.
func (a *Assoc) SendSpace() int { return a.snd.bufSize - a.Sending() }

// Sending returns how much of the send buffer is taken.
func (a *Assoc) Sending() int { return min(a.snd.charged(), a.snd.bufSize) }

// Unsent reports whether something of the program's has not been sent yet.
func (a *Assoc) Unsent() bool { return a.snd.waiting > 0 }

// readable reports whether Recv has something.
func (a *Assoc) readable() bool { return a.note() != nil || a.rcv.readable() }

// Recv takes up to n bytes of the message at the head of the queue and appends their views, which the
// caller owns, to dst; or it takes the notification there. It reports false if there is neither.
func (a *Assoc) Recv(now time.Duration, n int, dst []packet.View) (views []packet.View, r Received, ok bool) {
	if note := a.note(); note != nil {
		got := *note
		w := a.waiting
		w.noteBytes -= got.cost()
		w.notes = w.notes[1:]
		a.waited()
		return dst, Received{Notification: &got}, true
	}
	var m inMessage
	views, ok = a.rcv.take(n, dst, &m)
	if ok {
		r.RcvInfo = a.rcvInfo(&m)
	}
	return views, r, ok
}

// Peek is Recv of what stays in the queue.
func (a *Assoc) Peek(n int, dst []packet.View) (views []packet.View, r Received, ok bool) {
	if note := a.note(); note != nil {
		got := *note
		return dst, Received{Notification: &got}, true
	}
	var m inMessage
	if !a.rcv.front(&m) {
		return dst, r, false
	}
	m.eor = m.eor && n >= m.length
	r.RcvInfo = a.rcvInfo(&m)
	return a.rcv.peek(0, n, dst), r, true
}

// Ahead copies messages that Recv would take one after the other into b, one behind the other, and notes in ends where each
// of them ends there: those that are whole and find room, up to the first notification. They stay in the queue, and may
// stay there when the program has them: they are no more of the buffer than is read before the peer is told (opened). All are from src.
func (a *Assoc) Ahead(b []byte, ends []uint16) (src netip.Addr, n int) {
	if a.ackTo == nil || a.note() != nil {
		return src, 0
	}
	if notes := a.notes(); len(notes) > 0 {
		ends = ends[:min(uint64(len(ends)), notes[0].behind-a.rcv.read)]
	}
	return a.ackTo.addr, a.rcv.ahead(b, ends)
}

// Took takes the first n of the messages that Ahead has copied out of the queue: the program has them. A notification that
// has come before one of them since then stays.
func (a *Assoc) Took(n int) {
	var room [2]packet.View
	var m inMessage
	for range n {
		views, _ := a.rcv.take(math.MaxInt, room[:0], &m)
		packet.ReleaseAll(views)
	}
}

// note returns the notification at the head of the queue, nil if a message stands there, or nothing.
func (a *Assoc) note() *Notification {
	notes := a.notes()
	if len(notes) == 0 || notes[0].behind > a.rcv.read {
		return nil
	}
	return &notes[0].n
}

// Next returns what SCTP_NXTINFO tells: of the message behind the one that Recv would take, with its
// length as far as it is there. It reports false if there is none or it is a notification.
func (a *Assoc) Next() (r RcvInfo, length int, ok bool) {
	var m inMessage
	notes := a.notes()
	if a.note() != nil || len(notes) > 0 && notes[0].behind <= a.rcv.read+1 || !a.rcv.behind(&m) {
		return r, 0, false
	}
	return a.rcvInfo(&m), m.length, true
}

func (a *Assoc) rcvInfo(m *inMessage) RcvInfo {
	r := RcvInfo{
		Stream: m.stream, SSN: uint32(m.ssn), Unordered: m.unordered, PPID: m.ppid,
		TSN: m.tsn, CumTSN: m.cum, At: m.at, Context: a.opt.Context, EOR: m.eor,
	}
	if a.rcv.interleaved {
		r.SSN = m.mid
	}
	if a.ackTo != nil {
		r.Src = a.ackTo.addr
	}
	return r
}

// Queued returns how many messages and notifications, or parts of a message that is partially
// delivered, have come to the head of the queue since the association began: with it an owner of
// several associations keeps the order among them.
func (a *Assoc) Queued() uint64 { return a.rcv.delivered + a.noted }

// WindowDue reports whether the peer is to be told of the window at once, as Recv has opened it by much.
func (a *Assoc) WindowDue() bool { return a.rcv.ack.now }

// Unrouted returns an address of the peer whose route the association has to know, if any.
func (a *Assoc) Unrouted() (dst netip.Addr, ok bool) {
	for _, p := range a.paths {
		if !p.routed {
			return p.addr, true
		}
	}
	return dst, false
}

// SetRoute says how dst is reached: from which address, not valid where there is no route, and with
// which MTU. The owner calls it anew when routes change.
func (a *Assoc) SetRoute(dst, src netip.Addr, mtu int) {
	p := a.path(dst)
	if p == nil {
		return
	}
	p.routed = true
	if src.IsValid() && !p.src.IsValid() {
		p.src = src
	}
	if mtu == 0 && !p.src.IsValid() {
		// Messages are not cut for a path that nothing can take.
		a.snd.setMTU(&p.flow, maxChunk, a.headers(p))
	}
	if mtu != 0 {
		p.routeMTU = int32(mtu)
		if p.opt.NoPMTUD && p.opt.PathMTU != 0 {
			mtu = int(p.opt.PathMTU)
		}
		a.snd.setMTU(&p.flow, mtu, a.headers(p))
		a.rcv.mtu = p.flow.mtu
	}
}

// Status returns what SCTP_STATUS tells.
func (a *Assoc) Status() Status {
	s := Status{State: a.state, InStreams: a.in, OutStreams: a.out, FragmentPoint: a.FragmentPoint()}
	if a.primary != nil {
		s.Primary = a.primary.addr
	}
	s.RWnd, s.Unacked, s.Pending = a.snd.rwnd(), a.snd.unacked(), int(a.rcv.delivered-a.rcv.read)
	s.Missing = a.rcv.missing()
	s.Advertised = uint32(a.rcv.edge - min(a.rcv.edge, a.rcv.got))
	s.Held, s.Waiting, s.Errors = a.rcv.payload, a.snd.messages, a.errors
	s.AckDue = a.rcv.ack.packets > 0 || a.rcv.got == 0
	return s
}

// FragmentPoint returns the most user data in a chunk.
func (a *Assoc) FragmentPoint() int { return a.snd.maxPayload() }

// Peers returns the peer's addresses.
func (a *Assoc) Peers(dst []netip.Addr) []netip.Addr {
	a.flags &^= addrsChanged
	return a.Addrs(dst)
}

// Addrs is Peers for who only looks: to AddrsChanged it is no call.
func (a *Assoc) Addrs(dst []netip.Addr) []netip.Addr {
	for _, p := range a.paths {
		dst = append(dst, p.addr)
	}
	return dst
}

// AddrsChanged reports whether Peers has changed since it was last called.
func (a *Assoc) AddrsChanged() bool { return a.flags&addrsChanged != 0 }

// Local returns the addresses of this end that the peer is told of.
func (a *Assoc) Local() []netip.Addr { return a.local }

// Path returns what is known of the path to an address of the peer, false if there is none; an
// address that is not valid is the primary path's.
func (a *Assoc) Path(addr netip.Addr) (i PathInfo, ok bool) {
	p := a.path(addr)
	if !addr.IsValid() {
		p = a.primary
	}
	if p == nil {
		return i, false
	}
	i = PathInfo{
		Addr: p.addr, State: p.state, Primary: p == a.primary, Cwnd: int(p.cwnd),
		SRTT: p.srtt, RTO: p.flow.rto, MTU: int(p.flow.mtu), Options: *p.opt,
		SSThresh: p.ssthresh, Errors: p.errors,
	}
	if p.traffic != nil {
		i.PartialAcked, i.InFlight = p.pba, p.flight
	}
	return i, true
}

// SetPath changes the parameters of the path to addr, of all paths and those to come if addr is not valid.
func (a *Assoc) SetPath(now time.Duration, addr netip.Addr, o *PathOptions) syscall.Errno {
	if addr.IsValid() && a.path(addr) == nil {
		return syscall.EINVAL
	}
	if !addr.IsValid() {
		a.Change().Path = *o
	}
	opt := *o
	for _, p := range a.paths {
		if addr.IsValid() && p.addr != addr {
			continue
		}
		search := p.opt.ProbeIntvl != o.ProbeIntvl || p.opt.NoPMTUD != o.NoPMTUD
		p.opt = &opt
		mtu := int(p.routeMTU)
		if o.NoPMTUD && o.PathMTU != 0 {
			mtu = int(o.PathMTU)
		}
		a.snd.setMTU(&p.flow, mtu, a.headers(p))
		if search {
			a.startProbe(now, p)
		}
		if a.state.beats() && !p.hb.waiting && p.confirmed() {
			p.hb.at = a.nextHeartbeat(now, p)
		}
	}
	return 0
}

// SetPrimary makes the path to addr the primary one.
func (a *Assoc) SetPrimary(now time.Duration, addr netip.Addr) syscall.Errno {
	p := a.path(addr)
	if p == nil {
		return syscall.EINVAL
	}
	if p != a.primary {
		a.primary = p
		a.choosePaths()
		a.notifyPath(p, AddrMadePrim, 0)
	}
	return 0
}

package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/packet"
)

// Recv implements socket.Proto (Linux, sctp_recvmsg). What does not fit stays for the next call:
// nothing is cut.
func (t *sctpProto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	e := sctpOf(s)
	flags, mayFetch := m.Flags, s.MayPrefetch(m)
	m.Flags = 0
	switch {
	case flags&abi.MSG_ERRQUEUE != 0:
		return 0, socket.ErrNever // no error is queued
	case e.one() && e.stage == sctpListening:
		return 0, syscall.ENOTCONN
	}
	e.settle()
	if mayFetch && len(t.faulty) == 0 && e.fetch(m.Max) {
		if n, ok := t.RecvPrefetched(s, m); ok {
			return n, nil
		}
		e.settle() // other receivers were faster
	}
	x := e.next()
	if x == nil {
		return 0, e.nothing(flags)
	}
	peek := flags&abi.MSG_PEEK != 0
	if e.rest != nil {
		return e.rested(x, m, peek), nil
	}
	var r sctp.Received
	var ok bool
	before := len(m.Data)
	if peek {
		m.Data, r, ok = x.core.Peek(m.Max, m.Data)
	} else {
		m.Data, r, ok = x.core.Recv(t.now(), m.Max, m.Data)
	}
	if !ok {
		return 0, syscall.EAGAIN
	}
	if r.Notification != nil {
		e.rest = x.notification(r.Notification)
		n := e.rested(x, m, peek)
		if peek {
			e.rest = nil
		}
		return n, nil
	}
	n := 0
	for _, v := range m.Data[before:] {
		n += v.Len()
	}
	m.Addr = e.show(r.Src, x.peer)
	if r.EOR {
		m.Flags |= abi.MSG_EOR
	}
	if m.Want {
		m.Control = e.control(s.AppendArrival(m.Control[:0], r.At), x, &r, peek)
	}
	if !peek {
		e.rxBytes += uint64(n)
		t.carried(x, n, 0)
		e.taken(x, r.EOR)
		e.hasRead(x)
		if f := t.faultyOf(x); f != nil {
			f.took(n)
		}
	}
	return n, nil
}

// next returns the association of the message or notification that is to be read; nil: there is none.
// Where a message was read in part its rest comes before all else, unless SCTP_FRAGMENT_INTERLEAVE
// lets others go before.
func (e *sctpEndpoint) next() *sctpAssoc {
	if e.sctpReading == nil {
		return nil
	}
	e.skip()
	if x := e.begun; x != nil && e.options.Interleave == 0 && e.rest == nil {
		switch {
		case x.unread > 0 && x.core.Readable():
			return x
		case !x.over:
			return nil
		}
		e.begun = nil
	}
	if e.read < len(e.arrived) {
		return e.arrived[e.read]
	}
	return nil
}

// skip leaves out entries of the queue that another socket has, or whose parts of a message were read
// with those before them.
func (e *sctpEndpoint) skip() {
	for e.read < len(e.arrived) && e.rest == nil {
		x := e.arrived[e.read]
		if x != nil && x.core.Readable() {
			break
		}
		e.pop(x)
	}
	if e.read >= len(e.arrived)/2 {
		// What was read goes, also where the queue is never empty.
		n := copy(e.arrived, e.arrived[e.read:])
		clear(e.arrived[n:])
		e.arrived, e.read = e.arrived[:n], 0
	}
}

// give takes what is to be read of x out of the queue, for another socket.
func (e *sctpEndpoint) give(x *sctpAssoc) *sctpReading {
	e.settle()
	if e.sctpReading == nil || x.unread == 0 && e.begun != x {
		return nil
	}
	r := new(sctpReading)
	if e.rest != nil && e.next() == x {
		r.rest, e.rest = e.rest, nil
	}
	if e.begun == x {
		r.begun, e.begun = x, nil
	}
	for i, o := range e.arrived[e.read:] {
		if o == x {
			r.arrived = append(r.arrived, x)
			e.arrived[e.read+i] = nil
		}
	}
	e.skip()
	return r
}

// pop takes the first entry for x out of the queue, and frees an association that is over with the
// last thing that it had to tell.
func (e *sctpEndpoint) pop(x *sctpAssoc) {
	i := e.read + slices.Index(e.arrived[e.read:], x)
	if e.arrived[i] = nil; i == e.read {
		e.read++
	}
	if x == nil {
		return
	}
	if x.unread--; x.unread == 0 && x.over {
		x.core.Release()
	}
}

// taken follows a read of x's; whole says that it was the end of its entry.
func (e *sctpEndpoint) taken(x *sctpAssoc, whole bool) {
	e.begun = x
	if whole {
		e.begun = nil
		e.pop(x)
	}
	e.skip()
}

// nothing is what a read fails with where there is nothing to be read (Linux,
// sctp_skb_recv_datagram and sctp_wait_for_packet).
func (e *sctpEndpoint) nothing(flags int) error {
	if err := e.s.TakeErr(); err != nil {
		return err
	}
	switch {
	case e.shutRD:
		return nil
	case flags&abi.MSG_DONTWAIT == 0 && e.count == 0 && e.stage != sctpListening:
		return syscall.ENOTCONN
	}
	return syscall.EAGAIN
}

// rested receives from a notification that was begun.
func (e *sctpEndpoint) rested(x *sctpAssoc, m *socket.Msg, peek bool) int {
	n := min(m.Max, len(e.rest))
	m.Flags |= abi.MSG_NOTIFICATION
	if n == len(e.rest) {
		m.Flags |= abi.MSG_EOR
	}
	if n > 0 {
		m.Data = append(m.Data, packet.Copy(e.rest[:n]))
	}
	if p, ok := x.core.Path(netip.Addr{}); ok {
		m.Addr = e.show(p.Addr, x.peer)
	}
	if m.Want {
		m.Control = e.nextControl(e.s.AppendArrival(m.Control[:0], 0), x, peek, false)
	}
	if peek {
		return n
	}
	if e.rest = e.rest[n:]; len(e.rest) == 0 {
		e.rest = nil
		e.taken(x, true)
	}
	return n
}

// discard drops what is to be read and reports whether a message was among it.
func (e *sctpEndpoint) discard() (unread bool) {
	e.settle()
	for x := e.next(); x != nil; x = e.next() {
		if e.rest != nil {
			e.rest = nil
			e.pop(x)
			continue
		}
		views, r, ok := x.core.Recv(x.now(), maxQueued, nil)
		packet.ReleaseAll(views)
		unread = unread || ok && r.Notification == nil
		if !ok || r.EOR || r.Notification != nil {
			e.pop(x)
		}
	}
	return unread
}

// control appends the control messages of a message of x's that was received, or peeked at.
func (e *sctpEndpoint) control(b []byte, x *sctpAssoc, r *sctp.Received, peeked bool) []byte {
	b = e.nextControl(b, x, peeked, !r.EOR)
	flags := uint16(0)
	cum := uint32(0)
	if r.Unordered {
		flags, cum = abi.SCTP_UNORDERED, r.CumTSN
	}
	if e.own.rcvinfo {
		b = appendInfo(b, abi.SCTP_RCVINFO, &abi.SCTPRcvinfo{
			SID: r.Stream, Ssn: uint16(r.SSN), Flags: flags, PPID: r.PPID, TSN: r.TSN, Cumtsn: cum,
			Context: r.Context, AssocID: x.id,
		})
	}
	if e.options.Events.Has(sctp.EventDataIO) {
		b = appendInfo(b, abi.SCTP_SNDRCV, &abi.SCTPSndrcvinfo{
			Stream: r.Stream, Ssn: uint16(r.SSN), Flags: flags, PPID: r.PPID, TSN: r.TSN, Cumtsn: cum,
			Context: r.Context, AssocID: x.id,
		})
	}
	return b
}

// nextControl appends SCTP_NXTINFO, if that is asked for: of what is behind the first thing to be read,
// which is of x's; of that itself where it was only peeked at, as on Linux. part says that a part of the
// first one stays.
func (e *sctpEndpoint) nextControl(b []byte, x *sctpAssoc, peeked, part bool) []byte {
	if !e.own.nxtinfo {
		return b
	}
	i := e.read + slices.Index(e.arrived[e.read:], x)
	if !peeked {
		i++
	}
	for i < len(e.arrived) && e.arrived[i] == nil {
		i++
	}
	if i >= len(e.arrived) {
		return b
	}
	y := e.arrived[i]
	info := abi.SCTPNxtinfo{AssocID: y.id}
	var r sctp.RcvInfo
	n, ok := 0, false
	if y == x && part && !peeked {
		if r, n, ok = x.core.Next(); !ok {
			return b
		}
	} else {
		views, got, _ := y.core.Peek(maxQueued, nil)
		for _, v := range views {
			n += v.Len()
		}
		packet.ReleaseAll(views)
		if r = got.RcvInfo; got.Notification != nil {
			n, info.Flags = len(y.notification(got.Notification)), abi.SCTP_NOTIFICATION
		}
	}
	info.SID, info.PPID, info.Length = r.Stream, r.PPID, uint32(n)
	if r.Unordered {
		info.Flags |= abi.SCTP_UNORDERED
	}
	return appendInfo(b, abi.SCTP_NXTINFO, &info)
}

func appendInfo(b []byte, typ int, v abi.Layout) []byte {
	return abi.AppendCmsg(b, abi.SOL_SCTP, typ, abi.AppendStruct(nil, v))
}

// notification returns a notification in Linux's layout.
func (x *sctpAssoc) notification(n *sctp.Notification) []byte {
	head := abi.SCTPNotification{Type: uint16(n.Type), Flags: n.Flags}
	var v abi.Notification
	switch n.Type {
	case sctp.EventAssocChange:
		v = &abi.SCTPAssocChange{
			SCTPNotification: head, State: uint16(n.State), Error: uint16(n.Error),
			OutboundStreams: n.OutStreams, InboundStreams: n.InStreams, AssocID: x.id,
		}
	case sctp.EventPeerAddrChange:
		v = &abi.SCTPPaddrChange{
			SCTPNotification: head, Addr: x.e.show(n.Addr, x.peer), State: n.State, Error: int32(n.Error), AssocID: x.id,
		}
	case sctp.EventRemoteError:
		v = &abi.SCTPRemoteError{SCTPNotification: head, Error: uint16(n.Error), AssocID: x.id}
	case sctp.EventSendFailed:
		i := x.failed(&n.Info)
		v = &abi.SCTPSendFailed{SCTPNotification: head, Error: rawCause(n.Error), AssocID: x.id, Info: abi.SCTPSndrcvinfo{
			Stream: i.SID, Flags: i.Flags, PPID: i.PPID, Context: i.Context, AssocID: x.id,
		}}
	case sctp.EventSendFailedEvent:
		v = &abi.SCTPSendFailedEvent{SCTPNotification: head, Error: rawCause(n.Error), AssocID: x.id, Info: x.failed(&n.Info)}
	case sctp.EventShutdown, sctp.EventSenderDry:
		v = &abi.SCTPShutdownEvent{SCTPNotification: head, AssocID: x.id}
	case sctp.EventAdaptation:
		v = &abi.SCTPAdaptationEvent{SCTPNotification: head, AdaptationInd: n.Ind, AssocID: x.id}
	case sctp.EventPartialDelivery:
		v = &abi.SCTPPdapiEvent{
			SCTPNotification: head, Indication: uint32(n.State), AssocID: x.id, Stream: uint32(n.Stream), Seq: n.Ind,
		}
	case sctp.EventAuth:
		v = &abi.SCTPAuthkeyEvent{SCTPNotification: head, Keynumber: uint16(n.Ind), Indication: uint32(n.State), AssocID: x.id}
	case sctp.EventStreamReset:
		var list []byte
		for _, id := range n.Streams {
			list = appendNative16(list, id)
		}
		return abi.AppendNotification(nil, &abi.SCTPStreamResetEvent{SCTPNotification: head, AssocID: x.id}, list)
	case sctp.EventAssocReset:
		// Linux has the peer's as the local one.
		v = &abi.SCTPAssocResetEvent{SCTPNotification: head, AssocID: x.id, LocalTSN: n.RemoteTSN, RemoteTSN: n.LocalTSN}
	case sctp.EventStreamChange:
		v = &abi.SCTPStreamChangeEvent{SCTPNotification: head, AssocID: x.id, Instrms: n.InStreams, Outstrms: n.OutStreams}
	}
	return abi.AppendNotification(nil, v, n.Data)
}

// Of a message that has failed Linux tells the flags of its DATA chunk, and not those that it was sent
// with: B, E and U (RFC 9260, section 3.3.1).
const (
	wholeChunk     = 3
	unorderedChunk = 4
)

// failed says how a message was sent that has failed.
func (x *sctpAssoc) failed(i *sctp.SendInfo) abi.SCTPSndinfo {
	out := abi.SCTPSndinfo{SID: i.Stream, Flags: wholeChunk, PPID: i.PPID, Context: i.Context, AssocID: x.id}
	if i.Unordered {
		out.Flags |= unorderedChunk
	}
	return out
}

// rawCause is a cause code as Linux has it in a number of 32 bits: the two bytes of the packet.
func rawCause(code uint32) uint32 {
	return uint32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(code))))
}

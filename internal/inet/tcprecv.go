package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/packet"
)

// How a TCP socket receives. A call that waits comes here again with what it has had
// (socket.Msg.Before), until that is enough or one of these questions ends it.

// Recv implements socket.Proto.
func (t *tcpProto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	e := endpointOf(s)
	flags := m.Flags
	if flags&abi.MSG_ERRQUEUE != 0 {
		m.Flags = 0
		return e.recvError(m)
	}
	before, _ := e.conn.Received()
	n, err := t.recv(e, m)
	if err != nil {
		return 0, err
	}
	if m.Before > 0 && n == 0 {
		if e.inq && len(m.Control) > 0 {
			m.Control = m.Control[:len(m.Control)-len(e.hint())]
			m.Control = append(m.Control, e.hint()...)
		}
		return 0, nil
	}
	m.Control = m.Control[:0]
	if m.Want && e.stamps != nil {
		m.Control = e.arrivalControl(m.Control, before, n, flags)
	}
	if e.inq && m.Want {
		m.Control = append(m.Control, e.hint()...)
	}
	return n, nil
}

// hint is TCP_INQ's control message, which is the last one.
func (e *tcpEndpoint) hint() []byte {
	return abi.AppendCmsg(nil, abi.SOL_TCP, abi.TCP_INQ, abi.AppendInt(nil, e.conn.InqHint()))
}

// recv is Recv without control messages. The order of the questions is Linux's
// (tcp_recvmsg_locked): after the peer's FIN no error shows any more.
func (t *tcpProto) recv(e *tcpEndpoint, m *socket.Msg) (int, error) {
	s, flags := e.s, m.Flags
	m.Flags = 0
	switch {
	case e.listener != nil:
		return 0, syscall.ENOTCONN
	case flags&abi.MSG_OOB != 0:
		return t.recvUrgent(e, m, flags)
	}
	if e.faulty() != nil {
		if e.faulty().stopped && e.conn.Err() == nil {
			if m.Before > 0 {
				return 0, nil
			}
			return 0, syscall.EAGAIN
		}
		if e.conn.Buffered() > 0 {
			m.Max = e.faulty().may(m.Max)
		}
	}
	off := 0
	if flags&abi.MSG_PEEK != 0 {
		off = e.peekFrom(m)
	}
	switch {
	case m.Max == 0 && (m.Waited || e.conn.InqHint() > off):
		return 0, nil // whatever is there, were it the urgent byte, and whatever has woken it
	case m.Before > 0 && e.conn.MarkAt(off):
		return 0, nil // one receive does not go past the mark
	case flags&abi.MSG_PEEK == 0 && m.Max > 0 && e.conn.AtMark():
		e.conn.PassUrgent(e.now())
	}
	if e.conn.BufferedFrom(off) > 0 {
		return t.take(e, m, off, flags), nil
	}
	if e.conn.EOF() {
		return 0, nil
	}
	if m.Before > 0 && (s.Err() != 0 || e.conn.Err() != nil || e.conn.State() == tcp.Closed) {
		return 0, nil // the next call's
	}
	if err := e.takeErr(); err != nil {
		return 0, err
	}
	switch {
	case e.conn.ReadShut():
		return 0, nil
	case e.conn.State() == tcp.Closed:
		return 0, syscall.ENOTCONN
	}
	return 0, syscall.EAGAIN
}

// peekFrom returns at which byte of those received a peek is to look: behind SO_PEEK_OFF,
// which has moved on with what the call has seen, or behind that itself. If others have
// received meanwhile, the call goes on with what is the first byte by now (Linux,
// tcp_recvmsg_locked).
func (e *tcpEndpoint) peekFrom(m *socket.Msg) int {
	if off := int(e.s.Opt.PeekOff); off >= 0 {
		return off
	}
	base, _ := e.conn.Received()
	if m.Before == 0 {
		m.Base = base
	}
	if m.Base != base {
		return 0
	}
	off := m.Before
	if off > 0 && e.conn.AtMark() && !e.conn.Options().OOBInline {
		off++ // it has passed over the urgent byte
	}
	return off
}

// take moves or, with MSG_PEEK, shows received data, from the byte at off on.
func (t *tcpProto) take(e *tcpEndpoint, m *socket.Msg, off, flags int) int {
	had := len(m.Data)
	if flags&abi.MSG_PEEK != 0 {
		m.Data = e.conn.Peek(m.Max, off, m.Data)
	} else {
		m.Data = e.conn.Read(e.now(), m.Max, m.Data)
	}
	n := 0
	for _, v := range m.Data[had:] {
		n += v.Len()
	}
	if flags&abi.MSG_TRUNC != 0 {
		packet.ReleaseAll(m.Data[had:])
		m.Data = m.Data[:had]
	}
	if flags&abi.MSG_PEEK == 0 {
		e.s.Opt.Taken(n)
		t.update(e, 0)
		if e.faulty() != nil {
			e.faulty().took(n)
		}
	} else {
		e.s.Opt.Peeked(n)
	}
	return n
}

func (t *tcpProto) recvUrgent(e *tcpEndpoint, m *socket.Msg, flags int) (int, error) {
	b, err := e.conn.ReadUrgent(flags&abi.MSG_PEEK != 0)
	if err == syscall.EAGAIN {
		err = socket.ErrNever
	}
	if err != nil {
		return 0, err
	}
	m.Flags |= abi.MSG_OOB
	if m.Max == 0 {
		m.Flags |= abi.MSG_TRUNC
		return 0, nil
	}
	m.Data = append(m.Data, packet.Copy([]byte{b}))
	return 1, nil
}

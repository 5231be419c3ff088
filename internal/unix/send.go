package unix

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/packet"
)

// Send implements socket.Proto. It takes over all views unless it fails.
func (p proto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := pcb(s)
	by, err := e.control(m.Control)
	if err != nil {
		return 0, err
	}
	if m.Flags&abi.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	switch e.typ {
	case abi.SOCK_STREAM:
		return e.sendStream(m, by)
	case abi.SOCK_SEQPACKET:
		return e.sendRecord(m, by)
	default:
		return e.sendDatagram(m, by)
	}
}

// room is what Linux checks when it allocates a message: the pending error, the
// direction, the send buffer, which the last message may exceed.
func (e *endpoint) room() error {
	if err := e.sock.TakeErr(); err != nil {
		return err
	}
	if e.shut&shutSend != 0 {
		return syscall.EPIPE
	}
	if e.charged >= e.sndbuf() {
		return syscall.EAGAIN
	}
	return nil
}

// deliver puts the views into o's queue.
func (e *endpoint) deliver(o *endpoint, views []packet.View, by signature) int {
	m := newMessage(e, views)
	m.signature = e.sign(by, o)
	o.queue.push(m)
	o.notify(wait.In)
	return m.n
}

// sendStream is unix_stream_sendmsg.
func (e *endpoint) sendStream(m *socket.Msg, by signature) (int, error) {
	if m.HasAddr {
		if e.state == established {
			return 0, syscall.EISCONN
		}
		return 0, syscall.EOPNOTSUPP
	}
	if e.peer == nil {
		return 0, syscall.ENOTCONN
	}
	// A call that goes on asks for the pending error first, as it does when it waits for room.
	if e.shut&shutSend != 0 && m.Before == 0 && !m.Waited {
		return 0, syscall.EPIPE
	}
	if length(m.Data) == 0 {
		packet.ReleaseAll(m.Data)
		return 0, nil
	}
	if err := e.room(); err != nil {
		return 0, err
	}
	if e.peer.dead || e.peer.shut&shutRecv != 0 {
		return 0, syscall.EPIPE
	}
	return e.deliverStream(m.Data, by), nil
}

// deliverStream delivers views for which there is room: the last one may exceed it.
func (e *endpoint) deliverStream(views []packet.View, by signature) int {
	n := 0
	for i := range views {
		if i > 0 && e.room() != nil {
			packet.ReleaseAll(views[i:])
			break
		}
		n += e.deliver(e.peer, views[i:i+1], by)
	}
	return n
}

func length(views []packet.View) int {
	n := 0
	for _, v := range views {
		n += v.Len()
	}
	return n
}

// sendRecord is unix_seqpacket_sendmsg. An address is ignored.
func (e *endpoint) sendRecord(m *socket.Msg, by signature) (int, error) {
	if err := e.sock.TakeErr(); err != nil {
		return 0, err
	}
	if e.state != established {
		return 0, syscall.ENOTCONN
	}
	if e.passCred {
		if err := e.autobind(); err != nil {
			return 0, err
		}
	}
	if err := e.fits(m); err != nil {
		return 0, err
	}
	if e.peer.dead || e.peer.shut&shutRecv != 0 {
		return 0, syscall.EPIPE
	}
	return e.deliver(e.peer, m.Data, by), nil
}

// fits checks the length of a record, and the room for it.
func (e *endpoint) fits(m *socket.Msg) error {
	if length(m.Data) > e.sndbuf()-32 {
		return syscall.EMSGSIZE
	}
	return e.room()
}

// sendDatagram is unix_dgram_sendmsg.
func (e *endpoint) sendDatagram(m *socket.Msg, by signature) (int, error) {
	if m.HasAddr {
		if _, err := checkAddr(m.Addr); err != nil {
			return 0, err
		}
	}
	if e.passCred {
		if err := e.autobind(); err != nil {
			return 0, err
		}
	}
	if err := e.fits(m); err != nil {
		return 0, err
	}
	o := e.peer
	if m.HasAddr {
		var err error
		if o, err = e.find(m.Addr); err != nil {
			return 0, err
		}
	} else if o == nil {
		return 0, syscall.ENOTCONN
	}
	if !e.maySend(o) {
		return 0, syscall.EPERM
	}
	if o.dead {
		// Only a connected socket can still see a dead one.
		e.peer, e.state = nil, closed
		e.disconnected(o)
		return 0, syscall.ECONNREFUSED
	}
	if o.shut&shutRecv != 0 {
		return 0, syscall.EPIPE
	}
	// Sockets that are each other's peers are bounded by the send buffer alone.
	if o != e && o.peer != e && o.full() {
		e.wait(o)
		return 0, syscall.EAGAIN
	}
	return e.deliver(o, m.Data, by), nil
}

package unix

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Recv implements socket.Proto.
func (p proto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	e := pcb(s)
	peek := m.Flags&abi.MSG_PEEK != 0
	asked := m.Flags
	m.Flags = 0
	switch {
	case e.typ == abi.SOCK_STREAM && e.state != established:
		return 0, syscall.EINVAL
	case e.typ == abi.SOCK_SEQPACKET && e.state != established:
		return 0, syscall.ENOTCONN
	case asked&abi.MSG_OOB != 0:
		return 0, syscall.EOPNOTSUPP
	case e.typ == abi.SOCK_STREAM:
		return e.recvStream(m, peek)
	default:
		return e.recvRecord(m, asked, peek)
	}
}

// recvRecord is unix_dgram_recvmsg.
func (e *endpoint) recvRecord(m *socket.Msg, asked int, peek bool) (int, error) {
	if err := e.sock.TakeErr(); err != nil {
		return 0, err
	}
	k, skip := e.first(peek)
	if k == nil {
		if e.shut&shutRecv != 0 && (e.typ == abi.SOCK_SEQPACKET || asked&abi.MSG_DONTWAIT == 0) {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	e.source(m, k)
	whole := k.n - skip
	var n int
	m.Data, n = k.appendViews(m.Data, skip, min(m.Max, whole))
	m.Len = whole
	if n < whole {
		m.Flags |= abi.MSG_TRUNC
	}
	e.attach(m, k.signature)
	if peek {
		e.sock.Opt.Peeked(n)
	} else {
		e.sock.Opt.Taken(k.n)
		e.queue.pop()
		e.wakeWaiters()
	}
	if asked&abi.MSG_TRUNC != 0 {
		n = whole
	}
	return n, nil
}

// first returns the message to be received, and at which byte to begin: with
// SO_PEEK_OFF, peeking looks at what is behind that offset.
func (e *endpoint) first(peek bool) (*message, int) {
	if !peek || e.sock.Opt.PeekOff < 0 {
		return e.queue.head, 0
	}
	skip := int(e.sock.Opt.PeekOff)
	for k := e.queue.head; k != nil; k = k.next {
		// An empty record is passed over only by an offset (__skb_try_recv_from_queue).
		if skip >= k.n && (k.n > 0 || skip > 0) {
			skip -= k.n
			continue
		}
		return k, skip
	}
	return nil, 0
}

// source stores the sender's name, if it has one.
func (e *endpoint) source(m *socket.Msg, k *message) {
	if k.from.name != nil {
		m.Addr = k.from.name.addr()
	}
}

// recvStream is unix_stream_read_generic: bytes of one message after another,
// never of two senders' at once where SO_PASSCRED tells them apart.
func (e *endpoint) recvStream(m *socket.Msg, peek bool) (int, error) {
	skip := 0
	if peek {
		skip = max(int(e.sock.Opt.PeekOff), 0)
	}
	if peek && m.Before > 0 {
		return 0, nil // peeking waits for the first byte alone
	}
	if e.queue.bytes <= skip {
		return 0, e.streamEnd(m)
	}
	by, came := m.Sender.(signature) // of what is received
	n := 0
	for k := e.queue.head; k != nil; {
		if skip >= k.n {
			skip -= k.n
			k = k.next
			continue
		}
		if came && e.passCred && k.signature != by {
			break
		}
		if !came {
			came, by = true, k.signature
			if e.passCred {
				m.Sender = by
			}
			if m.Before == 0 {
				e.source(m, k)
			}
		}
		var got int
		m.Data, got = k.appendViews(m.Data, skip, min(m.Max-n, k.n-skip))
		n, skip = n+got, 0
		next := k.next
		if peek {
			e.sock.Opt.Peeked(got)
		} else {
			e.queue.consume(got)
			e.sock.Opt.Taken(got)
			if k.n == 0 {
				e.queue.pop()
			}
		}
		if n == m.Max {
			break
		}
		k = next
	}
	e.attach(m, by)
	return n, nil
}

// streamEnd returns nil at the end of the stream, or where a receive that has had some has
// to end: an error ends it, and is told by no other then (unix_stream_read_generic).
func (e *endpoint) streamEnd(m *socket.Msg) error {
	if err := e.sock.TakeErr(); err != nil && m.Before == 0 {
		return err
	} else if err != nil {
		return nil
	}
	if e.shut&shutRecv == 0 {
		return syscall.EAGAIN
	}
	if m.Before == 0 {
		e.attach(m, signature{has: true}) // nobody's: Linux gives zeros
	}
	return nil
}

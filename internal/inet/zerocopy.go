package inet

import (
	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// MSG_ZEROCOPY (Documentation/networking/msg_zerocopy.rst): sends are numbered, and the
// queue of errors tells up to which the program may have its memory back. It has it at
// once: what is sent was copied, and that is told, too.

const zeroCopyCopied = 1 // SO_EE_CODE_ZEROCOPY_COPIED

// zeroCopies reports whether a send is to be told of.
func zeroCopies(s *socket.Socket, flags int) bool {
	return flags&abi.MSG_ZEROCOPY != 0 && s.Opt.Has(socket.ZeroCopy)
}

// completed adds send number id to a queue of errors. Numbers that follow each other are
// told together.
func completed(list []queuedError, id uint32) []queuedError {
	if n := len(list); n > 0 {
		if last := &list[n-1]; last.origin == originZeroCopy && last.key+1 == id {
			last.key = id
			return list
		}
	}
	if len(list) >= maxErrors {
		return list
	}
	x := queuedError{origin: originZeroCopy, key: id}
	x.Code, x.Info = zeroCopyCopied, id
	return append(list, x)
}

// complete tells of a datagram.
func (d *dgram) complete() {
	d.errors = completed(d.errors, d.zeroID)
	d.zeroID++
	d.s.Notify(wait.Err)
}

// Tell implements socket.Teller.
func (t *tcpProto) Tell(s *socket.Socket, m *socket.Msg) {
	e := endpointOf(s)
	if m.Done {
		st := e.times()
		st.errors = completed(st.errors, st.zeroID)
		st.zeroID++
		s.Notify(wait.Err)
	}
	if m.Stamps != 0 {
		e.wrote(m.Stamps)
		if ev := e.stampSent(); ev != 0 {
			s.Notify(ev)
		}
	}
}

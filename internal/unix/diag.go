package unix

import "usock/internal/socket"

// Describe implements socket.Proto.
func (p proto) Describe(s *socket.Socket, in *socket.Info) {
	e := pcb(s)
	in.Local, in.RecvQ, in.SendQ = e.name.addr(), e.queue.bytes, e.charged
	switch {
	case e.state == listening:
		in.State, in.RecvQ, in.SendQ = socket.Listening, len(e.pending), e.backlog
	case e.peer != nil:
		in.State, in.Peer = socket.Established, e.peer.name.addr()
	}
}

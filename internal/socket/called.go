package socket

import (
	"usock/internal/abi"
	"usock/trace"
)

// called tells who listens to events of a call that has ended: its count, or -1 and its error.
// It is small enough to be part of its callers, so that nothing is done where nobody listens.
func (s *Socket) called(call string, n int, err error) {
	if s.Host.Tracing() {
		s.tellCalled(call, n, err)
	}
}

// received is called of a receive, and returns what that returns.
func (s *Socket) received(n int, err error) (int, error) {
	s.called("recv", n, err)
	return n, err
}

// accepted tells of an accept, with the peer of the socket that it made.
func (s *Socket) accepted(n *Socket, err error) {
	if s.Host.Tracing() {
		s.tellAccepted(n, err)
	}
}

func (s *Socket) tellAccepted(n *Socket, err error) {
	var peer abi.Addr // of n, whatever has become of its connection
	if err == nil {
		n.Host.Enter() // which may be another domain
		if !n.closed {
			peer, _ = n.Proto.Peer(n)
		}
		n.Host.Leave()
	}
	s.Host.Enter()
	defer s.Host.Leave()
	if log := s.Host.Log(); log != nil {
		var e trace.Event
		s.complete(&e, "accept", 0, err)
		if err == nil {
			e.Peer = peer.AddrPort()
		}
		log.Add(&e)
	}
}

func (s *Socket) tellCalled(call string, n int, err error) {
	s.Host.Enter()
	defer s.Host.Leave()
	if log := s.Host.Log(); log != nil {
		s.tell(log, call, n, err)
	}
}

// tell logs a call. Locked.
func (s *Socket) tell(log *trace.Log, call string, n int, err error) {
	var e trace.Event
	s.complete(&e, call, n, err)
	log.Add(&e)
}

// complete makes e that of a call. Locked.
func (s *Socket) complete(e *trace.Event, call string, n int, err error) {
	e.Time, e.Kind, e.Call, e.Result, e.Socket, e.Owner = s.Host.Now(), trace.Called, call, n, s.ID, s.Owner.Load()
	if err != nil {
		e.Result, e.Err = -1, err.Error()
	}
	if !s.closed {
		e.Protocol = uint8(s.Protocol)
		e.Local = s.Proto.Name(s).AddrPort()
		if peer, err := s.Proto.Peer(s); err == nil {
			e.Peer = peer.AddrPort()
		}
	}
}

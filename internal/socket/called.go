package socket

import (
	"net/netip"
	"time"

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

// end is what is told of a call's end besides its result: as it was when the call last left the host, which it need not enter
// again to tell it.
type end struct {
	log   *trace.Log // nil: nobody listened
	at    time.Duration
	whose whose
}

// whose says whose an event is.
type whose struct {
	socket      uint64
	owner       int32
	protocol    uint8 // 0: of a socket that was closed
	local, peer netip.AddrPort
}

// sign completes e. Somebody listens, and is called once the end is told. Locked.
func (e *end) sign(s *Socket) {
	if e.log == nil {
		e.whose = s.whose()
	}
	e.log, e.at = s.Host.Log(), s.Host.Now()
	s.Host.HandOnLater()
}

// called tells who listens to events of the end of a call.
func (c *call) called(name string, n int, err error) {
	if c.end.log != nil {
		c.end.tell(c.s, name, n, err)
		return
	}
	c.s.called(name, n, err)
}

func (e *end) tell(s *Socket, name string, n int, err error) {
	var ev trace.Event
	e.whose.sign(&ev)
	ev.Time = e.at
	setCall(&ev, name, n, err)
	e.log.Add(&ev)
	s.Host.HandOn(e.log)
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
	w := s.whose()
	w.sign(e)
	e.Time = s.Host.Now()
	setCall(e, call, n, err)
}

func setCall(e *trace.Event, call string, n int, err error) {
	e.Kind, e.Call, e.Result = trace.Called, call, n
	if err != nil {
		e.Result, e.Err = -1, err.Error()
	}
}

// whose says whose the socket's events are. Locked.
func (s *Socket) whose() whose {
	w := whose{socket: s.ID, owner: s.Owner}
	if !s.closed {
		w.protocol = uint8(s.Protocol)
		w.local = s.Proto.Name(s).AddrPort()
		if peer, err := s.Proto.Peer(s); err == nil {
			w.peer = peer.AddrPort()
		}
	}
	return w
}

func (w *whose) sign(e *trace.Event) {
	e.Socket, e.Owner, e.Protocol, e.Local, e.Peer = w.socket, w.owner, w.protocol, w.local, w.peer
}

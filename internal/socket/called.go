package socket

import (
	"net/netip"

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

// called is that of s, unless those who listen were told within the call (end).
func (c *call) called(call string, n int, err error) {
	if c.s.Host.Tracing() && !c.told {
		c.s.tellCalled(call, n, err)
	}
}

// end tells that the call ends with the current entry, and with n bytes. Locked.
func (c *call) end(call string, n int) {
	c.told = true
	c.s.tell(c.s.Host.Lane().Tape(), call, n, nil)
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
	if tape := s.Host.Tape(); tape != nil {
		e := s.tell(tape, "accept", 0, err)
		if err == nil {
			e.Peer = peer.AddrPort()
		}
	}
}

func (s *Socket) tellCalled(call string, n int, err error) {
	s.Host.Enter()
	defer s.Host.Leave()
	if tape := s.Host.Tape(); tape != nil {
		s.tell(tape, call, n, err)
	}
}

// tell tells of a call that has ended. Locked.
func (s *Socket) tell(tape *trace.Tape, call string, n int, err error) *trace.Event {
	e := tape.Next(trace.Called, trace.NoReason)
	e.Time, e.Call, e.Result, e.Socket, e.Owner = s.Host.Now(), call, n, s.ID, s.Owner.Load()
	if err != nil {
		e.Result, e.Err = -1, err.Error()
	}
	if s.closed {
		return e
	}
	e.Protocol = uint8(s.Protocol)
	if p, ok := s.Proto.(Ended); ok {
		e.Local, e.Peer = p.Ends(s)
	} else {
		e.Local = s.Proto.Name(s).AddrPort()
		if peer, err := s.Proto.Peer(s); err == nil {
			e.Peer = peer.AddrPort()
		}
	}
	return e
}

// Ended is a Proto that is told to those who listen to events often.
type Ended interface {
	// Ends returns the addresses of Name and Peer; that of the peer is zero where there is none. Locked.
	Ends(*Socket) (local, peer netip.AddrPort)
}

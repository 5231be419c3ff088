package usock

import (
	"context"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/socket"
	"usock/shape"
)

// hostFaults puts the questions of a host's stack to its Config.Faults.
type hostFaults struct {
	of   *shape.Faults
	name string // the host's
}

// streamFaults returns what a stack is to ask; nil: nobody.
func streamFaults(f *shape.Faults, name string) inet.Faults {
	if f == nil {
		return nil
	}
	return hostFaults{f, name}
}

// Connect implements inet.Faults.
func (h hostFaults) Connect(owner int32, to netip.AddrPort) *inet.StreamFaults {
	connect, stream := h.of.Connect(owner, h.name, to)
	f := streamOf(stream)
	if connect == nil {
		return f
	}
	if f == nil {
		f = new(inet.StreamFaults)
	}
	f.Connect = faultOf(connect)
	return f
}

// Accept implements inet.Faults.
func (h hostFaults) Accept(owner int32, at netip.AddrPort) syscall.Errno {
	if b := h.of.Accept(owner, h.name, at); b != nil && b.Strike() {
		return b.Fails()
	}
	return 0
}

// Accepted implements inet.Faults.
func (h hostFaults) Accepted(owner int32, at netip.AddrPort) *inet.StreamFaults {
	return streamOf(h.of.Accepted(owner, h.name, at))
}

// streamOf is what faults do to a connection; of several of a kind the first counts, and of resets that which comes first. nil:
// there are none.
func streamOf(list []*shape.Blow) *inet.StreamFaults {
	if len(list) == 0 {
		return nil
	}
	f := new(inet.StreamFaults)
	for _, b := range list {
		at := map[shape.FaultKind]**inet.Fault{
			shape.ResetAtAccept: &f.AtAccept, shape.ResetSent: &f.ResetSent, shape.ResetReceived: &f.ResetReceived,
			shape.ReadPieces: &f.Pieces, shape.StopReading: &f.Stop, shape.PeerStopsReading: &f.PeerStops,
		}[b.Kind]
		resets := b.Kind == shape.ResetSent || b.Kind == shape.ResetReceived
		if *at == nil || resets && b.After < (*at).After {
			*at = faultOf(b)
		}
	}
	return f
}

func faultOf(b *shape.Blow) *inet.Fault {
	return &inet.Fault{Errno: b.Fails(), Wait: b.Wait, After: b.After, Pieces: b.Pieces, Strike: b.Strike}
}

// interrupted reports whether a fault interrupts a call that would wait.
func (s *Socket) interrupted(call string) bool {
	if s.host.faults == nil || !s.host.faults.Interrupts(call) {
		return false
	}
	peer, _ := s.in.Peer()
	b := s.host.faults.Wait(s.in.Owner, s.host.name, call, peer.AddrPort())
	return b != nil && b.Strike()
}

// mayInterrupt reports whether some fault interrupts calls of the name that wait: it is looked first whether this one does.
func (s *Socket) mayInterrupt(call string) bool {
	return s.host.faults != nil && s.host.faults.Interrupts(call)
}

// connect connects, unless a fault interrupts that: the attempt goes on then.
func (s *Socket) connect(ctx context.Context, a Addr) error {
	if s.mayInterrupt("connect") && s.in.Proto.Kind().Stream && !s.in.Nonblock() && s.interrupted("connect") {
		ended, cancel := context.WithCancelCause(ctx)
		cancel(syscall.EINTR)
		ctx = ended
	}
	return s.in.Connect(ctx, abi.Addr(a))
}

// recv receives into p, unless a fault interrupts that.
func (s *Socket) recv(ctx context.Context, p []byte, m *socket.Msg) (int, error) {
	if !s.mayInterrupt("recv") || m.Flags&abi.MSG_DONTWAIT != 0 || s.in.Nonblock() {
		return s.in.Recv(ctx, p, m)
	}
	flags := m.Flags
	m.Flags |= abi.MSG_DONTWAIT
	n, err := s.in.Recv(ctx, p, m)
	if err != syscall.EAGAIN {
		return n, err
	}
	if s.interrupted("recv") {
		return 0, syscall.EINTR
	}
	m.Flags = flags
	return s.in.Recv(ctx, p, m)
}

// accept accepts, unless a fault interrupts that.
func (s *Socket) accept(ctx context.Context) (*socket.Socket, error) {
	if s.mayInterrupt("accept") && s.in.Ready() == 0 && !s.in.Nonblock() && s.interrupted("accept") {
		return nil, syscall.EINTR
	}
	return s.in.Accept(ctx)
}

// AcceptAhead is Accept for one who accepts ahead of the program that the connections are for, and asks AcceptFault when that
// accepts.
func (s *Socket) AcceptAhead() (*Socket, error) {
	n, err := s.in.AcceptAhead(context.Background())
	if err != nil {
		return nil, err
	}
	return &Socket{n, s.host}, nil
}

// AcceptFault returns the error with which Config.Faults has an accept fail that would take a connection; nil: it does not.
func (s *Socket) AcceptFault() error { return s.in.AcceptFault() }

// WaitFault returns EINTR where Config.Faults interrupts a call that would wait, recv, accept or connect; nil: it waits. It is for one
// who waits in the place of the program.
func (s *Socket) WaitFault(call string) error {
	if s.interrupted(call) {
		return syscall.EINTR
	}
	return nil
}

// InPieces reports whether Config.Faults has receives give less than there is: who hands on what he receives lets each piece be
// taken before he hands on the next.
func (s *Socket) InPieces() bool { return s.host.faults != nil && s.in.InPieces() }

// Faults returns what the host's Config has for that; nil: nothing.
func (h *Host) Faults() *shape.Faults { return h.faults }

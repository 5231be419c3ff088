package usock

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/socket"
	"usock/shape"
)

// hostFaults puts the questions of a host's stack to its Config.Faults.
type hostFaults struct {
	of    *shape.Faults
	name  string // the host's
	names *Names // that it knows
}

// streamFaults returns what a stack is to ask; nil: nobody.
func streamFaults(c *Config) inet.Faults {
	if c.Faults == nil {
		return nil
	}
	return hostFaults{c.Faults, c.Name, c.Names}
}

// known tells the names of an address that the host knows without asking.
func (h hostFaults) known(a netip.Addr) {
	if _, far := h.of.About(); far {
		for _, name := range h.names.LookupAddr(a.Unmap()) {
			h.of.Resolved(a, name)
		}
	}
}

// Connect implements inet.Faults.
func (h hostFaults) Connect(owner int32, to netip.AddrPort) *inet.StreamFaults {
	h.known(to.Addr())
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
func (h hostFaults) Accept(owner int32, at netip.AddrPort) *inet.Fault {
	h.known(at.Addr())
	if b := h.of.Accept(owner, h.name, at); b != nil {
		return faultOf(b)
	}
	return nil
}

// Accepted implements inet.Faults.
func (h hostFaults) Accepted(owner int32, at netip.AddrPort) *inet.StreamFaults {
	h.known(at.Addr())
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
	return &inet.Fault{Text: b.Fault.String(), Errno: b.Fails(), Wait: b.Wait, After: b.After, Pieces: b.Pieces, Strike: b.Strike}
}

// The addresses of wrong answers about names, which nobody has (RFC 5737, RFC 3849).
var (
	wrong4 = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	wrong6 = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
)

// faultyLookup is lookupName with the faults that strike at its questions: one for each family that is asked for.
func (r *Resolver) faultyLookup(ctx context.Context, k kind, host string) ([]netip.Addr, error) {
	var late time.Duration
	var answer []netip.Addr
	var err error
	answered, no4 := false, false
	for _, q := range [...]struct {
		other byte // the family of which it is not asked for
		typ   dnsmessage.Type
		wrong netip.Addr
	}{{'6', dnsmessage.TypeA, wrong4}, {'4', dnsmessage.TypeAAAA, wrong6}} {
		if k.family == q.other {
			continue
		}
		for _, b := range r.h.faults.Question(0, r.h.name, host, uint16(q.typ)) {
			if !b.Strike() {
				continue
			}
			switch b.Kind {
			case shape.NameLate:
				late = max(late, b.Wait) // both are asked at one time
			case shape.NameNotFound:
				answered, err = true, notFound(host)
			case shape.NameServerFails:
				answered, err = true, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
			case shape.NameWrongFirst:
				answered, answer = true, append(answer, q.wrong)
			case shape.NameAAAAOnly:
				no4 = true
			}
		}
	}
	if late > 0 {
		if err := r.h.pause(ctx, late); err != nil {
			return nil, &net.DNSError{Err: err.Error(), Name: host, IsTimeout: true, IsTemporary: true}
		}
	}
	if !answered {
		answer, err = r.lookupName(ctx, k, host)
	}
	if no4 {
		answer = slices.DeleteFunc(answer, func(a netip.Addr) bool { return a.Is4() })
	}
	for _, a := range answer {
		r.h.faults.Resolved(a, host)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// pause waits for a time of the host's clock, or until the context ends, whose error it returns.
func (h *Host) pause(ctx context.Context, d time.Duration) error {
	over := make(chan struct{})
	a := h.h.Clock().NewAlarm(func() { close(over) })
	a.Set(d)
	defer a.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
	if s.host.faults == nil {
		return s.in.Recv(ctx, p, m)
	}
	return s.recvOrFail(ctx, p, m)
}

// recvOrFail is recv where there are faults.
func (s *Socket) recvOrFail(ctx context.Context, p []byte, m *socket.Msg) (int, error) {
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

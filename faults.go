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
	"usock/internal/wait"
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

// call is what is asked about. The names of the address are told that the host knows without asking.
func (h hostFaults) call(c inet.FaultyCall) shape.Call {
	for _, name := range h.names.LookupAddr(c.To.Addr().Unmap()) {
		h.of.Resolved(c.To.Addr(), name)
	}
	return shape.Call{PID: c.Owner, Host: h.name, Proto: c.Proto, From: c.From, To: c.To}
}

// Connect implements inet.Faults.
func (h hostFaults) Connect(c inet.FaultyCall) *inet.StreamFaults {
	if !h.of.Any() {
		return nil
	}
	connect, stream := h.of.Connect(h.call(c))
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
func (h hostFaults) Accept(c inet.FaultyCall) *inet.Fault {
	if !h.of.Any() {
		return nil
	}
	if b := h.of.Accept(h.call(c)); b != nil {
		return faultOf(b)
	}
	return nil
}

// Accepted implements inet.Faults.
func (h hostFaults) Accepted(c inet.FaultyCall) *inet.StreamFaults {
	if !h.of.Any() {
		return nil
	}
	return streamOf(h.of.Accepted(h.call(c)))
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
	return &inet.Fault{Text: b.Fault.String(), Errno: b.Fails(), Wait: b.Wait, After: b.After, Pieces: b.Pieces, Strike: b.Strike, Over: b.Over, Told: func() string { return b.Struck().Note() }}
}

// socketFault is with what a fault has no socket be made; nil: one is.
func (h *Host) socketFault(pid int32, domain, typ, protocol int) error {
	if h.faults == nil || domain == abi.AF_UNIX {
		return nil
	}
	c, err := h.table.lookup(domain, typ&^(abi.SOCK_NONBLOCK|abi.SOCK_CLOEXEC), protocol)
	if err != nil {
		return nil // there is none
	}
	if b := h.faults.Socket(shape.Call{PID: pid, Host: h.name, Proto: uint8(c.protocol)}); b != nil && b.Strike() {
		return b.Fails()
	}
	return nil
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
		for _, b := range r.h.faults.Question(shape.Call{Host: r.h.name}, host, uint16(q.typ)) {
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

// faulty is what the host's faults are asked about a call to an address.
func (s *Socket) faulty(to abi.Addr) shape.Call {
	h := hostFaults{s.host.faults, s.host.name, s.host.names}
	return h.call(inet.FaultyCall{Owner: s.in.Owner.Load(), Proto: uint8(s.in.Protocol), To: to.AddrPort()})
}

// interrupted reports whether a fault interrupts a call that would wait.
func (s *Socket) interrupted(call string) bool {
	if !s.mayInterrupt(call) {
		return false
	}
	peer, _ := s.in.Peer()
	b := s.host.faults.Wait(s.faulty(peer), call)
	return b != nil && b.Strike()
}

// sendFault is with what a fault has the send of m fail; nil: it does not.
func (s *Socket) sendFault(m *socket.Msg) error {
	to := m.Addr
	if !m.HasAddr {
		to, _ = s.in.Peer()
	}
	if b := s.host.faults.Send(s.faulty(to)); b != nil && b.Strike() {
		return b.Fails()
	}
	return nil
}

// sendDatagram sends p, unless a fault has that fail.
func (s *Socket) sendDatagram(ctx context.Context, p []byte, m *socket.Msg) (int, error) {
	if f := s.host.faults; f != nil && f.Sends() {
		if err := s.sendFault(m); err != nil {
			return 0, err
		}
	}
	return s.in.Send(ctx, p, m)
}

// send sends p, unless a fault has that fail, or interrupts it. What was sent before counts.
func (s *Socket) send(ctx context.Context, p []byte, m *socket.Msg) (int, error) {
	if !s.mayInterrupt("send") || m.Flags&abi.MSG_DONTWAIT != 0 || s.in.Nonblock() {
		return s.sendDatagram(ctx, p, m)
	}
	if s.in.Protocol == abi.IPPROTO_SCTP { // whose first message opens an association, for which only a call waits that may
		if s.in.Ready()&wait.Out == 0 && s.interrupted("send") {
			return 0, syscall.EINTR
		}
		return s.in.Send(ctx, p, m)
	}
	flags := m.Flags
	m.Flags |= abi.MSG_DONTWAIT
	n, err := s.sendDatagram(ctx, p, m)
	if err != nil && err != syscall.EAGAIN || n == len(p) && err == nil {
		return n, err
	}
	switch {
	case !s.interrupted("send"):
	case n > 0:
		return n, nil
	default:
		return 0, syscall.EINTR
	}
	m.Flags = flags
	more, err := s.in.Send(ctx, p[n:], m)
	return n + more, err
}

// mayInterrupt reports whether some fault interrupts calls of the name that wait: it is looked first whether this one does.
func (s *Socket) mayInterrupt(call string) bool {
	return s.host.faults != nil && s.host.faults.Interrupts(call)
}

// connect connects, unless a fault interrupts that: the attempt goes on then.
func (s *Socket) connect(ctx context.Context, a Addr) error {
	return s.in.Connect(s.connecting(ctx), abi.Addr(a))
}

// connecting returns the context of a connect: ctx, or one that has ended where a fault interrupts it.
func (s *Socket) connecting(ctx context.Context) context.Context {
	if !s.mayInterrupt("connect") || !s.in.Proto.Kind().Stream || s.in.Nonblock() || !s.interrupted("connect") {
		return ctx
	}
	ended, cancel := context.WithCancelCause(ctx)
	cancel(syscall.EINTR)
	return ended
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
	waits := err == syscall.EAGAIN || err == nil && 0 < n && n < len(p) && flags&abi.MSG_WAITALL != 0 && s.in.Proto.Kind().Stream
	switch {
	case !waits:
		return n, err
	case !s.interrupted("recv"):
	case n > 0:
		return n, nil
	default:
		return 0, syscall.EINTR
	}
	if flags&abi.MSG_PEEK != 0 {
		n = 0 // it looks at the same again
	}
	m.Flags = flags
	more, err := s.in.Recv(ctx, p[n:], m)
	return n + more, err
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

// WaitFault returns EINTR where Config.Faults interrupts a call that would wait, recv, send, accept or connect; nil: it waits. It is for one
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

package unix

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// Config says how AF_UNIX is joined to its host.
type Config struct {
	Sockets *socket.Registry // of all the host's sockets

	// Cred is who the host's programs are. A socket with an owner has the owner's
	// process number instead of Cred's.
	Cred Cred

	// Random is where the names that autobind gives begin, from among 2^20.
	Random uint64

	// Capable reports whether who calls has a capability. It is asked with the host locked.
	Capable func(capability int) bool
}

// Domain is AF_UNIX of one host: its names.
type Domain struct {
	config   Config
	paths    map[string]*node
	abstract map[abstractKey]*endpoint
	next     uint32 // the last name that autobind gave
	spare    *message
	spares   int
}

// New returns the domain of a host.
func New(c Config) *Domain {
	return &Domain{
		config:   c,
		paths:    make(map[string]*node),
		abstract: make(map[abstractKey]*endpoint),
		next:     uint32(c.Random % (1 << 20)),
	}
}

// Lookup checks socket(2)'s type and protocol and returns the type that they
// mean: Linux takes SOCK_RAW for SOCK_DGRAM.
func Lookup(typ, protocol int) (int, error) {
	if protocol != 0 && protocol != abi.AF_UNIX {
		return 0, syscall.EPROTONOSUPPORT
	}
	switch typ {
	case abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET:
		return typ, nil
	case abi.SOCK_RAW:
		return abi.SOCK_DGRAM, nil
	}
	return 0, syscall.ESOCKTNOSUPPORT
}

// Proto returns the row of a type that Lookup has returned.
func (d *Domain) Proto(typ int) socket.Proto { return proto{d, typ == abi.SOCK_STREAM} }

// proto is the row of one type.
type proto struct {
	domain *Domain
	stream bool
}

// Attach implements socket.Proto.
func (p proto) Attach(s *socket.Socket) error {
	s.PCB = p.domain.endpoint(s, int(s.Type))
	return nil
}

func (d *Domain) endpoint(s *socket.Socket, typ int) *endpoint {
	return &endpoint{
		domain: d, sock: s, typ: typ,
		cred:     d.config.Cred,
		peerCred: Cred{UID: nobody, GID: nobody},
	}
}

// Bind implements socket.Proto.
func (p proto) Bind(s *socket.Socket, a abi.Addr) error { return pcb(s).bind(a) }

// Shutdown implements socket.Proto. It needs no connection.
func (p proto) Shutdown(s *socket.Socket, how int) error {
	pcb(s).shutdown([]shut{abi.SHUT_RD: shutRecv, abi.SHUT_WR: shutSend, abi.SHUT_RDWR: shutBoth}[how])
	return nil
}

// Close implements socket.Proto.
func (p proto) Close(s *socket.Socket) {
	pcb(s).close(false)
	p.domain.config.Sockets.Forget(s)
}

// Ready implements socket.Proto.
func (p proto) Ready(s *socket.Socket) wait.Events { return pcb(s).ready() }

// Name implements socket.Proto.
func (p proto) Name(s *socket.Socket) abi.Addr { return pcb(s).name.addr() }

// Peer implements socket.Proto.
func (p proto) Peer(s *socket.Socket) (abi.Addr, error) {
	e := pcb(s)
	if e.peer == nil {
		return abi.Addr{}, syscall.ENOTCONN
	}
	return e.peer.name.addr(), nil
}

// Queued implements socket.Proto. For SOCK_SEQPACKET Linux counts all records.
func (p proto) Queued(s *socket.Socket) (in, out int) {
	e := pcb(s)
	in = e.queue.bytes
	if e.typ == abi.SOCK_DGRAM && e.queue.len > 0 {
		in = e.queue.head.n
	}
	return in, e.charged
}

// The facts of AF_UNIX's rows. There are no options of a level of their own.
var (
	streamKind = socket.Kind{Name: "unix", Stream: true, Parted: true, Level: abi.SOL_SOCKET}
	recordKind = socket.Kind{Name: "unix", Level: abi.SOL_SOCKET}
)

// Kind implements socket.Proto.
func (p proto) Kind() *socket.Kind {
	if p.stream {
		return &streamKind
	}
	return &recordKind
}

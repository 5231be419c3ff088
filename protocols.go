package usock

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/inet"
	"usock/internal/socket"
	"usock/internal/unix"
)

// row is one line of the protocol table: what serves a type of an Internet domain.
type row struct {
	typ      int
	protocol int          // protocol number; any for those that name their own
	byName   bool         // not the default of its type: the protocol must be named
	only     int          // the one domain that has it; 0: both
	proto    socket.Proto // nil: refused
}

const anyProtocol = -1

// maxDomain is Linux's AF_MAX.
const maxDomain = 46

// table is the protocol table of one host: the rows of the Internet domains, and
// AF_UNIX, where the type alone says what serves it.
type table struct {
	inet []row
	unix *unix.Domain
}

// protocols returns the table: all that Host.Socket can make.
func protocols(s *inet.Stack, u *unix.Domain) *table {
	t := &table{unix: u, inet: []row{
		{typ: abi.SOCK_STREAM, protocol: abi.IPPROTO_TCP, proto: s.TCP()},
		{typ: abi.SOCK_DGRAM, protocol: abi.IPPROTO_UDP, proto: s.UDP()},
		{typ: abi.SOCK_STREAM, protocol: abi.IPPROTO_SCTP, byName: true, proto: s.SCTP()},
		{typ: abi.SOCK_SEQPACKET, protocol: abi.IPPROTO_SCTP, proto: s.SCTP()},
		{typ: abi.SOCK_DGRAM, protocol: abi.IPPROTO_ICMP, byName: true, only: abi.AF_INET, proto: s.Ping()},
		{typ: abi.SOCK_DGRAM, protocol: abi.IPPROTO_ICMPV6, byName: true, only: abi.AF_INET6, proto: s.Ping()},
		{typ: abi.SOCK_RAW, protocol: anyProtocol, byName: true, proto: s.Raw()},
	}}
	for _, r := range t.inet {
		r.register(s)
	}
	return t
}

// register has the row's protocol served, if it is one over IP with a number of its own.
func (r *row) register(s *inet.Stack) {
	if p, ok := r.proto.(inet.Protocol); ok && r.protocol != anyProtocol {
		s.Register(uint8(r.protocol), p)
	}
}

// choice is what socket(2)'s arguments mean.
type choice struct {
	proto                 socket.Proto
	domain, typ, protocol int
}

// lookup finds what socket(2)'s arguments mean, with the errors of Linux's
// __sock_create, inet_create and unix_create.
func (t *table) lookup(domain, typ, protocol int) (choice, error) {
	switch {
	case typ&^abi.SOCK_TYPE_MASK != 0:
		return choice{}, syscall.EINVAL
	case domain < 0 || domain >= maxDomain:
		return choice{}, syscall.EAFNOSUPPORT
	case typ > 10:
		return choice{}, syscall.EINVAL
	}
	if domain == abi.AF_UNIX {
		typ, err := unix.Lookup(typ, protocol)
		if err != nil {
			return choice{}, err
		}
		return choice{t.unix.Proto(typ), domain, typ, protocol}, nil
	}
	p, protocol, err := t.lookupInet(domain, typ, protocol)
	return choice{p, domain, typ, protocol}, err
}

func (t *table) lookupInet(domain, typ, protocol int) (socket.Proto, int, error) {
	if domain != abi.AF_INET && domain != abi.AF_INET6 {
		return nil, 0, syscall.EAFNOSUPPORT
	}
	if protocol < 0 || protocol >= 263 {
		return nil, 0, syscall.EINVAL
	}
	err := error(syscall.ESOCKTNOSUPPORT)
	for _, r := range t.inet {
		if r.typ != typ || r.only != 0 && r.only != domain {
			continue
		}
		err = syscall.EPROTONOSUPPORT
		switch {
		case protocol == 0 && !r.byName:
			return r.proto, r.protocol, nil
		case protocol == r.protocol:
			return r.proto, protocol, nil
		case r.protocol == anyProtocol && protocol != 0:
			return r.proto, protocol, nil
		}
	}
	return nil, 0, err
}

package inet

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// addrRows are the options by which sctp_bindx(3), sctp_connectx(3), sctp_getladdrs(3) and
// sctp_getpaddrs(3) are made.
func (t *sctpProto) addrRows() []socket.Option {
	row := func(name int, f func(*sctpEndpoint, []abi.Addr) error) socket.Option {
		return socket.Option{Level: abi.SOL_SCTP, Name: name, Set: func(s *socket.Socket, v []byte) error {
			list, err := packed(v)
			if err != nil {
				return err
			}
			return f(sctpOf(s), list)
		}}
	}
	told := func(name, uncounted int, f func(e *sctpEndpoint, x *sctpAssoc) (addrs []netip.Addr, port uint16, err error)) socket.Option {
		return socket.Option{Level: abi.SOL_SCTP, Name: name, Uncounted: uncounted, Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
			return sctpOf(s).addrs(v, f)
		}}
	}
	connectx := func(name int, named bool) socket.Option {
		o := row(name, func(e *sctpEndpoint, peers []abi.Addr) error {
			if err := t.connect(e, peers); err != nil {
				return err
			}
			if named {
				e.trying.id = e.trying.number
			}
			return syscall.EINPROGRESS
		})
		o.Connects = true
		return o
	}
	return []socket.Option{
		row(abi.SCTP_SOCKOPT_BINDX_ADD, func(e *sctpEndpoint, list []abi.Addr) error {
			if err := t.bindAll(e, list); err != nil {
				return err
			}
			e.tellPeers(list, (*sctp.Assoc).AddAddr)
			return nil
		}),
		row(abi.SCTP_SOCKOPT_BINDX_REM, func(e *sctpEndpoint, list []abi.Addr) error {
			if err := t.unbindAll(e, list); err != nil {
				return err
			}
			e.tellPeers(list, (*sctp.Assoc).DeleteAddr)
			return nil
		}),
		connectx(abi.SCTP_SOCKOPT_CONNECTX, true),
		connectx(abi.SCTP_SOCKOPT_CONNECTX_OLD, false),
		told(abi.SCTP_GET_LOCAL_ADDRS, abi.Sizeof(&abi.SCTPGetaddrs{}), func(e *sctpEndpoint, x *sctpAssoc) ([]netip.Addr, uint16, error) {
			if x == nil {
				return e.local(), e.lport, nil
			}
			return x.core.Local(), e.lport, nil
		}),
		told(abi.SCTP_GET_PEER_ADDRS, 0, func(e *sctpEndpoint, x *sctpAssoc) ([]netip.Addr, uint16, error) {
			if x == nil {
				return nil, 0, syscall.EINVAL
			}
			return x.core.Peers(nil), x.peer, nil
		}),
	}
}

// tellPeers tells the peers of addresses that have come or gone, where that was agreed to (RFC 5061).
func (e *sctpEndpoint) tellPeers(list []abi.Addr, tell func(*sctp.Assoc, time.Duration, netip.Addr) syscall.Errno) {
	for x := e.assocs; x != nil; x = x.next {
		if !e.options.Asconf || !x.core.Agreed().Asconf {
			continue
		}
		for _, a := range list {
			tell(x.core, x.now(), a.IP.Unmap())
		}
		for p := x.paths; p != nil; p = p.next {
			x.look(p)
		}
		e.proto.update(x, 0)
	}
}

// packed reads addresses that lie behind each other, each as long as its family's are.
func packed(b []byte) (list []abi.Addr, err error) {
	if len(b) == 0 {
		return nil, syscall.EINVAL
	}
	for len(b) > 0 {
		a, err := abi.ParseAddr(b[:min(len(b), abi.SizeofStorage)])
		if err != nil {
			return nil, err
		}
		n := 0
		switch a.Family {
		case abi.AF_INET:
			n = abi.SizeofInet
		case abi.AF_INET6:
			n = abi.SizeofInet6
		default:
			return nil, syscall.EINVAL
		}
		if len(b) < n {
			return nil, syscall.EINVAL
		}
		list, b = append(list, a), b[n:]
	}
	return list, nil
}

// bindAll gives e all addresses. If that fails it takes those off again that it gave, but for the last
// one that e has (Linux, sctp_bindx_add).
func (t *sctpProto) bindAll(e *sctpEndpoint, list []abi.Addr) error {
	for i, a := range list {
		if err := t.bind(e, a); err != nil {
			t.unbindAll(e, list[:i])
			return err
		}
	}
	return nil
}

// unbindAll takes addresses from e, of which one must be left. If that fails it gives those back that it
// took (Linux, sctp_bindx_rem).
func (t *sctpProto) unbindAll(e *sctpEndpoint, list []abi.Addr) error {
	for i, a := range list {
		if err := t.unbindOne(e, a); err != nil {
			t.bindAll(e, list[:i])
			return err
		}
	}
	return nil
}

func (t *sctpProto) unbindOne(e *sctpEndpoint, a abi.Addr) error {
	if len(e.locals) < 2 {
		return syscall.EBUSY
	}
	addr, err := e.family(a)
	if err != nil {
		return err
	}
	if addr.IsMulticast() {
		return syscall.EADDRNOTAVAIL
	}
	if a.Port != 0 && a.Port != e.lport {
		return syscall.EINVAL
	}
	i := slices.IndexFunc(e.locals, func(b *binding) bool { return b.addr == addr })
	if i < 0 {
		return syscall.EINVAL
	}
	t.unbind(e, i)
	return nil
}

// addrs is SCTP_GET_LOCAL_ADDRS and SCTP_GET_PEER_ADDRS, of the association that v names, or of the
// socket. ENOMEM says that v is too short (Linux, sctp_getsockopt_peer_addrs).
func (e *sctpEndpoint) addrs(v []byte, f func(*sctpEndpoint, *sctpAssoc) ([]netip.Addr, uint16, error)) ([]byte, error) {
	var head abi.SCTPGetaddrs
	if err := abi.ParseStruct(v, &head); err != nil {
		return nil, err
	}
	x := e.assoc(head.AssocID)
	if x == nil && head.AssocID != 0 {
		return nil, syscall.EINVAL
	}
	list, port, err := f(e, x)
	if err != nil {
		return nil, err
	}
	head.AddrNum = uint32(len(list))
	b := abi.AppendStruct(nil, &head)
	for _, a := range list {
		b = abi.AppendAddr(b, e.show(a, port))
	}
	if len(b) > len(v) {
		return nil, syscall.ENOMEM
	}
	return b, nil
}

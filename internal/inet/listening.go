package inet

import (
	"net/netip"

	"usock/internal/abi"
	"usock/internal/socket"
)

// portChanged has the watcher told that others listen on the port than before.
func (s *Stack) portChanged(proto int, port uint16) {
	if f := s.watcher; f != nil {
		s.Host.After(func() { f(proto, port) })
	}
}

// Listening returns the local addresses on which TCP sockets listen on the port, or of the
// UDP sockets that have it by bind, or of SCTP in UDP. The wildcard of IPv4 is among them for a socket of both
// families. Locked.
func (s *Stack) Listening(proto int, port uint16) []netip.Addr {
	var out []netip.Addr
	add := func(b *binding) {
		out = append(out, b.addr)
		if b.six && b.addr.Is6() && b.addr.IsUnspecified() && !b.v6only {
			out = append(out, netip.IPv4Unspecified())
		}
	}
	if proto == abi.IPPROTO_TCP {
		for _, e := range s.tcp.listeners[port] {
			add(&e.binding)
		}
		return out
	}
	for _, e := range s.udp.boundTo(port) {
		if e.explicit {
			add(&e.binding)
		}
	}
	if b := &s.sctp.encap; b.explicit && s.sctp.encapsulated(port) {
		add(b)
	}
	return out
}

// Originate begins a connection from an address and port that need not be the host's, nor
// free for bind: only the connection itself must be new. It returns its socket, which becomes
// writable when the connection is made. EADDRNOTAVAIL if there is such a connection. Locked.
func (s *Stack) Originate(from, to netip.AddrPort) (*socket.Socket, error) {
	t := s.tcp
	path, err := t.path(to.Addr(), from.Addr(), 0)
	if err != nil {
		return nil, err
	}
	k := tuple{laddr: from.Addr(), raddr: to.Addr(), lport: from.Port(), rport: to.Port()}
	t.ports.mu.Lock()
	iss, _, err := t.free(&k, true)
	t.ports.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n, err := t.standIn(&k)
	if err != nil {
		return nil, err
	}
	e := endpointOf(n)
	e.path, e.phase = path, connecting
	t.conns.add(&e.node, e)
	inc(&t.Stats.ActiveOpens)
	e.conn.Connect(e.now(), t.params(e, iss))
	t.update(e, 0)
	return n, nil
}

// standIn makes a socket for the connection k, which claims no port.
func (t *tcpProto) standIn(k *tuple) (*socket.Socket, error) {
	domain := abi.AF_INET
	if k.laddr.Is6() {
		domain = abi.AF_INET6
	}
	n := t.NewSocket(t, domain, abi.SOCK_STREAM, abi.IPPROTO_TCP)
	if err := t.Attach(n); err != nil {
		t.Forget(n)
		return nil, err
	}
	e := endpointOf(n)
	e.tuple, e.addr, e.named = *k, k.laddr, true
	return n, nil
}

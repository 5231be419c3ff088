package inet

import (
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/wait"
)

// Connect implements socket.Proto (Linux, sctp_inet_connect).
func (t *sctpProto) Connect(s *socket.Socket, a abi.Addr) error {
	if a.Family == abi.AF_UNSPEC {
		return syscall.EOPNOTSUPP
	}
	if err := t.connect(sctpOf(s), []abi.Addr{a}); err != nil {
		return err
	}
	return syscall.EINPROGRESS
}

// connect opens an association with a peer, of whom the caller knows some addresses (Linux,
// __sctp_connect).
func (t *sctpProto) connect(e *sctpEndpoint, peers []abi.Addr) error {
	if f := peers[0].Family; f != abi.AF_INET && f != abi.AF_INET6 {
		return syscall.EINVAL
	}
	if e.stage == sctpEstablished || e.stage == sctpClosing || e.one() && e.stage == sctpListening {
		return syscall.EISCONN
	}
	first, err := t.peerAddr(e, peers[0])
	if err != nil {
		return err
	}
	if x := t.findOf(e, netip.AddrPortFrom(first, peers[0].Port)); x != nil {
		if x.core.State() >= sctp.Established {
			return syscall.EISCONN
		}
		return syscall.EALREADY
	}
	p, err := t.reach(e, peers, e.options)
	if err != nil {
		return err
	}
	x := t.open(e, p)
	last := peers[len(peers)-1]
	e.peer = netip.AddrPortFrom(last.IP.Unmap(), last.Port)
	e.s.KeepErr(0)
	e.trying = x
	return nil
}

// reach returns what an association of e begins with, with the peer that has the addresses. What the first
// address brings about, a port and the socket's name, stays where one of the others is wrong. The options
// may be others than the socket's.
func (t *sctpProto) reach(e *sctpEndpoint, peers []abi.Addr, opts *sctp.Options) (*sctp.Params, error) {
	p := &sctp.Params{PeerPort: peers[0].Port, Options: opts}
	for i, a := range peers {
		addr, err := t.peerAddr(e, a)
		if err == nil && a.Port != p.PeerPort {
			err = syscall.EINVAL
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(p.Peers, addr) {
			p.Peers = append(p.Peers, addr)
		}
		if i > 0 {
			continue
		}
		if t.peeledOff(e, netip.AddrPortFrom(addr, p.PeerPort)) {
			return nil, syscall.EADDRNOTAVAIL
		}
		if err := t.autobind(e); err != nil {
			return nil, err
		}
		if path := t.pathFrom(e, addr); path != nil {
			e.name = path.Src
			p.Options = t.encapVia(path, p.Options)
		}
	}
	p.Port = e.lport
	return p, nil
}

// open begins the association.
func (t *sctpProto) open(e *sctpEndpoint, p *sctp.Params) *sctpAssoc {
	core := new(sctp.Assoc)
	ev := core.Connect(t.now(), t.endpoint(e), p)
	x := t.adopt(e, core)
	t.beginFaults(x, p)
	t.update(x, ev)
	return x
}

// peeledOff reports whether another socket of e's port has an association with the peer.
func (t *sctpProto) peeledOff(e *sctpEndpoint, peer netip.AddrPort) bool {
	if !e.bound() {
		return false
	}
	for _, b := range e.locals {
		x := t.find(e.lport, peer, b.addr)
		if b.addr.IsUnspecified() {
			x = t.find(e.lport, peer, netip.Addr{})
		}
		if x != nil && x.e != e {
			return true
		}
	}
	return false
}

// peerAddr returns the address of a peer, unmapped (Linux, sctp_verify_addr).
func (t *sctpProto) peerAddr(e *sctpEndpoint, a abi.Addr) (netip.Addr, error) {
	addr, err := e.family(a)
	if err != nil {
		return addr, err
	}
	switch {
	case addr.IsUnspecified(), addr.IsMulticast(), unusable(addr):
		return addr, syscall.EINVAL
	case needsScope(addr):
		if t.IP.Iface(int(a.Scope)) == nil {
			return addr, syscall.EINVAL
		}
		if e.s.Opt.Device == 0 {
			e.s.Opt.Device = int32(a.Scope)
		}
	}
	return addr, nil
}

// unusable reports whether no peer has the address (Linux, IS_IPV4_UNUSABLE_ADDRESS).
func unusable(a netip.Addr) bool {
	return slices.ContainsFunc(unusable4[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

var unusable4 = [...]netip.Prefix{
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("255.255.255.255/32"),
}

// FinishConnect implements socket.Finisher (Linux, sctp_wait_for_connect).
func (t *sctpProto) FinishConnect(s *socket.Socket, waiting bool) error {
	e := sctpOf(s)
	x := e.trying
	switch {
	case x == nil && e.stage == sctpEstablished, x == nil && e.stage == sctpClosing:
		return nil
	case x == nil:
		return syscall.ENOTCONN
	case x.state == sctp.CookieWait || x.state == sctp.CookieEchoed:
		return syscall.EALREADY
	}
	e.trying = nil
	switch {
	case x.made:
		return nil
	case x.late:
		return syscall.ETIMEDOUT
	}
	return syscall.ECONNREFUSED
}

// Listen implements socket.Proto (Linux, sctp_inet_listen).
func (t *sctpProto) Listen(s *socket.Socket, backlog int) error {
	e := sctpOf(s)
	switch {
	case e.peeled:
		return syscall.EINVAL
	case e.stage != sctpClosed && e.stage != sctpListening:
		return syscall.EINVAL
	case backlog == 0:
		t.stopListening(e)
		return nil
	}
	if backlog < 0 || backlog > abi.SOMAXCONN {
		backlog = abi.SOMAXCONN // unsigned on Linux
	}
	e.backlog = int32(backlog)
	if e.stage == sctpListening {
		return nil
	}
	e.stage = sctpListening
	e.claim()
	err := t.autobind(e)
	if err == nil && slices.ContainsFunc(e.locals, func(b *binding) bool { return t.ports.conflict(b, e.lport) }) {
		err = syscall.EADDRINUSE
	}
	if err != nil {
		e.stage = sctpClosed
		e.claim()
		return err
	}
	for _, b := range e.locals {
		b.bucket.noted(b)
	}
	t.listens(e, true)
	return nil
}

// stopListening ends the listening of a socket.
func (t *sctpProto) stopListening(e *sctpEndpoint) {
	if e.stage == sctpListening {
		t.listens(e, false)
		e.stage = sctpClosed
		e.claim()
	}
}

// Accept implements socket.Proto (Linux, sctp_accept).
func (t *sctpProto) Accept(s *socket.Socket, _ int) (*socket.Socket, error) {
	e := sctpOf(s)
	switch {
	case e.many || e.peeled:
		return nil, syscall.EOPNOTSUPP
	case e.stage != sctpListening:
		return nil, syscall.EINVAL
	case e.assocs == nil:
		return nil, syscall.EAGAIN
	}
	x := e.assocs
	n := t.branch(e, x, abi.SOCK_STREAM)
	t.acceptedFaults(x)
	return n, nil
}

// Peel makes a socket of its own of an association of a socket of one-to-many style (Linux,
// sctp_do_peeloff).
func (t *sctpProto) Peel(s *socket.Socket, id int32) (*socket.Socket, error) {
	e := sctpOf(s)
	x := e.assoc(id)
	if !e.many || x == nil {
		return nil, syscall.EINVAL
	}
	return t.branch(e, x, abi.SOCK_SEQPACKET), nil
}

// branch has a new socket take an association of e, with what has arrived for it.
func (t *sctpProto) branch(e *sctpEndpoint, x *sctpAssoc, typ int) *socket.Socket {
	s := e.s
	n := t.NewSocket(t, int(s.Domain), typ, int(s.Protocol))
	n.Opt = s.Opt
	n.Owner.Store(s.Owner.Load())
	b := &sctpEndpoint{
		proto: t, s: n, six: e.six, peeled: typ == abi.SOCK_SEQPACKET, stage: sctpEstablished,
		name: e.name, lport: e.lport, options: e.options, own: e.own,
	}
	b.ipState.inherit(&e.ipState)
	if b.ipState.opts != nil {
		b.ipState.opts.tos = 0 // Linux, sctp_copy_sock
	}
	n.PCB = b
	for _, l := range e.locals {
		mine := b.spare()
		mine.addr = l.addr
		b.claimFor(mine)
		t.ports.add(mine, e.lport)
		b.locals = append(b.locals, mine)
	}
	b.sctpReading = e.give(x)
	x.part()
	t.names.Lock()
	x.join(b)
	t.names.Unlock()
	if p, ok := x.core.Path(netip.Addr{}); ok {
		b.peer = netip.AddrPortFrom(p.Addr, x.peer)
	} else if peers := x.core.Peers(nil); len(peers) > 0 {
		b.peer = netip.AddrPortFrom(peers[0], x.peer)
	}
	switch st := x.core.State(); st {
	case sctp.ShutdownReceived, sctp.ShutdownAckSent:
		b.stage, b.shutRD = sctpClosing, true
	case sctp.Closed:
		b.stage, b.shutRD = sctpClosed, true
		t.drop(x)
	}
	e.s.Notify(wait.Out)
	return n
}

package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// pingProto is the row of SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6: echo
// requests without privilege (icmp(7)). The port is the identifier.
type pingProto struct {
	*Stack
	ids     [2]map[uint16][]*pingEndpoint // by identifier; IPv4, IPv6
	options *socket.Options
}

// pingEndpoint is a ping socket's control block.
type pingEndpoint struct{ dgram }

func newPing(s *Stack) *pingProto {
	p := &pingProto{Stack: s}
	p.ids[0], p.ids[1] = make(map[uint16][]*pingEndpoint), make(map[uint16][]*pingEndpoint)
	p.options = NewOptions(ipRows, ip6Rows, deviceRows(s, p), groupRows(s))
	return p
}

func pingOf(s *socket.Socket) *pingEndpoint { return s.PCB.(*pingEndpoint) }

func (p *pingProto) table(v6 bool) map[uint16][]*pingEndpoint {
	if v6 {
		return p.ids[1]
	}
	return p.ids[0]
}

func (e *pingEndpoint) v6() bool    { return e.s.Domain == abi.AF_INET6 }
func (e *pingEndpoint) bound() bool { return e.lport != 0 }

// Attach implements socket.Proto.
func (p *pingProto) Attach(s *socket.Socket) error {
	e := &pingEndpoint{}
	e.attach(p.Stack, s, &pingKind)
	if e.six {
		e.own().v6only = true // Linux, ping_init_sock
	}
	s.PCB = e
	s.Opt.Set(socket.ReuseAddr, true) // Linux, INET_PROTOSW_REUSE
	return nil
}

// pingKind is the facts of the rows for echo requests.
var pingKind = kind{
	Kind:   socket.Kind{Name: "icmp", Level: abi.SOL_SOCKET},
	scoped: true, other: syscall.EAFNOSUPPORT,
	bind4: syscall.EINVAL, connect4: syscall.ENETUNREACH, send4: syscall.EINVAL,
}

// Kind implements socket.Proto.
func (p *pingProto) Kind() *socket.Kind { return &pingKind.Kind }

// Options implements socket.Proto.
func (p *pingProto) Options() *socket.Options { return p.options }

// Bind implements socket.Proto.
func (p *pingProto) Bind(s *socket.Socket, a abi.Addr) error {
	e := pingOf(s)
	addr, err := p.address(e, a)
	if err != nil {
		return err
	}
	if err := p.claimID(e, a.Port); err != nil {
		return err
	}
	if needsScope(addr) {
		s.Opt.Device = int32(a.Scope)
	}
	e.addr, e.named, e.explicit = addr, !addr.IsUnspecified(), a.Port != 0
	return nil
}

// address checks an address for bind as bindAddr does, in the order of Linux's ping_bind: there
// is no capability for an identifier.
func (p *pingProto) address(e *pingEndpoint, a abi.Addr) (netip.Addr, error) {
	addr, err := p.bindFamily(e.s, &pingKind, a)
	if err != nil {
		return addr, err
	}
	device := int(e.s.Opt.Device)
	if addr.Is6() {
		if device, err = p.scope(e, addr, a.Scope); err != nil {
			return addr, err
		}
	}
	if err = p.canBind(e.s, &pingKind, addr, device); err == nil && e.bound() {
		err = syscall.EINVAL
	}
	return addr, err
}

// scope returns the interface that an IPv6 socket is to have the address on. A scope is looked
// at with every address, but for the wildcard's (Linux, ping_check_bind_addr).
func (p *pingProto) scope(e *pingEndpoint, addr netip.Addr, scope uint32) (device int, err error) {
	switch {
	case scope == 0 && needsScope(addr):
		return 0, syscall.EINVAL
	case scope == 0:
		return int(e.s.Opt.Device), nil
	case p.IP.Iface(int(scope)) == nil:
		return 0, syscall.ENODEV
	}
	return int(scope), nil
}

// claimID gives e the identifier, or a free one for 0.
func (p *pingProto) claimID(e *pingEndpoint, id uint16) error {
	t := p.table(e.v6())
	if id == 0 {
		for n := 0; id == 0 || t[id] != nil; n++ {
			if n > 1<<17 {
				return syscall.EADDRINUSE
			}
			id = uint16(p.prf.random())
		}
	}
	for _, o := range t[id] {
		if !o.s.Opt.Has(socket.ReuseAddr) || !e.s.Opt.Has(socket.ReuseAddr) {
			return syscall.EADDRINUSE
		}
	}
	t[id], e.lport = append(t[id], e), id
	return nil
}

// Connect implements socket.Proto.
func (p *pingProto) Connect(s *socket.Socket, a abi.Addr) error {
	e := pingOf(s)
	if a.Family == abi.AF_UNSPEC {
		e.dissolve()
		if !e.explicit {
			p.letGo(e)
		}
		return nil
	}
	if err := p.autobind(e); err != nil {
		return err
	}
	path, err := e.connectPath(a)
	if err == nil {
		err = e.fixed(path, a)
	}
	return err
}

// autobind gives e an identifier, if it has none.
func (p *pingProto) autobind(e *pingEndpoint) error {
	if !e.bound() && p.claimID(e, 0) != nil {
		return syscall.EAGAIN
	}
	return nil
}

// reachable checks where an IPv6 echo request goes (Linux, ping_v6_sendmsg): to an address
// of one link by that link, and not to the wildcard, which is no other name for loopback
// here.
func (d *dgram) reachable(dst netip.Addr, scope int) error {
	device := d.sendDevice(dst, scope)
	switch tied := int(d.s.Opt.Device); {
	case needsScope(dst) && device == 0, device != 0 && tied != 0 && device != tied:
		return syscall.EINVAL
	case dst.IsUnspecified():
		return syscall.ENETUNREACH
	}
	return nil
}

// letGo gives e's identifier back.
func (p *pingProto) letGo(e *pingEndpoint) {
	if e.lport == 0 {
		return
	}
	t := p.table(e.v6())
	l := slices.DeleteFunc(t[e.lport], func(o *pingEndpoint) bool { return o == e })
	if t[e.lport] = l; len(l) == 0 {
		delete(t, e.lport)
	}
	e.lport = 0
}

// Listen implements socket.Proto.
func (p *pingProto) Listen(*socket.Socket, int) error { return syscall.EOPNOTSUPP }

// Accept implements socket.Proto.
func (p *pingProto) Accept(*socket.Socket, int) (*socket.Socket, error) {
	return nil, syscall.EOPNOTSUPP
}

const icmpHeader = 8

// Send implements socket.Proto: only echo requests pass (Linux, ping_common_sendmsg).
func (p *pingProto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := pingOf(s)
	if err := p.autobind(e); err != nil {
		return 0, err
	}
	c, err := e.parseControl(m)
	if err != nil {
		return 0, err
	}
	payload := vecOf(m.Data)
	echo := byte(wire.ICMPv4Echo)
	if e.v6() {
		echo = wire.ICMPv6Echo
	}
	n := payload.Len()
	h := payload.Front()
	switch {
	case n > 65535:
		return 0, syscall.EMSGSIZE
	case n < icmpHeader:
		return 0, syscall.EINVAL
	case m.Flags&abi.MSG_OOB != 0:
		return 0, syscall.EOPNOTSUPP
	}
	if len(h) < icmpHeader || h[0] != echo || h[1] != 0 {
		return 0, syscall.EINVAL
	}
	path, _, err := e.destination(m, &c)
	if err != nil {
		return 0, err
	}
	if err := s.TakeErr(); err != nil {
		return 0, err
	}
	if e.shutWR {
		return 0, syscall.EPIPE
	}
	k := packet.New()
	k.Owner = packet.Owner{PID: s.Owner.Load(), Socket: s.ID}
	b := k.Prepend(icmpHeader)
	copy(b, h[:icmpHeader])
	binary.BigEndian.PutUint16(b[4:], e.lport)
	b[2], b[3] = 0, 0
	payload.TrimFront(icmpHeader)
	k.Payload = payload
	taken(m)
	o := ip.Out{Src: path.Src, Dst: path.Dst, Proto: ip.ProtoICMP}
	if e.v6() {
		o.Proto, o.Checksum = ip.ProtoICMPv6, ip.ChecksumICMPv6
	} else {
		var sum wire.Checksum
		sum.Add(b)
		for _, v := range k.Payload.Views() {
			sum.Add(v.Bytes())
		}
		binary.BigEndian.PutUint16(b[2:], sum.Sum())
	}
	e.stack.IP.In(e.s.Host).ICMP.CountOut(e.v6(), b[0])
	return n, e.output(k, path, &o, &c, 0, n)
}

// Recv implements socket.Proto.
func (p *pingProto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	if m.Flags&(abi.MSG_OOB|abi.MSG_ERRQUEUE) == abi.MSG_OOB {
		return 0, syscall.EOPNOTSUPP
	}
	m.Flags &^= abi.MSG_TRUNC // not asked for here: Linux, ping_recvmsg
	n, err := pingOf(s).recv(m)
	m.Addr.Port = 0
	return n, err
}

// Shutdown implements socket.Proto.
func (p *pingProto) Shutdown(s *socket.Socket, how int) error { return pingOf(s).shutdown(how) }

// Close implements socket.Proto.
func (p *pingProto) Close(s *socket.Socket) {
	e := pingOf(s)
	p.Forget(s)
	p.letGo(e)
	e.leaveAll()
	e.endFlows(p.Stack)
	e.drain()
}

// Ready implements socket.Proto.
func (p *pingProto) Ready(s *socket.Socket) wait.Events { return pingOf(s).ready() }

// Name implements socket.Proto.
func (p *pingProto) Name(s *socket.Socket) abi.Addr { return pingOf(s).name() }

// Peer implements socket.Proto.
func (p *pingProto) Peer(s *socket.Socket) (abi.Addr, error) { return pingOf(s).peer() }

// Queued implements socket.Proto.
func (p *pingProto) Queued(s *socket.Socket) (in, out int) { return pingOf(s).queued() }

// Holds implements socket.Holder.
func (p *pingProto) Holds(s *socket.Socket) (received, sent int, drops uint32) {
	received, drops = pingOf(s).holds()
	return received, 0, drops
}

// Input implements ip.Transport: an echo reply.
func (p *pingProto) Input(k *packet.Packet, m *ip.Meta) bool {
	h := k.Front()
	if len(h) >= icmpHeader {
		if e := p.lookup(m.V6, be16(h[4:]), m.Dst, m.Iface.Index()); e != nil {
			if e.keep(k, m, 0, rawLeast) {
				k.Payload = flatten(k)
				e.push(k, m, 0)
			} else {
				if p.Host.Tracing() {
					e.tellArrived(m, 0, k.Len(), trace.ByFilter)
				}
				k.Free()
			}
			return true
		}
	}
	k.Free()
	return true
}

// lookup finds the socket with the identifier that has the address dst: the last
// one bound (Linux, ping_lookup). A peer does not matter.
func (p *pingProto) lookup(v6 bool, id uint16, dst netip.Addr, ifindex int) *pingEndpoint {
	l := p.table(v6)[id]
	for i := len(l) - 1; i >= 0; i-- {
		e := l[i]
		if d := int(e.s.Opt.Device); d != 0 && ifindex != 0 && d != ifindex {
			continue
		}
		if e.addr.IsUnspecified() || e.addr == dst {
			return e
		}
	}
	return nil
}

// Error implements ip.Transport: an error about an echo request.
func (p *pingProto) Error(x *ip.Error) {
	if len(x.Quote) < icmpHeader {
		return
	}
	if e := p.lookup(x.V6, be16(x.Quote[4:]), x.Src, 0); e != nil {
		e.icmp(x, 0, x.Quote)
	}
}

// Describe implements socket.Proto.
func (p *pingProto) Describe(s *socket.Socket, in *socket.Info) { pingOf(s).describe(in) }

// Owner implements Protocol.
func (p *pingProto) Owner(proto int, local, _ netip.AddrPort) int32 {
	if e := p.lookup(local.Addr().Is6(), local.Port(), local.Addr(), 0); e != nil {
		return e.s.Owner.Load()
	}
	return p.raw.owner(proto)
}

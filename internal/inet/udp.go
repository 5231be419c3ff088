package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// udpProto is the row of SOCK_DGRAM: all UDP endpoints of a host. Who has which port, address and peer changes
// only in the whole host.
type udpProto struct {
	*Stack
	ports   portTable
	byPort  byPort[udpPort]
	options *socket.Options
}

// UDPStats is what UDP has counted of both families, by Linux's names in the Udp line of
// /proc/net/snmp. usock.UDPStats has the same fields, and says what each is.
type UDPStats struct {
	InDatagrams, OutDatagrams uint64
	NoPorts                   uint64
	InErrors, InCsumErrors    uint64
	RcvbufErrors              uint64
	IgnoredMulti              uint64
}

// udpEndpoint is a UDP control block.
type udpEndpoint struct {
	dgram
	cork    bool        // UDP_CORK
	gro     bool        // UDP_GRO
	segment uint16      // UDP_SEGMENT; 0: none
	held    *heldPacket // what MSG_MORE or UDP_CORK keeps back; nil: nothing
	began   time.Duration
	asked   *namesAsked // to name servers; nil: none
}

// udpPort is the endpoints that are bound to a port, in the order in which they came.
type udpPort []*udpEndpoint

// boundTo returns the endpoints that are bound to a port.
func (u *udpProto) boundTo(port uint16) udpPort {
	if l := u.byPort.get(port); l != nil {
		return *l
	}
	return nil
}

func newUDP(s *Stack) *udpProto {
	u := &udpProto{Stack: s}
	u.ports.init(false)
	u.options = NewOptions(ipRows, ip6Rows, deviceRows(s, u), groupRows(s), []socket.Option{
		socket.BoolOption(abi.SOL_UDP, abi.UDP_CORK,
			func(s *socket.Socket) bool { return udpOf(s).cork },
			func(s *socket.Socket, on bool) error {
				e := udpOf(s)
				e.cork = on
				if !on && e.held != nil {
					return u.uncork(e)
				}
				return nil
			}),
		socket.PeekOff,
		socket.ZeroCopyOption,
	}, segmentRows())
	return u
}

func udpOf(s *socket.Socket) *udpEndpoint { return s.PCB.(*udpEndpoint) }

// Attach implements socket.Proto.
func (u *udpProto) Attach(s *socket.Socket) error {
	e := &udpEndpoint{began: s.Host.Now()}
	e.attach(u.Stack, s, &udpKind)
	s.PCB = e
	return nil
}

// udpKind is the facts of UDP's row.
var udpKind = kind{
	Kind: socket.Kind{Name: "udp", Own: true, Small: maxCopied, Level: abi.SOL_UDP, IntsFirst: true},
	sum:  6, ports: true, group: true, group6: true, unspec: true, plain4: true, other: syscall.EINVAL,
	segment: segmentSize,
}

// Kind implements socket.Proto.
func (u *udpProto) Kind() *socket.Kind { return &udpKind.Kind }

// Options implements socket.Proto.
func (u *udpProto) Options() *socket.Options { return u.options }

// Bind implements socket.Proto.
func (u *udpProto) Bind(s *socket.Socket, a abi.Addr) error {
	e := udpOf(s)
	addr, err := u.bindAddr(s, &udpKind, a, e.bound() || e.raddr.IsValid())
	if err != nil {
		return err
	}
	only := bindsOnly6(s, addr)
	e.addr = addr
	if a.Port != 0 || !e.ip().bindNoPort {
		if err = u.claimPort(e, a.Port, 0); err != nil {
			e.addr = e.wildcard()
			only(false)
			return err
		}
		if e.explicit = a.Port != 0; e.explicit {
			u.portChanged(abi.IPPROTO_UDP, a.Port)
		}
	}
	e.scope = int32(a.Scope)
	e.names(addr)
	return nil
}

// names notes that bind has named addr. The wildcard of IPv4 counts on an AF_INET6 socket
// (Linux, __inet6_bind).
func (b *binding) names(addr netip.Addr) {
	if !addr.IsUnspecified() || b.six && addr.Is4() {
		b.named = true
	}
}

// bindsOnly6 begins a bind: to one IPv6 address, the socket has no use for IPv4 (Linux,
// __inet6_bind). A bind that fails calls what is returned, with false.
func bindsOnly6(s *socket.Socket, addr netip.Addr) (only func(bool)) {
	if !addr.Is6() || addr.IsUnspecified() || v6only(s) {
		return func(bool) {}
	}
	only = func(on bool) { ownIPOptionsOf(s).v6only = on }
	only(true)
	return only
}

// claimPort binds e to the port, or to a free one for port 0.
func (u *udpProto) claimPort(e *udpEndpoint, port, avoid uint16) error {
	e.claim()
	if err := u.ports.bind(&e.binding, port, avoid, u.prf.random()); err != nil {
		return err
	}
	e.lport = e.bucket.port
	if l := u.byPort.get(e.lport); l != nil {
		*l = append(*l, e)
	} else {
		u.byPort.set(e.lport, &udpPort{e})
	}
	return nil
}

// letGo unbinds e.
func (u *udpProto) letGo(e *udpEndpoint) {
	if !e.bound() {
		return
	}
	l := u.byPort.get(e.lport)
	i := slices.Index(*l, e)
	*l = slices.Delete(*l, i, i+1)
	if len(*l) == 0 {
		u.byPort.set(e.lport, nil)
	}
	if e.explicit {
		e.explicit = false
		u.portChanged(abi.IPPROTO_UDP, e.lport)
	}
	u.ports.remove(&e.binding)
	e.lport = 0
}

// Connect implements socket.Proto: it fixes the peer, or dissolves that.
func (u *udpProto) Connect(s *socket.Socket, a abi.Addr) error {
	if !s.Host.InWhole() {
		return socket.ErrWhole
	}
	e := udpOf(s)
	if a.Family == abi.AF_UNSPEC {
		e.dissolve()
		if !e.explicit {
			u.letGo(e)
		}
		return nil
	}
	if err := u.autobind(e, a.Port); err != nil {
		return err
	}
	path, err := e.connectPath(a)
	if err != nil {
		return err
	}
	if err := e.fixed(path, a); err != nil {
		return err
	}
	s.Notify(wait.Out)
	return nil
}

// autobind gives e a port, if it has none. It comes before the checks of a call's
// address (Linux, inet_autobind).
func (u *udpProto) autobind(e *udpEndpoint, to uint16) error {
	switch {
	case e.bound():
		return nil
	case !e.s.Host.InWhole():
		return socket.ErrWhole
	case u.claimPort(e, 0, u.elsewhere(to)) != nil:
		return syscall.EAGAIN
	}
	return nil
}

// connectPath finds the path to a peer.
func (d *dgram) connectPath(a abi.Addr) (*ip.Path, error) {
	dst, err := d.stack.peerAddr(d.s, d.kind, a)
	if err != nil {
		return nil, err
	}
	device := d.sendDevice(dst, linkOf(dst, a.Scope))
	src, err := d.source(dst)
	if err != nil {
		if _, none := d.stack.path(dst, netip.Addr{}, device); none != nil {
			err = none // the route is looked up first (Linux, ip6_dst_lookup_tail)
		}
		return nil, err
	}
	path, err := d.stack.path(dst, src, device)
	if err != nil {
		return nil, err
	}
	if path.Broadcast && !d.s.Opt.Has(socket.Broadcast) {
		return nil, syscall.EACCES
	}
	if d.s.Opt.Has(socket.DontRoute) && viaGateway(path) {
		return nil, syscall.ENETUNREACH
	}
	return path, nil
}

// fixed makes the peer that path leads to the only one.
func (d *dgram) fixed(path *ip.Path, a abi.Addr) error {
	if path.Dst.Is6() {
		label, err := d.givenFlow(d.stack, a)
		if err != nil {
			return err
		}
		d.setFlow(label)
	}
	if d.addr.IsUnspecified() || d.addr.Is4() != path.Src.Is4() {
		d.addr = path.Src
	}
	d.raddr, d.rport = path.Dst, a.Port
	d.path, d.pathDst, d.scope = path, path.Dst, int32(linkOf(path.Dst, a.Scope))
	d.claim() // a link-local peer ties to its interface
	return nil
}

// sendDevice returns the interface that a datagram to dst must leave by, 0 for any.
func (d *dgram) sendDevice(dst netip.Addr, scope int) int {
	switch o := d.ip(); {
	case scope != 0:
		return scope
	case d.s.Opt.Device != 0:
		return int(d.s.Opt.Device)
	case dst.IsMulticast():
		if dst.Is4() {
			return int(o.mcastIf)
		}
		return int(o.mcastIf6)
	case dst.Is4():
		return int(o.unicastIf)
	default:
		return int(o.unicastIf6)
	}
}

// Listen implements socket.Proto.
func (u *udpProto) Listen(*socket.Socket, int) error { return syscall.EOPNOTSUPP }

// Accept implements socket.Proto.
func (u *udpProto) Accept(*socket.Socket, int) (*socket.Socket, error) {
	return nil, syscall.EOPNOTSUPP
}

const udpHeader = 8

// Send implements socket.Proto.
func (u *udpProto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := udpOf(s)
	n := len(m.Small)
	for _, v := range m.Data {
		n += v.Len()
	}
	if err := u.autobind(e, m.Addr.Port); err != nil {
		return 0, err
	}
	switch {
	case n > 65535:
		return 0, syscall.EMSGSIZE
	case m.Flags&abi.MSG_OOB != 0 && s.Domain == abi.AF_INET:
		return 0, syscall.EOPNOTSUPP // Linux, udp_sendmsg; udpv6_sendmsg does not look
	}
	c, err := e.parseControl(m)
	if err != nil {
		return 0, err
	}
	if c.segment < 0 {
		c.segment = int(e.segment)
	}
	path, port, err := e.destination(m, &c)
	if err != nil {
		return 0, err
	}
	if tooLong(n, path.Dst.Is4()) {
		if e.held != nil {
			u.flush(e)
		}
		return 0, syscall.EMSGSIZE
	}
	if err := s.TakeErr(); err != nil {
		return 0, err
	}
	if e.shutWR {
		return 0, syscall.EPIPE
	}
	if e.held != nil || e.cork || m.Flags&abi.MSG_MORE != 0 {
		n, err = u.hold(e, m, heldPacket{path: path, port: port, c: c})
	} else {
		err = u.sendAll(e, m, path, port, &c, n)
	}
	switch {
	case err != nil || !zeroCopies(s, m.Flags):
	case e.held != nil:
		e.held.zeroCopies++
	default:
		e.complete()
	}
	return n, err
}

// sendAll sends m's n bytes as one datagram, or as several (UDP_SEGMENT).
func (u *udpProto) sendAll(e *udpEndpoint, m *socket.Msg, path *ip.Path, port uint16, c *sendControl, n int) error {
	if c.segment > 0 {
		m.Pack()
		return u.sendSegments(e, m, path, port, c, n, c.segment)
	}
	return u.send(e, m, path, port, c, n, 0)
}

// tooLong reports whether no datagram has n bytes.
func tooLong(n int, four bool) bool {
	n += udpHeader
	if four {
		n += ipHeaderLen(true)
	}
	return n > 65535
}

// send makes a datagram of m's n bytes and sends it, or a packet that stands for several
// of size bytes if that is not 0.
func (u *udpProto) send(e *udpEndpoint, m *socket.Msg, path *ip.Path, port uint16, c *sendControl, n int, size uint16) error {
	if port == nameServer {
		e.asks(netip.AddrPortFrom(path.Dst, port), m)
	}
	lane := u.lane(e.s.Host)
	o := &lane.ipOut
	*o = ip.Out{Src: path.Src, Dst: path.Dst, Proto: ip.ProtoUDP, Checksum: udpKind.sum}
	if e.s.Opt.Has(socket.NoCheck) && path.Dst.Is4() {
		o.Checksum = 0 // none is computed: zero says so (RFC 768)
	}
	e.outOptions(o, c, port)
	if n == len(m.Small) && e.sendsStraight(lane, m, path, c, port) {
		e.sent += uint64(n)
		lane.udp.OutDatagrams++
		return nil
	}
	m.Pack()
	p := packet.New()
	p.SegmentSize = size
	for _, v := range m.Data {
		p.Payload.Append(v)
	}
	m.Data = m.Data[:0]
	e.header(p, port)
	if err := e.emit(p, path, o, c, port, n); err != nil {
		return err
	}
	lane.udp.OutDatagrams++
	return nil
}

// header makes a packet of its payload one of e's to the port.
func (e *udpEndpoint) header(p *packet.Packet, port uint16) {
	p.Owner = packet.Owner{PID: e.s.Owner.Load(), Socket: e.s.ID}
	n := p.Payload.Len()
	h := p.Prepend(udpHeader)
	binary.BigEndian.PutUint16(h, e.lport)
	binary.BigEndian.PutUint16(h[2:], port)
	binary.BigEndian.PutUint16(h[4:], uint16(n+udpHeader))
	h[6], h[7] = 0, 0
}

// output sends a datagram of the program's n bytes to a port, as options and control messages
// want it, and tells of its leaving.
func (d *dgram) output(p *packet.Packet, path *ip.Path, o *ip.Out, c *sendControl, port uint16, n int) error {
	d.outOptions(o, c, port)
	return d.emit(p, path, o, c, port, n)
}

// emit is output where o says all that there is to say of the datagram.
func (d *dgram) emit(p *packet.Packet, path *ip.Path, o *ip.Out, c *sendControl, port uint16, n int) error {
	stamp := d.stampFor(c, o)
	if err := d.stack.IP.In(d.s.Host).Output(p, path, o); err != nil {
		return err
	}
	d.sent += uint64(n)
	if d.s.Host.Tracing() {
		d.tellSent(path, port, n)
	}
	d.stamped(stamp, path, o)
	return nil
}

// outOptions fills in what options and control messages say of a datagram to a port.
func (d *dgram) outOptions(o *ip.Out, c *sendControl, port uint16) {
	d.ip().out(o, o.Dst)
	if o.Dst.Is6() {
		o.FragmentSize = int(d.ip().fragSize6)
		if o.Flow = c.flow; o.Flow == 0 && !d.ip().noAutoFlow {
			o.Flow = d.labelFor(tuple{laddr: o.Src, raddr: o.Dst, lport: d.lport, rport: port})
		}
	}
	if c.ttl > 0 {
		o.TTL = uint8(c.ttl)
	}
	if c.tos >= 0 {
		o.TOS = uint8(c.tos)
	}
}

// rerouted forgets the path to where was sent last, which an option has changed. A
// peer's stays.
func (d *dgram) rerouted() {
	if !d.raddr.IsValid() {
		d.pathDst = netip.Addr{}
	}
}

// destination finds out where a datagram goes: to the address that it was given, or
// to the peer.
func (d *dgram) destination(m *socket.Msg, c *sendControl) (*ip.Path, uint16, error) {
	p, port, err := d.way(m, c)
	if err == nil && (m.Flags&abi.MSG_DONTROUTE != 0 || d.s.Opt.Has(socket.DontRoute)) && viaGateway(p) {
		err = syscall.ENETUNREACH
	}
	return p, port, err
}

// viaGateway reports whether an IPv4 path leads over a router, which SO_DONTROUTE and
// MSG_DONTROUTE forbid. Linux does not look at them in IPv6.
func viaGateway(p *ip.Path) bool { return p.Dst.Is4() && !p.Local && p.Next != p.Dst }

func (d *dgram) way(m *socket.Msg, c *sendControl) (*ip.Path, uint16, error) {
	gen := d.stack.IP.Generation()
	var dst netip.Addr
	if m.HasAddr {
		var err error
		if dst, err = d.stack.sendAddr(d.s, d.kind, m.Addr); err != nil {
			return nil, 0, err
		}
	}
	if err := d.chooseFlow(m, c, dst.IsValid()); err != nil {
		return nil, 0, err
	}
	if !dst.IsValid() {
		if !d.raddr.IsValid() {
			return nil, 0, syscall.EDESTADDRREQ
		}
		if mapped := d.six && d.raddr.Is4(); mapped && d.rport == 0 && d.kind.ports {
			return nil, 0, syscall.EINVAL // Linux: to a mapped address it does look
		} else if mapped && d.kind.send4 != 0 {
			return nil, 0, d.kind.send4 // a mapped peer is taken, and of no use
		}
		if c.src.IsValid() || c.ifindex != 0 || d.path.Gen != gen || d.pathDst != d.raddr {
			p, err := d.find(d.raddr, d.addr, int(d.scope), c)
			return p, d.rport, err
		}
		return d.path, d.rport, nil
	}
	if m.Addr.Port == 0 && d.kind.ports {
		return nil, 0, syscall.EINVAL
	}
	if d.path != nil && d.path.Gen == gen && d.pathDst == dst && !c.src.IsValid() && c.ifindex == 0 && !d.raddr.IsValid() {
		return d.path, m.Addr.Port, nil
	}
	if d.kind.scoped && d.six {
		if err := d.reachable(dst, linkOf(dst, m.Addr.Scope)); err != nil {
			return nil, 0, err
		}
	}
	src, err := d.source(dst)
	if err != nil {
		if d.s.Domain == abi.AF_INET6 && dst.Is4() {
			err = syscall.ENETUNREACH
		}
		return nil, 0, err
	}
	p, err := d.find(dst, src, linkOf(dst, m.Addr.Scope), c)
	return p, m.Addr.Port, err
}

// find looks a path up and remembers it.
func (d *dgram) find(dst, src netip.Addr, scope int, c *sendControl) (*ip.Path, error) {
	device := d.sendDevice(dst, scope)
	special := c.src.IsValid() || c.ifindex != 0
	if c.src.IsValid() {
		src = c.src
	}
	if c.ifindex != 0 {
		device = c.ifindex
	}
	if src.IsValid() && (src.IsMulticast() || d.stack.IP.IsBroadcast(src)) {
		src = netip.Addr{}
	}
	p, err := d.stack.path(dst, src, device)
	if err != nil {
		return nil, err
	}
	if p.Broadcast && !d.s.Opt.Has(socket.Broadcast) {
		return nil, syscall.EACCES
	}
	if !special {
		d.path, d.pathDst = p, dst
	}
	return p, nil
}

// Recv implements socket.Proto.
func (u *udpProto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	e := udpOf(s)
	if s.MayPrefetch(m) {
		e.fetch()
	}
	return e.recv(m)
}

// Shutdown implements socket.Proto.
func (u *udpProto) Shutdown(s *socket.Socket, how int) error { return udpOf(s).shutdown(how) }

// Spans implements socket.Spanner: others look at who is bound.
func (u *udpProto) Spans(s *socket.Socket) bool {
	e := udpOf(s)
	return e.bound() || len(e.ip().groups) > 0 || len(e.ip().leases) > 0
}

// Close implements socket.Proto.
func (u *udpProto) Close(s *socket.Socket) {
	e := udpOf(s)
	u.tellEnd(e)
	u.Forget(s)
	u.letGo(e)
	e.leaveAll()
	e.endFlows(u.Stack)
	e.drain()
}

// Ready implements socket.Proto.
func (u *udpProto) Ready(s *socket.Socket) wait.Events { return udpOf(s).ready() }

// Name implements socket.Proto.
func (u *udpProto) Name(s *socket.Socket) abi.Addr { return udpOf(s).name() }

// Peer implements socket.Proto.
func (u *udpProto) Peer(s *socket.Socket) (abi.Addr, error) { return udpOf(s).peer() }

// Queued implements socket.Proto.
func (u *udpProto) Queued(s *socket.Socket) (in, out int) { return udpOf(s).queued() }

// Holds implements socket.Holder.
func (u *udpProto) Holds(s *socket.Socket) (received, sent int, drops uint32) {
	received, drops = udpOf(s).holds()
	return received, 0, drops
}

// Input implements ip.Transport.
func (u *udpProto) Input(p *packet.Packet, m *ip.Meta) bool {
	h, err := wire.ParseUDP(p.Front())
	if err != nil || int(h.Len) > p.Len() {
		u.at(m).udp.InErrors++
		if u.Host.Tracing() {
			u.tellStray(p, m, trace.BadChecksum)
		}
		p.Free()
		return true
	}
	p.Truncate(int(h.Len))
	if !p.Trusted && (h.Checksum != 0 || m.V6) && !udpKind.sum.OK(p, m) {
		u.at(m).udp.InErrors++
		if u.Host.Tracing() {
			u.tellStray(p, m, trace.BadChecksum)
		}
		u.at(m).udp.InCsumErrors++
		p.Free()
		return true
	}
	if m.Dst.IsMulticast() || m.Broadcast {
		return u.inputGroup(p, m, &h)
	}
	e := u.lookup(m.Dst, m.Src, h.DstPort, h.SrcPort, m.Iface.Index())
	switch {
	case e == nil && u.sctp.encapsulated(h.DstPort):
		if u.sctp.enters(p, m) {
			u.at(m).udp.InDatagrams++
			u.sctp.decapsulate(p, m, h.SrcPort)
		}
	case e == nil && !m.Lane.At().Whole():
		m.Lane.InWhole(p, m)
	case e != nil && !m.Lane.At().Visit(e.s.Host):
		m.Lane.Busy(e.s.Host, p, m)
	case e != nil:
		e.accept(p, m, h.SrcPort)
	case u.asks(m):
		u.askUDP(p, m, &h)
	default:
		u.at(m).udp.NoPorts++
		if u.Host.Tracing() {
			u.tellStray(p, m, trace.NoSocket)
		}
		return false
	}
	return true
}

// lookup finds the socket that a datagram is for: the one whose peer the sender is
// before others, then as for listeners.
func (u *udpProto) lookup(dst, src netip.Addr, dport, sport uint16, ifindex int) *udpEndpoint {
	var found *udpEndpoint
	best, same := 0, 0
	var hash uint64
	for _, e := range u.boundTo(dport) {
		score := e.scoreFor(dst, src, sport, ifindex)
		switch {
		case score > best:
			best, same, found = score, 1, e
		case score == best && score > 0 && e.reuseport && found.reuseport && !e.raddr.IsValid():
			if same == 1 {
				hash, _ = u.prf.sum(labelPort, &tuple{laddr: dst, raddr: src, lport: dport, rport: sport})
			}
			same++
			if hash%uint64(same) == 0 {
				found = e
			}
		case score == best && score > 0:
			// Of equals the one bound last (Linux's hash chains grow at the head).
			found = e
		}
	}
	return found
}

// scoreFor is binding.score with the peer taken into account.
func (e *udpEndpoint) scoreFor(dst, src netip.Addr, sport uint16, ifindex int) int {
	n := 0
	if e.raddr.IsValid() {
		if e.raddr != src || e.rport != sport || e.addr != dst {
			return 0
		}
		n = 32
	}
	b := e.binding.score(dst, ifindex)
	if b == 0 {
		return 0
	}
	return n + b
}

// inputGroup gives a datagram to a group or to all to every socket that it fits. The whole host is entered.
func (u *udpProto) inputGroup(p *packet.Packet, m *ip.Meta, h *wire.UDP) bool {
	var last *udpEndpoint
	for _, e := range u.boundTo(h.DstPort) {
		if e.scoreFor(m.Dst, m.Src, h.SrcPort, m.Iface.Index()) == 0 || !e.wantsGroup(m) {
			continue
		}
		if last != nil {
			last.accept(p.Clone(), m, h.SrcPort)
		}
		last = e
	}
	if last == nil {
		if u.Host.Tracing() {
			u.tellStray(p, m, trace.NoSocket)
		}
		u.at(m).udp.IgnoredMulti++
		p.Free()
		return true
	}
	last.accept(p, m, h.SrcPort)
	return true
}

// Error implements ip.Transport.
func (u *udpProto) Error(x *ip.Error) {
	if len(x.Quote) < udpHeader {
		return
	}
	if e := u.lookup(x.Src, x.Dst, be16(x.Quote), be16(x.Quote[2:]), 0); e != nil {
		e.icmp(x, be16(x.Quote[2:]), x.Quote[udpHeader:])
	} else if u.sctp.encapsulated(be16(x.Quote)) {
		u.sctp.encapError(x)
	}
}

// Describe implements socket.Proto.
func (u *udpProto) Describe(s *socket.Socket, in *socket.Info) {
	e := udpOf(s)
	e.describe(in)
	in.Age = s.Host.Now() - e.began
	if in.Brief {
		return
	}
	if d := e.asked.detail(s.Host.Now()); d != nil {
		in.Detail = d
	}
}

// Owner implements Protocol.
func (u *udpProto) Owner(_ int, local, remote netip.AddrPort) int32 {
	if e := u.lookup(local.Addr(), remote.Addr(), local.Port(), remote.Port(), 0); e != nil {
		return e.s.Owner.Load()
	}
	if u.sctp.encapsulated(local.Port()) {
		return u.sctp.encapOwner(remote)
	}
	return 0
}

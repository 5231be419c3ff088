package inet

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// rawProto is the row of SOCK_RAW (raw(7)): a protocol's own packets, for the
// privileged. An IPv4 socket receives packets with their IP header, an IPv6 one
// without (RFC 3542, section 3).
type rawProto struct {
	*Stack
	all     []*rawEndpoint
	options *socket.Options
}

// rawEndpoint is a raw socket's control block.
type rawEndpoint struct {
	dgram
	filter   [8]uint32 // ICMP types that are not wanted (ICMP_FILTER, ICMP6_FILTER)
	checksum int32     // where the kernel's checksum goes (IPV6_CHECKSUM); -1: nowhere
}

func newRaw(s *Stack) *rawProto {
	r := &rawProto{Stack: s}
	r.options = NewOptions(ipRows, ip6Rows, deviceRows(s, r), groupRows(s), rawRows)
	lacks := r.options.Lacks
	r.options.Lacks = func(s *socket.Socket, level int) bool {
		return s.Domain == abi.AF_INET6 && level == abi.SOL_IP || lacks(s, level)
	}
	return r
}

// bound reports whether the socket has its protocol for a port, as Linux has it. One that
// has not receives nothing.
func (e *rawEndpoint) bound() bool { return e.lport != 0 }

func rawOf(s *socket.Socket) *rawEndpoint { return s.PCB.(*rawEndpoint) }

// Attach implements socket.Proto.
func (r *rawProto) Attach(s *socket.Socket) error {
	if !r.capable(abi.CAP_NET_RAW) {
		r.Forget(s)
		return syscall.EPERM
	}
	e := &rawEndpoint{checksum: -1}
	if s.Domain == abi.AF_INET6 && s.Protocol == abi.IPPROTO_ICMPV6 {
		e.checksum = int32(ip.ChecksumICMPv6)
	}
	e.attach(r.Stack, s, &rawKind)
	e.lport = uint16(s.Protocol)
	if s.Protocol == abi.IPPROTO_RAW {
		e.own().hdrincl = true
	}
	s.PCB = e
	s.Opt.Set(socket.ReuseAddr, true) // Linux, INET_PROTOSW_REUSE
	r.all = append(r.all, e)
	return nil
}

// rawKind is the facts of SOCK_RAW's row.
var rawKind = kind{
	Kind:  socket.Kind{Name: "raw", Level: abi.SOL_RAW},
	group: true, group6: true, anyFamily: true, unspec: true, header4: true, other: syscall.EAFNOSUPPORT,
	bind4: syscall.EADDRNOTAVAIL, send4: syscall.ENETUNREACH,
}

// Kind implements socket.Proto.
func (r *rawProto) Kind() *socket.Kind { return &rawKind.Kind }

// Options implements socket.Proto.
func (r *rawProto) Options() *socket.Options { return r.options }

// Bind implements socket.Proto.
func (r *rawProto) Bind(s *socket.Socket, a abi.Addr) error {
	e := rawOf(s)
	addr, err := r.bindAddr(s, &rawKind, a, e.raddr.IsValid())
	if err != nil {
		return err
	}
	e.addr, e.scope = addr, s.Opt.Device
	e.rerouted()
	return nil
}

// Connect implements socket.Proto.
func (r *rawProto) Connect(s *socket.Socket, a abi.Addr) error {
	e := rawOf(s)
	if a.Family == abi.AF_UNSPEC {
		e.lport = 0 // and what bind has set is forgotten as well, as on Linux
		e.dissolve()
		return nil
	}
	path, err := e.connectPath(a)
	if err == nil {
		err = e.fixed(path, a)
	}
	return err
}

// Listen implements socket.Proto.
func (r *rawProto) Listen(*socket.Socket, int) error { return syscall.EOPNOTSUPP }

// Accept implements socket.Proto.
func (r *rawProto) Accept(*socket.Socket, int) (*socket.Socket, error) {
	return nil, syscall.EOPNOTSUPP
}

// Send implements socket.Proto.
func (r *rawProto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := rawOf(s)
	c, err := e.parseControl(m)
	if err != nil {
		return 0, err
	}
	if m.Flags&abi.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if s.Domain == abi.AF_INET6 && m.HasAddr && m.Addr.Port != 0 && int16(m.Addr.Port) != s.Protocol {
		return 0, syscall.EINVAL // the port is the protocol (Linux, rawv6_sendmsg)
	}
	path, _, err := e.destination(m, &c)
	if routed := err != syscall.EDESTADDRREQ && err != syscall.EINVAL && err != syscall.EAFNOSUPPORT; routed && e.cut(m) {
		return 0, syscall.EFAULT
	}
	if err != nil {
		return 0, err
	}
	if e.ip().hdrincl {
		// Linux makes other packets without asking the socket (ip_append_data).
		if err := s.TakeErr(); err != nil {
			return 0, err
		}
		if e.shutWR {
			return 0, syscall.EPIPE
		}
	}
	payload := vecOf(m.Data)
	n := payload.Len()
	o := ip.Out{Src: path.Src, Dst: path.Dst, Proto: uint8(s.Protocol), Unverified: true}
	o.HeaderIncluded = e.ip().hdrincl
	sums := e.checksum >= 0 && !o.HeaderIncluded
	switch {
	case o.HeaderIncluded && n < ipHeaderLen(path.Dst.Is4()):
		return 0, syscall.EINVAL
	case n > 65535:
		return 0, syscall.EMSGSIZE
	case sums && int(e.checksum) >= n-1:
		return 0, syscall.EINVAL
	}
	k := packet.New()
	k.Owner = packet.Owner{PID: s.Owner.Load(), Socket: s.ID}
	k.Payload = payload
	if sums {
		k.Payload = e.summed(payload, path)
	}
	taken(m)
	e.countICMP(k.Front(), &o)
	return n, e.output(k, path, &o, &c, 0, n)
}

// countICMP counts a message of ICMP's that begins with b, or with an IPv4 header in front of it (Linux,
// raw_send_hdrinc; rawv6_send_hdrinc does not).
func (e *rawEndpoint) countICMP(b []byte, o *ip.Out) {
	proto := o.Proto
	if o.HeaderIncluded {
		if !o.Dst.Is4() || len(b) < wire.IPv4MinLen || b[9] != ip.ProtoICMP || len(b) < int(b[0]&15)*4+wire.ICMPLen {
			return
		}
		b, proto = b[int(b[0]&15)*4:], ip.ProtoICMP
	}
	if v6 := proto == ip.ProtoICMPv6; len(b) > 0 && (v6 || proto == ip.ProtoICMP) {
		e.stack.IP.In(e.s.Host).ICMP.CountOut(v6, b[0])
	}
}

// summed returns a copy of the payload, which it takes over, with the checksum where
// IPV6_CHECKSUM wants it (RFC 3542, section 3.1).
func (e *rawEndpoint) summed(payload packet.Vec, path *ip.Path) packet.Vec {
	n := payload.Len()
	block := packet.NewBlock(n)
	b := block.Bytes()[:n]
	payload.CopyTo(b, 0)
	payload.Release()
	field := b[e.checksum:]
	field[0], field[1] = 0, 0
	var c wire.Checksum
	c.AddPseudo(path.Src, path.Dst, uint8(e.s.Protocol), n)
	c.Add(b)
	sum := c.Sum()
	if sum == 0 && e.s.Protocol == abi.IPPROTO_UDP {
		sum = 0xffff // zero would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(field, sum)
	var v packet.Vec
	v.Append(block.View(0, n))
	return v
}

// vecOf returns the views of data as one Vec. The references stay the caller's.
func vecOf(data []packet.View) packet.Vec {
	var x packet.Vec
	for _, v := range data {
		if v.Len() > 0 {
			x.Append(v)
		}
	}
	return x
}

// taken says that the references of m's views have gone to a packet, which has no
// use for empty ones.
func taken(m *socket.Msg) {
	for _, v := range m.Data {
		if v.Len() == 0 {
			v.Release()
		}
	}
	m.Data = m.Data[:0]
}

// cut reports whether m is an ICMP message without type and code, which Linux reads before
// it looks for a route (raw_probe_proto_opt).
func (e *rawEndpoint) cut(m *socket.Msg) bool {
	if p := e.s.Protocol; e.ip().hdrincl || p != abi.IPPROTO_ICMP && p != abi.IPPROTO_ICMPV6 {
		return false
	}
	n := 0
	for _, v := range m.Data {
		n += v.Len()
	}
	return n < 2
}

// Recv implements socket.Proto.
func (r *rawProto) Recv(s *socket.Socket, m *socket.Msg) (int, error) {
	if m.Flags&(abi.MSG_OOB|abi.MSG_ERRQUEUE) == abi.MSG_OOB {
		return 0, syscall.EOPNOTSUPP
	}
	n, err := rawOf(s).recv(m)
	m.Addr.Port = 0
	return n, err
}

// Shutdown implements socket.Proto.
func (r *rawProto) Shutdown(s *socket.Socket, how int) error { return rawOf(s).shutdown(how) }

// Close implements socket.Proto.
func (r *rawProto) Close(s *socket.Socket) {
	e := rawOf(s)
	r.Forget(s)
	for i, o := range r.all {
		if o == e {
			r.all = append(r.all[:i], r.all[i+1:]...)
			break
		}
	}
	e.leaveAll()
	e.endFlows(r.Stack)
	e.drain()
}

// Ready implements socket.Proto.
func (r *rawProto) Ready(s *socket.Socket) wait.Events { return rawOf(s).ready() }

// Name implements socket.Proto.
func (r *rawProto) Name(s *socket.Socket) abi.Addr { return rawOf(s).name() }

// Peer implements socket.Proto.
func (r *rawProto) Peer(s *socket.Socket) (abi.Addr, error) {
	a, err := rawOf(s).peer()
	return a, err
}

// Queued implements socket.Proto.
func (r *rawProto) Queued(s *socket.Socket) (in, out int) { return rawOf(s).queued() }

// Holds implements socket.Holder.
func (r *rawProto) Holds(s *socket.Socket) (received, sent int, drops uint32) {
	received, drops = rawOf(s).holds()
	return received, 0, drops
}

// Has implements ip.Raw.
func (r *rawProto) Has(proto uint8) bool {
	for _, e := range r.all {
		if uint8(e.s.Protocol) == proto {
			return true
		}
	}
	return false
}

// Tap implements ip.Raw.
func (r *rawProto) Tap(p *packet.Packet, m *ip.Meta) bool {
	taken := false
	for _, e := range r.all {
		if e.wants(p, m) {
			taken = true
			k := p.Clone()
			header := 0
			if !m.V6 {
				header = len(m.Header)
				copy(k.Prepend(header), m.Header)
			}
			if !e.keep(k, m, header, rawLeast) {
				if r.Host.Tracing() {
					e.tellArrived(m, 0, k.Len(), trace.ByFilter)
				}
				k.Free()
				continue
			}
			k.Payload = flatten(k)
			e.push(k, m, 0)
		}
	}
	return taken
}

// flatten moves a packet's head into the payload, where a receiver looks for all
// the bytes.
func flatten(p *packet.Packet) packet.Vec {
	var v packet.Vec
	h := p.Head()
	if len(h) > 0 {
		v.Append(packet.Copy(h))
		p.Consume(len(h))
	}
	for _, w := range p.Payload.Views() {
		if !v.Append(w) {
			w.Release()
		}
	}
	return v
}

// wants reports whether the socket receives the packet.
func (e *rawEndpoint) wants(p *packet.Packet, m *ip.Meta) bool {
	s := e.s
	switch {
	case m.V6 != (s.Domain == abi.AF_INET6) || uint8(s.Protocol) != m.Proto:
		return false
	case !e.bound():
		return false // connect has dissolved the peer, and the protocol with it
	case !e.addr.IsUnspecified() && e.addr != m.Dst:
		return false
	case e.raddr.IsValid() && e.raddr != m.Src:
		return false
	case s.Opt.Device != 0 && int(s.Opt.Device) != m.Iface.Index():
		return false
	}
	if e.checksum >= 0 && !p.Trusted && !ip.InternetSumOK(p, m) {
		e.drops++
		if s.Host.Tracing() {
			e.tellArrived(m, 0, p.Len(), trace.BadChecksum)
		}
		return false
	}
	h := p.Front()
	if len(h) == 0 {
		return true
	}
	switch {
	case !m.V6 && m.Proto == ip.ProtoICMP:
		return h[0] >= 32 || e.filter[0]&(1<<h[0]) == 0
	case m.V6 && m.Proto == ip.ProtoICMPv6:
		return e.filter[h[0]>>5]&(1<<(h[0]&31)) == 0
	}
	return true
}

// Error implements ip.Raw.
func (r *rawProto) Error(x *ip.Error) {
	for _, e := range r.all {
		s := e.s
		if uint8(s.Protocol) == x.Proto && x.V6 == (s.Domain == abi.AF_INET6) &&
			(!e.raddr.IsValid() || e.raddr == x.Dst) {
			e.icmp(x, 0, x.Quote)
		}
	}
}

// Describe implements socket.Proto.
func (r *rawProto) Describe(s *socket.Socket, in *socket.Info) { rawOf(s).describe(in) }

// owner returns the process that has a raw socket of the protocol.
func (r *rawProto) owner(proto int) int32 {
	for _, e := range r.all {
		if int(e.s.Protocol) == proto {
			return e.s.Owner.Load()
		}
	}
	return 0
}

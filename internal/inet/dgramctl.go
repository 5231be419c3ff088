package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/packet"
)

// control appends the control messages that the socket's options ask for.
func (d *dgram) control(b []byte, g *datagram) []byte {
	o := d.ip()
	b = d.s.AppendArrival(b, g.at)
	if d.s.Opt.Has(socket.RxqOvfl) && g.drops > 0 {
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_RXQ_OVFL, binary.NativeEndian.AppendUint32(nil, g.drops))
	}
	b = d.segmentControl(b, g)
	if g.dst.Is4() {
		if o.pktinfo {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_PKTINFO, appendPktinfo(nil, g.ifindex, d.specific(g), g.dst))
		}
		if o.recvTTL {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_TTL, abi.AppendInt(nil, int(g.ttl)))
		}
		if o.recvTOS {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_TOS, []byte{g.tos})
		}
		b = optionControl(b, o, g)
		if o.recvOrigDst {
			b = d.destinationControl(b, abi.SOL_IP, abi.IP_RECVORIGDSTADDR, g)
		}
	}
	if d.s.Domain != abi.AF_INET6 {
		return b
	}
	if o.recvPktinfo6 {
		dst := g.dst.As16()
		b = abi.AppendCmsg(b, abi.SOL_IPV6, abi.IPV6_PKTINFO, abi.AppendInt(dst[:], int(g.ifindex)))
	}
	if g.dst.Is4() {
		return b
	}
	if o.recvHops6 {
		b = abi.AppendCmsg(b, abi.SOL_IPV6, abi.IPV6_HOPLIMIT, abi.AppendInt(nil, int(g.ttl)))
	}
	if o.recvTClass6 {
		b = abi.AppendCmsg(b, abi.SOL_IPV6, abi.IPV6_TCLASS, abi.AppendInt(nil, int(g.tos)))
	}
	if info := uint32(g.tos)<<20 | g.flow; o.recvFlow6 && info != 0 {
		b = abi.AppendCmsg(b, abi.SOL_IPV6, abi.IPV6_FLOWINFO, binary.BigEndian.AppendUint32(nil, info))
	}
	if o.recvOrigDst6 {
		b = d.destinationControl(b, abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, g)
	}
	return b
}

// destinationControl appends the address that a datagram was sent to. The port is what
// stands where a UDP header has it; without such bytes there is no message (Linux,
// ip_cmsg_recv_dstaddr).
func (d *dgram) destinationControl(b []byte, level, name int, g *datagram) []byte {
	port := d.lport
	if !d.kind.ports {
		var h []byte
		if views := g.views(); len(views) > 0 {
			h = views[0].Bytes()
		}
		if d.kind.header4 && g.dst.Is4() && len(h) > 0 {
			h = h[min(len(h), int(h[0]&15)*4):]
		}
		if len(h) < 4 {
			return b
		}
		port = be16(h[2:])
	}
	a := abi.AddrFrom(netip.AddrPortFrom(g.dst, port))
	if needsScope(g.dst) {
		a.Scope = uint32(g.ifindex)
	}
	return abi.AppendCmsg(b, level, name, abi.AppendAddr(nil, a))
}

// specific returns the host's own address by which a datagram has come: for one to a
// group or to all, the interface's (ip(7), ipi_spec_dst).
func (d *dgram) specific(g *datagram) netip.Addr {
	if g.dst.IsMulticast() || d.stack.IP.IsBroadcast(g.dst) {
		if i := d.stack.IP.Iface(int(g.ifindex)); i != nil {
			for _, a := range i.Addrs() {
				if a.Addr().Is4() {
					return a.Addr()
				}
			}
		}
	}
	return g.dst
}

// appendPktinfo appends a struct in_pktinfo.
func appendPktinfo(b []byte, ifindex int32, spec, dst netip.Addr) []byte {
	b = abi.AppendInt(b, int(ifindex))
	s, a := spec.As4(), dst.As4()
	return append(append(b, s[:]...), a[:]...)
}

// sendControl is what control messages say of one datagram.
type sendControl struct {
	src     netip.Addr
	ifindex int
	ttl     int // -1: not said
	tos     int
	flow    uint32 // IPv6 flow label; 0: not said
	segment int    // UDP_SEGMENT; -1: not said
	stamps  int    // SCM_TIMESTAMPING; -1: not said
	hasKey  bool   // SCM_TS_OPT_ID
	key     uint32
}

// sendsTo4 reports whether m goes to an IPv4 address, mapped or not.
func (d *dgram) sendsTo4(m *socket.Msg) bool {
	switch {
	case d.s.Domain == abi.AF_INET:
		return true
	case m.HasAddr && m.Addr.Family != abi.AF_UNSPEC:
		return m.Addr.IP.Unmap().Is4()
	}
	return d.raddr.Is4()
}

// parseControl reads the control messages of a send: those of the family that the
// datagram goes by (Linux, ip_cmsg_send and ip6_datagram_send_ctl). One that is not
// known, or not honoured, is EINVAL.
func (d *dgram) parseControl(m *socket.Msg) (c sendControl, err error) {
	c.ttl, c.tos, c.segment, c.stamps = -1, -1, -1, -1
	if len(m.Control) == 0 {
		return c, nil
	}
	list, err := abi.ParseCmsgs(m.Control)
	if err != nil {
		return c, err
	}
	v4 := d.sendsTo4(m)
	for _, k := range list {
		switch {
		case k.Level == abi.SOL_SOCKET && k.Type == abi.SO_TIMESTAMPING:
			c.stamps, err = stampFlags(k)
		case k.Level == abi.SOL_SOCKET && k.Type == abi.SCM_TS_OPT_ID:
			if len(k.Data) != 4 || d.s.Opt.Stamping()&abi.SOF_TIMESTAMPING_OPT_ID == 0 {
				err = syscall.EINVAL
				break
			}
			c.hasKey, c.key = true, binary.NativeEndian.Uint32(k.Data)
		case k.Level == abi.SOL_SOCKET:
			err = d.stack.socketControl(d.s, k)
		case k.Level == d.kind.Level && d.kind.segment != nil:
			c.segment, err = d.kind.segment(k)
		case v4 && k.Level == abi.SOL_IP:
			err = c.ip(k)
		case v4 && k.Level == abi.SOL_IPV6 && k.Type == abi.IPV6_PKTINFO && d.s.Domain == abi.AF_INET6:
			if err = c.pktinfo6(k); err == nil && !c.src.Is4() {
				err = syscall.EINVAL
			}
		case !v4 && k.Level == abi.SOL_IPV6:
			if err = c.ip6(k); err == nil {
				err = d.stack.checkPktinfo(&c)
			}
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// socketControl checks a control message at SOL_SOCKET (Linux, __sock_cmsg_send).
// Priority, mark and time say nothing to links; descriptors and credentials are not for
// the Internet.
func (s *Stack) socketControl(k *socket.Socket, m abi.Cmsg) error {
	const rights, credentials = 1, 2
	switch m.Type {
	case rights, credentials:
		return nil
	case abi.SO_PRIORITY:
		v, err := cmsgInt(m)
		if err == nil && !socket.MayPrioritize(s.may, k, v) {
			err = syscall.EPERM
		}
		return err
	case abi.SO_MARK:
		if !s.may(k, abi.CAP_NET_RAW, abi.CAP_NET_ADMIN) {
			return syscall.EPERM
		}
		if len(m.Data) == 4 {
			return nil
		}
	case abi.SO_TXTIME:
		if k.TxTime() && len(m.Data) == 8 {
			return nil
		}
	}
	return syscall.EINVAL
}

// checkPktinfo checks the source and interface that IPV6_PKTINFO names.
func (s *Stack) checkPktinfo(c *sendControl) error {
	if c.ifindex != 0 {
		i := s.IP.Iface(c.ifindex)
		if i == nil {
			return syscall.ENODEV
		}
		if c.src.IsValid() && !has(i, c.src) {
			return syscall.EINVAL
		}
	}
	if c.src.IsValid() && !s.IP.IsLocal(c.src) {
		return syscall.EINVAL
	}
	return nil
}

// cmsgInt reads a control message that is an int, and nothing behind it.
func cmsgInt(m abi.Cmsg) (int, error) {
	if len(m.Data) != 4 {
		return 0, syscall.EINVAL
	}
	return abi.ParseInt(m.Data)
}

func (c *sendControl) ip(m abi.Cmsg) error {
	switch m.Type {
	case abi.IP_PKTINFO:
		if len(m.Data) != 12 {
			return syscall.EINVAL
		}
		c.ifindex = int(int32(binary.NativeEndian.Uint32(m.Data)))
		if a := netip.AddrFrom4([4]byte(m.Data[4:8])); !a.IsUnspecified() {
			c.src = a
		}
	case abi.IP_TTL:
		v, err := cmsgInt(m)
		if err != nil || v < 1 || v > 255 {
			return syscall.EINVAL
		}
		c.ttl = v
	case abi.IP_TOS:
		if len(m.Data) != 1 && len(m.Data) != 4 {
			return syscall.EINVAL
		}
		v, err := abi.ParseIntOrByte(m.Data)
		if err != nil || v < 0 || v > 255 {
			return syscall.EINVAL
		}
		c.tos = v
	default:
		return syscall.EINVAL
	}
	return nil
}

func (c *sendControl) pktinfo6(m abi.Cmsg) error {
	if len(m.Data) < 20 {
		return syscall.EINVAL
	}
	c.ifindex = int(int32(binary.NativeEndian.Uint32(m.Data[16:])))
	if a := netip.AddrFrom16([16]byte(m.Data[:16])).Unmap(); !a.IsUnspecified() {
		c.src = a
	}
	return nil
}

func (c *sendControl) ip6(m abi.Cmsg) error {
	if m.Type == abi.IPV6_PKTINFO {
		return c.pktinfo6(m)
	}
	if m.Type == abi.IPV6_FLOWINFO && len(m.Data) >= 4 {
		c.flow = binary.BigEndian.Uint32(m.Data)
		return nil
	}
	v, err := cmsgInt(m)
	if err != nil {
		return err
	}
	lo, hi := -1, 255
	switch m.Type {
	case abi.IPV6_HOPLIMIT:
		c.ttl = v
	case abi.IPV6_TCLASS:
		c.tos = int(uint8(v)) // -1 is all ones on Linux
	case abi.IPV6_DONTFRAG:
		lo, hi = 0, 1
	default:
		return syscall.EINVAL
	}
	if v < lo || v > hi {
		return syscall.EINVAL
	}
	return nil
}

// Origins of a struct sock_extended_err (include/uapi/linux/errqueue.h).
const (
	originICMP         = 2
	originICMP6        = 3
	originTimestamping = 4
	originZeroCopy     = 5
)

// recvError takes the first queued error: the quoted payload, the address that was
// sent to, and a sock_extended_err with the offender's address.
func (d *dgram) recvError(m *socket.Msg) (int, error) {
	if len(d.errors) == 0 {
		return 0, socket.ErrNever
	}
	x := d.errors[0]
	d.errors = append(d.errors[:0], d.errors[1:]...)
	if x.origin == 0 {
		d.s.KeepErr(0) // of the others there is nothing to tell otherwise
	}
	if len(d.errors) > 0 && d.errors[0].origin == 0 {
		d.s.KeepErr(d.errors[0].Errno)
		d.recall()
	}
	m.Flags |= abi.MSG_ERRQUEUE
	m.Addr = abi.Addr{}
	if x.origin == 0 {
		m.Addr = addrOf(d.s, x.dst, x.port, uint32(d.scope))
	}
	if m.Want {
		m.Control = appendExtendedError(d.s.Opt.AppendStamp(m.Control[:0], x.at), d.s, &x, uint32(d.scope))
	}
	q := x.quote
	if len(q) > m.Max {
		q = q[:m.Max]
		m.Flags |= abi.MSG_TRUNC
	}
	if len(q) > 0 {
		m.Data = append(m.Data, packet.Copy(q))
	}
	return len(q), nil
}

// appendExtendedError appends a struct sock_extended_err with the offender's address.
func appendExtendedError(b []byte, s *socket.Socket, x *queuedError, scope uint32) []byte {
	origin, level, name := byte(originICMP), abi.SOL_IP, abi.IP_RECVERR
	info := uint32(x.MTU)
	switch {
	case x.origin != 0:
		origin, info = x.origin, x.Info
	case x.V6:
		origin = originICMP6
	}
	none := abi.SizeofInet
	if s.Domain == abi.AF_INET6 {
		level, name, none = abi.SOL_IPV6, abi.IPV6_RECVERR, abi.SizeofInet6
	}
	v := binary.NativeEndian.AppendUint32(nil, uint32(x.Errno))
	v = append(v, origin, x.Type, x.Code, 0)
	v = binary.NativeEndian.AppendUint32(v, info)
	v = binary.NativeEndian.AppendUint32(v, x.key)
	if x.From.IsValid() {
		v = abi.AppendAddr(v, addrOf(s, x.From, 0, scope))
	} else {
		v = append(v, make([]byte, none)...)
	}
	return abi.AppendCmsg(b, level, name, v)
}

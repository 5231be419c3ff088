package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/buf"
	"usock/internal/socket"
)

// control appends the control messages that the socket's options ask for.
func (d *dgram) control(b []byte, g *datagram) []byte {
	o := d.ip()
	b = stampControl(b, d.s, g)
	if d.s.Opt.Has(socket.RxqOvfl) && g.drops > 0 {
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_RXQ_OVFL, binary.NativeEndian.AppendUint32(nil, g.drops))
	}
	if g.dst.Is4() {
		if o.pktinfo {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_PKTINFO, appendPktinfo(nil, g.ifindex, g.dst, g.dst))
		}
		if o.recvTTL {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_TTL, abi.AppendInt(nil, int(g.ttl)))
		}
		if o.recvTOS {
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_TOS, []byte{g.tos})
		}
		if o.recvOrigDst {
			dst := abi.AddrFrom(netip.AddrPortFrom(g.dst, d.lport))
			b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_RECVORIGDSTADDR, abi.AppendAddr(nil, dst))
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
	return b
}

// stampControl appends the time of arrival, if SO_TIMESTAMP or SO_TIMESTAMPNS asks
// for it.
func stampControl(b []byte, s *socket.Socket, g *datagram) []byte {
	at := g.at
	if at == 0 {
		at = time.Now().UnixNano()
	}
	second, ns := uint64(at/1e9), uint64(at%1e9)
	if s.Opt.Has(socket.Timestamp) {
		v := binary.NativeEndian.AppendUint64(nil, second)
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_TIMESTAMP, binary.NativeEndian.AppendUint64(v, ns/1000))
	}
	if s.Opt.Has(socket.TimestampNS) {
		v := binary.NativeEndian.AppendUint64(nil, second)
		b = abi.AppendCmsg(b, abi.SOL_SOCKET, abi.SO_TIMESTAMPNS, binary.NativeEndian.AppendUint64(v, ns))
	}
	return b
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
}

// parseControl reads the control messages of a send. An unknown one is EINVAL, as
// on Linux.
func parseControl(s *socket.Socket, b []byte) (c sendControl, err error) {
	c.ttl, c.tos = -1, -1
	if len(b) == 0 {
		return c, nil
	}
	list, err := abi.ParseCmsgs(b)
	if err != nil {
		return c, err
	}
	for _, m := range list {
		switch {
		case m.Level == abi.SOL_SOCKET:
			return c, syscall.EINVAL
		case m.Level == abi.SOL_IP:
			err = c.ip(m)
		case m.Level == abi.SOL_IPV6 && s.Domain == abi.AF_INET6:
			err = c.ip6(m)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *sendControl) ip(m abi.Cmsg) error {
	switch m.Type {
	case abi.IP_PKTINFO:
		if len(m.Data) != 12 {
			return syscall.EINVAL
		}
		c.ifindex = int(binary.NativeEndian.Uint32(m.Data))
		if a := netip.AddrFrom4([4]byte(m.Data[4:8])); !a.IsUnspecified() {
			c.src = a
		}
	case abi.IP_TTL:
		v, err := abi.ParseInt(m.Data)
		if err != nil || v < 1 || v > 255 {
			return syscall.EINVAL
		}
		c.ttl = v
	case abi.IP_TOS:
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

func (c *sendControl) ip6(m abi.Cmsg) error {
	switch m.Type {
	case abi.IPV6_PKTINFO:
		if len(m.Data) < 20 {
			return syscall.EINVAL
		}
		c.ifindex = int(binary.NativeEndian.Uint32(m.Data[16:]))
		if a := netip.AddrFrom16([16]byte(m.Data[:16])).Unmap(); !a.IsUnspecified() {
			c.src = a
		}
	case abi.IPV6_HOPLIMIT:
		v, err := abi.ParseInt(m.Data)
		if err != nil || v < -1 || v > 255 {
			return syscall.EINVAL
		}
		c.ttl = v
	case abi.IPV6_TCLASS:
		v, err := abi.ParseInt(m.Data)
		if err != nil || v < -1 || v > 255 {
			return syscall.EINVAL
		}
		c.tos = v
	case abi.IPV6_DONTFRAG:
	default:
		return syscall.EINVAL
	}
	return nil
}

// Origins of a struct sock_extended_err (include/uapi/linux/errqueue.h).
const (
	originICMP  = 2
	originICMP6 = 3
)

// recvError takes the first queued error: the quoted payload, the address that was
// sent to, and a sock_extended_err with the offender's address.
func (d *dgram) recvError(m *socket.Msg) (int, error) {
	if len(d.errors) == 0 {
		return 0, syscall.EAGAIN
	}
	x := d.errors[0]
	d.errors = append(d.errors[:0], d.errors[1:]...)
	d.s.Err = 0
	if len(d.errors) > 0 {
		d.s.Err = d.errors[0].Errno
		d.recall()
	}
	m.Flags |= abi.MSG_ERRQUEUE
	m.Addr = addrOf(d.s, x.dst, x.port, uint32(d.scope))
	origin, level, name := byte(originICMP), abi.SOL_IP, abi.IP_RECVERR
	if x.V6 {
		origin = originICMP6
	}
	if d.s.Domain == abi.AF_INET6 {
		level, name = abi.SOL_IPV6, abi.IPV6_RECVERR
	}
	v := binary.NativeEndian.AppendUint32(nil, uint32(x.Errno))
	v = append(v, origin, x.Type, x.Code, 0)
	info := uint32(x.MTU)
	v = binary.NativeEndian.AppendUint32(v, info)
	v = binary.NativeEndian.AppendUint32(v, 0)
	v = abi.AppendAddr(v, addrOf(d.s, x.From, 0, uint32(d.scope)))
	if m.Want {
		m.Control = abi.AppendCmsg(m.Control[:0], level, name, v)
	}
	q := x.quote
	if len(q) > m.Max {
		q = q[:m.Max]
		m.Flags |= abi.MSG_TRUNC
	}
	if len(q) > 0 {
		m.Data = append(m.Data, buf.Copy(q))
	}
	return len(q), nil
}

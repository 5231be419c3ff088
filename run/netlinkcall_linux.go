//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"math/bits"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// Calls on netlink sockets, as net/netlink/af_netlink.c carries them out.

// netlinkUnsupported is a call that netlink does not have.
func netlinkUnsupported(c *call) result { return c.fail(unix.EOPNOTSUPP) }

// sockaddrNL is struct sockaddr_nl.
type sockaddrNL struct{ port, groups uint32 }

const sizeofNL = 12

// bytes returns the structure, with room behind it for four bytes (storeName).
func (a sockaddrNL) bytes() []byte {
	b := binary.NativeEndian.AppendUint16(make([]byte, 0, sizeofNL+4), unix.AF_NETLINK)
	b = binary.NativeEndian.AppendUint32(append(b, 0, 0), a.port)
	return binary.NativeEndian.AppendUint32(b, a.groups)
}

// loadNL reads a struct sockaddr_nl. family is what it says itself to be.
func (c *call) loadNL(addr, size uint64) (a sockaddrNL, family int, e syscall.Errno) {
	n := int(int32(size))
	if n < 0 || n > abi.SizeofStorage {
		return a, 0, unix.EINVAL
	}
	var b [abi.SizeofStorage]byte
	if e := c.read(addr, b[:n]); e != 0 {
		return a, 0, e
	}
	if n < 2 {
		return a, 0, unix.EINVAL
	}
	family = int(binary.NativeEndian.Uint16(b[:]))
	if family == unix.AF_NETLINK && n < sizeofNL {
		return a, family, unix.EINVAL
	}
	return sockaddrNL{binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[8:])}, family, 0
}

// netlinkBind is bind(fd, addr, addrlen).
func netlinkBind(c *call) result {
	a, family, e := c.loadNL(c.n.data.args[1], c.n.data.args[2])
	s := c.nl
	switch {
	case e != 0:
		return c.fail(e)
	case family != unix.AF_NETLINK:
		return c.fail(unix.EINVAL)
	case s.bound && a.port != s.session.Port:
		return c.fail(unix.EINVAL)
	case !s.bound && a.port == 0:
		s.autobind(c.t.process())
	case !s.bound:
		if e := s.bind(a.port); e != 0 {
			return c.fail(e)
		}
	}
	s.join(s.groups&^(1<<32-1) | uint64(a.groups))
	return c.ok()
}

// netlinkConnect is connect(fd, addr, addrlen).
func netlinkConnect(c *call) result {
	a, family, e := c.loadNL(c.n.data.args[1], c.n.data.args[2])
	s := c.nl
	switch {
	case e != 0:
		return c.fail(e)
	case family == unix.AF_UNSPEC:
		s.connect, s.peer, s.group = false, 0, 0
		return c.ok()
	case family != unix.AF_NETLINK:
		return c.fail(unix.EINVAL)
	case (a.port != 0 || a.groups != 0) && !c.admin():
		return c.fail(unix.EPERM)
	}
	s.autobind(c.t.process())
	s.connect, s.peer, s.group = true, a.port, lowest(a.groups)
	return c.ok()
}

// lowest leaves the lowest bit of a mask of groups: a message goes to one.
func lowest(groups uint32) uint32 { return groups & -groups }

// admin reports whether the caller has CAP_NET_ADMIN.
func (c *call) admin() bool { return c.l.caller.Capable(unix.CAP_NET_ADMIN) }

// netlinkGetsockname is getsockname(fd, addr, addrlen).
func netlinkGetsockname(c *call) result {
	a := sockaddrNL{c.nl.session.Port, uint32(c.nl.groups)}
	return c.fail(c.storeName(a.bytes(), c.n.data.args[1], c.n.data.args[2]))
}

// netlinkGetpeername is getpeername(fd, addr, addrlen): the kernel, if nobody else.
func netlinkGetpeername(c *call) result {
	a := sockaddrNL{c.nl.peer, c.nl.group}
	return c.fail(c.storeName(a.bytes(), c.n.data.args[1], c.n.data.args[2]))
}

// netlinkSendto is sendto(fd, buf, len, flags, addr, addrlen).
func netlinkSendto(c *call) result {
	args := &c.n.data.args
	m := c.plainMessage()
	m.h.name, m.h.nameLen = args[4], uint32(args[5])
	return c.netlinkSend(m)
}

// netlinkSendmsg is sendmsg(fd, msg, flags).
func netlinkSendmsg(c *call) result {
	m, e := c.loadSent(c.n.data.args[1], int(int32(c.n.data.args[2])))
	if e != 0 {
		return c.fail(e)
	}
	return c.netlinkSend(&m)
}

// netlinkSendmmsg is sendmmsg(fd, msgvec, vlen, flags).
func netlinkSendmmsg(c *call) result {
	if c.nl.listsSockets() && !c.scanned {
		return c.afterScan(netlinkSendmmsg)
	}
	return c.netlinkMany(func(m *message) result { return c.netlinkSend(m) })
}

// netlinkMany has one message after the other sent or received, as long as none waits.
func (c *call) netlinkMany(one func(*message) result) result {
	args := &c.n.data.args
	n := uint64(min(uint32(args[2]), maxIovec))
	for i := range n {
		at := args[1] + i*mmsghdrSize
		m, e := c.loadMessage(at, int(int32(args[3]))&^unix.MSG_WAITFORONE)
		if e != 0 {
			return c.some(i, e)
		}
		r := one(&m)
		switch {
		case r.how == park:
			return r
		case r.err != 0:
			return c.some(i, r.err)
		}
		if e := c.putLen(at+offMsgLen, r.val); e != 0 {
			return c.some(i, e)
		}
	}
	return c.answer(int64(n))
}

// netlinkSend has a request answered.
func (c *call) netlinkSend(m *message) result {
	s := c.nl
	port := s.peer
	if m.flags&unix.MSG_OOB != 0 {
		return c.fail(unix.EOPNOTSUPP)
	}
	if m.total == 0 {
		return c.fail(unix.ENODATA)
	}
	if m.h.name != 0 && m.h.nameLen > 0 {
		a, family, e := c.loadNL(m.h.name, uint64(m.h.nameLen))
		if e == 0 && family != unix.AF_NETLINK {
			e = unix.EINVAL
		}
		if e != 0 {
			return c.fail(e)
		}
		if port = a.port; (port != 0 || a.groups != 0) && !c.admin() {
			return c.fail(unix.EPERM)
		}
	}
	s.pid = c.t.process()
	s.autobind(s.pid)
	if m.total > min(sysGetInt(c.dup, unix.SO_SNDBUF)-32, arrivalsMax*arrivalSize) {
		return c.fail(unix.EMSGSIZE)
	}
	if port != 0 {
		return c.fail(unix.ECONNREFUSED) // no program answers another
	}
	if s.listsSockets() && !c.scanned {
		return c.afterScan(func(c *call) result { return c.netlinkSend(m) })
	}
	b := make([]byte, m.total)
	if e := c.transfer(false, b, m.spans); e != 0 {
		return c.fail(e)
	}
	if waiting := s.session.Waiting(); waiting > 0 && waiting+len(b) > netlinkWait {
		return c.fail(unix.ENOBUFS) // it reads no answers
	}
	s.session.Take(b)
	s.answer(true)
	return c.answer(int64(len(b)))
}

// netlinkRecvfrom is recvfrom(fd, buf, len, flags, addr, addrlen).
func netlinkRecvfrom(c *call) result { return c.netlinkReceive(c.plainMessage()) }

// netlinkRecvmsg is recvmsg(fd, msg, flags).
func netlinkRecvmsg(c *call) result {
	m, e := c.loadMessage(c.n.data.args[1], int(int32(c.n.data.args[2])))
	if e != 0 {
		return c.fail(e)
	}
	return c.netlinkReceive(&m)
}

// netlinkRecvmmsg is recvmmsg(fd, msgvec, vlen, flags, timeout). It waits for the first
// message alone, if at all.
func netlinkRecvmmsg(c *call) result {
	first := true
	return c.netlinkMany(func(m *message) result {
		if first {
			first = false
			r := c.netlinkTake(m)
			if r.how != park || c.nowait(m.flags) {
				return endOf(c, r)
			}
			return c.park(&c.nl.waiting, netlinkRecvmmsg, c.netlinkPatience(), unix.EAGAIN)
		}
		return endOf(c, c.netlinkTake(m))
	})
}

// endOf is EAGAIN in place of waiting.
func endOf(c *call, r result) result {
	if r.how == park {
		return c.fail(unix.EAGAIN)
	}
	return r
}

func (c *call) netlinkReceive(m *message) result {
	if m.flags&unix.MSG_OOB != 0 {
		return c.fail(unix.EOPNOTSUPP)
	}
	r := c.netlinkTake(m)
	if r.how != park || c.nowait(m.flags) {
		return endOf(c, r)
	}
	return c.park(&c.nl.waiting, func(c *call) result { return c.netlinkTake(m) }, c.netlinkPatience(), unix.EAGAIN)
}

// netlinkPatience is the program's end's SO_RCVTIMEO.
func (c *call) netlinkPatience() timeout {
	var tv unix.Timeval
	if v, err := unix.GetsockoptTimeval(c.dup, unix.SOL_SOCKET, unix.SO_RCVTIMEO); err == nil {
		tv = *v
	}
	return timeout{after: time.Duration(tv.Nano())}
}

// netlinkTake takes the next datagram off the program's end, if there is one. That there is
// none is true only if none has come since: the call may have been away.
func (c *call) netlinkTake(m *message) result {
	s := c.nl
	if s.lost {
		s.lost = false
		return c.fail(unix.ENOBUFS)
	}
	b := c.l.msgBuf
	var n int
	for {
		told := s.told
		var e syscall.Errno
		if gone := c.away(func() { n, e = recvMsg(c.dup, b, new(unix.Msghdr), m.flags&unix.MSG_PEEK) }); gone != 0 {
			return c.fail(gone)
		}
		if e == unix.EAGAIN && told == s.told {
			return result{how: park}
		}
		if e == 0 {
			break
		}
		if e != unix.EAGAIN {
			return c.lacks(e)
		}
	}
	b = b[:n]
	got := received{raw: sockaddrNL{0, newsGroup(b)}.bytes(), control: s.controlOf(b)}
	put := b[:min(n, m.total)]
	m.done = len(put)
	if e := c.writev(put, m.spans); e != 0 {
		return c.fail(e)
	}
	if len(put) < n {
		got.flags = unix.MSG_TRUNC
	}
	if e := c.storeRest(m, &got); e != 0 {
		return c.fail(e)
	}
	if m.flags&unix.MSG_TRUNC != 0 {
		return c.answer(int64(n))
	}
	return c.answer(int64(len(put)))
}

// newsGroup returns the group that a datagram was sent to, as a mask. Of messages, those to
// one program name its port, and the others are news.
func newsGroup(b []byte) uint32 {
	if len(b) <= unix.SizeofNlMsghdr || binary.NativeEndian.Uint32(b[12:]) != 0 {
		return 0
	}
	group := newsOf(binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr])
	if group == 0 {
		return 0
	}
	return 1 << (group - 1)
}

// newsOf returns the number of the group that hears of a message of a type about a family.
func newsOf(typ uint16, family uint8) int {
	v4, v6 := family == unix.AF_INET, family == unix.AF_INET6
	switch typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return unix.RTNLGRP_LINK
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if v4 {
			return unix.RTNLGRP_IPV4_IFADDR
		} else if v6 {
			return unix.RTNLGRP_IPV6_IFADDR
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if v4 {
			return unix.RTNLGRP_IPV4_ROUTE
		} else if v6 {
			return unix.RTNLGRP_IPV6_ROUTE
		}
	}
	return 0
}

// controlOf returns the control messages that come with a datagram: the kernel is its sender.
func (s *netlinkSock) controlOf(b []byte) (control []byte) {
	if s.has(unix.NETLINK_PKTINFO) {
		control = abi.AppendCmsg(control, unix.SOL_NETLINK, unix.NETLINK_PKTINFO,
			abi.AppendInt(nil, bits.Len32(newsGroup(b))))
	}
	if s.creds {
		control = abi.AppendCmsg(control, unix.SOL_SOCKET, unix.SCM_CREDENTIALS, make([]byte, unix.SizeofUcred))
	}
	return control
}

func (s *netlinkSock) has(option int) bool { return s.options>>option&1 != 0 }

// netlinkGroups is how many groups of NETLINK_ROUTE there are (RTNLGRP_MAX).
const netlinkGroups = 36

// netlinkSetsockopt is setsockopt(fd, level, name, value, size). What is about the queue and
// about time is the program's end's own.
func netlinkSetsockopt(c *call) result {
	args := &c.n.data.args
	level, name, size := int(int32(args[1])), int(int32(args[2])), int(int32(args[4]))
	if level == unix.SOL_SOCKET && name != unix.SO_PASSCRED {
		return result{how: byKernel}
	}
	if level != unix.SOL_SOCKET && level != unix.SOL_NETLINK {
		return c.fail(unix.ENOPROTOOPT)
	}
	if size < 4 {
		if level == unix.SOL_SOCKET || size < 0 {
			return c.fail(unix.EINVAL)
		}
		size = 0 // as netlink_setsockopt: the value is 0
	}
	v := uint32(0)
	if size > 0 {
		var b [4]byte
		if e := c.read(args[3], b[:]); e != 0 {
			return c.fail(e)
		}
		v = binary.NativeEndian.Uint32(b[:])
	}
	s := c.nl
	if level == unix.SOL_SOCKET {
		s.creds = v != 0
		return c.ok()
	}
	switch name {
	case unix.NETLINK_ADD_MEMBERSHIP, unix.NETLINK_DROP_MEMBERSHIP:
		if v == 0 || v > netlinkGroups {
			return c.fail(unix.EINVAL)
		}
		if name == unix.NETLINK_ADD_MEMBERSHIP {
			s.join(s.groups | 1<<(v-1))
		} else {
			s.join(s.groups &^ (1 << (v - 1)))
		}
		return c.ok()
	case unix.NETLINK_LISTEN_ALL_NSID:
		if !c.admin() {
			return c.fail(unix.EPERM)
		}
	case unix.NETLINK_PKTINFO, unix.NETLINK_BROADCAST_ERROR, unix.NETLINK_NO_ENOBUFS, unix.NETLINK_CAP_ACK,
		unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK:
	default:
		return c.fail(unix.ENOPROTOOPT)
	}
	s.options &^= 1 << name
	if v != 0 {
		s.options |= 1 << name
	}
	s.session.Strict, s.session.CapAck, s.session.ExtAck =
		s.has(unix.NETLINK_GET_STRICT_CHK), s.has(unix.NETLINK_CAP_ACK), s.has(unix.NETLINK_EXT_ACK)
	return c.ok()
}

// netlinkGetsockopt is getsockopt(fd, level, name, value, size).
func netlinkGetsockopt(c *call) result {
	args := &c.n.data.args
	level, name := int(int32(args[1])), int(int32(args[2]))
	s := c.nl
	var v []byte
	switch {
	case level == unix.SOL_SOCKET:
		switch name {
		case unix.SO_TYPE:
			v = abi.AppendInt(nil, s.typ)
		case unix.SO_DOMAIN:
			v = abi.AppendInt(nil, unix.AF_NETLINK)
		case unix.SO_PROTOCOL:
			v = abi.AppendInt(nil, s.session.Protocol)
		case unix.SO_PASSCRED:
			v = abi.AppendInt(nil, asInt(s.creds))
		case unix.SO_PEERCRED: // nobody's
			v = abi.AppendInt(abi.AppendInt(abi.AppendInt(nil, 0), -1), -1)
		case unix.SO_ERROR:
			v = abi.AppendInt(nil, 0)
			if s.lost {
				s.lost = false
				v = abi.AppendInt(nil, int(unix.ENOBUFS))
			}
		default:
			return result{how: byKernel}
		}
	case level != unix.SOL_NETLINK:
		return c.fail(unix.ENOPROTOOPT)
	}
	var word [4]byte
	if e := c.read(args[4], word[:]); e != 0 {
		return c.fail(e)
	}
	size := int(int32(binary.NativeEndian.Uint32(word[:])))
	if size < 0 {
		return c.fail(unix.EINVAL)
	}
	if level == unix.SOL_NETLINK {
		switch name {
		case unix.NETLINK_LIST_MEMBERSHIPS:
			return c.listMemberships(size, args[3], args[4])
		case unix.NETLINK_PKTINFO, unix.NETLINK_BROADCAST_ERROR, unix.NETLINK_NO_ENOBUFS, unix.NETLINK_CAP_ACK,
			unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK, unix.NETLINK_LISTEN_ALL_NSID:
		default:
			return c.fail(unix.ENOPROTOOPT)
		}
		if size < 4 {
			return c.fail(unix.EINVAL)
		}
		v = abi.AppendInt(nil, asInt(s.has(name)))
	}
	v = v[:min(size, len(v))]
	if e := c.write(args[3], v); e != 0 {
		return c.fail(e)
	}
	return c.fail(c.putLen(args[4], int64(len(v))))
}

// listMemberships is NETLINK_LIST_MEMBERSHIPS: as many words of the mask as there is room for,
// and how long it is. There is none until groups were asked for.
func (c *call) listMemberships(size int, addr, length uint64) result {
	var b []byte
	if c.nl.grouped {
		b = binary.NativeEndian.AppendUint64(b, c.nl.groups)
	}
	if e := c.write(addr, b[:min(size&^3, len(b))]); e != 0 {
		return c.fail(e)
	}
	return c.fail(c.putLen(length, int64(len(b))))
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

//go:build linux

package gateway

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queued is an entry of an outer socket's error queue (ip(7), IP_RECVERR).
type queued struct {
	errno     syscall.Errno
	origin    uint8 // SO_EE_ORIGIN_*
	typ, code uint8
	info      uint32         // an MTU
	offender  netip.Addr     // who complains; not valid: unknown
	to        netip.AddrPort // where what it is about went to
	data      []byte         // of that
}

// firstError takes the first entry of fd's error queue. ok is false if there is none.
func firstError(fd int) (q queued, ok bool) {
	if fd < 0 {
		return q, false
	}
	var p [64]byte
	var control [256]byte
	return nextError(fd, p[:], control[:])
}

// nextError takes an entry of fd's error queue, with the beginning of what it is about in p.
func nextError(fd int, p, control []byte) (q queued, ok bool) {
	var m message
	n, ctl, e := m.recv(fd, p, control, unix.MSG_ERRQUEUE)
	if e != 0 {
		return q, false
	}
	q.to, q.data = m.name.addrPort(), p[:n]
	eachCmsg(ctl, func(level, typ int32, data []byte) {
		if (level != unix.IPPROTO_IP || typ != unix.IP_RECVERR) && (level != unix.IPPROTO_IPV6 || typ != unix.IPV6_RECVERR) {
			return
		}
		const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
		if len(data) < size {
			return
		}
		x := (*unix.SockExtendedErr)(unsafe.Pointer(&data[0]))
		q.errno, q.origin, q.typ, q.code, q.info = syscall.Errno(x.Errno), x.Origin, x.Type, x.Code, x.Info
		var a sockaddr
		copy(a.raw[:], data[size:])
		q.offender = a.addrPort().Addr()
		ok = true
	})
	return q, ok
}

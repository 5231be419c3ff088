//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// The options of SCTP's that are more than bytes for the stack: those by which sctp_connectx(3) and
// sctp_peeloff(3) are made.

// sctpOption carries one out that is set, and reports whether it is one.
func (c *call) sctpOption(level, name int, v []byte) (r result, is bool) {
	if level != usock.SOL_SCTP || name != usock.SCTP_SOCKOPT_CONNECTX && name != usock.SCTP_SOCKOPT_CONNECTX_OLD {
		return r, false
	}
	return c.connectMessages(func() error { return c.s.u.SetSockOpt(level, name, v) }, func(c *call, e syscall.Errno) result {
		if e != 0 || name == usock.SCTP_SOCKOPT_CONNECTX_OLD {
			return c.fail(e)
		}
		return c.answer(int64(c.s.assocWith(v)))
	}), true
}

// assocWith returns the number of the association with a peer, whose addresses lie behind each other.
func (s *sock) assocWith(addrs []byte) int32 {
	a, err := usock.ParseSockaddr(addrs[:min(len(addrs), abi.SizeofStorage)])
	if err != nil {
		return 0
	}
	info := abi.AppendStruct(nil, &abi.SCTPPaddrinfo{Address: abi.Addr(a)})
	if n, err := s.u.GetSockOpt(usock.SOL_SCTP, usock.SCTP_GET_PEER_ADDR_INFO, info); err != nil || n < 4 {
		return 0
	}
	return int32(binary.NativeEndian.Uint32(info))
}

// askSCTP carries one out that is got, whose value of size bytes is at addr, and reports whether it is one.
func (c *call) askSCTP(level, name int, addr, length uint64, size int) (r result, is bool) {
	switch {
	case level != usock.SOL_SCTP:
	case name == usock.SCTP_SOCKOPT_CONNECTX3:
		return c.connectThree(addr, length, size), true
	case name == usock.SCTP_SOCKOPT_PEELOFF:
		return c.peelOff(addr, length, size, sizePeeloff), true
	case name == usock.SCTP_SOCKOPT_PEELOFF_FLAGS:
		return c.peelOff(addr, length, size, sizePeeloffFlags), true
	}
	return r, false
}

// Layouts of struct sctp_getaddrs_old and of the arguments of peeling off.
const (
	sizeGetaddrsOld  = 16
	offAddrsSize     = 4
	offAddrs         = 8
	sizePeeloff      = 8
	sizePeeloffFlags = 12
)

// connectThree is SCTP_SOCKOPT_CONNECTX3: the addresses are elsewhere, and the association's number is
// told in their place, before the outcome is known (Linux, sctp_getsockopt_connectx3).
func (c *call) connectThree(addr, length uint64, size int) result {
	if size < sizeGetaddrsOld {
		return c.fail(unix.EINVAL)
	}
	arg, e := c.bytes(addr, sizeGetaddrsOld, sizeGetaddrsOld)
	if e != 0 {
		return c.fail(e)
	}
	n := int32(binary.NativeEndian.Uint32(arg[offAddrsSize:]))
	if n <= 0 {
		return c.fail(unix.EINVAL)
	}
	list, e := c.bytes(binary.NativeEndian.Uint64(arg[offAddrs:]), uint64(n), maxOption)
	if e != 0 {
		return c.fail(e)
	}
	begin := func() error { return c.s.u.SetSockOpt(usock.SOL_SCTP, usock.SCTP_SOCKOPT_CONNECTX, list) }
	return c.connectMessages(begin, func(c *call, e syscall.Errno) result {
		if e == 0 || e == unix.EINPROGRESS {
			id := binary.NativeEndian.AppendUint32(nil, uint32(c.s.assocWith(list)))
			if e := c.write(addr, id); e != 0 {
				return c.fail(e)
			}
			if e := c.putLen(length, int64(len(id))); e != 0 {
				return c.fail(e)
			}
		}
		return c.fail(e)
	})
}

// peelOff gives the program a descriptor of an association's own, whose number is the value of the call,
// too (Linux, sctp_getsockopt_peeloff_common).
func (c *call) peelOff(addr, length uint64, size, whole int) result {
	if size < whole {
		return c.fail(unix.EINVAL)
	}
	arg, e := c.bytes(addr, uint64(whole), whole)
	if e != 0 {
		return c.fail(e)
	}
	flags := 0
	if whole == sizePeeloffFlags {
		flags = int(binary.NativeEndian.Uint32(arg[sizePeeloff:]))
	}
	e = c.write(addr, arg)
	if e == 0 {
		e = c.putLen(length, int64(whole))
	}
	if e != 0 {
		return c.fail(e) // as nothing was done yet
	}
	c.s.drain()
	c.takeShown() // it may go to the new socket
	defer c.s.l.later(c.s)
	u, err := c.s.u.PeelOff(int32(binary.NativeEndian.Uint32(arg)))
	if err != nil {
		return c.failErr(err)
	}
	u.SetNonblock(true)
	r := c.giveMessages(u, flags, func(n *sock, fd int) (int, syscall.Errno) {
		got, e := c.giveMarked(fd, flags&unix.SOCK_CLOEXEC)
		if e != 0 {
			return -1, e
		}
		binary.NativeEndian.PutUint32(arg[4:], uint32(got))
		return got, c.write(addr, arg)
	})
	if r.err != 0 {
		u.Close() // as Linux does: the association is over
		return r
	}
	return c.answer(r.val)
}

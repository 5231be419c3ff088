//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

const maxOption = 4096 // bytes of an option's value

// onBoth reports whether an option is set on the program's end as well, because the
// kernel carries out the calls that it is about.
func onBoth(level, name int) bool {
	if level != usock.SOL_SOCKET {
		return false
	}
	switch name {
	case usock.SO_RCVTIMEO, usock.SO_SNDTIMEO, usock.SO_RCVLOWAT, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO_NEW:
		return true
	}
	return false
}

// nativeOption is an option at SOL_SOCKET that was set on the program's end.
type nativeOption struct {
	name  int
	value []byte
}

// setNative sets on fd what was set on the program's end of s: an accepted socket
// has its listener's options.
func (s *sock) setNative(fd int) {
	for _, o := range s.native {
		sysSetOpt(fd, usock.SOL_SOCKET, o.name, o.value)
	}
}

// nativeValue returns what was set on the program's end of an option about time, or
// that there is no limit.
func (s *sock) nativeValue(name int) []byte {
	for _, o := range s.native {
		if o.name == name {
			return o.value
		}
	}
	return make([]byte, 16)
}

// lowWater reports whether the option is SO_RCVLOWAT of a stream. Only the kernel
// has it: with it in the stack, the pump would leave there what the program may read.
func (s *sock) lowWater(level, name int) bool {
	return s.stream && level == usock.SOL_SOCKET && name == usock.SO_RCVLOWAT
}

// callSetsockopt is setsockopt(fd, level, name, value, size).
func callSetsockopt(c *call) result {
	args := &c.n.data.args
	level, name, size := int(int32(args[1])), int(int32(args[2])), int(int32(args[4]))
	if size < 0 {
		return c.fail(unix.EINVAL)
	}
	v, e := c.bytes(args[3], uint64(size), maxOption)
	if e != 0 {
		return c.fail(e)
	}
	if err := c.s.u.SetSockOpt(level, name, v); err != nil {
		return c.failErr(err)
	}
	if c.s.lowWater(level, name) {
		if n, err := c.s.u.GetSockOptInt(level, name); err == nil {
			v = abi.AppendInt(nil, n) // within the stack's bounds
		}
		c.s.u.SetSockOpt(level, name, abi.AppendInt(nil, 1))
	}
	if onBoth(level, name) {
		c.setTime(name, v)
		if c.s.state != listening || name != usock.SO_RCVTIMEO && name != unix.SO_RCVTIMEO_NEW {
			sysSetOpt(c.dup, level, name, v)
		}
		c.s.native = slices.DeleteFunc(c.s.native, func(o nativeOption) bool { return o.name == name })
		c.s.native = append(c.s.native, nativeOption{name, v})
	}
	if level == usock.SOL_SOCKET && name == usock.SO_LINGER {
		l, err := abi.ParseLinger(v)
		c.s.linger = err == nil && l.On && l.Seconds > 0
	}
	// A call that waits may go on: there is room where SO_SNDBUF was raised.
	c.s.pump()
	c.s.wakeAll()
	return c.ok()
}

// setTime keeps a timeout for the calls that wait here.
func (c *call) setTime(name int, v []byte) {
	i := rcvTimeo
	switch name {
	case usock.SO_SNDTIMEO, unix.SO_SNDTIMEO_NEW:
		i = sndTimeo
	case usock.SO_RCVTIMEO, unix.SO_RCVTIMEO_NEW:
	default:
		return
	}
	d, err := abi.ParseTimeval(v)
	if err != nil {
		return
	}
	c.s.times[i] = timeout{after: max(d, 0), now: len(v) >= 8 && int64(binary.NativeEndian.Uint64(v)) < 0}
}

// callGetsockopt is getsockopt(fd, level, name, value, size).
func callGetsockopt(c *call) result {
	args := &c.n.data.args
	level, name := int(int32(args[1])), int(int32(args[2]))
	var word [4]byte
	if e := c.read(args[4], word[:]); e != 0 {
		return c.fail(e)
	}
	size := int(int32(binary.NativeEndian.Uint32(word[:])))
	if size < 0 {
		return c.fail(unix.EINVAL)
	}
	v := make([]byte, min(size, maxOption))
	var n int
	var err error
	switch {
	case level == usock.SOL_SOCKET && name == usock.SO_ERROR:
		n = copy(v, abi.AppendInt(nil, c.socketError()))
	case c.s.lowWater(level, name):
		n = copy(v, abi.AppendInt(nil, sysGetInt(c.dup, name)))
	default:
		if n, err = c.s.u.GetSockOpt(level, name, v); err != nil {
			return c.failErr(err)
		}
	}
	if e := c.write(args[3], v[:n]); e != 0 {
		return c.fail(e)
	}
	binary.NativeEndian.PutUint32(word[:], uint32(n))
	return c.fail(c.write(args[4], word[:]))
}

// socketError is SO_ERROR.
func (c *call) socketError() int {
	if c.s.stream && c.s.state == over {
		return int(c.overError())
	}
	c.clearNative()
	return int(c.s.takeError())
}

// overError takes the error of a connection that has broken down. It is told once:
// by the kernel, to a call that it carried out, or here.
func (c *call) overError() syscall.Errno {
	s := c.s
	e := s.takeError()
	if s.raised {
		s.raised = false
		if !c.clearNative() {
			return 0
		}
	}
	return e
}

// clearNative takes the error off the program's end and reports whether there was
// one.
func (c *call) clearNative() bool { return sysGetInt(c.dup, unix.SO_ERROR) != 0 }

// callIoctl is ioctl(fd, request, arg) for requests about sockets.
func callIoctl(c *call) result {
	args := &c.n.data.args
	var v int
	switch uint32(args[1]) {
	case unix.SIOCOUTQ:
		out, err := c.s.u.OutQueue()
		if err != nil {
			return c.failErr(err)
		}
		v = out + len(c.s.up.buf) - c.s.up.off
		if c.s.far.fd >= 0 {
			v += max(0, unread(c.s.far.fd)-c.s.filler)
		}
	default:
		return result{how: byKernel} // about interfaces, or SIOCATMARK
	}
	var word [4]byte
	binary.NativeEndian.PutUint32(word[:], uint32(v))
	return c.fail(c.write(args[2], word[:]))
}

// closeOnExec returns O_CLOEXEC if the descriptor that the call names is closed on
// exec.
func (c *call) closeOnExec() int {
	v, ok := fdFlags(c.t.tid, c.s.fd)
	if !ok {
		return 0
	}
	return v & unix.O_CLOEXEC
}

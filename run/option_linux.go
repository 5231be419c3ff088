//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// maxOption bounds the bytes of an option's value: one more than the longest that any option takes
// (net.core.optmem_max).
const maxOption = 128<<10 + 1

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
	v, e := c.givenValue(level, name, args[3], size)
	if e != 0 {
		return c.fail(e)
	}
	if c.s.sctp != nil {
		if r, is := c.sctpOption(level, name, v); is {
			return r
		}
	}
	if cork := level == usock.SOL_TCP && name == usock.TCP_CORK; cork && c.s.joined() || !c.s.stream && c.s.sctp == nil {
		c.s.drain() // what was written before it is not held back by it, or let go, or sent as it says
	}
	if queuesErrors(level, name, v) {
		return c.refuseOption(level, name, v)
	}
	if err := c.s.u.SetSockOpt(level, name, v); err != nil {
		return c.failErr(err)
	}
	if level == usock.SOL_IPV6 && name == usock.IPV6_FLOWLABEL_MGR {
		// The label that was chosen. Linux does not mind if it cannot be stored.
		c.write(args[3]+offFlowLabel, v[offFlowLabel:offFlowLabel+4])
	}
	if level == usock.SOL_TCP && name == usock.TCP_INQ {
		c.s.readInq()
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
	if level == usock.SOL_SOCKET {
		c.boundEnd(name)
	}
	if level == usock.SOL_SOCKET && name == usock.SO_LINGER {
		c.s.linger = true
	}
	// A call that waits may go on: there is room where SO_SNDBUF was raised.
	c.s.pump()
	c.s.wakeAll()
	return c.ok()
}

// boundEnd has the program's end follow an option of the socket's about its buffers.
func (c *call) boundEnd(name int) {
	switch name {
	case usock.SO_RCVBUF, usock.SO_RCVBUFFORCE:
		if !c.s.stream && c.s.sctp == nil {
			c.s.boundQueue()
		}
	case usock.SO_SNDBUF, usock.SO_SNDBUFFORCE:
		if c.s.sctp != nil && c.s.sctp.fillers == 0 {
			boundMessages(c.s.u, c.dup)
		}
	}
}

// readInq notes whether receives tell what is left (TCP_INQ).
func (s *sock) readInq() {
	on, err := s.u.GetSockOptInt(usock.SOL_TCP, usock.TCP_INQ)
	s.inq = err == nil && on != 0
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
	if c.s.sctp != nil {
		if r, is := c.askSCTP(level, name, args[3], args[4], size); is {
			return r
		}
	}
	v, e := c.askedValue(level, name, args[3], size)
	if e != 0 {
		return c.fail(e)
	}
	var n, uncounted int
	var err error
	switch {
	case isFilter(level, name):
		return c.getFilter(size, args[3], args[4])
	case level == usock.SOL_SOCKET && name == usock.SO_ERROR:
		n = copy(v, abi.AppendInt(nil, c.socketError()))
	case c.s.lowWater(level, name):
		n = copy(v, abi.AppendInt(nil, sysGetInt(c.dup, name)))
	default:
		if n, err = c.s.u.GetSockOpt(level, name, v); err != nil {
			return c.failErr(err)
		}
		if level == usock.SOL_SCTP && name == usock.SCTP_GET_LOCAL_ADDRS {
			uncounted = abi.Sizeof(&abi.SCTPGetaddrs{}) // Linux's length is of the addresses alone
		}
	}
	if e := c.write(args[3], v[:n+uncounted]); e != 0 {
		return c.fail(e)
	}
	binary.NativeEndian.PutUint32(word[:], uint32(n))
	return c.fail(c.write(args[4], word[:]))
}

// socketError is SO_ERROR.
func (c *call) socketError() int {
	if c.s.state == over {
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

// Layouts of values that are more than bytes for the stack.
const (
	sockFprogSize  = 16 // struct sock_fprog: a number of instructions, and where they are
	offFprogFilter = 8
	sockFilterSize = 8
	maxFilter      = 4096 // instructions (BPF_MAXINSNS)
	offFlowLabel   = 16   // in struct in6_flowlabel_req

	// struct ip_msfilter and group_filter: the list of sources comes after its length.
	msfilterSize   = 16
	msfilterSource = 4
	groupSize      = 144
	groupSource    = 128
)

// queuesErrors reports whether the option puts entries into the queue of errors that are
// none: the descriptor cannot show them to poll unless its next read or write fails, so
// programs that wait for them would wait for ever.
func queuesErrors(level, name int, v []byte) bool {
	if level != usock.SOL_SOCKET || len(v) < 4 {
		return false
	}
	n := binary.NativeEndian.Uint32(v)
	switch name {
	case usock.SO_ZEROCOPY:
		return n != 0
	case usock.SO_TIMESTAMPING, unix.SO_TIMESTAMPING_NEW:
		return n&usock.SOF_TIMESTAMPING_TX_RECORD != 0
	}
	return false
}

// refuseOption is for an option that the stack has and the descriptor cannot serve: it is
// EOPNOTSUPP, if its value is right.
func (c *call) refuseOption(level, name int, v []byte) result {
	before := make([]byte, len(v))
	n, err := c.s.u.GetSockOpt(level, name, before)
	if err == nil {
		err = c.s.u.SetSockOpt(level, name, v)
	}
	if err != nil {
		return c.failErr(err)
	}
	c.s.u.SetSockOpt(level, name, before[:n])
	return c.failErr(unix.EOPNOTSUPP)
}

// isFilter reports whether the option is a socket's filter, which is set by
// SO_ATTACH_FILTER and got by SO_GET_FILTER, with one number.
func isFilter(level, name int) bool {
	return level == usock.SOL_SOCKET && name == usock.SO_ATTACH_FILTER
}

// givenValue reads the value for a setsockopt as the stack takes it: a filter is its
// instructions.
func (c *call) givenValue(level, name int, addr uint64, size int) ([]byte, syscall.Errno) {
	if !isFilter(level, name) {
		return c.bytes(addr, uint64(size), maxOption)
	}
	if size != sockFprogSize {
		return nil, unix.EINVAL
	}
	prog, e := c.bytes(addr, sockFprogSize, sockFprogSize)
	if e != 0 {
		return nil, e
	}
	n := int(binary.NativeEndian.Uint16(prog))
	at := binary.NativeEndian.Uint64(prog[offFprogFilter:])
	if n == 0 || n > maxFilter || at == 0 {
		return nil, unix.EINVAL // bpf_check_basics_ok
	}
	return c.bytes(at, uint64(n)*sockFilterSize, maxFilter*sockFilterSize)
}

// getFilter is SO_GET_FILTER, whose lengths are numbers of instructions. With room for
// none it tells how many there are (sk_get_filter).
func (c *call) getFilter(size int, addr, length uint64) result {
	v := make([]byte, maxFilter*sockFilterSize)
	n, err := c.s.u.GetSockOpt(usock.SOL_SOCKET, usock.SO_ATTACH_FILTER, v)
	if err != nil {
		return c.failErr(err)
	}
	count := n / sockFilterSize
	if size > 0 {
		if size < count {
			return c.fail(unix.EINVAL)
		}
		if e := c.write(addr, v[:n]); e != 0 {
			return c.fail(e)
		}
	}
	return c.fail(c.putLen(length, int64(count)))
}

// askedValue makes the buffer for a getsockopt. Of some options it holds a question;
// how many sources of a group's it asks for bounds them, and not the buffer's length
// (ip_mc_msfget, ip_mc_gsfget).
func (c *call) askedValue(level, name int, addr uint64, size int) ([]byte, syscall.Errno) {
	var whole, each int
	switch {
	case level == usock.SOL_IP && name == usock.IP_MSFILTER:
		whole, each = msfilterSize, msfilterSource
	case (level == usock.SOL_IP || level == usock.SOL_IPV6) && name == usock.MCAST_MSFILTER:
		whole, each = groupSize, groupSource
	case level == usock.SOL_IPV6 && name == usock.IPV6_FLOWLABEL_MGR, level == usock.SOL_SCTP:
	default:
		return make([]byte, min(size, maxOption)), 0
	}
	v, e := c.bytes(addr, uint64(size), maxOption)
	if e != 0 || each == 0 || size < whole {
		return v, e
	}
	asked := min(uint64(binary.NativeEndian.Uint32(v[whole-4:])), maxOption/uint64(each))
	if more := whole + int(asked)*each - len(v); more > 0 {
		v = append(v, make([]byte, more)...)
	}
	return v, 0
}

// Requests of ioctl about sockets. A time has two forms and two numbers each.
const (
	siocOutqNSD     = 0x894b
	siocGStamp      = 0x8906
	siocGStampNS    = 0x8907
	siocGStampNew   = 0x80108906
	siocGStampNSNew = 0x80108907
)

// requests are those that the stack answers. The others are about interfaces
// (interface_linux.go), or the kernel's to answer (SIOCATMARK).
var requests = map[uint32]func(*call) result{
	siocGStamp:      func(c *call) result { return c.stamp(time.Microsecond) },
	siocGStampNew:   func(c *call) result { return c.stamp(time.Microsecond) },
	siocGStampNS:    func(c *call) result { return c.stamp(time.Nanosecond) },
	siocGStampNSNew: func(c *call) result { return c.stamp(time.Nanosecond) },
	siocOutqNSD:     func(c *call) result { return c.unsent(c.s.u.OutQueueUnsent()) },
	unix.SIOCOUTQ:   func(c *call) result { return c.unsent(c.s.u.OutQueue()) },
}

// callIoctl is ioctl(fd, request, arg) for requests about sockets.
func callIoctl(c *call) result {
	if c.asksInterface() {
		return c.askInterface()
	}
	if c.s == nil {
		return result{how: byKernel}
	}
	if f := requests[uint32(c.n.data.args[1])]; f != nil {
		return f(c)
	}
	return result{how: byKernel}
}

// unsent stores how many bytes are to be sent: those that the stack counts, n, and those
// that it does not have yet.
func (c *call) unsent(n int, err error) result {
	if err != nil {
		return c.failErr(err)
	}
	return c.fail(c.putLen(c.n.data.args[2], int64(n+c.pumped())))
}

// pumped returns how many bytes the program has written that are not in the stack yet.
func (c *call) pumped() int {
	n := len(c.s.up.buf) - c.s.up.off
	for _, m := range c.s.held {
		n += len(m)
	}
	if c.s.far.fd >= 0 {
		n += max(0, unread(c.s.far.fd)-c.s.filler-c.s.peeked)
	}
	return n
}

// stamp stores when the last datagram has arrived: seconds, and units of the rest.
func (c *call) stamp(unit time.Duration) result {
	t, err := c.s.u.Timestamp()
	if err != nil {
		return c.failErr(err)
	}
	b := binary.NativeEndian.AppendUint64(nil, uint64(t.Unix()))
	b = binary.NativeEndian.AppendUint64(b, uint64(t.Nanosecond())/uint64(unit))
	return c.fail(c.write(c.n.data.args[2], b))
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

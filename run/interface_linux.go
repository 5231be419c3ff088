//go:build amd64 || arm64

package run

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/rtnl"
)

// Requests of ioctl about interfaces (netdevice(7)), which the kernel answers on a socket of
// any family: the host answers them on all sockets in its program's network namespace.

// struct ifreq: a name and a union.
const (
	ifreqSize = 40
	ifrName   = 16 // IFNAMSIZ; and where the union begins
)

// ifrequest is a request about the interface that a struct ifreq names.
type ifrequest struct {
	inet bool // on sockets of AF_INET alone
	// answer stores its answer in the union u.
	answer func(l *rtnl.Link, u []byte) (ok bool)
}

// Requests that are not in x/sys/unix.
const (
	siocGMIIPhy   = 0x8947
	siocGMIIReg   = 0x8948
	siocSHwtstamp = 0x89b0
	siocGHwtstamp = 0x89b1
	siocGIFMap    = 0x8970
	siocSIFMap    = 0x8971
	siocSIFTxqlen = 0x8943
	siocGIFTxqlen = 0x8942
	siocEthtool   = 0x8946
)

// ifrequests are those that are answered out of an interface.
var ifrequests = map[uint32]ifrequest{
	unix.SIOCGIFFLAGS: {answer: func(l *rtnl.Link, u []byte) bool {
		binary.NativeEndian.PutUint16(u, uint16(l.Flags()))
		return true
	}},
	unix.SIOCGIFMTU:    {answer: putInt(func(l *rtnl.Link) int { return l.MTU })},
	unix.SIOCGIFINDEX:  {answer: putInt(func(l *rtnl.Link) int { return l.Index })},
	unix.SIOCGIFMETRIC: {answer: putInt(func(*rtnl.Link) int { return 0 })}, // as Linux has it
	siocGIFTxqlen:      {answer: putInt((*rtnl.Link).TxQueueLen)},
	unix.SIOCGIFHWADDR: {answer: func(l *rtnl.Link, u []byte) bool {
		clear(u[:16])
		binary.NativeEndian.PutUint16(u, l.Type())
		return true
	}},
	siocGIFMap: {answer: func(_ *rtnl.Link, u []byte) bool { clear(u); return true }},
	unix.SIOCGIFADDR: {inet: true, answer: putInet(func(_ *rtnl.Link, a netip.Prefix) netip.Addr {
		return a.Addr()
	})},
	unix.SIOCGIFDSTADDR: {inet: true, answer: putInet(func(_ *rtnl.Link, a netip.Prefix) netip.Addr {
		return a.Addr() // no link is to one peer alone
	})},
	unix.SIOCGIFBRDADDR: {inet: true, answer: putInet(func(l *rtnl.Link, a netip.Prefix) netip.Addr {
		if b := l.Broadcast(a); b.IsValid() {
			return b
		}
		return netip.IPv4Unspecified()
	})},
	unix.SIOCGIFNETMASK: {inet: true, answer: putInet(func(_ *rtnl.Link, a netip.Prefix) netip.Addr {
		var m [4]byte
		binary.BigEndian.PutUint32(m[:], uint32(0xffffffff)<<(32-a.Bits()))
		return netip.AddrFrom4(m)
	})},
}

// ifchanges are requests that change something: they are EPERM.
var ifchanges = map[uint32]bool{
	unix.SIOCSIFFLAGS: true, unix.SIOCSIFADDR: true, unix.SIOCSIFDSTADDR: true, unix.SIOCSIFBRDADDR: true,
	unix.SIOCSIFNETMASK: true, unix.SIOCSIFMETRIC: true, unix.SIOCSIFMTU: true, unix.SIOCSIFNAME: true,
	unix.SIOCSIFHWADDR: true, unix.SIOCSIFSLAVE: true, unix.SIOCSIFPFLAGS: true, unix.SIOCSIFHWBROADCAST: true,
	unix.SIOCDIFADDR: true, unix.SIOCADDMULTI: true, unix.SIOCDELMULTI: true, unix.SIOCADDRT: true, unix.SIOCDELRT: true,
	unix.SIOCSARP: true, unix.SIOCDARP: true, siocSIFMap: true, siocSIFTxqlen: true, siocSHwtstamp: true,
}

// ifnone are requests about what no link of the host has, with the error that says so.
var ifnone = map[uint32]syscall.Errno{
	unix.SIOCGIFSLAVE: unix.EINVAL, siocGMIIPhy: unix.EOPNOTSUPP, siocGMIIReg: unix.EOPNOTSUPP,
	siocGHwtstamp: unix.EOPNOTSUPP,
}

// asksInterface reports whether the call is a request about interfaces.
func (c *call) asksInterface() bool {
	if c.row.name != "ioctl" {
		return false
	}
	switch req := uint32(c.n.data.args[1]); req {
	case unix.SIOCGIFCONF, unix.SIOCGIFNAME, unix.SIOCGARP, siocEthtool:
		return true
	default:
		return ifrequests[req].answer != nil || ifchanges[req] || ifnone[req] != 0
	}
}

// askInterface answers it.
func (c *call) askInterface() result {
	req, arg := uint32(c.n.data.args[1]), c.n.data.args[2]
	switch {
	case ifchanges[req], (req == siocGMIIPhy || req == siocGMIIReg) && !c.admin():
		return c.fail(unix.EPERM)
	case req == unix.SIOCGIFCONF:
		return c.listInterfaces(arg)
	case req == unix.SIOCGARP:
		return c.askNeighbour(arg)
	}
	b := make([]byte, ifreqSize)
	if e := c.read(arg, b); e != 0 {
		return c.fail(e)
	}
	v := c.l.view()
	if req == unix.SIOCGIFNAME {
		l := v.Link(int(int32(binary.NativeEndian.Uint32(b[ifrName:]))))
		if l == nil {
			return c.fail(unix.ENODEV)
		}
		putName(b, l)
		return c.fail(c.write(arg, b))
	}
	name, _, _ := bytes.Cut(b[:ifrName], []byte{0})
	l := v.LinkByName(string(name[:min(len(name), ifrName-1)]))
	if req == siocEthtool {
		return c.ethtool(l, binary.NativeEndian.Uint64(b[ifrName:]))
	}
	f := ifrequests[req]
	switch {
	case f.inet && c.family() != usock.AF_INET:
		return c.fail(unix.ENOTTY)
	case l == nil:
		return c.fail(unix.ENODEV)
	case ifnone[req] != 0:
		return c.fail(ifnone[req])
	case f.inet && bytes.ContainsRune(name, ':'): // no address is labelled so
		return c.fail(unix.EADDRNOTAVAIL)
	case !f.answer(l, b[ifrName:]):
		return c.fail(unix.EADDRNOTAVAIL)
	}
	return c.fail(c.write(arg, b))
}

// askNeighbour is SIOCGARP, with a struct arpreq that begins with an address. There are no
// neighbours.
func (c *call) askNeighbour(arg uint64) result {
	if c.family() != usock.AF_INET {
		return c.fail(unix.ENOTTY)
	}
	var b [2]byte
	if e := c.read(arg, b[:]); e != 0 {
		return c.fail(e)
	}
	if binary.NativeEndian.Uint16(b[:]) != unix.AF_INET {
		return c.fail(unix.EPFNOSUPPORT)
	}
	return c.fail(unix.ENXIO)
}

// family returns the domain of the socket that the call is on.
func (c *call) family() int {
	switch {
	case c.nl != nil:
		return unix.AF_NETLINK
	case c.s != nil:
		domain, _ := c.s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_DOMAIN)
		return domain
	}
	return sysGetInt(c.dup, unix.SO_DOMAIN)
}

// listInterfaces is SIOCGIFCONF: a struct ifreq for each IPv4 address, as many as there is room
// for; without a buffer, how long they would be.
func (c *call) listInterfaces(arg uint64) result {
	var conf [16]byte // struct ifconf: a length and a pointer
	if e := c.read(arg, conf[:]); e != 0 {
		return c.fail(e)
	}
	room, to := int(int32(binary.NativeEndian.Uint32(conf[:]))), binary.NativeEndian.Uint64(conf[8:])
	var list []byte
	v := c.l.view()
	for i := range v.Links {
		l := &v.Links[i]
		for _, a := range l.Addrs {
			if !a.Addr().Is4() || to != 0 && room < len(list)+ifreqSize {
				continue
			}
			b := make([]byte, ifreqSize)
			putName(b, l)
			putSockaddr(b[ifrName:], a.Addr())
			list = append(list, b...)
		}
	}
	if to != 0 {
		if e := c.write(to, list); e != 0 {
			return c.fail(e)
		}
	}
	return c.fail(c.putLen(arg, int64(len(list))))
}

// Commands of SIOCETHTOOL.
const (
	ethtoolGDrvInfo = 3
	ethtoolGLink    = 10
	drvInfoSize     = 196
	drvInfoDriver   = 4 // where the driver's name is, of 32 bytes
)

// ethtool is SIOCETHTOOL: what each interface of the kernel's tells. There is no speed, as of a
// TUN device's.
func (c *call) ethtool(l *rtnl.Link, data uint64) result {
	if l == nil {
		return c.fail(unix.ENODEV)
	}
	var b [4]byte
	if e := c.read(data, b[:]); e != 0 {
		return c.fail(e)
	}
	switch binary.NativeEndian.Uint32(b[:]) {
	case ethtoolGLink:
		return c.fail(c.putLen(data+4, 1))
	case ethtoolGDrvInfo:
		info := make([]byte, drvInfoSize)
		copy(info, b[:])
		copy(info[drvInfoDriver:], "usock")
		return c.fail(c.write(data, info))
	}
	return c.fail(unix.EOPNOTSUPP)
}

// putName stores an interface's name in a struct ifreq.
func putName(b []byte, l *rtnl.Link) {
	copy(b, l.Label()+"\x00")
}

// putInt stores a number of an interface.
func putInt(f func(*rtnl.Link) int) func(*rtnl.Link, []byte) bool {
	return func(l *rtnl.Link, u []byte) bool {
		binary.NativeEndian.PutUint32(u, uint32(f(l)))
		return true
	}
}

// putInet stores something of an interface's IPv4 address: of the one that the request names,
// else of the first (devinet_ioctl).
func putInet(f func(*rtnl.Link, netip.Prefix) netip.Addr) func(*rtnl.Link, []byte) bool {
	return func(l *rtnl.Link, u []byte) bool {
		var first, named netip.Prefix
		want := netip.AddrFrom4([4]byte(u[4:8]))
		asked := binary.NativeEndian.Uint16(u) == unix.AF_INET
		for _, a := range l.Addrs {
			switch {
			case !a.Addr().Is4():
			case asked && a.Addr() == want && !named.IsValid():
				named = a
			case !first.IsValid():
				first = a
			}
		}
		if named.IsValid() {
			first = named
		}
		if !first.IsValid() {
			return false
		}
		putSockaddr(u, f(l, first))
		return true
	}
}

// putSockaddr stores a struct sockaddr_in without a port.
func putSockaddr(u []byte, a netip.Addr) {
	clear(u[:16])
	binary.NativeEndian.PutUint16(u, unix.AF_INET)
	x := a.As4()
	copy(u[4:], x[:])
}

// netCookie returns the identity of the network namespace that a socket is of (Linux 5.14); 0
// for what is no socket.
func netCookie(fd int) uint64 {
	v, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return v
}

// sameNetwork reports whether fd is a socket of the supervisor's network namespace.
func (l *loop) sameNetwork(fd int) bool { return l.cookie != 0 && netCookie(fd) == l.cookie }

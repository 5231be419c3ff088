//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/rtnl"
)

// netlink returns a netlink socket.
func (p *player) netlink(protocol int) (int, syscall.Errno) {
	c := p.call("socket", unix.AF_NETLINK, unix.SOCK_RAW, uint64(protocol))
	return int(c.val), c.err
}

// netlinkOf returns the loop's view of a descriptor.
func (p *player) netlinkOf(fd int) *netlinkSock {
	id, _ := sysInode(fd)
	return p.l.netlinks[id]
}

// request makes a request of NETLINK_ROUTE.
func request(typ, flags uint16, body ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint64(b, 7)
	return append(b, body...)
}

// links asks for the list of interfaces: two answers, the list and its end.
var links = request(unix.RTM_GETLINK, unix.NLM_F_DUMP, 0, 0, 0, 0)

// asks sends a request to the kernel, with an address.
func (p *player) asks(fd int, b []byte) syscall.Errno {
	to := sockaddrNL{}.bytes()
	return p.call("sendto", uint64(fd), at(p.put(b)), uint64(len(b)), 0, at(p.put(to)), uint64(len(to))).err
}

// replies takes all that there is to be read without a trap.
func replies(fd int) (list [][]byte) {
	for {
		b := make([]byte, 1<<16)
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			return list
		}
		list = append(list, b[:n])
	}
}

// A request is answered before its send returns, or soon after it was written.
func TestNetlinkAnswers(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	p.must(p.asks(fd, links))
	if n := len(replies(fd)); n != 2 {
		t.Errorf("%d answers", n)
	}
	p.must(p.write(fd, links))
	p.idle()
	if n := len(replies(fd)); n != 2 {
		t.Errorf("%d answers to what was written", n)
	}
}

// What is written behind an empty datagram is answered, too.
func TestNetlinkEmpty(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	for _, b := range [][]byte{nil, nil, links, nil, links, nil} {
		// By no helper of the player's: the loop is to see them together.
		if _, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT); err != nil {
			t.Fatal(err)
		}
	}
	p.idle()
	if n := len(replies(fd)); n != 4 {
		t.Errorf("%d answers", n)
	}
}

// The kernel's answers about its sockets come in datagrams that a reader with a buffer of
// NLMSG_GOODSIZE's limit gets whole, as they come to one who asks the kernel.
func TestNetlinkForeign(t *testing.T) {
	const sockets, goodSize = 300, 8192
	p := newPlayer(t)
	for range sockets {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(s) })
	}
	fd, e := p.netlink(unix.NETLINK_SOCK_DIAG)
	p.must(e)
	body := make([]byte, 24) // struct unix_diag_req
	body[0] = unix.AF_UNIX
	copy(body[4:], "\xff\xff\xff\xff") // all states
	p.must(p.asks(fd, request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, body...)))
	told, ended := 0, false
	p.until("the list ends", func() bool {
		for _, b := range replies(fd) {
			if len(b) > goodSize {
				t.Errorf("a datagram of %d bytes", len(b))
			}
			for len(b) >= unix.SizeofNlMsghdr {
				switch typ := binary.NativeEndian.Uint16(b[4:]); typ {
				case unix.NLMSG_DONE:
					ended = true
				case unix.SOCK_DIAG_BY_FAMILY:
					told++
				default:
					t.Skipf("this kernel lists no AF_UNIX sockets: message %d", typ)
				}
				b = b[min((binary.NativeEndian.Uint32(b)+3)&^3, uint32(len(b))):]
			}
		}
		return ended
	})
	if told < sockets {
		t.Errorf("%d sockets were told of", told)
	}
}

// A closed socket is forgotten, with its port and its groups.
func TestNetlinkClosed(t *testing.T) {
	p := newPlayer(t)
	used := p.l.space.used
	for range 3 {
		fd, e := p.netlink(unix.NETLINK_ROUTE)
		p.must(e)
		b := sockaddrNL{port: 4242, groups: 1}.bytes()
		p.must(p.call("bind", uint64(fd), at(p.put(b)), uint64(len(b))).err)
		p.must(p.asks(fd, links))
		p.close(fd)
		p.idle()
		if l := p.l; len(l.netlinks)+len(l.netlink.used)+l.netlink.members != 0 {
			t.Fatalf("%d sockets, %d ports, %d members are left", len(l.netlinks), len(l.netlink.used), l.netlink.members)
		}
	}
	if got := p.l.space.used - used; got > 1 { // the thread's descriptor
		t.Errorf("%d descriptors are counted", got)
	}
}

// Each step of making one fails: nothing is left.
func TestNetlinkFaults(t *testing.T) {
	for _, o := range []op{opSocketpair, opEpollCtl, opAddFD, opGetFD} {
		p := newPlayer(t)
		fd, e := p.netlink(unix.NETLINK_ROUTE) // the thread is known from then on
		p.must(e)
		p.close(fd)
		p.idle()
		used := p.l.space.used
		injector.plan(o, unix.ENOMEM, 1, true)
		fd, e = p.netlink(unix.NETLINK_ROUTE)
		injector.stop()
		switch {
		case o == opGetFD: // whether it can be looked into is not known: it is tried
			p.must(e)
			p.close(fd)
		case e != unix.ENOMEM:
			t.Errorf("%s fails: %q", opNames[o], unix.ErrnoName(e))
		}
		p.idle()
		if len(p.l.netlinks) != 0 || p.l.space.used != used {
			t.Errorf("%s fails: %d sockets are left, and %d descriptors", opNames[o], len(p.l.netlinks), p.l.space.used-used)
		}
	}
}

// A program that asks and does not read is told so in the end, and its answers wait. All of
// them come when it reads.
func TestNetlinkBackPressure(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	asked := 0
	padded := append(links[:len(links):len(links)], make([]byte, 1000)...) // the sooner too many wait
	for ; asked < 1<<16; asked++ {
		if e = p.asks(fd, padded); e != 0 {
			break
		}
	}
	p.wants(e, unix.ENOBUFS)
	if s := p.netlinkOf(fd); !s.full || s.session.Waiting() > netlinkWait {
		t.Errorf("%d bytes of requests wait", s.session.Waiting())
	}
	got := 0
	p.until("all answers come", func() bool {
		got += len(replies(fd))
		return got == 2*asked
	})
}

// A receive waits for the answer to another thread's request.
func TestNetlinkWaits(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	room := at(p.put(make([]byte, 8192)))
	name, size := at(p.put(make([]byte, 16))), at(p.put(binary.NativeEndian.AppendUint32(nil, 12)))
	c := p.start("recvfrom", uint64(fd), room, 8192, 0, name, size)
	if !p.blocked(c) {
		t.Fatal("it does not wait")
	}
	p.must(p.write(fd, links))
	p.end(c)
	if c.err != 0 || c.val < unix.SizeofNlMsghdr {
		t.Errorf("%d, %v", c.val, c.err)
	}
}

// Members of a group hear of changes, others do not. One that does not read loses some, and is
// told.
func TestNetlinkNews(t *testing.T) {
	p := newPlayer(t)
	member, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	other, e := p.netlink(unix.NETLINK_ROUTE)
	p.must(e)
	for fd, groups := range map[int]uint32{member: 1 << (unix.RTNLGRP_IPV4_IFADDR - 1), other: 1 << (unix.RTNLGRP_IPV6_IFADDR - 1)} {
		b := sockaddrNL{groups: groups}.bytes()
		p.must(p.call("bind", uint64(fd), at(p.put(b)), uint64(len(b))).err)
	}
	addr := netip.MustParsePrefix("10.0.0.1/32")
	if err := p.l.host.AddAddr("lo", addr); err != nil {
		t.Fatal(err)
	}
	p.idle()
	told := replies(member)
	if len(told) != 1 || binary.NativeEndian.Uint16(told[0][4:]) != unix.RTM_NEWADDR || newsGroup(told[0]) != 1<<(unix.RTNLGRP_IPV4_IFADDR-1) {
		t.Errorf("%x", told)
	}
	if told := replies(other); len(told) != 0 {
		t.Errorf("one of another group: %x", told)
	}
	s := p.netlinkOf(member)
	for i := 0; i < 1<<16 && !s.lost; i++ {
		if err := p.l.host.RemoveAddr("lo", addr); err != nil {
			t.Fatal(err)
		}
		p.idle()
		if err := p.l.host.AddAddr("lo", addr); err != nil {
			t.Fatal(err)
		}
		p.idle()
	}
	name, size := at(p.put(make([]byte, 16))), at(p.put(binary.NativeEndian.AppendUint32(nil, 12)))
	room := at(p.put(make([]byte, 8192)))
	p.wants(p.call("recvfrom", uint64(member), room, 8192, unix.MSG_DONTWAIT, name, size).err, unix.ENOBUFS)
	p.must(p.call("recvfrom", uint64(member), room, 8192, unix.MSG_DONTWAIT, name, size).err)
	if len(s.out) > netlinkNews {
		t.Errorf("%d news wait", len(s.out))
	}
	p.close(member)
	p.close(other)
	p.idle()
	if p.l.netlink.members != 0 {
		t.Error("a member is left")
	}
}

// The sockets that a program sees have the inode of its descriptor.
func TestNetlinkInode(t *testing.T) {
	p := newPlayer(t)
	l, port := p.listener()
	var found []rtnl.Socket
	next := p.l.listSockets(unix.IPPROTO_TCP)
	for more := true; more; {
		var list []rtnl.Socket
		list, more = next()
		for _, k := range list {
			if k.Local.Port() == port {
				found = append(found, k)
			}
		}
	}
	id, _ := sysInode(l)
	if len(found) != 1 || uint64(found[0].Inode) != id.ino {
		t.Errorf("%+v, want inode %d", found, id.ino)
	}
}

// A netlink socket of a program that cannot be looked into is the kernel's.
func TestUntracedNetlink(t *testing.T) {
	p := newPlayer(t)
	untraceable(t)
	if !p.call("socket", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE).byKernel {
		t.Error("it is not the kernel's")
	}
}

// portsListed returns the local ports of UDP's IPv4 sockets, which it asks for as ask does.
func (p *player) portsListed(fd int, ask func([]byte) syscall.Errno) (ports []uint16) {
	p.t.Helper()
	body := make([]byte, 56) // struct inet_diag_req_v2
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_UDP
	copy(body[4:], "\xff\xff\xff\xff") // all states
	p.must(ask(request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, body...)))
	ended := false
	p.until("the list ends", func() bool {
		for _, b := range replies(fd) {
			for len(b) >= unix.SizeofNlMsghdr {
				switch binary.NativeEndian.Uint16(b[4:]) {
				case unix.NLMSG_DONE:
					ended = true
				case unix.SOCK_DIAG_BY_FAMILY:
					ports = append(ports, binary.BigEndian.Uint16(b[unix.SizeofNlMsghdr+4:]))
				}
				b = b[min((binary.NativeEndian.Uint32(b)+3)&^3, uint32(len(b))):]
			}
		}
		return ended
	})
	return ports
}

// Who lists sockets sees none that a program has closed before, of which the kernel has not told.
func TestNetlinkSeesNoneClosed(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_SOCK_DIAG)
	p.must(e)
	to := sockaddrNL{}.bytes()
	header := func(b []byte) uint64 {
		iov := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, at(p.put(b))), uint64(len(b)))
		h := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, at(p.put(to))), uint64(len(to)))
		h = binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(h, at(p.put(iov))), 1)
		return at(p.put(append(h, make([]byte, mmsghdrSize-len(h))...)))
	}
	for name, ask := range map[string]func(b []byte) syscall.Errno{
		"sendto":   func(b []byte) syscall.Errno { return p.asks(fd, b) },
		"sendmsg":  func(b []byte) syscall.Errno { return p.call("sendmsg", uint64(fd), header(b), 0).err },
		"sendmmsg": func(b []byte) syscall.Errno { return p.call("sendmmsg", uint64(fd), header(b), 1, 0).err },
		"write":    func(b []byte) syscall.Errno { return sendPlain(fd, b) },
	} {
		stays, goes := p.bound(), p.bound()
		kept, port := p.portOf(stays), p.portOf(goes)
		p.scan()
		p.close(goes)
		ports := p.portsListed(fd, ask)
		if slices.Contains(ports, port) || !slices.Contains(ports, kept) {
			t.Errorf("%s: %d is listed, with %d, which was closed", name, ports, port)
		}
		p.close(stays)
	}

	// What was written behind a request that waits, waits in its turn.
	dump := request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, append([]byte{unix.AF_INET, unix.IPPROTO_UDP}, make([]byte, 54)...)...)
	for range 3 {
		p.must(sendPlain(fd, dump))
	}
	told := 0
	p.until("each request is answered", func() bool {
		told += len(replies(fd))
		return told == 3
	})

	// One that is closed while what it has asked waits is forgotten.
	p.must(sendPlain(fd, request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, make([]byte, 56)...)))
	p.until("what it has asked waits", func() bool { return len(p.l.scanner.lookers) > 0 })
	p.close(fd)
	p.idle()
	if len(p.l.netlinks)+len(p.l.scanner.lookers) != 0 {
		t.Errorf("%d sockets and %d lookers are left", len(p.l.netlinks), len(p.l.scanner.lookers))
	}
}

// No signal ends a call that waits for a scan: on Linux it does not wait.
func TestScanIsNotInterrupted(t *testing.T) {
	p := newPlayer(t)
	fd, e := p.netlink(unix.NETLINK_SOCK_DIAG)
	p.must(e)
	p.bound() // the kernel does not tell of its end
	p.idle()
	b, to := request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, make([]byte, 56)...), sockaddrNL{}.bytes()
	c := p.start("sendto", uint64(fd), at(p.put(b)), uint64(len(b)), 0, at(p.put(to)), uint64(len(to)))
	p.until("the call waits", func() bool { return len(p.l.scanner.waiting) > 0 })
	p.l.kicker.interrupt(p.l.scanner.waiting[0], true)
	p.end(c)
	p.must(c.err)
	if c.lost || c.val != int64(len(b)) {
		t.Errorf("%d, lost %v", c.val, c.lost)
	}
}

// bound is a UDP socket with a port.
func (p *player) bound() int {
	fd, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	p.must(p.bind(fd, 0))
	return fd
}

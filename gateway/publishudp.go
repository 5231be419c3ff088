//go:build linux

package gateway

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// guest is a client of a published UDP port: datagrams from its address and port are handed
// on inside as its own, and the answers to it leave the published socket.
type guest struct {
	p      *port
	client netip.AddrPort
	key    arrival
	place  *list.Element // in p.recent
	used   time.Duration

	local  netip.Addr     // the machine's address that it uses
	server netip.AddrPort // inside, as it answered last
	acc    *account
	gen    uint64 // of the names with which it was allowed
}

const (
	// maxGuests is how many clients a UDP port has; the one that was heard of longest ago
	// makes room.
	maxGuests = 1024
	guestIdle = mappingIdle
)

// prepareUDP sets the options of a published socket.
func (p *port) prepareUDP(fd int) {
	prepareDatagrams(fd, p.outer.Addr().Is4())
	if p.outer.Addr().Is4() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
}

// refuseUDP makes the socket its own peer.
func (p *port) refuseUDP() syscall.Errno {
	a := p.outer.Addr()
	if a.IsUnspecified() {
		a = localhost(a.Is4())
	}
	return sysConnect(p.fd, netip.AddrPortFrom(a, p.outer.Port()))
}

// openUDP has the socket receive from everybody, or from nobody any more.
func (p *port) openUDP(on bool) {
	if !on {
		for _, c := range p.clients {
			c.end(FlowClosed)
		}
		p.refuseUDP()
		return
	}
	if p.clients == nil {
		p.clients = make(map[netip.AddrPort]*guest)
	}
	// What has come before it refused, or was left, is nobody's.
	for range maxReceives {
		if _, e := sysRecv(p.fd, p.g.buf[:1], 0); e == unix.EAGAIN {
			break
		}
	}
	sysDisconnect(p.fd)
	if p.outer.Addr().Is6() {
		if e := p.renewUDP(); e != 0 {
			p.g.warn("usock: %v/udp is published, but only for clients that have the address themselves: %v%s", p.outer, e, limitHint(e))
		}
	}
	p.later() // an edge may have gone by
}

// renewUDP puts a new socket in the place of one of IPv6: once that was connected it goes on
// to receive from the address of its peer alone, though it has none any more (Linux,
// __udp_disconnect leaves sk_v6_daddr; seen on 6.18). Both may have the port for as long as
// they allow it.
func (p *port) renewUDP() syscall.Errno {
	fd, e := outerSocket(p.outer.Addr(), unix.SOCK_DGRAM, 0)
	if e != 0 {
		return e
	}
	setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	p.prepareUDP(fd)
	setInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	e = sysBind(fd, p.outer)
	setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
	if e == 0 && p.g.watch(fd, unix.EPOLLIN, p) != nil {
		e = unix.ENOMEM
	}
	if e != 0 {
		setInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
		sysClose(fd)
		return e
	}
	p.g.drop(p.fd)
	p.fd = fd
	return 0
}

func (p *port) readyUDP(ev uint32) {
	if ev&unix.EPOLLERR != 0 {
		p.takeErrors()
	}
	if ev == 0 || ev&unix.EPOLLIN != 0 {
		p.receive()
	}
}

// receive hands clients' datagrams on.
func (p *port) receive() {
	g := p.g
	for range maxReceives {
		var msg message
		n, ctl, e := msg.recv(p.fd, g.buf[:1<<16], g.control[:], 0)
		switch {
		case e == unix.EAGAIN:
			return
		case e != 0:
			if p.takeErrors() == 0 {
				return
			}
			continue
		}
		d := usock.Datagram{Data: [][]byte{g.buf[:n]}}
		local := readControl(ctl, &d)
		c := p.guest(msg.name.addrPort())
		if c == nil {
			continue
		}
		if local.IsValid() {
			c.local = local
		}
		_, _, to := p.way(c.client)
		d.Src, d.Dst = c.key.from, to
		c.acc.carried(0, n)
		if err := g.host(c.key.own).SendDatagram(&d); err != nil {
			g.warn("usock: a datagram for %v cannot be handed on: %v", p.outer, err)
		}
	}
	p.later()
}

// guest returns the guest for a client; nil: it is refused.
func (p *port) guest(client netip.AddrPort) *guest {
	g := p.g
	own, from, to := p.way(client)
	if c := p.clients[client]; c != nil {
		switch {
		case c.key.own != own:
			c.end(FlowClosed) // the server listens elsewhere now
		case c.denied(to):
			return nil
		default:
			c.use()
			return c
		}
	}
	if client.Port() == 0 || !to.IsValid() {
		return nil // nobody could answer
	}
	if g.deniesAt(p.outer.Port(), unix.IPPROTO_UDP, inward, to, client) {
		return nil
	}
	key := arrival{own, from, p.inner}
	switch {
	case own && (g.guests[key] != nil || g.inner.Bound(unix.IPPROTO_UDP, from)):
		g.warnOnce(fmt.Sprint("clash", p.outer), "usock: %v was refused at %v: inside the run its port is another's (said once)", client, p.outer)
		return nil
	case from.Port() == 0 || g.guests[key] != nil:
		var ok bool
		if key, ok = g.freshArrival(to); !ok {
			return nil
		}
	}
	if len(p.clients) >= maxGuests {
		p.recent.Back().Value.(*guest).end(FlowDisplaced)
	}
	c := &guest{p: p, client: client, key: key, local: p.outer.Addr()}
	c.acc = g.newAccount(unix.IPPROTO_UDP, inward, to, client)
	if g.policy != nil {
		c.gen = g.table.gen
	}
	p.clients[client], g.guests[key] = c, c
	c.place = p.recent.PushFront(c)
	c.use()
	g.sweepSoon()
	return c
}

// freshArrival returns a port of the gateway's own for a client whose address and port cannot
// be seen inside.
func (g *Gateway) freshArrival(to netip.AddrPort) (arrival, bool) {
	const first, span, tries = 32768, 28232, 64 // Linux's ephemeral ports
	for range tries {
		from := netip.AddrPortFrom(g.addrs.router(to.Addr().Is4()), first+uint16(rand.IntN(span)))
		if key := (arrival{false, from, to.Port()}); g.guests[key] == nil {
			return key, true
		}
	}
	return arrival{}, false
}

func (c *guest) use() {
	c.used = c.p.g.clock.Now()
	c.p.recent.MoveToFront(c.place)
}

// denied ends the client if the policy denies it by now, and reports whether it does. to is
// whom it talks with inside.
func (c *guest) denied(to netip.AddrPort) bool {
	g := c.p.g
	if g.policy == nil || c.gen == g.table.gen {
		return false
	}
	c.gen = g.table.gen
	if !g.deniesAt(c.p.outer.Port(), unix.IPPROTO_UDP, inward, to, c.client) {
		return false
	}
	c.end(FlowDenied)
	return true
}

// end forgets the client, and ends its account with the outcome.
func (c *guest) end(outcome string) {
	c.acc.end(outcome)
	delete(c.p.clients, c.client)
	delete(c.p.g.guests, c.key)
	c.p.recent.Remove(c.place)
}

// sweepGuests ends the guests of a port that have been idle.
func (p *port) sweepGuests(now time.Duration) {
	for e := p.recent.Back(); e != nil && now-e.Value.(*guest).used > guestIdle; e = p.recent.Back() {
		e.Value.(*guest).end(FlowIdle)
	}
}

// forGuest deals with a datagram of the inner host's to or from a guest, and reports whether
// it was one.
func (g *Gateway) forGuest(side *side, d *usock.Datagram) bool {
	if len(g.guests) == 0 {
		return false
	}
	if c := g.guests[arrival{side.own, d.Dst, d.Src.Port()}]; c != nil {
		if c.denied(d.Src) {
			g.denyDatagram(side, d)
			return true
		}
		c.server = d.Src
		c.use()
		c.answer(side, d)
		return true
	}
	// A client's own, for a port that nobody has any more: it must not go out again.
	return side.own && g.guests[arrival{true, d.Src, d.Dst.Port()}] != nil
}

// answer sends a datagram to the client. One that finds no room outside is lost, as in any
// queue on the way.
func (c *guest) answer(side *side, d *usock.Datagram) {
	p := c.p
	control := c.control(p.g.control[:0], d)
	var msg message
	for try := 0; p.fd >= 0; try++ {
		e := msg.send(p.fd, c.client, d.Data, control)
		switch {
		case e == 0:
			c.acc.carried(lengthOf(d.Data), 0)
			return
		case e == unix.EAGAIN || e == unix.ENOBUFS:
			return
		case try < maxErrors && p.takeErrors() > 0:
			control = c.control(p.g.control[:0], d) // whose room errors have used
			continue
		case d.SegmentSize > 0 && (e == unix.EMSGSIZE || e == unix.EINVAL):
			eachSegment(d, func(one *usock.Datagram) { c.answer(side, one) })
			return
		}
		p.g.refuseDatagram(side, d, e)
		return
	}
}

// control returns the control messages of an answer: the address that the client uses, and
// what the inner datagram's header says.
func (c *guest) control(b []byte, d *usock.Datagram) []byte {
	v4, wild := c.client.Addr().Is4(), c.p.outer.Addr().IsUnspecified() && !c.local.IsUnspecified()
	if wild && v4 {
		a := c.local.As4()
		b = appendCmsg(b, unix.IPPROTO_IP, unix.IP_PKTINFO, append(make([]byte, 4), append(a[:], 0, 0, 0, 0)...))
	} else if wild {
		a := c.local.As16()
		b = appendCmsg(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(a[:], 0, 0, 0, 0))
	}
	if d.TOS != 0 {
		tos := binary.NativeEndian.AppendUint32(nil, uint32(d.TOS))
		if v4 {
			b = appendCmsg(b, unix.IPPROTO_IP, unix.IP_TOS, tos)
		} else {
			b = appendCmsg(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
		}
	}
	if d.SegmentSize > 0 {
		b = appendCmsg(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(d.SegmentSize)))
	}
	return b
}

// takeErrors tells the inner sockets what the outer one was told of answers, and returns how
// much that was.
func (p *port) takeErrors() int {
	n := 0
	for ; n < maxReceives; n++ {
		q, ok := nextError(p.fd, p.g.buf[:1<<16], p.g.control[:])
		if !ok {
			if getInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR) == 0 {
				break
			}
			continue
		}
		c := p.clients[q.to]
		if c == nil || !c.server.IsValid() || q.origin != unix.SO_EE_ORIGIN_ICMP && q.origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		e := usock.ICMPError{
			From: q.offender, Src: c.server, Dst: c.key.from, Proto: unix.IPPROTO_UDP,
			Type: q.typ, Code: q.code, Info: q.info, TTL: 64, Data: [][]byte{q.data},
		}
		if c.key.own || q.offender.IsLoopback() {
			e.From = netip.Addr{}
		}
		p.g.host(c.key.own).SendICMPError(&e)
	}
	return n
}

//go:build linux

package gateway

import (
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// port is a published address and port: an outer socket that is bound for as long as it is
// published, and listens while somebody inside does.
//
//	bound ◄──────────────────► listens
//	clients are refused        TCP: accept, then the inner socket connects (stream)
//	                           UDP: a guest for each client (publishudp.go)
//
// A TCP socket is without SO_REUSEADDR while it is bound only: with it, others could bind the
// port too, and listen first. It has the option while it listens: without, it could not listen
// again beside the connections that it has accepted (Linux, inet_csk_bind_conflict). The end
// of listening is shutdown(2), which leaves bound what was bound to a port by number.
//
// A UDP socket has itself for its peer while it is bound only, so that nobody's datagrams are
// for it and their senders are refused. One on all addresses is bound to the loopback one
// then: it keeps the port from whoever wants it on all addresses or that, and another may
// take it on one of the others.
type port struct {
	g      *Gateway
	proto  int
	fd     int // -1: closed
	outer  netip.AddrPort
	inner  uint16
	on     bool
	target netip.Addr // of the run's loopback, where loopback's clients arrive; not valid: nobody listens there
	queued bool       // in g.again

	clients map[netip.AddrPort]*guest // UDP
	recent  list.List                 // of *guest, the one that was used last in front
}

// arrival is an outer client as the run sees it, at an inner port.
type arrival struct {
	own   bool // on the run's loopback
	from  netip.AddrPort
	inner uint16
}

type autoKey struct {
	proto int
	port  uint16
}

const (
	// maxPorts bounds the outer sockets of published ports.
	maxPorts = 2048
	// maxAccepts is how many clients of a port are accepted before the others have their
	// turn.
	maxAccepts = 64
	backlog    = 4096 // as net.core.somaxconn is by default
)

// publishAll binds what is to be published.
func (g *Gateway) publishAll(list []Publish) error {
	for _, p := range list {
		if p.Auto {
			continue
		}
		outer := []netip.Addr{p.Addr}
		if !p.Addr.IsValid() {
			outer = []netip.Addr{localhost(true), localhost(false)}
		}
		for i, a := range outer {
			to := netip.AddrPortFrom(a, p.Port)
			opened, e := g.openPort(p.Proto, to, p.Inner)
			if i == 1 && noLoopback6(e) {
				continue
			}
			switch {
			case e == unix.EADDRINUSE && slices.ContainsFunc(g.ports, func(o *port) bool { return o.keeps(p.Proto, to) }):
				return fmt.Errorf("%v%s cannot be published: it is published twice", to, suffix(p.Proto))
			case e != 0:
				return errors.New(g.cannotPublish(p.Proto, to, e))
			}
			g.ports = append(g.ports, opened)
			g.logf("usock: %v/%s is published → %d", to, protoName(p.Proto), p.Inner)
		}
	}
	return nil
}

// keeps reports whether the port, as it is bound, keeps another from an address and port.
func (p *port) keeps(proto int, to netip.AddrPort) bool {
	a, b := p.outer.Addr(), to.Addr()
	return p.proto == proto && p.outer.Port() == to.Port() && a.Is4() == b.Is4() &&
		(a == b || a.IsUnspecified() || b.IsUnspecified())
}

// noLoopback6 reports whether a bind to ::1 failed as the machine has no such address.
func noLoopback6(e syscall.Errno) bool { return e == unix.EADDRNOTAVAIL || e == unix.EAFNOSUPPORT }

func protoName(proto int) string {
	if proto == unix.IPPROTO_UDP {
		return "udp"
	}
	return "tcp"
}

// openPort binds an outer socket.
func (g *Gateway) openPort(proto int, outer netip.AddrPort, inner uint16) (*port, syscall.Errno) {
	if len(g.ports) >= maxPorts {
		return nil, unix.ENOSPC
	}
	typ := unix.SOCK_STREAM
	if proto == unix.IPPROTO_UDP {
		typ = unix.SOCK_DGRAM
	}
	fd, e := outerSocket(outer.Addr(), typ, 0)
	if e != 0 {
		return nil, e
	}
	p := &port{g: g, proto: proto, fd: fd, outer: outer, inner: inner}
	if outer.Addr().Is6() {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	e = sysBind(fd, outer)
	if e == unix.EADDRINUSE && proto == unix.IPPROTO_TCP {
		// It may be connections of an earlier listener that have the port (TIME-WAIT).
		setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		e = sysBind(fd, outer)
		setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
	}
	if e == 0 && proto == unix.IPPROTO_UDP {
		p.prepareUDP(fd)
		e = p.refuseUDP()
	}
	if e != 0 {
		sysClose(fd)
		return nil, e
	}
	if proto == unix.IPPROTO_TCP {
		// What is accepted has these too. The inner stack has done Nagle's work.
		setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		setInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	}
	if err := g.watch(fd, unix.EPOLLIN, p); err != nil {
		sysClose(fd)
		return nil, unix.ENOMEM
	}
	return p, 0
}

// Listening tells the gateway that others listen on a port of the host than before, for its
// Config.
func (g *Gateway) Listening(proto int, port uint16) {
	if len(g.publish) > 0 {
		g.leave(func() { g.look(proto, port) })
	}
}

// look has the published ports of an inner one follow who listens on that.
func (g *Gateway) look(proto int, inner uint16) {
	if g.closed || g.inner == nil {
		return
	}
	addrs := g.inner.Listening(proto, inner)
	named := false
	for _, p := range g.ports {
		if p.proto == proto && p.inner == inner {
			p.follow(addrs)
			named = true
		}
	}
	key := autoKey{proto, inner}
	opened := g.auto[key]
	switch {
	case len(addrs) == 0 && len(opened) > 0:
		for _, p := range opened {
			p.close(FlowClosed)
		}
		g.ports = slices.DeleteFunc(g.ports, func(p *port) bool { return p.fd < 0 })
		delete(g.auto, key)
	case slices.ContainsFunc(g.publish, func(p Publish) bool { return p.Auto && p.Proto == proto }) && (!named || len(opened) > 0):
		g.openAuto(key, addrs)
	}
}

// openAuto publishes an inner port under its own number, on the loopback address of each
// family that somebody listens on.
func (g *Gateway) openAuto(key autoKey, addrs []netip.Addr) {
	for _, v4 := range []bool{true, false} {
		to := netip.AddrPortFrom(localhost(v4), key.port)
		if slices.ContainsFunc(g.auto[key], func(p *port) bool { return p.outer == to }) ||
			!slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Is4() == v4 }) {
			continue
		}
		p, e := g.openPort(key.proto, to, key.port)
		switch {
		case e == 0:
			g.auto[key] = append(g.auto[key], p)
			g.ports = append(g.ports, p)
			g.warnOnce(fmt.Sprint("published", to, key.proto), "usock: published %v%s → %d", to, suffix(key.proto), key.port)
			p.follow(addrs)
		case v4 || !noLoopback6(e):
			// Who has it stands in /proc, which may take its time.
			go func() {
				text := g.cannotPublish(key.proto, to, e)
				g.leave(func() {
					if !g.closed {
						g.warnOnce(text, "usock: %s", text)
					}
				})
			}()
		}
	}
}

// suffix names a protocol behind a port, if it is not TCP.
func suffix(proto int) string {
	if proto == unix.IPPROTO_UDP {
		return "/udp"
	}
	return ""
}

// cannotPublish says why a port is not published, and what to do.
func (g *Gateway) cannotPublish(proto int, to netip.AddrPort, e syscall.Errno) string {
	what := fmt.Sprintf("%v%s cannot be published: ", to, suffix(proto))
	switch e {
	case unix.EADDRINUSE:
		return what + holder(proto, to)
	case unix.EACCES:
		return what + fmt.Sprintf("ports below %d take privilege (CAP_NET_BIND_SERVICE); publish it at a higher one, such as -p %d:%d, or lower net.ipv4.ip_unprivileged_port_start",
			unprivilegedStart(), 8000+int(to.Port()), to.Port())
	case unix.EADDRNOTAVAIL:
		return what + "the machine does not have this address (ip address shows those that it has)"
	case unix.ENOSPC:
		return what + fmt.Sprintf("there are %d already", maxPorts)
	}
	return what + e.Error() + limitHint(e)
}

// follow has the outer socket listen while it leads to one of the addresses.
func (p *port) follow(addrs []netip.Addr) {
	on := p.leads(addrs)
	switch {
	case on == p.on:
	case p.proto == unix.IPPROTO_UDP:
		p.on = on
		p.openUDP(on)
	case on:
		p.on = true
		setInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if e := sysListen(p.fd, backlog); e != 0 {
			p.on = false
			setInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
			p.g.warn("usock: %v is published, but does not listen: %v", p.outer, e)
			return
		}
		p.ready(unix.EPOLLIN)
	default:
		p.on = false
		setInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
		sysShutdown(p.fd, unix.SHUT_RD)
	}
}

// leads reports whether somebody who listens on one of the addresses is reached, and sets
// target.
func (p *port) leads(addrs []netip.Addr) (on bool) {
	out := p.outer.Addr()
	p.target = netip.Addr{}
	for _, a := range addrs {
		switch {
		case a.Is4() != out.Is4() || a.IsLoopback() && !out.IsLoopback() && !out.IsUnspecified():
			continue
		case a.IsUnspecified() || a == localhost(a.Is4()):
			p.target = localhost(a.Is4())
		case a.IsLoopback() && !p.target.IsValid():
			p.target = a
		}
		on = true
	}
	return on
}

// ready implements source.
func (p *port) ready(ev uint32) {
	if ev == 0 {
		p.queued = false
	}
	switch {
	case p.fd < 0 || !p.on:
	case p.proto == unix.IPPROTO_UDP:
		p.readyUDP(ev)
	default:
		p.accept()
	}
}

// later has the port go on when the others have had their turn.
func (p *port) later() {
	if !p.queued {
		p.queued = true
		p.g.later(p)
	}
}

// close ends the port, and its clients' accounts with the outcome.
func (p *port) close(outcome string) {
	for _, c := range p.clients {
		c.end(outcome)
	}
	p.g.drop(p.fd)
	p.fd, p.on = -1, false
}

// accept accepts the clients that wait.
func (p *port) accept() {
	g := p.g
	for range maxAccepts {
		if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
			g.reap()
			if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
				p.wait()
				return
			}
		}
		e := g.room.forClient()
		fd, client := -1, netip.AddrPort{}
		if e == 0 {
			fd, client, e = sysAccept(p.fd)
		} else if polled(p.fd)&unix.EPOLLIN == 0 {
			return // no client waits
		}
		switch e {
		case 0:
			p.bring(fd, client)
		case unix.EAGAIN, unix.EINVAL:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			g.warn("usock: the gateway has no socket for another client: %v%s", e, limitHint(e))
			p.wait()
			return
		default: // an error of that client's (accept(2))
		}
	}
	p.later()
}

// wait leaves the clients in the kernel's queue until a connection ends, or a while.
func (p *port) wait() {
	if !slices.Contains(p.g.behind, p) {
		p.g.behind = append(p.g.behind, p)
		p.g.sweepSoon()
	}
}

// acceptBehind goes on with the ports whose clients wait.
func (g *Gateway) acceptBehind() {
	for _, p := range g.behind {
		p.later()
	}
	g.behind = g.behind[:0]
}

// bring carries an accepted connection on inside.
func (p *port) bring(fd int, client netip.AddrPort) {
	g := p.g
	own, from, to := p.way(client)
	if !to.Addr().IsValid() || g.deniesAt(p.outer.Port(), unix.IPPROTO_TCP, inward, to, client) {
		reset(fd)
		sysClose(fd)
		return
	}
	s := &stream{g: g, side: &side{g, own}, fd: fd, noDelay: true, arrival: arrival{own, from, p.inner}}
	s.acc = g.newAccount(unix.IPPROTO_TCP, inward, to, client)
	in, err := s.originate(from, to)
	if err != nil {
		if own && err == unix.EADDRNOTAVAIL {
			g.warnOnce(fmt.Sprint("clash", p.outer), "usock: %v was refused at %v: inside the run it is connected with port %d already (said once)", client, p.outer, p.inner)
		} else {
			g.warn("usock: a client of %v was refused: %v", p.outer, err)
		}
		s.acc.is(FlowReset, "run")
		s.acc.end(FlowReset)
		reset(fd)
		sysClose(fd)
		return
	}
	s.in = in
	g.streams[s] = struct{}{}
	g.halfOpen++
	g.room.clients++
	if own {
		g.arrivals[s.arrival] = s
	}
	if as, err := in.GetSockName(); err == nil {
		s.know(to, as.AddrPort())
	}
	if err := g.watch(fd, toRead, s); err != nil {
		s.abort()
		return
	}
	if s.watchInside(); !s.gone {
		s.arrive() // on the run's loopback the outcome is known
	}
}

// way returns how a client arrives inside: on the run's own loopback if it is one of the
// machine's and somebody listens there, else by the router. It has its own address and port,
// or the gateway's address where nobody inside could answer its own: that port is 0 then.
func (p *port) way(client netip.AddrPort) (own bool, from, to netip.AddrPort) {
	a := client.Addr()
	if a.IsLoopback() && p.target.IsValid() {
		return true, client, netip.AddrPortFrom(p.target, p.inner)
	}
	g, v4 := p.g, a.Is4()
	if !g.routes.serves(v4) {
		g.warn("usock: a client of %v was refused: the machine has no route of its family, so the run has no address", p.outer)
		return false, client, netip.AddrPort{}
	}
	host := g.addrs.host4.Addr()
	if !v4 {
		host = g.addrs.host6.Addr()
	}
	if a.IsLoopback() || a.IsLinkLocalUnicast() || g.addrs.has(a) {
		client = netip.AddrPortFrom(g.addrs.router(v4), 0)
	}
	return false, client, netip.AddrPortFrom(host, p.inner)
}

// originate makes the inner socket of an outer client's connection and has it connect.
func (s *stream) originate(from, to netip.AddrPort) (*usock.Socket, error) {
	if from.Port() != 0 {
		in, err := s.side.host().Originate(from, to)
		if err != unix.EADDRNOTAVAIL || s.side.own {
			return in, err
		}
	}
	// Two published ports lead to one, and a client uses its port for both; or its address
	// says nothing inside.
	a := usock.Inet(to)
	in, err := s.g.router.Socket(a.Family, usock.SOCK_STREAM|usock.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := in.Connect(a); err != nil && err != unix.EINPROGRESS {
		in.Close()
		return nil, err
	}
	return in, nil
}

// arrive looks what became of the inner connect of an outer client's connection. The client
// has been accepted: a refusal is a reset.
func (s *stream) arrive() {
	switch err := s.in.FinishConnect(); err {
	case nil:
		s.opened()
		s.follow() // what the listener had is set already
		s.ready(polled(s.fd))
	case unix.EALREADY:
	default:
		if e, ok := err.(syscall.Errno); ok {
			s.acc.failed(e)
		}
		s.abort()
	}
}

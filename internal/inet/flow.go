package inet

import (
	"net/netip"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// Handler is asked about what comes to an address that is not the host's, or to a port
// of a loopback address that nobody has. It is called without the lock, by the goroutine
// that brought the packet, and must not block.
type Handler interface {
	TCP(*Flow)
	UDP(*Datagram)
	Echo(*Echo)
}

// asks reports whether the handler is asked about a packet that nobody here takes.
func (s *Stack) asks(m *ip.Meta) bool {
	switch {
	case s.handler == nil || m.Broadcast || m.Multicast():
		return false
	case m.Dst.IsLoopback():
		return m.Iface == s.IP.Loopback()
	}
	return !s.IP.IsLocal(m.Dst)
}

// elsewhere returns the port to which somebody without a port of his own is about to send,
// if a Handler is asked about ports that nobody has; else 0. As his own he must not draw it:
// on a loopback address he would hide whom he wants to reach.
func (s *Stack) elsewhere(port uint16) uint16 {
	if s.handler == nil {
		return 0
	}
	return port
}

// Flow is a connection that somebody asks for by a SYN which has not been answered. It
// stands in the table of connections, so that the SYN's repetitions find it.
type Flow struct {
	Local, Remote netip.AddrPort // who is asked for, and who asks
	TTL, TOS      uint8          // of the SYN

	node
	t     *tcpProto
	syn   tcp.Segment // without data
	iss   uint32      // 0: any
	timer timer.Entry // forgets it
}

func (f *Flow) tcpNode() {}

const (
	// maxAsked bounds the flows that wait for an answer. Further SYNs are dropped.
	maxAsked = 4096
	// flowForgotten is how long a flow is remembered after the SYN was seen last: Linux's
	// last repetition is 63 s after the first SYN, and given up 64 s later.
	flowForgotten = 130 * time.Second
)

// ask has the handler asked about a SYN.
func (t *tcpProto) ask(k *tuple, m *ip.Meta, seg *tcp.Segment, iss uint32) {
	seg.Data.Release() // comes again, as it is not acknowledged
	if t.flows >= maxAsked {
		inc(&t.Stats.FlowDrops)
		return
	}
	f := &Flow{
		Local: netip.AddrPortFrom(k.laddr, k.lport), Remote: netip.AddrPortFrom(k.raddr, k.rport),
		TTL: m.TTL, TOS: m.TOS, t: t, syn: *seg, iss: iss,
	}
	f.syn.Data = packet.Vec{}
	f.tuple, f.timer.On = *k, f
	t.conns.add(&f.node, f)
	t.flows++
	t.Host.SetTimer(&f.timer, t.Host.Now()+flowForgotten)
	h := t.handler
	t.Host.After(func() { h.TCP(f) })
}

// segment takes a further segment of a flow that is not answered yet.
func (f *Flow) segment(m *ip.Meta, seg *tcp.Segment) {
	t := f.t
	switch {
	case seg.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN && seg.Seq == f.syn.Seq:
		t.Host.SetTimer(&f.timer, t.Host.Now()+flowForgotten)
	case seg.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN:
		// Another attempt with the same ports: the first one was given up.
		k := f.tuple
		f.forget()
		t.ask(&k, m, seg, 0)
		return
	case seg.Flags&wire.RST != 0 && (seg.Seq == f.syn.Seq || seg.Seq == f.syn.Seq+1):
		f.forget()
	}
	seg.Data.Release()
}

// Expired implements timer.Expirer.
func (f *Flow) Expired(*timer.Entry, time.Duration) { f.forget() }

// forget ends the flow without an answer.
func (f *Flow) forget() {
	if f.node.owner != nil {
		f.t.conns.remove(&f.node)
		f.t.Host.RemoveTimer(&f.timer)
		f.t.flows--
	}
}

// Waiting reports whether the flow waits for an answer still. Locked.
func (f *Flow) Waiting() bool { return f.node.owner != nil }

// Accept begins to answer the SYN and returns the connection's socket, which becomes
// writable when the handshake is complete. ECONNABORTED if the flow was answered, or given
// up by who asked. Locked.
func (f *Flow) Accept() (*socket.Socket, error) {
	t := f.t
	if !f.Waiting() {
		return nil, syscall.ECONNABORTED
	}
	k, iss := f.tuple, f.iss
	f.forget()
	path, err := t.path(k.raddr, k.laddr, 0)
	if err != nil {
		return nil, err
	}
	s, err := t.standIn(&k)
	if err != nil {
		return nil, err
	}
	e := endpointOf(s)
	e.path, e.scope, e.phase = path, int32(path.Iface.Index()), connected
	t.conns.add(&e.node, e)
	if iss == 0 {
		iss = t.isn(&k)
	}
	e.conn.Accept(e.now(), t.params(e, iss), &f.syn)
	t.update(e, 0)
	return s, nil
}

// Refuse answers the SYN with a reset. Locked.
func (f *Flow) Refuse() {
	if f.Waiting() {
		f.forget()
		if rst, ok := tcp.ResetFor(&f.syn); ok {
			inc(&f.t.Stats.OutRsts)
			f.t.answer(f.t.IP.Whole(), &f.tuple, 0, &rst)
		}
	}
}

// Unreachable answers the SYN with an ICMP error by from, or by the address that was asked
// for where from is not valid. Locked.
func (f *Flow) Unreachable(from netip.Addr, typ, code uint8) {
	if !f.Waiting() {
		return
	}
	f.forget()
	p := packet.New()
	f.syn.SrcPort, f.syn.DstPort = f.rport, f.lport
	f.syn.TCP.Put(p.Prepend(f.syn.TCP.Len()))
	f.t.sendError(&Error{
		From: from, Src: f.Remote, Dst: f.Local, Proto: ip.ProtoTCP, TTL: f.TTL, TOS: f.TOS,
		Type: typ, Code: code,
	}, p)
}

// Drop leaves the SYN without an answer. Those that come again are asked about again.
// Locked.
func (f *Flow) Drop() { f.forget() }

// connection returns the socket's end of the connection, or attempt, from local to remote.
func (s *Stack) connection(local, remote netip.AddrPort) (*tcpEndpoint, bool) {
	k := tuple{laddr: local.Addr(), raddr: remote.Addr(), lport: local.Port(), rport: remote.Port()}
	e, ok := s.tcp.conns.find(&k).(*tcpEndpoint)
	return e, ok
}

// FailConnect has the attempt of a socket to connect from local to remote fail with err, and
// reports whether there is one. Locked.
func (s *Stack) FailConnect(local, remote netip.AddrPort, err syscall.Errno) bool {
	e, ok := s.connection(local, remote)
	if !ok || e.conn.State() != tcp.SynSent {
		return false
	}
	s.tcp.update(e, e.conn.Fail(err))
	return true
}

// FailStream has a connection from local to remote fail with err, and reports whether there is
// one. Locked.
func (s *Stack) FailStream(local, remote netip.AddrPort, err syscall.Errno) bool {
	e, ok := s.connection(local, remote)
	if !ok || e.listener != nil || e.conn.State() == tcp.SynSent {
		return false
	}
	s.tcp.update(e, e.conn.Fail(err))
	return true
}

// Connects reports whether a socket tries to connect, or is connected, from local to
// remote. Locked.
func (s *Stack) Connects(local, remote netip.AddrPort) bool {
	_, ok := s.connection(local, remote)
	return ok
}

// Bound reports whether a socket of the protocol has the local address and port, or the
// wildcard and the port. Locked.
func (s *Stack) Bound(proto int, local netip.AddrPort) bool {
	ports := &s.udp.ports
	if proto == abi.IPPROTO_TCP {
		ports = &s.tcp.ports
	}
	k := ports.buckets.get(local.Port())
	if k == nil {
		return false
	}
	for b := k.head; b != nil; b = b.next {
		if b.addr == local.Addr() || b.addr.IsUnspecified() && (b.addr.Is4() == local.Addr().Is4() || b.addr.Is6() && !b.v6only) {
			return true
		}
	}
	return false
}

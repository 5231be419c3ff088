package inet

import (
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// Labels of the keyed function's uses.
const (
	labelISN = 1 + iota
	labelTimestamp
	labelPort
	labelCookie
	labelFastOpen
	labelFlow
)

// Connect implements socket.Proto. It is Linux's __inet_stream_connect: the call
// that finds the handshake completed returns nil, the ones after it EISCONN.
func (t *tcpProto) Connect(s *socket.Socket, a abi.Addr) error {
	e := endpointOf(s)
	if a.Family == abi.AF_UNSPEC {
		if e.listener != nil {
			t.stopListening(e)
		}
		e.disconnect()
		s.Dissolved++
		s.Notify(e.conn.Ready())
		return nil
	}
	if e.deferred != nil {
		return syscall.EISCONN
	}
	switch e.phase {
	case connected:
		return syscall.EISCONN
	case connecting:
		return t.outcome(e)
	case disconnecting:
		return syscall.EINVAL
	}
	if e.listener != nil {
		return syscall.EISCONN
	}
	fo := tcp.FastOpen{Ask: e.fastOpenConnect}
	if e.fastOpenConnect {
		if dst, err := t.peerOf(s, a); err == nil && t.fastOpen[dst].NCookie != 0 {
			// connect succeeds at once; the SYN waits for data (tcp(7)).
			to := a // a itself would be moved to the heap, in every call
			e.deferred = &to
			return nil
		}
	}
	if err := t.begin(e, a, fo, nil); err != nil {
		return err
	}
	// Over the loopback interface the outcome may be known once the host is left.
	return syscall.EINPROGRESS
}

// FinishConnect implements socket.Finisher. Once the outcome is told the socket counts
// as connected for good: what ends the connection later is for receives to tell. A
// deferred connect has been told to have succeeded (tcp(7), TCP_FASTOPEN_CONNECT).
func (t *tcpProto) FinishConnect(s *socket.Socket, waiting bool) error {
	e := endpointOf(s)
	switch {
	case waiting && e.phase != connected:
		return t.outcome(e)
	case e.deferred != nil || e.phase == connected:
		return nil
	case e.phase == connecting:
		return t.outcome(e)
	case e.phase == disconnecting:
		return syscall.EINVAL
	}
	return syscall.ENOTCONN
}

// outcome reports how an attempt ended, once.
func (t *tcpProto) outcome(e *tcpEndpoint) error {
	switch e.conn.State() {
	case tcp.SynSent, tcp.SynRcvd:
		return syscall.EALREADY
	case tcp.Closed, tcp.TimeWait:
		err := e.takeErr()
		if err == nil {
			err = syscall.ECONNABORTED
		}
		e.disconnect()
		e.s.Dissolved++
		return err
	}
	e.phase = connected
	return nil
}

// peerOf is peerAddr. A socket with an address of IPv4 reaches none of IPv6, and is told so
// once there is a route (Linux, ip6_dst_lookup_flow).
func (t *tcpProto) peerOf(s *socket.Socket, a abi.Addr) (netip.Addr, error) {
	addr, err := t.peerAddr(s, &tcpKind, a)
	if err != nil || s.Domain == abi.AF_INET || addr.Is4() || !boundTo4(s) {
		return addr, err
	}
	if _, err = t.path(addr, netip.Addr{}, int(s.Opt.Device)); err == nil {
		err = syscall.EAFNOSUPPORT
	}
	return addr, err
}

// begin starts to connect: path, addresses, port, and the core's SYN, with the data
// of m if it is not nil.
func (t *tcpProto) begin(e *tcpEndpoint, a abi.Addr, fo tcp.FastOpen, m *socket.Msg) error {
	dst, err := t.peerOf(e.s, a)
	if err != nil {
		return err
	}
	device := int(e.s.Opt.Device)
	if device == 0 {
		device = linkOf(dst, a.Scope)
	}
	bound := e.addr
	path, err := t.path(dst, bound, device)
	if err != nil {
		return err
	}
	if path.Broadcast || path.Dst.IsMulticast() || e.s.Opt.Has(socket.DontRoute) && viaGateway(path) {
		return syscall.ENETUNREACH
	}
	if path.Dst.Is4() != path.Src.Is4() {
		return syscall.ENETUNREACH
	}
	if path.Dst.Is6() {
		flow, err := e.givenFlow(t.Stack, a)
		if err != nil {
			return err
		}
		e.setFlow(flow)
	}
	e.claim()
	k := tuple{laddr: path.Src, raddr: path.Dst, lport: e.lport, rport: a.Port}
	e.addr, e.laddr = path.Src, path.Src
	iss := uint32(0)
	if e.bucket != nil {
		iss, err = t.free(&k, true)
	} else {
		iss, err = t.choosePort(e, &k)
	}
	if err != nil {
		e.unaddressed()
		return err
	}
	e.tuple, e.path, e.scope, e.label = k, path, int32(device), 0
	t.conns.add(&e.node, e)
	e.timer.On = e
	e.phase = connecting
	e.s.Err = 0
	t.Stats.ActiveOpens++
	p := t.params(e, iss)
	p.FastOpen = fo
	e.asked = fo.Ask
	e.conn.Connect(t.Host.Now(), p)
	if m != nil {
		m.Len = t.write(e, m)
	}
	t.update(e, 0)
	return nil
}

// params returns what a connection of e starts from. It is valid until the next
// call.
func (t *tcpProto) params(e *tcpEndpoint, iss uint32) *tcp.Params {
	fixed := ipHeaderLen(e.raddr.Is4()) + 20
	p := &t.start
	*p = tcp.Params{
		Config:   t.cfg,
		ISS:      iss,
		TSOffset: t.tsOffset(&e.tuple),
		MSS:      e.path.MTU - fixed,
		RcvBuf:   int(e.rcvBuf),
		SndBuf:   int(e.sndBuf),

		AssumedMSS: assumedMSS(e.raddr),
	}
	if m := e.path.MaxSegment; m > 0 {
		p.MaxSegment = m - 60
	}
	return p
}

// assumedMSS is what a peer is sent that has not said its MSS: what every host takes (RFC 9293
// §3.7.1).
func assumedMSS(peer netip.Addr) uint16 {
	if peer.Is4() {
		return 576 - 40
	}
	return 1280 - 60
}

func ipHeaderLen(v4 bool) int {
	if v4 {
		return 20
	}
	return 40
}

// isn returns an initial sequence number: a clock that ticks every 4 µs plus a
// keyed function of the tuple (RFC 6528, section 3).
func (t *tcpProto) isn(k *tuple) uint32 {
	hi, _ := t.prf.sum(labelISN, k)
	return uint32(t.Host.Now().Nanoseconds()/4000) + uint32(hi)
}

// tsOffset returns what a connection's timestamps are offset by: one number for
// each pair of addresses, so that a new connection goes on where an old one with
// the same ports was (RFC 7323, section 5.4; Linux, secure_tcp_ts_off).
func (t *tcpProto) tsOffset(k *tuple) uint32 {
	hi, _ := t.prf.sum(labelTimestamp, &tuple{laddr: k.laddr, raddr: k.raddr})
	return uint32(hi)
}

// free reports whether a connection k may begin, and with which initial sequence
// number. A TIME-WAIT gives way if the new connection's numbers cannot be taken for
// the old one's (RFC 6191; Linux, tcp_twsk_unique), and, where the port is not the
// program's choice, some time has passed.
func (t *tcpProto) free(k *tuple, chosen bool) (iss uint32, err error) {
	switch o := t.conns.find(k).(type) {
	case nil:
		return t.isn(k), nil
	case *timeWait:
		if next, ok := o.state.Reusable(t.Host.Now(), chosen); ok {
			o.end()
			return next, nil
		}
	}
	return 0, syscall.EADDRNOTAVAIL
}

// choosePort picks an ephemeral port for k (RFC 6056, section 3.3.3: an offset by
// a keyed function of the destination, and a random increment), binds e to it and
// returns the initial sequence number.
//
// Odd ports are bind's, as on Linux, and tried only where a run of even ones is
// taken: so that a call stays cheap once all even ones are, up to the last port.
func (t *tcpProto) choosePort(e *tcpEndpoint, k *tuple) (iss uint32, err error) {
	const span = ephemeralLast - ephemeralFirst + 1
	hi, lo := t.prf.sum(labelPort, &tuple{laddr: k.laddr, raddr: k.raddr, rport: k.rport})
	counter := &t.portCounters[lo%uint64(len(t.portCounters))]
	*counter += 2 + 2*uint32(t.prf.random()&7)
	start := (uint32(hi) + *counter) % span &^ 1
	const run = 32
	for i := range uint32(span+2*run) / (2 * run) * (2 * run) {
		pair := i/(2*run)*run + i%run // even and odd port, counted from start
		if pair >= span/2 {
			continue
		}
		odd := i / run % 2
		k.lport = uint16(ephemeralFirst + (start+2*pair)%span + odd)
		if !t.ports.sharable(k.lport) || k.lport == t.elsewhere(k.rport) {
			continue
		}
		if iss, err = t.free(k, false); err != nil {
			continue
		}
		e.auto = true
		t.ports.add(&e.binding, k.lport)
		return iss, nil
	}
	return 0, syscall.EADDRNOTAVAIL
}

// sendFastOpen is sendto with MSG_FASTOPEN: connect and send in one (tcp(7)). It fails as
// connect does where there is or may be a connection (net/ipv4/tcp.c,
// tcp_sendmsg_fastopen).
func (t *tcpProto) sendFastOpen(e *tcpEndpoint, m *socket.Msg) (int, error) {
	a := m.Addr
	switch {
	case m.Flags&abi.MSG_FASTOPEN != 0 && m.HasAddr && a.Family == abi.AF_UNSPEC:
		return 0, syscall.EOPNOTSUPP
	case e.deferred != nil:
		a, e.deferred = *e.deferred, nil
	case e.phase == connecting:
		if err := t.outcome(e); err == syscall.EALREADY && m.Flags&abi.MSG_DONTWAIT == 0 {
			return 0, syscall.EAGAIN
		} else if err != nil {
			return 0, err
		}
		m.Flags &^= abi.MSG_FASTOPEN
		return t.Send(e.s, m)
	case e.phase == disconnecting:
		return 0, syscall.EINVAL
	case e.phase != unconnected || e.listener != nil:
		return 0, syscall.EISCONN
	case !m.HasAddr:
		return 0, syscall.EINVAL
	}
	dst, err := t.peerOf(e.s, a)
	if err != nil {
		return 0, err
	}
	fo := t.fastOpen[dst]
	fo.Ask = true
	if fo.NCookie != 0 {
		m.Len = 0
		if err := t.begin(e, a, fo, m); err != nil {
			return 0, err
		}
		return m.Len, nil
	}
	// Without a cookie this is connect, and send once that is done.
	if err := t.begin(e, a, fo, nil); err != nil {
		return 0, err
	}
	m.Flags &^= abi.MSG_FASTOPEN
	if m.Flags&abi.MSG_DONTWAIT != 0 {
		return 0, syscall.EINPROGRESS
	}
	return 0, syscall.EAGAIN
}

// Error implements ip.Transport: an ICMP error about a segment of ours (RFC 5927).
func (t *tcpProto) Error(x *ip.Error) {
	if len(x.Quote) < 8 {
		return
	}
	k := tuple{laddr: x.Src, raddr: x.Dst, lport: be16(x.Quote), rport: be16(x.Quote[2:])}
	e, ok := t.conns.find(&k).(*tcpEndpoint)
	if !ok {
		return
	}
	in := tcp.ICMPError{Seq: be32(x.Quote[4:]), Errno: x.Errno}
	if x.MTU != 0 {
		if !e.conn.Covers(in.Seq) || e.ip().discovery(x.Dst) == abi.PMTUDISC_DONT {
			return
		}
		t.IP.LowerPathMTU(x.Dst, x.MTU)
		if p, err := t.path(e.raddr, e.laddr, int(e.device)); err == nil {
			e.path = p
		}
		in.MSS = e.path.MTU - ipHeaderLen(e.raddr.Is4()) - 20
	}
	t.update(e, e.conn.ICMP(t.Host.Now(), &in))
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
func be32(b []byte) uint32 { return uint32(be16(b))<<16 | uint32(be16(b[2:])) }

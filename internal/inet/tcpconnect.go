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
			if !s.Host.InWhole() {
				return socket.ErrWhole
			}
			t.stopListening(e)
		}
		e.disconnect()
		s.Dissolved++
		s.Notify(e.conn.Ready())
		return nil
	}
	if e.deferred {
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
	fo := tcp.FastOpen{Ask: e.fastOpen().connect}
	if err := t.begin(e, a, fo); err != nil {
		return err
	}
	if e.deferred {
		// connect succeeds at once; the SYN waits for data (tcp(7)).
		return nil
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
	case e.deferred || e.phase == connected:
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

// begin starts to connect: path, addresses, port, and the core's SYN. With fo.Ask the SYN is
// what is known of the server's Fast Open; it waits for SendSYN if fo.Wait says so, or if data may
// go with it, which defers the connect.
func (t *tcpProto) begin(e *tcpEndpoint, a abi.Addr, fo tcp.FastOpen) error {
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
	k := tuple{laddr: path.Src, raddr: path.Dst, lport: e.lport, rport: a.Port}
	iss, err := t.claimTuple(e, &k, path)
	if err != nil {
		return err
	}
	e.path, e.scope, e.label = path, int32(device), 0
	e.phase = connecting
	e.s.KeepErr(0)
	inc(&t.Stats.ActiveOpens)
	p := t.params(e, iss)
	faults := t.beginFaults(e, p, &fo)
	if e.asked = fo.Ask; e.asked {
		p.FastOpen = t.knownFastOpen(e)
		if fo.Wait {
			p.FastOpen.Wait = true
		} else {
			e.deferred = p.FastOpen.Wait
		}
	}
	e.conn.Connect(e.now(), p)
	if faults != nil {
		e.afflict(faults)
	}
	if p.Hold {
		e.faulty().attempt()
	}
	t.update(e, 0)
	return nil
}

// claimTuple has e stand in the table of connections for k, with a port of its choice if e has none, and returns
// the initial sequence number.
func (t *tcpProto) claimTuple(e *tcpEndpoint, k *tuple, path *ip.Path) (iss uint32, err error) {
	t.ports.mu.Lock()
	defer t.ports.mu.Unlock()
	e.claim()
	e.addr, e.laddr = path.Src, path.Src
	if e.bucket == nil {
		iss, err = t.choosePort(e, k)
	} else if iss, err = t.freeNamed(k); err == nil {
		e.tuple = *k
		if !t.conns.add(&e.node, e) {
			err = syscall.EADDRNOTAVAIL // somebody has come meanwhile
		}
	}
	if err != nil {
		e.tuple.raddr, e.tuple.rport = netip.Addr{}, 0
		e.unaddressed()
	}
	return iss, err
}

// freeNamed is free for a port that the program has named, which has to be told how it is. The table of ports is
// locked, but not all the time.
func (t *tcpProto) freeNamed(k *tuple) (iss uint32, err error) {
	for {
		var busy *timeWait
		if iss, busy, err = t.free(k, true); busy == nil {
			return iss, err
		}
		t.ports.mu.Unlock()
		busy.mu.Lock() // in the order that those who are at it have
		t.ports.mu.Lock()
		busy.mu.Unlock()
	}
}

// params returns what a connection of e starts from. It is valid until the next
// call.
func (t *tcpProto) params(e *tcpEndpoint, iss uint32) *tcp.Params {
	fixed := ipHeaderLen(e.raddr.Is4()) + 20
	p := &t.lane(e.dom).start
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
	return uint32(t.Host.Clock().Now().Nanoseconds()/4000) + uint32(hi)
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
// program's choice, some time has passed. One that others are at, who may wait for the table of ports, is returned:
// it is taken for as long. The table of ports is locked.
func (t *tcpProto) free(k *tuple, chosen bool) (iss uint32, busy *timeWait, err error) {
	switch o := t.conns.find(k).(type) {
	case nil:
		return t.isn(k), nil, nil
	case *timeWait:
		if !o.mu.TryLock() {
			busy = o
			break
		}
		defer o.mu.Unlock()
		if o.node.owner == nil {
			return t.isn(k), nil, nil
		}
		if next, ok := o.state.Reusable(t.Host.Clock().Now(), chosen); ok {
			o.end(true)
			return next, nil, nil
		}
	}
	return 0, busy, syscall.EADDRNOTAVAIL
}

// choosePort picks an ephemeral port for k (RFC 6056, section 3.3.3: an offset by
// a keyed function of the destination, and a random increment), binds e to it and
// returns the initial sequence number.
//
// Odd ports are bind's, as on Linux, and tried only where a run of even ones is
// taken: so that a call stays cheap once all even ones are, up to the last port.
func (t *tcpProto) choosePort(e *tcpEndpoint, k *tuple) (iss uint32, err error) {
	hi, lo := t.prf.sum(labelPort, &tuple{laddr: k.laddr, raddr: k.raddr, rport: k.rport})
	counter := &t.portCounters[lo%uint64(len(t.portCounters))]
	*counter += 2 + 2*uint32(t.prf.random()&7)
	start := (uint32(hi) + *counter) % ephemerals / 2
	to := destination{k.laddr, k.raddr, k.rport}
	s := portSearch{taken: t.taken.of[to]}
	const run = 32
	for first := uint32(0); first < pairs; first += run {
		for odd := range uint32(2) {
			for i := first; i < min(first+run, pairs); i++ {
				pair := (start + i) % pairs
				if n := s.taken.run(pair, odd); n > 0 {
					i += n - 1
					continue
				}
				k.lport = uint16(ephemeralFirst + 2*pair + odd)
				if iss, err = t.tryPort(k, &s, pair, odd); err != nil {
					if s.looked++; s.looked == learnAfter && s.taken == nil {
						s.taken = t.taken.begin(to)
					}
					continue
				}
				e.tuple = *k
				if !t.conns.add(&e.node, e) {
					continue
				}
				e.auto = true
				t.ports.add(&e.binding, k.lport)
				return iss, nil
			}
		}
	}
	return 0, syscall.EADDRNOTAVAIL
}

// portSearch is the state of a search for a port.
type portSearch struct {
	taken  *portBits // known to be taken for this destination; nil: none
	looked int       // ports that were looked at
}

// tryPort returns the initial sequence number if k's local port is free for it. A port that stays
// taken until the table of connections or that of ports says otherwise is remembered.
func (t *tcpProto) tryPort(k *tuple, s *portSearch, pair, odd uint32) (iss uint32, err error) {
	if k.lport == t.elsewhere(k.rport) {
		return 0, syscall.EADDRNOTAVAIL
	}
	lasts := true
	if t.ports.sharable(k.lport) {
		if iss, _, err = t.free(k, false); err == nil {
			return iss, nil
		}
		w, ok := t.conns.find(k).(*timeWait)
		lasts = !ok || !w.yields()
	}
	if lasts && s.taken != nil {
		s.taken.add(pair, odd)
	}
	return 0, syscall.EADDRNOTAVAIL
}

// yields reports whether the state gives way to a new connection later; it does so where others are at it.
func (w *timeWait) yields() bool {
	if !w.mu.TryLock() {
		return true
	}
	defer w.mu.Unlock()
	return w.state.Yields()
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
	t.update(e, e.conn.ICMP(e.now(), &in))
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
func be32(b []byte) uint32 { return uint32(be16(b))<<16 | uint32(be16(b[2:])) }

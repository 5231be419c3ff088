//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/dns"
)

// mapping is an inner UDP socket's address and port, and the outer socket that stands for it
// to all its peers (RFC 4787, section 4.1). It ends with the inner socket, or when it was not
// used for mappingIdle.
type mapping struct {
	g    *Gateway
	key  mappingKey
	fd   int
	used time.Duration

	ttl, tos uint8 // that the outer socket sends with
	probe    bool  // it sends what is not to be fragmented: IP_PMTUDISC_PROBE
	wide     bool  // it may send to broadcast addresses
	waits    []waiting
	bytes    int  // in waits
	unread   bool // it stopped receiving to let others have their turn
	train    train
	peers    peers
	asked    []dns.Question // of name servers, the last maxAsked, in a ring
	askedAt  int            // in it
	open     questions      // of programs' to name servers
	long     int            // from how many bytes on the machine does not segment datagrams; 0: not known
}

type mappingKey struct {
	own bool // of the inner host's loopback
	src netip.AddrPort
}

// waiting is a datagram that the outer socket had no room for.
type waiting struct {
	data []byte
	d    usock.Datagram // but for its data
}

const (
	// mappingIdle is how long a mapping lives unused (RFC 4787, section 4.3, REQ-5).
	mappingIdle = 2 * time.Minute
	// maxWaiting is how many bytes of a mapping wait for room outside.
	maxWaiting = 1 << 20
	sweepEvery = time.Second
)

// carry carries on a datagram of the inner host's.
func (g *Gateway) carry(side *side, d *usock.Datagram) {
	if g.closed || g.inner == nil {
		return
	}
	if g.forGuest(side, d) {
		return
	}
	if g.names.asked(d.Dst) && g.afflicted(side, d) {
		return
	}
	g.carryOn(side, d)
}

// carryOn is carry of what no guest has, and no fault strikes at.
func (g *Gateway) carryOn(side *side, d *usock.Datagram) {
	if g.names.asked(d.Dst) && g.answered(side, d) {
		return
	}
	if g.isolated {
		g.refuseDatagram(side, d, unix.ECONNREFUSED)
		return
	}
	key := mappingKey{side.own, d.Src}
	m := g.mappings[key]
	if g.deniesDatagram(m, d) {
		g.denyDatagram(side, d)
		return
	}
	if errno := g.forbidden(d.Dst.Addr(), side.own); errno != 0 {
		g.refuseDatagram(side, d, errno)
		return
	}
	if m == nil {
		var e syscall.Errno
		if m, e = g.newMapping(key); e != 0 {
			g.warn("usock: the gateway has no socket for more datagrams: %v%s", e, limitHint(e))
			return
		}
	}
	last := m.used
	m.used = m.g.clock.Now()
	if g.table != nil {
		m.peers.open(g, unix.IPPROTO_UDP, outward, d.Src, d.Dst).carried(lengthOf(d.Data), 0)
		if g.names.asked(d.Dst) {
			m.asks(d)
		}
	}
	if g.resolves(d.Dst) && d.SegmentSize == 0 {
		m.open.asks(g, bytes.Join(d.Data, nil), d.Dst)
	}
	switch {
	case len(m.waits) > 0:
		m.keep(d)
	case !m.train.joins(m, d, m.used-last):
		m.train.leave(m)
		m.send(d)
	}
}

// deniesDatagram reports whether the policy denies a datagram of the run's. m, its mapping, may
// be nil.
func (g *Gateway) deniesDatagram(m *mapping, d *usock.Datagram) bool {
	if m == nil {
		return g.denies(unix.IPPROTO_UDP, outward, d.Src, d.Dst)
	}
	return g.deniesPeer(&m.peers, unix.IPPROTO_UDP, outward, d.Src, d.Dst)
}

// lengthOf returns how many bytes there are in pieces.
func lengthOf(pieces [][]byte) (n int) {
	for _, b := range pieces {
		n += len(b)
	}
	return n
}

// newMapping makes a mapping for an inner socket.
func (g *Gateway) newMapping(key mappingKey) (*mapping, syscall.Errno) {
	if len(g.mappings) >= maxMappings {
		g.makeRoom()
	}
	fd, e := outerSocket(key.src.Addr(), unix.SOCK_DGRAM, 0)
	if e == unix.EMFILE || e == unix.ENFILE {
		g.makeRoom()
		fd, e = outerSocket(key.src.Addr(), unix.SOCK_DGRAM, 0)
	}
	if e != 0 {
		return nil, e
	}
	m := &mapping{g: g, key: key, fd: fd, used: g.clock.Now() - mappingIdle} // before the first datagram there is a gap
	prepareDatagrams(fd, key.src.Addr().Is4())
	if err := g.watch(fd, unix.EPOLLIN, m); err != nil {
		sysClose(fd)
		return nil, unix.ENOMEM
	}
	g.mappings[key] = m
	g.sweepSoon()
	return m, 0
}

// prepareDatagrams sets the options of an outer UDP socket.
func prepareDatagrams(fd int, v4 bool) {
	preparePackets(fd, v4)
	if v4 {
		setInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		setInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	setInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
}

// preparePackets sets the options of an outer socket that sends packets of the host's as they are, and hears of errors: one
// of UDP or a raw one. The header of IPv4 is what a raw one receives anyway.
func preparePackets(fd int, v4 bool) {
	if v4 {
		setInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		setInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
	}
	setInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, outerBuf)
	setInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, outerBuf)
}

// outerBuf is what the buffers of such sockets are asked to have, in bytes. The kernel
// gives what net.core.rmem_max and wmem_max allow.
const outerBuf = 4 << 20

// makeRoom ends the mappings of sockets that are closed or else, if there are none, the one
// that was used longest ago.
func (g *Gateway) makeRoom() {
	var oldest *mapping
	ended := false
	for _, m := range g.mappings {
		if !m.held() {
			m.close(FlowClosed)
			ended = true
		} else if oldest == nil || m.used < oldest.used {
			oldest = m
		}
	}
	if !ended && oldest != nil {
		oldest.close(FlowDisplaced)
	}
}

// held reports whether the inner socket is there still.
func (m *mapping) held() bool { return m.g.inner.Bound(unix.IPPROTO_UDP, m.key.src) }

// sweepSoon has sweep called while there is something to be swept.
func (g *Gateway) sweepSoon() {
	n := len(g.mappings) + len(g.echoes) + len(g.guests) + len(g.behind)
	for _, x := range g.sctp {
		if x != nil {
			n += len(x.flows)
		}
	}
	if !g.sweeps && n > 0 && !g.closed {
		g.sweeps = true
		g.sweeper.Set(sweepEvery)
	}
}

// sweep ends mappings, echo sockets and flows of SCTP that are of no more use.
func (g *Gateway) sweep() {
	now := g.clock.Now()
	g.sweeps = false
	defer g.sweepSoon()
	for _, m := range g.mappings {
		if now-m.used > mappingIdle {
			m.close(FlowIdle)
		} else if now-m.used > sweepEvery && !m.held() {
			m.close(FlowClosed)
		}
	}
	g.sweepAccounts(now)
	for _, p := range g.ports {
		p.sweepGuests(now)
	}
	g.acceptBehind()
	for _, e := range g.echoes {
		if now-e.used > echoIdle {
			e.close(FlowIdle)
		}
	}
	for _, x := range g.sctp {
		if x != nil {
			x.sweep(now)
		}
	}
}

// close ends the mapping, and its accounts with the outcome.
func (m *mapping) close(outcome string) {
	if outcome == FlowRunEnded && !m.held() {
		outcome = FlowClosed
	}
	m.peers.end(outcome)
	m.open.end(m.g)
	delete(m.g.mappings, m.key)
	m.g.drop(m.fd)
	m.fd, m.waits, m.bytes, m.train, m.open = -1, nil, 0, train{}, nil
}

// dress gives the outer socket what the inner datagram's header says.
func (m *mapping) dress(d *usock.Datagram) {
	v4 := m.key.src.Addr().Is4()
	if d.TTL != m.ttl && d.TTL != 0 {
		m.ttl = d.TTL
		setTTL(m.fd, m.key.src.Addr(), d.TTL)
	}
	if d.TOS != m.tos {
		m.tos = d.TOS
		if v4 {
			setInt(m.fd, unix.IPPROTO_IP, unix.IP_TOS, int(d.TOS))
		} else {
			setInt(m.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(d.TOS))
		}
	}
	if d.DontFragment != m.probe {
		m.probe = d.DontFragment
		how := unix.IP_PMTUDISC_DONT // IPv6's has the same number
		if m.probe {
			how = unix.IP_PMTUDISC_PROBE
		}
		if v4 {
			setInt(m.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, how)
		} else {
			setInt(m.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, how)
		}
	}
}

// send sends a datagram outside.
func (m *mapping) send(d *usock.Datagram) {
	m.dress(d)
	var control []byte
	if d.SegmentSize > 0 {
		var size [2]byte
		binary.NativeEndian.PutUint16(size[:], uint16(d.SegmentSize))
		control = appendCmsg(m.g.control[:0], unix.IPPROTO_UDP, unix.UDP_SEGMENT, size[:])
	}
	var msg message
	for try := 0; ; try++ {
		e := msg.send(m.fd, d.Dst, d.Data, control)
		switch {
		case e == 0:
			return
		case e == unix.EAGAIN || e == unix.ENOBUFS:
			m.keep(d)
			return
		case try < maxErrors && m.takeErrors() > 0:
			// It was told what became of earlier ones: a send that meets that has not
			// sent.
			continue
		case e == unix.EACCES && m.widen(d):
			continue
		case d.SegmentSize > 0 && (e == unix.EMSGSIZE || e == unix.EINVAL):
			m.long = d.SegmentSize
			m.sendEach(d)
			return
		}
		if m.fd >= 0 {
			m.g.refuseDatagram(m.side(), d, e)
		}
		return
	}
}

// widen lets the outer socket send to broadcast addresses if the inner one may, and reports
// whether that is new.
func (m *mapping) widen(d *usock.Datagram) bool {
	if m.wide || !d.Dst.Addr().Is4() || !m.g.inner.Broadcasts(d.Src, d.Dst) {
		return false
	}
	m.wide = setInt(m.fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1) == 0
	return m.wide
}

// maxErrors is how often a send is tried again after errors of others.
const maxErrors = 8

// sendEach sends the datagrams that d stands for one by one: the machine has no segmentation
// for them.
func (m *mapping) sendEach(d *usock.Datagram) {
	eachSegment(d, func(one *usock.Datagram) {
		if m.fd >= 0 {
			m.send(one)
		}
	})
}

// eachSegment calls f with each of the datagrams that d stands for.
func eachSegment(d *usock.Datagram, f func(*usock.Datagram)) {
	all := bytes.Join(d.Data, nil)
	one := *d
	one.SegmentSize = 0
	for len(all) > 0 {
		n := min(d.SegmentSize, len(all))
		one.Data = [][]byte{all[:n]}
		all = all[n:]
		f(&one)
	}
}

// keep keeps a datagram until there is room outside, or drops it.
func (m *mapping) keep(d *usock.Datagram) {
	w := waiting{data: bytes.Join(d.Data, nil), d: *d}
	if m.bytes+len(w.data) > maxWaiting {
		return
	}
	w.d.Data = nil
	m.bytes += len(w.data)
	if m.waits = append(m.waits, w); len(m.waits) == 1 {
		// Only now: the kernel tells of room after each datagram that has left.
		m.g.rewatch(m.fd, unix.EPOLLIN|unix.EPOLLOUT)
	}
}

func (m *mapping) side() *side { return &side{m.g, m.key.own} }

// ready implements source.
func (m *mapping) ready(ev uint32) {
	if ev&unix.EPOLLERR != 0 {
		m.takeErrors()
	}
	if ev&unix.EPOLLOUT != 0 && m.fd >= 0 {
		m.g.rewatch(m.fd, unix.EPOLLIN)
		waits := m.waits
		m.waits, m.bytes = nil, 0
		for i := range waits {
			w := &waits[i]
			w.d.Data = [][]byte{w.data}
			if len(m.waits) > 0 {
				m.keep(&w.d)
			} else if m.fd >= 0 {
				m.send(&w.d)
			}
		}
	}
	if ev == 0 && m.fd >= 0 {
		m.train.called = false
		m.train.leave(m)
	}
	if ev&unix.EPOLLIN != 0 || ev == 0 && m.unread {
		m.receive()
	}
}

// maxReceives is how many messages a mapping receives before the others have their turn.
const maxReceives = 64

// receive hands on what has come.
func (m *mapping) receive() {
	m.unread = false
	for range maxReceives {
		if m.fd < 0 {
			return
		}
		var msg message
		n, ctl, e := msg.recv(m.fd, m.g.buf[:1<<16], m.g.control[:], 0)
		switch {
		case e == unix.EAGAIN:
			return
		case e != 0:
			if m.takeErrors() == 0 {
				return
			}
			continue
		}
		d := usock.Datagram{Src: msg.name.addrPort(), Dst: m.key.src, Data: [][]byte{m.g.buf[:n]}}
		readControl(ctl, &d)
		if m.g.deniesPeer(&m.peers, unix.IPPROTO_UDP, inward, d.Dst, d.Src) {
			continue
		}
		m.used = m.g.clock.Now()
		if m.g.table != nil {
			m.peers.open(m.g, unix.IPPROTO_UDP, inward, d.Dst, d.Src).carried(0, n)
			m.learnFrom(&d)
		}
		if len(m.open) > 0 {
			m.open.hears(m.g, d.Data[0], d.Src)
		}
		if err := m.g.host(m.key.own).SendDatagram(&d); err != nil {
			m.g.warn("usock: the gateway cannot hand on a datagram from %v: %v", d.Src, err)
		}
	}
	m.unread = true
	m.g.later(m)
}

// readControl fills in what control messages say of a datagram that has come, and returns the
// address that it came to; not valid: they do not say.
func readControl(ctl []byte, d *usock.Datagram) (local netip.Addr) {
	eachCmsg(ctl, func(level, typ int32, data []byte) {
		switch {
		case level == unix.IPPROTO_IP && typ == unix.IP_TOS && len(data) > 0:
			d.TOS = data[0]
		case level == unix.IPPROTO_IP && typ == unix.IP_TTL && len(data) >= 4,
			level == unix.IPPROTO_IPV6 && typ == unix.IPV6_HOPLIMIT && len(data) >= 4:
			d.TTL = uint8(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_TCLASS && len(data) >= 4:
			d.TOS = uint8(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_UDP && typ == unix.UDP_GRO && len(data) >= 4:
			d.SegmentSize = int(binary.NativeEndian.Uint32(data))
		case level == unix.IPPROTO_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			local = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst
		case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = netip.AddrFrom16([16]byte(data[:16]))
		}
	})
	return local
}

// takeErrors tells the inner socket what the outer one was told, and returns how much that
// was.
func (m *mapping) takeErrors() int {
	n := 0
	for m.fd >= 0 && n < maxReceives {
		q, ok := nextError(m.fd, m.g.buf[:1<<16], m.g.control[:])
		if !ok {
			// One without an entry counts as well, and is cleared so.
			if getInt(m.fd, unix.SOL_SOCKET, unix.SO_ERROR) == 0 {
				break
			}
			n++
			continue
		}
		n++
		m.tell(&q)
	}
	return n
}

// tell tells the inner socket of an error that came by ICMP.
func (m *mapping) tell(q *queued) {
	if q.origin != unix.SO_EE_ORIGIN_ICMP && q.origin != unix.SO_EE_ORIGIN_ICMP6 || !q.to.IsValid() {
		return // a local one: the send that met it is refused with it
	}
	e := usock.ICMPError{
		From: q.offender, Src: m.key.src, Dst: q.to, Proto: unix.IPPROTO_UDP,
		Type: q.typ, Code: q.code, Info: q.info, TTL: m.ttl, TOS: m.tos, Data: [][]byte{q.data},
	}
	if m.key.own || q.offender.IsLoopback() {
		e.From = netip.Addr{}
	}
	m.g.host(m.key.own).SendICMPError(&e)
}

// refuseDatagram tells who has sent a datagram that it cannot be sent outside.
func (g *Gateway) refuseDatagram(side *side, d *usock.Datagram, e syscall.Errno) {
	v4 := d.Dst.Addr().Is4()
	x := usock.ICMPError{Src: d.Src, Dst: d.Dst, Proto: unix.IPPROTO_UDP, TTL: d.TTL, TOS: d.TOS, Data: d.Data}
	if !side.own {
		x.From = g.addrs.router(v4)
	}
	var ok bool
	switch {
	case e == unix.EMSGSIZE && v4:
		x.Type, x.Code, x.Info, ok = unreachable4, code4FragNeeded, uint32(g.mtuTo(d.Dst)), true
	case e == unix.EMSGSIZE:
		x.Type, x.Info, ok = tooBig6, uint32(g.mtuTo(d.Dst)), true
	default:
		x.Type, x.Code, ok = codeFor(e, v4)
	}
	if !ok || g.routerSilent(side, e) {
		g.inner.FailSend(d.Src, d.Dst, e, false)
		return
	}
	side.host().SendICMPError(&x)
	if e != unix.EMSGSIZE {
		// A connected socket passes over what ICMP says of hosts and networks; it does not
		// pass over what its machine says.
		g.inner.FailSend(d.Src, d.Dst, e, true)
	}
}

// routerSilent reports whether an error is told by the host, as no packet can.
func (g *Gateway) routerSilent(side *side, e syscall.Errno) bool {
	return side.own && e != unix.ECONNREFUSED && e != unix.EMSGSIZE
}

// mtuTo returns the path MTU to an address, as far as the machine knows it.
func (g *Gateway) mtuTo(to netip.AddrPort) int {
	const least = 1280
	fd, e := outerSocket(to.Addr(), unix.SOCK_DGRAM, 0)
	if e != 0 {
		return least
	}
	defer sysClose(fd)
	if sysConnect(fd, to) != 0 {
		return least
	}
	mtu := 0
	if to.Addr().Is4() {
		mtu = getInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
	} else {
		mtu = getInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
	}
	if mtu <= 0 {
		return least
	}
	return mtu
}

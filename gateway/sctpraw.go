//go:build linux

package gateway

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/link"
)

// SCTP as it is. A packet of the host's does not reach the router: the link's outer end hands it over to raw sockets of the
// machine's, with the machine's address in place of the host's. Ports stay what they are, as whoever translates them would have to
// rewrite what an association has agreed on, so two runs on one machine that have one peer need different ones. What comes back
// is handed to the host through the router. The host tells peers of no address of its own (SCTPConfig.TranslatedVia).
//
//	host ═ link: sctpTap ─► rawSCTP.out ─► raw socket ─► peer
//	  ▲                                       │
//	  └──────── router ◄── back ◄── ready ◄───┘
//
// Raw sockets take CAP_NET_RAW, and a kernel that has no SCTP: one that has knows of no such association, and aborts it.

// rawSCTP is the way out of a family.
type rawSCTP struct {
	g    *Gateway
	v4   bool
	fd   int
	back *usock.Socket // of the router's

	flows    map[sctpKey]*sctpFlow
	parts    fragments
	ttl, tos uint8
	probe    bool // IP_PMTUDISC_PROBE
	unread   bool // it stopped receiving to let others have their turn
}

// sctpKey is what tells the association of a packet that comes, but for the machine's address.
type sctpKey struct {
	peer netip.AddrPort
	port uint16 // the host's
}

type sctpFlow struct {
	src   netip.Addr    // the host's
	used  time.Duration // by the host, for an association
	peers peers
}

// kernelSCTP is there where the kernel has SCTP.
const kernelSCTP = "/proc/net/sctp"

// openSCTP opens the way for SCTP as it is, where there can be one, for packets that the host sends into the other end of outer.
// It returns the end for the router.
func (g *Gateway) openSCTP(outer link.Direct) link.Direct {
	through, parallel := outer.(link.Parallel)
	if _, err := os.Stat(kernelSCTP); err == nil || !parallel {
		return outer
	}
	for i, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		fd, e := outerSocket(a, unix.SOCK_RAW, unix.IPPROTO_SCTP)
		if e != 0 {
			continue
		}
		preparePackets(fd, a.Is4())
		g.sctp[i] = &rawSCTP{g: g, v4: a.Is4(), fd: fd, flows: make(map[sctpKey]*sctpFlow), parts: make(fragments)}
	}
	if g.sctp[0] == nil && g.sctp[1] == nil {
		return outer
	}
	return &sctpTap{through, g}
}

// CarriesSCTP reports whether SCTP leaves as it is. Then the host's SCTPConfig.TranslatedVia is to be the name of its interface to the
// gateway.
func (g *Gateway) CarriesSCTP() bool { return g.sctp[0] != nil || g.sctp[1] != nil }

// startSCTP begins to carry, once there is a router.
func (g *Gateway) startSCTP() error {
	for _, x := range g.sctp {
		if x == nil {
			continue
		}
		family := unix.AF_INET6
		if x.v4 {
			family = unix.AF_INET
		}
		var err error
		if x.back, err = g.router.Socket(family, usock.SOCK_RAW|usock.SOCK_NONBLOCK, unix.IPPROTO_RAW); err != nil {
			return err
		}
		if !x.v4 {
			err = x.back.SetSockOptInt(unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1)
		}
		if err == nil {
			err = g.watch(x.fd, unix.EPOLLIN, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close ends the way, and the accounts of what went it.
func (x *rawSCTP) close() {
	for _, f := range x.flows {
		f.peers.end(FlowRunEnded)
	}
	x.g.drop(x.fd)
	x.fd, x.flows = -1, nil
}

// sctpTap is the router's end of the link, less SCTP.
type sctpTap struct {
	link.Parallel
	g *Gateway
}

// Deliver implements link.Direct.
func (l *sctpTap) Deliver(f func([]*link.Packet)) { l.Parallel.Deliver(l.rest(f)) }

// DeliverFlows implements link.Parallel.
func (l *sctpTap) DeliverFlows(f func([]*link.Packet)) { l.Parallel.DeliverFlows(l.rest(f)) }

// rest has f get what is not SCTP.
func (l *sctpTap) rest(f func([]*link.Packet)) func([]*link.Packet) {
	return func(batch []*link.Packet) {
		var others []*link.Packet // nil: all of them
		for i, p := range batch {
			taken := l.take(p)
			switch {
			case taken && others == nil:
				others = append(make([]*link.Packet, 0, len(batch)), batch[:i]...)
			case !taken && others != nil:
				others = append(others, p)
			}
		}
		switch {
		case others == nil:
			f(batch)
		case len(others) > 0:
			f(others)
		}
	}
}

// take takes over a packet of SCTP's.
func (l *sctpTap) take(p *link.Packet) bool {
	b := p.Front()
	var x *rawSCTP
	switch {
	case len(b) >= minIPv4 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_SCTP:
		x = l.g.sctp[0]
	case len(b) >= lenIPv6 && b[0]>>4 == 6 && (b[6] == unix.IPPROTO_SCTP || isFragment(b, false)):
		x = l.g.sctp[1]
	}
	if x == nil {
		return false
	}
	if l.g.waiting() >= maxLeft {
		p.Free()
		return true
	}
	whole, probe := p.AppendTo(nil), p.DontFragment
	if at := int(p.ChecksumStart); p.ChecksumOffset != 0 && p.CRC32c && at+int(p.ChecksumOffset)+4 <= len(whole) {
		putCRC32c(whole[at:], int(p.ChecksumOffset))
	}
	p.Free()
	l.g.leave(func() { x.out(whole, probe || x.v4 && binary.BigEndian.Uint16(whole[6:])&dontFragment != 0) })
	return true
}

// Headers of IP, and of SCTP (RFC 9260, section 3.1).
const (
	minIPv4, lenIPv6 = 20, 40
	dontFragment     = 0x4000
	lenSCTP          = 12
	lenQuote         = 8 // of a packet, in an ICMP error at least: ports and tag (RFC 792)
	sumSCTP          = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// putCRC32c fills in the checksum of a packet, which is zero until then (section 6.8).
func putCRC32c(b []byte, at int) {
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b, castagnoli))
}

// sctpPacket is a packet on its way.
type sctpPacket struct {
	src, dst netip.AddrPort
	ttl, tos uint8
	body     []byte // from SCTP's header on
}

// parseSCTP takes a packet with its IP header apart.
func parseSCTP(b []byte, v4 bool) (k sctpPacket, ok bool) {
	var src, dst netip.Addr
	if v4 {
		if len(b) < minIPv4 {
			return k, false
		}
		n := int(b[0]&15) * 4
		if n < minIPv4 || n > len(b) {
			return k, false
		}
		k.tos, k.ttl = b[1], b[8]
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		k.body = b[n:]
	} else {
		if len(b) < lenIPv6 {
			return k, false
		}
		k.tos, k.ttl = b[0]<<4|b[1]>>4, b[7]
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		k.body = b[lenIPv6:]
	}
	return k, k.ends(src, dst, lenSCTP)
}

// ends fills in the addresses, and the ports from the packet, which has so many bytes at least.
func (k *sctpPacket) ends(src, dst netip.Addr, least int) bool {
	if len(k.body) < least {
		return false
	}
	k.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(k.body))
	k.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(k.body[2:]))
	return true
}

// out sends a packet of the host's outside. probe says that it is not to be fragmented.
func (x *rawSCTP) out(b []byte, probe bool) {
	g := x.g
	if isFragment(b, x.v4) {
		if b, probe = x.parts.add(b, x.v4), false; b == nil {
			return
		}
	}
	k, ok := parseSCTP(b, x.v4)
	if !ok || g.closed || g.inner == nil {
		return
	}
	if a := k.src.Addr(); !g.addrs.has(a) || a == g.addrs.router(x.v4) {
		return // a program that may have raw sockets can name any source (RFC 2827)
	}
	if g.forbidden(k.dst.Addr(), false) != 0 {
		x.abort(&k)
		return
	}
	key := sctpKey{k.dst, k.src.Port()}
	f := x.flows[key]
	if f == nil && g.denies(unix.IPPROTO_SCTP, outward, k.src, k.dst) ||
		f != nil && g.deniesPeer(&f.peers, unix.IPPROTO_SCTP, outward, k.src, k.dst) {
		if g.policy.refusal != Drop {
			x.abort(&k) // an ICMP error would have it ask again
		}
		return
	}
	if f == nil {
		f = x.newFlow(key)
	}
	if f.src = k.src.Addr(); !k.last() {
		f.used = g.clock.Now()
	}
	if g.table != nil {
		f.peers.open(g, unix.IPPROTO_SCTP, outward, k.src, k.dst).carried(len(k.body), 0)
	}
	x.dress(&k, probe)
	var m message
	for try := 0; ; try++ {
		e := m.send(x.fd, netip.AddrPortFrom(k.dst.Addr(), 0), [][]byte{k.body}, nil)
		if e == 0 || e == unix.EAGAIN || e == unix.ENOBUFS {
			return
		}
		if _, told := x.takeErrors(); told == 0 {
			x.refuse(&k, e)
			return
		}
		// It is what became of others, which anybody can claim: where there is no end to that, this one is lost.
		if try == maxErrors {
			return
		}
	}
}

// newFlow makes a flow, and has the one that was used longest ago make room for it.
func (x *rawSCTP) newFlow(key sctpKey) *sctpFlow {
	if len(x.flows) >= maxMappings {
		var oldest sctpKey
		var last *sctpFlow
		for k, f := range x.flows {
			if last == nil || f.used < last.used {
				oldest, last = k, f
			}
		}
		last.peers.end(FlowDisplaced)
		delete(x.flows, oldest)
	}
	f := &sctpFlow{used: x.g.clock.Now()}
	x.flows[key] = f
	x.g.sweepSoon()
	return f
}

// sweep ends flows that are idle and nobody's any more: what came for them would be answered by the host as out of the blue, though it may be
// another's by then. A socket's own may be silent for as long as the program likes.
func (x *rawSCTP) sweep(now time.Duration) {
	for key, f := range x.flows {
		if now-f.used > mappingIdle && x.g.inner.Owner(unix.IPPROTO_SCTP, netip.AddrPortFrom(f.src, key.port), key.peer) == 0 {
			f.peers.end(FlowIdle)
			delete(x.flows, key)
		}
	}
}

// dress gives the raw socket what the packet's header says.
func (x *rawSCTP) dress(k *sctpPacket, probe bool) {
	level, tos, discover := unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_MTU_DISCOVER
	if x.v4 {
		level, tos, discover = unix.IPPROTO_IP, unix.IP_TOS, unix.IP_MTU_DISCOVER
	}
	if k.ttl != x.ttl && k.ttl != 0 {
		x.ttl = k.ttl
		setTTL(x.fd, k.dst.Addr(), k.ttl)
	}
	if k.tos != x.tos {
		x.tos = k.tos
		setInt(x.fd, level, tos, int(k.tos))
	}
	if probe != x.probe {
		x.probe = probe
		how := unix.IP_PMTUDISC_DONT // IPv6's has the same number
		if probe {
			how = unix.IP_PMTUDISC_PROBE
		}
		setInt(x.fd, level, discover, how)
	}
}

// refuse tells the host that a packet of its own could not be sent.
func (x *rawSCTP) refuse(k *sctpPacket, e syscall.Errno) {
	q := usock.ICMPError{
		From: x.g.addrs.router(x.v4), Src: k.src, Dst: k.dst, Proto: unix.IPPROTO_SCTP, TTL: k.ttl, TOS: k.tos, Data: [][]byte{k.body},
	}
	var ok bool
	switch {
	case e == unix.EMSGSIZE && x.v4:
		q.Type, q.Code, q.Info, ok = unreachable4, code4FragNeeded, uint32(x.g.mtuTo(k.dst)), true
	case e == unix.EMSGSIZE:
		q.Type, q.Info, ok = tooBig6, uint32(x.g.mtuTo(k.dst)), true
	default:
		q.Type, q.Code, ok = codeFor(e, x.v4)
	}
	if ok {
		x.g.router.SendICMPError(&q)
	} else {
		x.abort(k)
	}
}

// abort answers a packet of the host's as a host does that nobody has the port of.
func (x *rawSCTP) abort(k *sctpPacket) {
	if b := k.abort(); b != nil {
		x.handOn(&sctpPacket{src: k.dst, dst: k.src, ttl: defaultHops, body: b})
	}
}

// abort returns the packet that answers one out of the blue (RFC 9260, section 8.4); nil: none does.
func (k *sctpPacket) abort() []byte {
	const reflected = 1 // T: the tag is the packet's own
	if len(k.body) < lenSCTP+4 || k.last() {
		return nil
	}
	tag, flags := k.body[4:8], byte(reflected)
	if k.body[lenSCTP] == chunkInit && len(k.body) >= lenSCTP+8 {
		tag, flags = k.body[lenSCTP+4:lenSCTP+8], 0
	}
	b := binary.BigEndian.AppendUint16(nil, k.dst.Port())
	b = binary.BigEndian.AppendUint16(b, k.src.Port())
	b = append(append(b, tag...), 0, 0, 0, 0, chunkAbort, flags, 0, 4)
	putCRC32c(b, sumSCTP)
	return b
}

// last reports whether a packet is the last one of an association, or answers one out of the blue.
func (k *sctpPacket) last() bool {
	return len(k.body) > lenSCTP && (k.body[lenSCTP] == chunkAbort || k.body[lenSCTP] == chunkShutdownComplete)
}

// Chunks (section 3.2).
const (
	chunkInit             = 1
	chunkAbort            = 6
	chunkShutdownComplete = 14
)

// defaultHops is the TTL of packets of the gateway's own (RFC 1700).
const defaultHops = 64

// handOn gives the host a packet, whose source is the other side.
func (x *rawSCTP) handOn(k *sctpPacket) {
	src, dst := k.src.Addr().AsSlice(), k.dst.Addr().AsSlice()
	var b []byte
	if x.v4 {
		b = []byte{4<<4 | minIPv4/4, k.tos, 0, 0, 0, 0, dontFragment >> 8, 0, k.ttl, unix.IPPROTO_SCTP, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(minIPv4+len(k.body)))
	} else {
		b = []byte{6<<4 | k.tos>>4, k.tos << 4, 0, 0, 0, 0, unix.IPPROTO_SCTP, k.ttl}
		binary.BigEndian.PutUint16(b[4:], uint16(len(k.body)))
	}
	b = append(append(append(b, src...), dst...), k.body...)
	if _, err := x.back.SendTo(b, usock.MSG_DONTWAIT, usock.Inet(netip.AddrPortFrom(k.dst.Addr(), 0))); err != nil {
		x.g.warn("usock: the gateway cannot hand on SCTP from %v: %v", k.src, err)
	}
}

// ready implements source.
func (x *rawSCTP) ready(ev uint32) {
	if ev&unix.EPOLLERR != 0 {
		x.takeErrors()
	}
	if ev&unix.EPOLLIN == 0 && !x.unread {
		return
	}
	x.unread = false
	for range maxReceives {
		var m message
		n, ctl, e := m.recv(x.fd, x.g.buf[:1<<16], x.g.control[:], 0)
		switch {
		case x.fd < 0 || e == unix.EAGAIN:
			return
		case e != 0:
			if n, _ := x.takeErrors(); n == 0 {
				return
			}
			continue
		}
		k, ok := sctpPacket{body: x.g.buf[:n]}, false
		if x.v4 {
			k, ok = parseSCTP(k.body, true)
		} else {
			var d usock.Datagram
			readControl(ctl, &d)
			k.ttl, k.tos = d.TTL, d.TOS
			ok = k.ends(m.name.addrPort().Addr(), netip.Addr{}, lenSCTP)
		}
		if ok {
			x.came(&k)
		}
	}
	x.unread = true
	x.g.later(x)
}

// came hands on a packet that has come, if it is of the run's.
func (x *rawSCTP) came(k *sctpPacket) {
	f := x.flows[sctpKey{k.src, k.dst.Port()}]
	if f == nil {
		return // another's
	}
	k.dst = netip.AddrPortFrom(f.src, k.dst.Port())
	if x.g.deniesPeer(&f.peers, unix.IPPROTO_SCTP, inward, k.dst, k.src) {
		return
	}
	if x.g.table != nil {
		f.peers.open(x.g, unix.IPPROTO_SCTP, inward, k.dst, k.src).carried(0, len(k.body))
	}
	x.handOn(k)
}

// takeErrors tells the host what the raw socket was told by ICMP. It returns how many errors the socket had, and how many of them
// came that way: a local one is that of a send, which is refused with it.
func (x *rawSCTP) takeErrors() (n, told int) {
	for x.fd >= 0 && n < maxReceives {
		q, ok := nextError(x.fd, x.g.buf[:1<<16], x.g.control[:])
		if !ok {
			if getInt(x.fd, unix.SOL_SOCKET, unix.SO_ERROR) == 0 {
				break
			}
			n++ // one without an entry
			told++
			continue
		}
		n++
		if q.origin != unix.SO_EE_ORIGIN_ICMP && q.origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		told++
		k, ok := quoted(&q)
		if !ok {
			continue
		}
		f := x.flows[sctpKey{k.dst, k.src.Port()}]
		if f == nil {
			continue
		}
		x.g.router.SendICMPError(&usock.ICMPError{
			From: q.offender, Src: netip.AddrPortFrom(f.src, k.src.Port()), Dst: k.dst, Proto: unix.IPPROTO_SCTP,
			Type: q.typ, Code: q.code, Info: q.info, TTL: x.ttl, TOS: x.tos, Data: [][]byte{q.data},
		})
	}
	return n, told
}

// quoted takes the packet apart that an ICMP error quotes, which may be no more than its first 64 bits.
func quoted(q *queued) (k sctpPacket, ok bool) {
	k.body = q.data
	return k, k.ends(netip.Addr{}, q.to.Addr(), lenQuote)
}

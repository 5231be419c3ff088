//go:build linux

package gateway

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// echoSocket sends the echo requests of one inner identifier outside: by a ping socket of
// the machine (icmp(7), ping_group_range), or by a raw one where that is allowed.
type echoSocket struct {
	g    *Gateway
	key  echoKey
	fd   int
	raw  bool
	used time.Duration
	id   uint16 // of the raw socket's requests; a ping socket's is its port
	ttl  uint8

	peers peers
}

type echoKey struct {
	src netip.Addr
	id  uint16
}

// echoIdle is how long an echo socket lives unused (RFC 5508, REQ-2).
const echoIdle = time.Minute

const maxEchoes = 256

// ping carries on an echo request.
func (g *Gateway) ping(r *usock.Echo) {
	if g.closed || g.inner == nil {
		return
	}
	from, to := netip.AddrPortFrom(r.Src, r.ID), netip.AddrPortFrom(r.Dst, 0)
	if g.denies(icmpProto, outward, from, to) {
		g.denyEcho(r)
		return
	}
	if g.addrs.has(r.Dst) {
		g.router.SendEchoReply(&usock.Echo{Src: r.Dst, Dst: r.Src, ID: r.ID, Seq: r.Seq, Data: r.Data, TOS: r.TOS})
		return
	}
	if errno := g.forbidden(r.Dst, false); errno != 0 {
		g.refuseEcho(r, errno)
		return
	}
	key := echoKey{r.Src, r.ID}
	s := g.echoes[key]
	if s == nil {
		var e syscall.Errno
		if s, e = g.newEcho(key); e != 0 {
			if e == unix.EACCES || e == unix.EPERM {
				g.warn("usock: ping reaches nothing outside: the machine allows its user no ping sockets (sysctl net.ipv4.ping_group_range)")
			}
			g.refuseEcho(r, unix.EPERM)
			return
		}
	}
	s.used = g.clock.Now()
	if g.table != nil {
		s.peers.open(g, icmpProto, outward, from, to).carried(lengthOf(r.Data), 0)
	}
	if e := s.send(r); e != 0 {
		g.refuseEcho(r, e)
	}
}

func (g *Gateway) newEcho(key echoKey) (*echoSocket, syscall.Errno) {
	if len(g.echoes) >= maxEchoes {
		var oldest *echoSocket
		for _, s := range g.echoes {
			if oldest == nil || s.used < oldest.used {
				oldest = s
			}
		}
		oldest.close(FlowDisplaced)
	}
	proto := unix.IPPROTO_ICMP
	if key.src.Is6() {
		proto = unix.IPPROTO_ICMPV6
	}
	s := &echoSocket{g: g, key: key, id: key.id}
	fd, e := outerSocket(key.src, unix.SOCK_DGRAM, proto)
	if e == unix.EACCES || e == unix.EPERM || e == unix.EPROTONOSUPPORT {
		s.raw = true
		if fd, e = outerSocket(key.src, unix.SOCK_RAW, proto); e != 0 {
			return nil, unix.EACCES
		}
	}
	if e != 0 {
		return nil, e
	}
	s.fd = fd
	if key.src.Is4() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		setInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
	}
	if err := g.watch(fd, unix.EPOLLIN, s); err != nil {
		sysClose(fd)
		return nil, unix.ENOMEM
	}
	g.echoes[key] = s
	g.sweepSoon()
	return s, 0
}

// close ends the socket, and its accounts with the outcome.
func (s *echoSocket) close(outcome string) {
	s.peers.end(outcome)
	delete(s.g.echoes, s.key)
	s.g.drop(s.fd)
	s.fd = -1
}

// send sends a request.
func (s *echoSocket) send(r *usock.Echo) syscall.Errno {
	typ := byte(8)
	if s.key.src.Is6() {
		typ = 128
	}
	b := []byte{typ, 0, 0, 0, byte(s.id >> 8), byte(s.id), byte(r.Seq >> 8), byte(r.Seq)}
	for _, d := range r.Data {
		b = append(b, d...)
	}
	if s.raw && s.key.src.Is4() {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	if r.TTL != s.ttl && r.TTL != 0 {
		s.ttl = r.TTL
		setTTL(s.fd, s.key.src, r.TTL)
	}
	var m message
	e := m.send(s.fd, netip.AddrPortFrom(r.Dst, 0), [][]byte{b}, nil)
	if e != 0 && s.takeErrors() > 0 {
		e = m.send(s.fd, netip.AddrPortFrom(r.Dst, 0), [][]byte{b}, nil)
	}
	return e
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ready implements source.
func (s *echoSocket) ready(ev uint32) {
	if ev&unix.EPOLLERR != 0 {
		s.takeErrors()
	}
	for s.fd >= 0 {
		var m message
		n, ctl, e := m.recv(s.fd, s.g.buf[:1<<16], s.g.control[:], 0)
		if e != 0 {
			if e != unix.EAGAIN && s.takeErrors() > 0 {
				continue
			}
			return
		}
		b := s.g.buf[:n]
		if s.raw && s.key.src.Is4() { // with its IP header
			if len(b) < 20 || len(b) < int(b[0]&15)*4 {
				continue
			}
			b = b[int(b[0]&15)*4:]
		}
		if len(b) < 8 || b[0] != 0 && b[0] != 129 {
			continue
		}
		if s.raw && binary.BigEndian.Uint16(b[4:]) != s.id {
			continue
		}
		r := usock.Echo{
			Src: m.name.addrPort().Addr(), Dst: s.key.src, ID: s.key.id,
			Seq: binary.BigEndian.Uint16(b[6:]), Data: [][]byte{b[8:]},
		}
		eachCmsg(ctl, func(level, typ int32, data []byte) {
			if (level == unix.IPPROTO_IP && typ == unix.IP_TTL || level == unix.IPPROTO_IPV6 && typ == unix.IPV6_HOPLIMIT) && len(data) >= 4 {
				r.TTL = uint8(binary.NativeEndian.Uint32(data))
			}
		})
		if s.received(&r) {
			s.g.router.SendEchoReply(&r)
		}
	}
}

// received counts a reply, and reports whether it is handed on.
func (s *echoSocket) received(r *usock.Echo) bool {
	if s.g.table == nil {
		return true
	}
	local, peer := netip.AddrPortFrom(r.Dst, r.ID), netip.AddrPortFrom(r.Src, 0)
	if s.g.deniesPeer(&s.peers, icmpProto, inward, local, peer) {
		return false
	}
	s.peers.open(s.g, icmpProto, inward, local, peer).carried(0, lengthOf(r.Data))
	return true
}

// takeErrors tells who has sent the requests what became of them.
func (s *echoSocket) takeErrors() int {
	n := 0
	for s.fd >= 0 && n < maxReceives {
		q, ok := nextError(s.fd, s.g.buf[:1<<16], s.g.control[:])
		if !ok {
			break
		}
		n++
		if q.origin != unix.SO_EE_ORIGIN_ICMP && q.origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		b := q.data
		if len(b) < 8 {
			continue
		}
		s.g.router.SendICMPError(&usock.ICMPError{
			From: q.offender, Src: netip.AddrPortFrom(s.key.src, 0), Dst: netip.AddrPortFrom(q.to.Addr(), 0), Proto: icmpOf(s.key.src),
			Type: q.typ, Code: q.code, Info: q.info, TTL: s.ttl, ID: s.key.id, Seq: binary.BigEndian.Uint16(b[6:]), Data: [][]byte{b[8:]},
		})
	}
	return n
}

func icmpOf(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.IPPROTO_ICMP
	}
	return unix.IPPROTO_ICMPV6
}

// refuseEcho answers a request that cannot be carried on: as administratively prohibited,
// where there is no better word.
func (g *Gateway) refuseEcho(r *usock.Echo, e syscall.Errno) {
	typ, code, ok := codeFor(e, r.Dst.Is4())
	if !ok {
		typ, code = Prohibit.icmp(r.Dst.Is4())
	}
	g.answerEcho(r, typ, code)
}

// denyEcho answers a request that is denied.
func (g *Gateway) denyEcho(r *usock.Echo) {
	if g.policy.refusal != Drop {
		typ, code := g.policy.refusal.icmp(r.Dst.Is4())
		g.answerEcho(r, typ, code)
	}
}

// answerEcho answers a request with an error.
func (g *Gateway) answerEcho(r *usock.Echo, typ, code uint8) {
	v4 := r.Dst.Is4()
	g.router.SendICMPError(&usock.ICMPError{
		From: g.addrs.router(v4), Src: netip.AddrPortFrom(r.Src, 0), Dst: netip.AddrPortFrom(r.Dst, 0), Proto: icmpOf(r.Dst),
		Type: typ, Code: code, TTL: r.TTL, TOS: r.TOS, ID: r.ID, Seq: r.Seq, Data: r.Data,
	})
}

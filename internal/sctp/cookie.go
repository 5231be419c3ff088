package sctp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"time"
)

// A State Cookie holds all that this end has to know of an association that is to be, so that nothing
// is kept between INIT and COOKIE ECHO (RFC 9260, section 5.1.3). It is signed: what comes back was
// made here, by a secret that is not older than two of its periods. Its layout is nobody's business
// but this file's:
//
//	32 bytes  HMAC-SHA-256 of what follows
//	64        when it was made, how long it is valid, and pairs, ours first: tags, Tie-Tags, initial
//	          TSNs, a_rwnd, streams (to send, to take), ports; the peer's adaptation indication
//	 6        whether there is one, what the peer is capable of, the number of addresses
//	17 each   our address, the peer's that the INIT came from, and those that it named
//	         the key vectors of both ends, each behind its length in 2 bytes

// cookie is what a State Cookie says.
type cookie struct {
	made, life      time.Duration
	port, peerPort  uint16
	tag, peerTag    uint32
	tie, peerTie    uint32
	tsn, peerTSN    uint32
	out, in         uint16
	peerOut, peerIn uint16
	rwnd, peerRwnd  uint32
	adaptation      uint32
	hasAdaptation   bool
	caps            caps
	local           netip.Addr
	peers           []netip.Addr
	own, peer       []byte // key vectors (RFC 4895)
}

const (
	macLen       = sha256.Size
	cookieFixed  = macLen + 70
	cookieAddr   = 17
	secretPeriod = time.Hour
)

// secret signs cookies. The one before is still good for checking.
type secret struct {
	mac   [2]hash.Hash // keyed; nil: there is none yet
	sum   [macLen]byte
	since time.Duration
}

// rotate renews the key once a period has passed, or two, in which case the one before is too old as well.
func (s *secret) rotate(now time.Duration, rand func([]byte)) {
	if s.mac[0] != nil && now-s.since < secretPeriod {
		return
	}
	draw := func() hash.Hash {
		var key [macLen]byte
		rand(key[:])
		return hmac.New(sha256.New, key[:])
	}
	old := s.mac[0] == nil || now-s.since >= 2*secretPeriod
	s.mac[0], s.mac[1] = draw(), s.mac[0]
	if old {
		s.mac[1] = draw()
	}
	s.since = now
}

// sign returns the signature of b by the secret of now, 0, or by the one before, 1. It holds until the next.
func (s *secret) sign(i int, b []byte) []byte {
	h := s.mac[i]
	h.Reset()
	h.Write(b)
	return h.Sum(s.sum[:0])
}

// signed reports whether b begins with the signature of the rest.
func (s *secret) signed(b []byte) bool {
	return hmac.Equal(s.sign(0, b[macLen:]), b[:macLen]) || hmac.Equal(s.sign(1, b[macLen:]), b[:macLen])
}

// sealCookie returns the bytes of the cookie.
func (c *Config) sealCookie(now time.Duration, k *cookie) []byte {
	c.secret.rotate(now, c.Rand)
	b := make([]byte, macLen, cookieFixed+cookieAddr*(1+len(k.peers)))
	for _, v := range [...]uint64{
		uint64(k.made), uint64(k.life),
		uint64(k.tag)<<32 | uint64(k.peerTag), uint64(k.tie)<<32 | uint64(k.peerTie),
		uint64(k.tsn)<<32 | uint64(k.peerTSN), uint64(k.rwnd)<<32 | uint64(k.peerRwnd),
		uint64(k.out)<<48 | uint64(k.in)<<32 | uint64(k.peerOut)<<16 | uint64(k.peerIn),
		uint64(k.port)<<48 | uint64(k.peerPort)<<32 | uint64(k.adaptation),
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	has := byte(0)
	if k.hasAdaptation {
		has = 1
	}
	b = append(b, has)
	b = binary.BigEndian.AppendUint16(b, uint16(k.caps))
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(k.peers)))
	b = appendCookieAddr(b, k.local)
	for _, a := range k.peers {
		b = appendCookieAddr(b, a)
	}
	for _, v := range [...][]byte{k.own, k.peer} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
	}
	copy(b, c.secret.sign(0, b[macLen:]))
	return b
}

// An address takes its family, 4 or 6, and 16 bytes: an IPv4 address is mapped.
func appendCookieAddr(b []byte, a netip.Addr) []byte {
	family := byte(6)
	if a.Is4() {
		family = 4
	}
	v := a.As16()
	return append(append(b, family), v[:]...)
}

// openCookie reads a cookie that this end has made, false if it has not. Whether it is still fresh, and
// for the packet that it came in, is for the caller to see.
func (c *Config) openCookie(now time.Duration, b []byte) (k cookie, ok bool) {
	if len(b) < cookieFixed {
		return k, false
	}
	c.secret.rotate(now, c.Rand)
	if !c.secret.signed(b) {
		return k, false
	}
	b = b[macLen:]
	next := func() uint64 { v := binary.BigEndian.Uint64(b); b = b[8:]; return v }
	k.made, k.life = time.Duration(next()), time.Duration(next())
	v := next()
	k.tag, k.peerTag = uint32(v>>32), uint32(v)
	v = next()
	k.tie, k.peerTie = uint32(v>>32), uint32(v)
	v = next()
	k.tsn, k.peerTSN = uint32(v>>32), uint32(v)
	v = next()
	k.rwnd, k.peerRwnd = uint32(v>>32), uint32(v)
	v = next()
	k.out, k.in, k.peerOut, k.peerIn = uint16(v>>48), uint16(v>>32), uint16(v>>16), uint16(v)
	v = next()
	k.port, k.peerPort, k.adaptation = uint16(v>>48), uint16(v>>32), uint32(v)
	k.hasAdaptation, k.caps = b[0] != 0, caps(binary.BigEndian.Uint16(b[1:]))
	n := int(binary.BigEndian.Uint16(b[4:]))
	k.local, b = nextCookieAddr(b[6:])
	k.peers = make([]netip.Addr, n-1)
	for i := range k.peers {
		k.peers[i], b = nextCookieAddr(b)
	}
	for _, v := range [...]*[]byte{&k.own, &k.peer} {
		if n := int(binary.BigEndian.Uint16(b)); n > 0 {
			*v = append([]byte(nil), b[2:2+n]...)
		}
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	return k, true
}

func nextCookieAddr(b []byte) (netip.Addr, []byte) {
	a := netip.AddrFrom16([16]byte(b[1:cookieAddr]))
	if b[0] == 4 {
		a = a.Unmap()
	}
	return a, b[cookieAddr:]
}

package sctp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"usock/internal/wire"
)

// caps is a set of extensions that an end is capable of.
type caps uint16

const (
	capPR           caps = 1 << iota // RFC 3758
	capReConf                        // RFC 6525
	capIData                         // RFC 8260
	capAuth                          // RFC 4895
	capAsconf                        // RFC 5061
	capECN                           // RFC 4960, appendix A
	capZeroSum                       // RFC 9653: the peer takes packets without checksum
	capTakesZeroSum                  // and this end has told that it does: no agreement
)

// extensions are the chunk types by which Supported Extensions tells of a capability.
var extensions = []struct {
	cap  caps
	typ  wire.ChunkType
	also wire.ChunkType // must be named as well; 0: none
}{
	{capPR, wire.ChunkForwardTSN, 0},
	{capReConf, wire.ChunkReConfig, 0},
	{capIData, wire.ChunkIData, 0},
	{capAuth, wire.ChunkAuth, 0},
	{capAsconf, wire.ChunkAsconf, wire.ChunkAsconfAck},
}

// offers returns what this end offers.
func (o *Options) offers() (c caps) {
	for _, x := range [...]struct {
		on  bool
		cap caps
	}{{o.PR, capPR}, {o.ReConf, capReConf}, {o.IData, capIData}, {o.ECN, capECN}, {o.Auth, capAuth}, {o.Asconf && o.Auth, capAsconf},
		{o.EDMID != 0, capZeroSum | capTakesZeroSum}} {
		if x.on {
			c |= x.cap
		}
	}
	return c & built
}

// built are the extensions that there are.
const built = capPR | capIData | capECN | capReConf | capAuth | capAsconf | capZeroSum | capTakesZeroSum

// agreed returns what is to hold between the peer and an end of these options.
func (p *peerInit) agreed(o *Options) caps {
	c := p.caps & o.offers()
	if p.edmid == o.EDMID {
		c |= capZeroSum & o.offers()
	}
	return c | capTakesZeroSum&o.offers()
}

// maxPaths is the number of addresses of a peer that are used: each is probed, and a single forged
// INIT must not have this end send to many.
const maxPaths = 32

// maxReported bounds the unknown parameters that are reported, in bytes: an answer must fit into a
// packet, and whoever forges an INIT must not have this end send much more than he did.
const maxReported = 256

// maxVector bounds CHUNKS and HMAC-ALGO in bytes, which the cookie has to hold: there are 256 types.
const maxVector = 256

// peerInit is an INIT or INIT ACK that has arrived, with its parameters.
type peerInit struct {
	wire.Init
	addrs         []netip.Addr
	cookie        []byte // part of the chunk
	caps          caps
	adaptation    uint32
	hasAdaptation bool
	edmid         uint32        // Error Detection Method Identifier of RFC 9653; 0: none
	preserve      time.Duration // Cookie Preservative: added to the life of the cookie
	unknown       []byte        // parameters that are to be reported, as they came, padded
	vectors       [3][]byte     // RANDOM, CHUNKS and HMAC-ALGO as they came, without padding
	cause         []byte        // not nil: why there can be no association
}

// parseInit reads the value of an INIT or INIT ACK. It fails where nothing is to be said about it: the
// chunk is cut short, or has no tag to answer to.
func parseInit(t wire.ChunkType, v []byte) (p peerInit, ok bool) {
	i, err := wire.ParseInit(v)
	if err != nil || i.Tag == 0 {
		return p, false
	}
	p.Init = i
	if i.OutStreams == 0 || i.InStreams == 0 || i.ARwnd < minWindow {
		p.cause = appendCause(nil, wire.CauseInvalidParam, nil)
		return p, true
	}
	for b := i.Params; len(b) > 0; {
		var x wire.TLV
		x, b, err = wire.ParseTLV(b)
		if err != nil {
			p.cause = appendCause(nil, wire.CauseProtocolViolation, []byte("parameter of a wrong length"))
			return p, true
		}
		if !p.param(t, x) {
			break
		}
	}
	p.caps &^= capAuth
	if p.vectors[0] != nil && p.vectors[2] != nil {
		p.caps |= capAuth
	} else {
		p.caps &^= capAsconf
	}
	if t == wire.ChunkInitAck && p.cause == nil && len(p.cookie) == 0 {
		p.cause = appendCause(nil, wire.CauseMissingParam, []byte{0, 0, 0, 1, 0, byte(wire.ParamStateCookie)})
	}
	return p, true
}

// param takes a parameter. It reports false if those behind it are not to be looked at.
func (p *peerInit) param(t wire.ChunkType, x wire.TLV) bool {
	switch x.Type {
	case wire.ParamIPv4, wire.ParamIPv6:
		if a, err := wire.ParseAddr(x.Type, x.Value); err == nil && usable(a) && len(p.addrs) < maxPaths && !slices.Contains(p.addrs, a) {
			p.addrs = append(p.addrs, a)
		}
	case wire.ParamStateCookie:
		if t == wire.ChunkInitAck {
			p.cookie = x.Value
		}
	case wire.ParamCookiePreservative:
		if t == wire.ChunkInit && len(x.Value) == 4 {
			p.preserve = time.Duration(binary.BigEndian.Uint32(x.Value)) * time.Millisecond
		}
	case wire.ParamHostName:
		p.cause = appendCause(nil, wire.CauseUnresolvable, x.Append(nil))
		return false
	case wire.ParamSupportedAddrTypes, wire.ParamUnrecognized, wire.ParamPadding:
	case wire.ParamRandom, wire.ParamChunkList, wire.ParamHMACAlgo:
		if n := len(x.Value); n > maxVector || x.Type == wire.ParamRandom && n != randomLen {
			p.cause = appendCause(nil, wire.CauseProtocolViolation, []byte("key vector of a wrong length")) // RFC 4895, section 6.1
			return false
		}
		p.vectors[x.Type-wire.ParamRandom] = x.Append(nil)
	case wire.ParamECN:
		p.caps |= capECN
	case wire.ParamZeroChecksum:
		if len(x.Value) == 4 {
			p.edmid = binary.BigEndian.Uint32(x.Value)
		}
	case wire.ParamForwardTSN:
		p.caps |= capPR
	case wire.ParamExtensions:
		for _, e := range extensions {
			if slices.Contains(x.Value, byte(e.typ)) && (e.also == 0 || slices.Contains(x.Value, byte(e.also))) {
				p.caps |= e.cap
			}
		}
	case wire.ParamAdaptationInd:
		if len(x.Value) == 4 {
			p.adaptation, p.hasAdaptation = binary.BigEndian.Uint32(x.Value), true
		}
	default:
		if wire.ParamReport(x.Type) && len(p.unknown)+x.Len() <= maxReported {
			p.unknown = x.Append(p.unknown)
		}
		return wire.ParamSkip(x.Type)
	}
	return true
}

// usable reports whether an address can be the peer's.
func usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// appendCause writes an error cause behind b.
func appendCause(b []byte, t uint16, v []byte) []byte {
	return (&wire.TLV{Type: t, Value: v}).Append(b)
}

// appendParams writes the parameters that INIT and INIT ACK have in common behind b: addresses of this
// end, if the peer is to know of more than the one that the packet leaves from, and extensions.
func appendParams(b []byte, local []netip.Addr, o *Options, c caps, vector []byte) []byte {
	if len(local) > 1 {
		for _, a := range local {
			b = wire.AppendAddr(b, a)
		}
	}
	if c&capECN != 0 {
		b = (&wire.TLV{Type: wire.ParamECN}).Append(b)
	}
	if c&capPR != 0 {
		b = (&wire.TLV{Type: wire.ParamForwardTSN}).Append(b)
	}
	var list []byte
	for _, e := range extensions {
		if c&e.cap != 0 {
			list = append(list, byte(e.typ))
			if e.also != 0 {
				list = append(list, byte(e.also))
			}
		}
	}
	if list != nil {
		b = (&wire.TLV{Type: wire.ParamExtensions, Value: list}).Append(b)
	}
	if c&capAuth != 0 {
		eachVector(vector, func(x wire.TLV) { b = x.Append(b) })
	}
	if o.EDMID != 0 {
		b = wire.AppendParam32(b, wire.ParamZeroChecksum, o.EDMID)
	}
	if o.HasAdapt {
		b = wire.AppendParam32(b, wire.ParamAdaptationInd, o.Adaptation)
	}
	return b
}

// told returns those of this end's addresses that the peer at dst is told of (Linux's addr_scope_policy):
// those that it may be able to reach. Of the peer's own addresses, no others are believed: they would be
// somebody else's here.
func told(local []netip.Addr, dst netip.Addr, policy int) (out []netip.Addr) {
	far := scopeOf(dst)
	for _, a := range local {
		s := scopeOf(a)
		if usable(a) && (policy == ScopeOff || s <= far ||
			policy == ScopePrivate && s == scopePrivate || policy == ScopeLink && s == scopeLink) {
			out = append(out, a)
		}
	}
	return out
}

// How far an address reaches, in Linux's order.
const (
	scopeGlobal = iota
	scopePrivate
	scopeLink
	scopeLoopback
)

func scopeOf(a netip.Addr) int {
	switch {
	case a.IsLoopback():
		return scopeLoopback
	case a.IsLinkLocalUnicast():
		return scopeLink
	case a.IsPrivate():
		return scopePrivate
	}
	return scopeGlobal
}

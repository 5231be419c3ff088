package sctp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// Endpoint is what answers packets on a port without keeping anything.
type Endpoint struct {
	Config  *Config
	Port    uint16
	Local   []netip.Addr // addresses that associations have at this end: those bound, or all of the host
	Options *Options     // of associations that peers open: shared
	Buffers Buffers      // of associations
	Listen  bool         // associations that peers open are welcome
}

// Answer takes a packet for which there is no association, with its references. It returns the
// association that the packet brings about, which the owner then treats as if he had called Packet, or
// whether *out is to be sent.
func (e *Endpoint) Answer(now time.Duration, in *In, out *Out) (a *Assoc, send bool) {
	if in.ZeroSum {
		in.Body.Release()
		return nil, false // RFC 9653, section 5.3
	}
	if c, ok := in.first(); ok && e.Listen && c.Type == wire.ChunkInit && in.VTag == 0 {
		defer in.Body.Release()
		return nil, in.alone(&c) && e.answerInit(now, in, c.Value, out)
	}
	if r, au, c, ok := in.echo(); ok && e.Listen {
		// Signed by nobody here, or of another packet: nothing is said (section 5.1.5, step 2).
		k, ok := e.Config.openCookie(now, c.Value)
		if !ok || !k.fits(in) || !k.mayEcho(e.Options.AuthSetup, &r, au) {
			in.Body.Release()
			return nil, false
		}
		if late := k.late(now); late > 0 {
			in.Body.Release()
			out.answer(in, k.peerTag, staleCookie(late))
			return nil, true
		}
		return e.accept(now, in, &k, &r), false
	}
	return nil, OutOfTheBlue(in, out)
}

// answerInit builds the answer to an INIT: INIT ACK with a cookie, or ABORT (section 5.1).
func (e *Endpoint) answerInit(now time.Duration, in *In, v []byte, out *Out) bool {
	p, ok := parseInit(wire.ChunkInit, v)
	if !ok {
		return false
	}
	if p.cause != nil {
		out.answer(in, p.Tag, (&wire.Chunk{Type: wire.ChunkAbort, Value: p.cause}).Append(nil))
		return true
	}
	c, o := e.Config, e.Options
	p.addrs = told(p.addrs, in.Src, c.Scope)
	k := cookie{
		tag: c.tag(), tsn: c.random32(), out: o.OutStreams, in: o.MaxInStreams,
		rwnd: firstWindow(e.Buffers.RcvBuf), caps: p.agreed(o),
	}
	if k.caps&capAuth != 0 {
		k.own = c.ownVector(o)
	}
	local := e.told(in.Src, in.Encap)
	out.answer(in, p.Tag, c.initAck(now, in, &p, &k, local, o))
	return true
}

// told returns those of the endpoint's addresses that a peer is told of. What goes in UDP may be
// translated on its way, where inner addresses mean nothing: only that of the packet counts then.
func (e *Endpoint) told(dst netip.Addr, encap uint16) []netip.Addr {
	if encap != 0 {
		return nil
	}
	return told(e.Local, dst, e.Config.Scope)
}

// initAck builds the INIT ACK for a peer's INIT; of the cookie, what this end chooses is set: tag, TSN,
// Tie-Tags, streams, window and extensions.
func (c *Config) initAck(now time.Duration, in *In, p *peerInit, k *cookie, local []netip.Addr, o *Options) []byte {
	k.made, k.life = now, o.CookieLife
	if c.CookiePreserve {
		k.life += min(p.preserve, o.CookieLife) // section 5.2.6: as much again, not more
	}
	k.port, k.peerPort = in.DstPort, in.SrcPort
	k.peerTag, k.peerTSN, k.peerRwnd = p.Tag, p.TSN, p.ARwnd
	k.peerOut, k.peerIn = p.OutStreams, p.InStreams
	k.adaptation, k.hasAdaptation = p.adaptation, p.hasAdaptation
	k.local = in.Dst
	if k.caps&capAuth != 0 {
		k.peer = slices.Concat(p.vectors[:]...)
	}
	k.peers = append([]netip.Addr{in.Src}, without(p.addrs, in.Src)...)

	i := wire.Init{Tag: k.tag, ARwnd: k.rwnd, OutStreams: k.out, InStreams: k.in, TSN: k.tsn}
	i.Params = (&wire.TLV{Type: wire.ParamStateCookie, Value: c.sealCookie(now, k)}).Append(nil)
	i.Params = appendParams(i.Params, local, o, k.caps, k.own)
	for b := p.unknown; len(b) > 0; {
		var x wire.TLV
		x, b, _ = wire.ParseTLV(b)
		i.Params = (&wire.TLV{Type: wire.ParamUnrecognized, Value: x.Append(nil)}).Append(i.Params)
	}
	return i.Append(nil, wire.ChunkInitAck)
}

// without returns the addresses but one.
func without(addrs []netip.Addr, but netip.Addr) (out []netip.Addr) {
	for _, a := range addrs {
		if a != but {
			out = append(out, a)
		}
	}
	return out
}

// firstWindow is the a_rwnd of INIT and INIT ACK.
func firstWindow(rcvBuf int) uint32 { return max(uint32(rcvBuf)/2, minWindow) }

// fits reports whether the cookie is of the packet's two ports and tag (section 5.1.5, step 3).
func (k *cookie) fits(in *In) bool {
	return k.port == in.DstPort && k.peerPort == in.SrcPort && k.tag == in.VTag
}

// late returns by how much the cookie has outlived its time, or less than that.
func (k *cookie) late(now time.Duration) time.Duration { return now - k.made - k.life }

// staleCookie is the ERROR for a cookie that is too old by so much.
func staleCookie(late time.Duration) []byte {
	us := uint32(min(late/time.Microsecond, 1<<32-1))
	return (&wire.Chunk{Type: wire.ChunkError, Value: wire.AppendParam32(nil, wire.CauseStaleCookie, us)}).Append(nil)
}

// accept makes the association of a cookie, and gives it the packet.
func (e *Endpoint) accept(now time.Duration, in *In, k *cookie, r *chunks) *Assoc {
	a := new(Assoc)
	a.setup(e.Config, e.Options, e.Buffers, k.port, k.peerPort)
	a.local = e.told(in.Src, in.Encap)
	if in.Encap != a.opt.Path.EncapPort {
		a.Change().Path.EncapPort = in.Encap
	}
	a.flags |= passive
	for _, addr := range k.peers {
		a.addPath(addr)
	}

	// The only address known to be the peer's is that to which the INIT ACK went (section 5.4).
	a.primary = a.paths[0]
	a.primary.state, a.primary.src = PathActive, k.local
	a.takeCookie(k)
	a.establish(now)
	a.ctl, a.ackTo = a.primary, a.primary
	if p := a.path(in.Src); p != nil {
		a.ctl = p
	}
	a.todo |= todoCookieAck
	a.rest(now, r)
	in.Body.Release()
	return a
}

// takeCookie sets what the cookie says both ends have told.
func (a *Assoc) takeCookie(k *cookie) {
	a.tag, a.peerTag = k.tag, k.peerTag
	if k.hasAdaptation {
		a.flags |= hasAdaptation
		a.peerAdaptation = k.adaptation
	}
	a.snd.begin(k.tsn)
	a.agree(k.tsn, k.peerTSN, k.peerRwnd, min(k.out, k.peerIn), min(k.in, k.peerOut), k.caps)
	a.heedZeroSum(k.caps)
	a.authenticate(k.own, k.peer)
}

// OutOfTheBlue answers a packet that is of no association and for no endpoint that would take it
// (section 8.4), whose references it takes.
func OutOfTheBlue(in *In, out *Out) (send bool) {
	defer in.Body.Release()
	if !usable(in.Src) || in.ZeroSum {
		return false // rule 1; RFC 9653, section 5.3
	}
	var first wire.Chunk
	r := in.chunks()
	for n := 0; ; n++ {
		c, ok := r.next()
		if !ok {
			if n == 0 {
				return false
			}
			break
		}
		if n == 0 {
			first = wire.Chunk{Type: c.Type, Flags: c.Flags}
			if c.Type == wire.ChunkInit && len(c.Value) >= 4 && in.VTag == 0 {
				// Rule 3: an INIT for which there can be no association.
				tag := binary.BigEndian.Uint32(c.Value)
				if tag == 0 {
					return false // nobody has that
				}
				out.answer(in, tag, (&wire.Chunk{Type: wire.ChunkAbort}).Append(nil))
				return true
			}
		}
		switch {
		case c.Type == wire.ChunkAbort, // rule 2
			c.Type == wire.ChunkShutdownComplete, // rule 6
			c.Type == wire.ChunkCookieAck,        // rule 7
			c.Type == wire.ChunkInit,             // not alone, or with a tag
			c.Type == wire.ChunkError && hasCause(c.Value, wire.CauseStaleCookie):
			return false
		}
	}
	t := wire.ChunkAbort // rule 8
	if first.Type == wire.ChunkShutdownAck {
		t = wire.ChunkShutdownComplete // rule 5
	}
	out.answer(in, in.VTag, (&wire.Chunk{Type: t, Flags: wire.FlagT}).Append(nil))
	return true
}

// hasCause reports whether one of the causes is of type t.
func hasCause(b []byte, t uint16) bool {
	for len(b) > 0 {
		x, rest, err := wire.ParseTLV(b)
		if err != nil {
			return false
		}
		if x.Type == t {
			return true
		}
		b = rest
	}
	return false
}

// answer makes *o a packet of one chunk back to where in came from.
func (o *Out) answer(in *In, tag uint32, chunk []byte) {
	*o = Out{Src: in.Dst, Dst: in.Src}
	o.SrcPort, o.DstPort, o.VTag, o.Encap = in.DstPort, in.SrcPort, tag, in.Encap
	o.Body.Append(packet.Copy(chunk))
}

// asconfAddr calls f with the address by which an ASCONF is to be found (RFC 5061, section 4.1.1).
func (in *In) asconfAddr(c *wire.Chunk, f func(netip.Addr) bool) {
	x, err := wire.ParseAsconf(c.Value)
	if err != nil {
		return
	}
	if p, _, err := wire.ParseTLV(x.Params); err == nil {
		if a, err := wire.ParseAddr(p.Type, p.Value); err == nil {
			f(a)
		}
	}
}

// Addrs calls f with the addresses that an INIT, INIT ACK or ASCONF at the packet's start names: an
// association that is not found by the source address may be by one of these (section 5.1.2).
func (in *In) Addrs(f func(netip.Addr) bool) {
	r := in.chunks()
	c, ok := r.next()
	if ok && c.Type == wire.ChunkAuth {
		if c, ok = r.next(); ok && c.Type == wire.ChunkAsconf {
			in.asconfAddr(&c, f)
		}
		return
	}
	if !ok || c.Type != wire.ChunkInit && c.Type != wire.ChunkInitAck {
		return
	}
	p, ok := parseInit(c.Type, c.Value)
	for i := 0; ok && i < len(p.addrs) && f(p.addrs[i]); i++ {
	}
}

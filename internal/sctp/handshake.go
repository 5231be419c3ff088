package sctp

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// Connect opens the association: INIT is sent.
func (a *Assoc) Connect(now time.Duration, e *Endpoint, p *Params) wait.Events {
	a.setup(e.Config, p.Options, e.Buffers, p.Port, p.PeerPort)
	a.tag, a.tsn = a.cfg.tag(), a.cfg.random32()
	a.out, a.in = p.Options.OutStreams, p.Options.MaxInStreams
	if !p.Options.Translated {
		a.local = e.told(p.Peers[0], p.Options.Path.EncapPort)
	}
	a.snd.begin(a.tsn)
	for _, addr := range p.Peers {
		// What the program says is the peer's address (section 5.4).
		a.addPath(addr).state = PathActive
	}
	a.primary = a.paths[0]
	a.ctl, a.ackTo = a.primary, a.primary
	a.choosePaths()
	a.opening = &opening{rto: a.opt.RTOInitial, t1: never}
	if a.opt.offers()&capAuth != 0 {
		a.opening.vector = a.cfg.ownVector(a.opt)
	}
	a.setState(CookieWait)
	a.todo |= todoInit
	return a.take()
}

// init builds the INIT.
func (a *Assoc) init() []byte {
	i := wire.Init{Tag: a.tag, ARwnd: a.rcv.initialWindow(), OutStreams: a.out, InStreams: a.in, TSN: a.tsn}
	i.Params = appendParams(nil, a.local, a.opt, a.opt.offers(), a.opening.vector)
	if us := a.opening.stale; us != 0 {
		// As much as the last cookie was late, and a second time for what this one may be (section 5.2.6).
		i.Params = wire.AppendParam32(i.Params, wire.ParamCookiePreservative, us/500)
	}
	if a.ctl.opt.EncapPort == 0 {
		// In UDP there are no addresses to choose from, and WebRTC's stacks do not know the parameter.
		i.Params = (&wire.TLV{Type: wire.ParamSupportedAddrTypes, Value: families(a.local, a.ctl.addr)}).Append(i.Params)
	}
	return i.Append(nil, wire.ChunkInit)
}

// families returns the value of Supported Address Types: the families of this end's addresses.
func families(local []netip.Addr, dst netip.Addr) (v []byte) {
	var four, six bool
	for _, a := range append(local, dst) {
		four, six = four || a.Is4(), six || a.Is6()
	}
	if four {
		v = append(v, 0, byte(wire.ParamIPv4))
	}
	if six {
		v = append(v, 0, byte(wire.ParamIPv6))
	}
	return v
}

// inInitAck takes an INIT ACK (section 5.1 C); in other states than COOKIE-WAIT it is nothing (5.2.3).
func (a *Assoc) inInitAck(now time.Duration, in *In, c *wire.Chunk) {
	if a.state != CookieWait {
		return
	}
	p, ok := parseInit(c.Type, c.Value)
	if !ok {
		if p.Tag == 0 && len(c.Value) >= 16 {
			a.end(syscall.ECONNREFUSED, CantStart, wire.CauseInvalidParam, nil) // section 3.3.3
		}
		return
	}
	if p.cause != nil {
		a.peerTag = p.Tag
		a.abortWith(p.cause, 0)
		return
	}
	a.sampled(now)
	a.peerTag = p.Tag
	if p.hasAdaptation {
		a.flags |= hasAdaptation
		a.peerAdaptation = p.adaptation
	}
	a.agree(a.tsn, p.TSN, p.ARwnd, min(a.out, p.InStreams), min(a.in, p.OutStreams), p.agreed(a.opt))
	a.usePeers(in.Src, told(p.addrs, in.Src, a.cfg.Scope))
	o := a.opening
	a.authenticate(o.vector, slices.Concat(p.vectors[:]...))
	o.cookie = append([]byte(nil), p.cookie...)
	o.unknown = p.unknown
	o.timeouts = 0
	o.rto = a.opt.RTOInitial
	a.setState(CookieEchoed)
	o.t1 = never
	a.todo |= todoCookieEcho
}

// usePeers makes the paths those to the address that the INIT ACK came from and to those that it names;
// what the program has named and the peer does not have goes.
func (a *Assoc) usePeers(src netip.Addr, addrs []netip.Addr) {
	if a.path(src) == nil {
		a.addPath(src).state = PathActive
	}
	for _, addr := range addrs {
		if a.path(addr) == nil && len(a.paths) < maxPaths && sameFamily(a.local, src, addr) {
			a.addPath(addr)
		}
	}
	for i := 0; i < len(a.paths); i++ {
		p := a.paths[i]
		if p.addr != src && !contains(addrs, p.addr) {
			a.dropPath(p)
			i--
		}
	}
	a.ctl = a.path(src)
	a.ackTo = a.ctl
	a.choosePaths()
}

func contains(addrs []netip.Addr, x netip.Addr) bool {
	for _, a := range addrs {
		if a == x {
			return true
		}
	}
	return false
}

// sameFamily reports whether an address of the peer is of a family that this end has one of.
func sameFamily(local []netip.Addr, src, addr netip.Addr) bool {
	if src.Is4() == addr.Is4() {
		return true
	}
	for _, l := range local {
		if l.Is4() == addr.Is4() {
			return true
		}
	}
	return false
}

// sampled takes the round trip of a handshake's packet that was sent once (section 6.3.1).
func (a *Assoc) sampled(now time.Duration) {
	if o := a.opening; o != nil && o.timeouts == 0 && o.sent != 0 {
		a.ctl.sample(now-o.sent, a.snd.rto)
	}
}

// inCookieAck takes a COOKIE ACK (section 5.1 E); in other states than COOKIE-ECHOED it is nothing (5.2.5).
func (a *Assoc) inCookieAck(now time.Duration) {
	if a.state != CookieEchoed {
		return
	}
	a.sampled(now)
	a.cfg.Counters.ActiveEstabs++
	a.establish(now)
}

// establish enters ESTABLISHED.
func (a *Assoc) establish(now time.Duration) {
	a.setState(Established)
	a.opening = nil
	a.errors, a.initErrors = 0, 0
	a.todo &^= todoCookieEcho | todoInit
	a.heard = now
	a.startAutoClose(now)
	a.choosePaths()
	for _, p := range a.paths {
		a.startHeartbeat(now, p)
	}
	if a.flags&passive != 0 {
		a.cfg.Counters.PassiveEstabs++
	}
	a.notify(Notification{Type: EventAssocChange, State: CommUp, OutStreams: a.out, InStreams: a.in})
	if a.flags&hasAdaptation != 0 {
		a.notify(Notification{Type: EventAdaptation, Ind: a.peerAdaptation})
	}
	if a.auth == nil {
		a.notify(Notification{Type: EventAuth, State: NoAuth})
	}
	a.events |= wait.Out
}

// authenticate begins to authenticate chunks, if that was agreed to.
func (a *Assoc) authenticate(own, peer []byte) {
	a.auth = nil
	if a.caps&capAuth != 0 {
		a.auth = newAuth(own, peer)
	}
	for _, p := range a.paths {
		a.snd.setMTU(&p.flow, int(p.flow.mtu), a.headers(p))
	}
}

// t1Expired sends INIT or COOKIE ECHO again, or gives up (section 4, notes 2 and 3; 5.1.6).
func (a *Assoc) t1Expired(now time.Duration) {
	a.opening.t1 = never
	a.initErrors++
	if a.state == CookieWait {
		a.cfg.Counters.T1InitExpireds++
	} else {
		a.cfg.Counters.T1CookieExpireds++
	}
	if a.initErrors > a.opt.MaxInitRetrans {
		a.end(syscall.ETIMEDOUT, CantStart, 0, nil)
		return
	}
	o := a.opening
	o.timeouts++
	limit := a.opt.MaxInitTimeout
	if limit == 0 {
		limit = a.opt.RTOMax
	}

	// Every address is tried before the next round waits longer.
	if o.timeouts%len(a.paths) == 0 {
		o.rto = min(2*o.rto, limit)
	}
	a.ctl = a.after(a.ctl)
	if a.state == CookieWait {
		a.todo |= todoInit
	} else {
		a.todo |= todoCookieEcho
	}
}

// after returns the path behind p, in a circle: where a chunk goes that was lost on p.
func (a *Assoc) after(p *path) *path {
	for i, q := range a.paths {
		if q == p {
			return a.paths[(i+1)%len(a.paths)]
		}
	}
	return a.primary
}

package sctp

import (
	"net/netip"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// Two ends that open at once, and a peer that has lost its state and opens anew (section 5.2). An INIT
// changes nothing here: what is to follow from it stands in the cookie, and whether it does is decided
// when the cookie comes back, by the tags in it (table 12 of RFC 9260; "ours" and "peer's" below):
//
//	ours  peer's  Tie-Tags
//	 X      X      both      the peer has restarted                                  restart
//	 M      X      any       both have opened: the peer has answered another INIT    collide
//	 X      M      zero      a cookie of before: late, or of an INIT that was lost   nothing
//	 M      M      any       the cookie was echoed twice, or ours was                confirm

// inInit takes an INIT from the peer of an association (sections 5.2.1 and 5.2.2).
func (a *Assoc) inInit(now time.Duration, in *In, v []byte) {
	if a.state == ShutdownAckSent {
		a.todo |= todoShutdownAck // section 9.2: the SHUTDOWN COMPLETE was lost
		return
	}
	p, ok := parseInit(wire.ChunkInit, v)
	if !ok {
		return
	}
	if p.cause != nil {
		a.reply(in, p.Tag, (&wire.Chunk{Type: wire.ChunkAbort, Value: p.cause}).Append(nil), true)
		return
	}
	p.addrs = told(p.addrs, in.Src, a.cfg.Scope)
	if a.state != CookieWait {
		if news := a.strange(in.Src, p.addrs); news != nil {
			cause := appendCause(nil, wire.CauseRestartNewAddrs, news)
			a.reply(in, p.Tag, (&wire.Chunk{Type: wire.ChunkAbort, Value: cause}).Append(nil), true)
			return
		}
	}
	k := cookie{
		out: a.opt.OutStreams, in: a.opt.MaxInStreams, rwnd: a.rcv.initialWindow(), caps: p.agreed(a.opt),
		tag: a.tag, tsn: a.tsn,
	}
	switch a.state {
	case CookieWait:
		k.own = a.opening.vector
	case CookieEchoed:
		k.own = a.opening.vector
		k.tie, k.peerTie = a.tie, a.peerTie
	default:
		if k.caps&capAuth != 0 {
			k.own = a.cfg.ownVector(a.opt)
		}
		k.tie, k.peerTie = a.tie, a.peerTie
		k.tag, k.tsn = a.cfg.tag(), a.cfg.random32()
	}
	a.reply(in, p.Tag, a.cfg.initAck(now, in, &p, &k, a.local, a.opt), true)
}

// strange returns those addresses, as parameters, that are none of the peer's: whoever could add one
// by a restart could take the association over (section 5.2.2).
func (a *Assoc) strange(src netip.Addr, addrs []netip.Addr) (out []byte) {
	for _, x := range append([]netip.Addr{src}, addrs...) {
		if a.path(x) == nil {
			out = wire.AppendAddr(out, x)
		}
	}
	return out
}

// inCookieEcho takes a COOKIE ECHO from the peer of an association (section 5.2.4). It reports false if
// the rest of the packet is not to be looked at.
func (a *Assoc) inCookieEcho(now time.Duration, in *In, v []byte, r *chunks, au *wire.Auth) bool {
	k, ok := a.cfg.openCookie(now, v)
	if !ok || !k.fits(in) || !k.mayEcho(a.opt.AuthSetup, r, au) {
		return false
	}
	ours, peers := k.tag == a.tag, k.peerTag == a.peerTag

	// What is late still confirms: this end has sent it, and the peer has it (rule 3).
	if late := k.late(now); late > 0 && !(ours && peers) {
		a.reply(in, k.peerTag, staleCookie(late), true)
		return false
	}
	switch {
	case ours && peers:
		if a.state == CookieEchoed {
			a.cfg.Counters.ActiveEstabs++
			a.establish(now)
		}
	case ours:
		if a.state != CookieWait && a.state != CookieEchoed {
			return false
		}
		a.collide(now, in, &k)
	case !peers && k.tie == a.tie && k.peerTie == a.peerTie:
		if a.state == ShutdownAckSent {
			// The old association has to end first (case A).
			a.todo |= todoShutdownAck
			a.replyError(in, wire.CauseCookieShutdown, nil)
			return false
		}
		if a.strange(in.Src, k.peers) != nil {
			return false
		}
		a.restart(now, in, &k)
	default:
		return false
	}
	a.todo |= todoCookieAck
	if p := a.path(in.Src); p != nil {
		a.ctl = p
	}
	return true
}

// Confirmed reports whether an address is known to be the peer's: an association speaks for no other (section
// 5.4), as anybody can name any.
func (a *Assoc) Confirmed(addr netip.Addr) bool {
	p := a.path(addr)
	return p != nil && p.confirmed()
}

// Concerns reports whether a packet from one of the peer's addresses is the association's. Where the
// address is not confirmed it has to show it, by the tag or by a cookie that was made for it.
func (a *Assoc) Concerns(now time.Duration, in *In) bool {
	if in.VTag == a.tag || a.Confirmed(in.Src) {
		return true
	}
	_, _, c, ok := in.echo()
	if !ok {
		return false
	}
	k, ok := a.cfg.openCookie(now, c.Value)
	return ok && (k.tag == a.tag || k.tie == a.tie && k.peerTie == a.peerTie)
}

// collide takes the cookie of a handshake that the peer has begun while ours was under way: its tag
// is what counts from now on, and what else it has told in that INIT (case B).
func (a *Assoc) collide(now time.Duration, in *In, k *cookie) {
	a.peerTag = k.peerTag
	if k.hasAdaptation {
		a.flags |= hasAdaptation
		a.peerAdaptation = k.adaptation
	}
	a.agree(a.tsn, k.peerTSN, k.peerRwnd, min(a.opt.OutStreams, k.peerIn), min(a.opt.MaxInStreams, k.peerOut), k.caps)
	a.heedZeroSum(k.caps)
	a.authenticate(k.own, k.peer)
	a.usePeers(k.peers[0], k.peers[1:])
	a.cfg.Counters.PassiveEstabs++
	a.establish(now)
}

// restart begins the association anew, with what the peer has told since it restarted (case A). What the
// program has sent and the peer has not acknowledged is lost, and what has come whole can still be read.
func (a *Assoc) restart(now time.Duration, in *In, k *cookie) {
	closing := a.state == ShutdownPending || a.state == ShutdownSent
	a.snd.fail()
	a.tellFailed(0)
	a.rcv.abandon()
	a.tellAborted()
	old := *a
	a.setup(a.cfg, a.opt, Buffers{int(a.rcv.bufSize), a.snd.bufSize}, a.port, a.peerPort)
	a.rcv, a.err, a.events = old.rcv, old.err, old.events
	a.noted = old.noted
	if notes := old.notes(); notes != nil {
		a.waiting = &waiting{notes: notes, noteBytes: old.waiting.noteBytes}
	}
	a.flags = old.flags &^ hasAdaptation
	local, paths, primary := old.local, old.paths, old.primary.addr
	a.local = local
	a.snd.begin(k.tsn)
	for _, old := range paths {
		p := a.addPath(old.addr)
		p.src, p.opt, p.state, p.doubted = old.src, old.opt, old.state, old.doubted
		if p.addr == in.Src {
			p.state, p.doubted = PathActive, false
		}
	}
	a.primary = a.path(primary)
	a.ctl, a.ackTo = a.path(in.Src), a.path(in.Src)
	a.takeCookie(k)
	a.setState(Established)
	a.heard = now
	a.choosePaths()
	for _, p := range a.paths {
		a.startHeartbeat(now, p)
	}
	a.notify(Notification{Type: EventAssocChange, State: Restart, OutStreams: a.out, InStreams: a.in})
	if a.flags&hasAdaptation != 0 {
		a.notify(Notification{Type: EventAdaptation, Ind: a.peerAdaptation})
	}
	a.events |= wait.Out
	if closing {
		a.shutdown(now)
	}
}

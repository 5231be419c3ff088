package sctp

import (
	"time"

	"usock/internal/wire"
)

// The path MTU is the route's until an ICMP error says less (section 7.3). Where the program asks for it
// (a probe interval), it is found out by the ends alone (RFC 8899): HEARTBEAT chunks, padded to the size that
// is tried, tell what arrives.
//
//	BASE ──── answered ────► SEARCH ── nothing left to try ──► COMPLETE
//	  ▲                         ▲                                │  │
//	  │                         `──────── now and then ──────────'  │
//	  `──────────────── its size is answered no more ───────────────'

type probeState uint8

const (
	probeBase     probeState = iota // is the base size answered?
	probeSearch                     // sizes up to high are tried
	probeComplete                   // the size is checked each interval
)

// probe is a path's search for its MTU.
type probe struct {
	at        time.Duration // when the next one is due or, waiting, the last one counts as lost
	nonce     uint64
	state     probeState
	waiting   bool // one is not answered yet
	due       bool // one is to be sent
	tries     uint8
	checks    uint8  // of COMPLETE, since the last search
	size      uint16 // being tried
	low, high uint16 // what is known to arrive, and what is not known not to
}

const (
	basePMTU   = 1200 // RFC 8899, section 5.1.2: BASE_PLPMTU
	minPathMTU = 512  // the least that is believed, Linux's SCTP_DEFAULT_MINSEGMENT
	maxProbes  = 3    // MAX_PROBES
	probeStep  = 8    // what is not worth another probe
	raiseAfter = 20   // checks after which a larger size is tried again: PMTU_RAISE_TIMER
)

// startProbe begins the search on a path.
func (a *Assoc) startProbe(now time.Duration, p *path) {
	p.probe = nil
	if p.opt.ProbeIntvl == 0 || p.opt.NoPMTUD || !p.confirmed() || !a.state.beats() {
		return
	}
	p.probe = &probe{at: never, low: minPathMTU, high: uint16(min(p.routeMTU, 65532))}
	a.probeFrom(p, probeBase, min(basePMTU, p.probe.high))
	a.snd.setMTU(&p.flow, int(p.probe.size), a.headers(p))
}

// probeFrom tries a size.
func (a *Assoc) probeFrom(p *path, s probeState, size uint16) {
	q := p.probe
	q.state, q.size = s, size&^3
	q.tries, q.waiting, q.due, q.at = 0, false, true, never
}

// probeExpired tries again, or goes by that the size does not arrive.
func (a *Assoc) probeExpired(now time.Duration, p *path) {
	q := p.probe
	q.at = never
	if !a.state.beats() {
		return
	}
	if q.waiting {
		q.waiting = false
		q.tries++
		if q.tries >= maxProbes {
			a.probeFailed(now, p)
			return
		}
	}
	q.due = true
}

// probeFailed goes by that packets of the size are lost.
func (a *Assoc) probeFailed(now time.Duration, p *path) {
	q := p.probe
	switch q.state {
	case probeBase:
		// Less than the base: the least is used, and the base tried now and then (the state ERROR).
		a.snd.setMTU(&p.flow, minPathMTU, a.headers(p))
		q.tries, q.at = 0, now+p.opt.ProbeIntvl
	case probeSearch:
		q.high = q.size - 1
		a.search(now, p)
	case probeComplete:
		// A black hole (RFC 8899, section 4.3).
		a.snd.setMTU(&p.flow, int(min(basePMTU, q.low)), a.headers(p))
		q.high, q.low = q.size-1, minPathMTU
		a.probeFrom(p, probeBase, min(basePMTU, q.high))
	}
}

// search tries the next size, or is content.
func (a *Assoc) search(now time.Duration, p *path) {
	q := p.probe
	if int(q.high) < int(q.low)+probeStep {
		q.state, q.size, q.checks, q.tries = probeComplete, q.low, 0, 0
		q.at = now + p.opt.ProbeIntvl
		return
	}
	size := q.low + (q.high-q.low+1)/2
	if q.size < q.high && q.tries == 0 {
		size = q.high // most paths carry what their first link does
	}
	a.probeFrom(p, probeSearch, size)
}

// probeChunks builds a probe: HEARTBEAT, and PAD up to the size.
func (a *Assoc) probeChunks(now time.Duration, p *path) []byte {
	q := p.probe
	q.due, q.waiting = false, true
	q.nonce, q.at = a.cfg.random64(), now+max(p.flow.rto, time.Second)
	b := heartbeatChunk(p.addr, now, q.nonce, int(q.size))
	if pad := int(q.size) - p.headers() - len(b) - wire.ChunkHeaderLen; pad >= 0 {
		b = (&wire.Chunk{Type: wire.ChunkPad, Value: make([]byte, pad)}).Append(b)
	}
	return b
}

// probed takes the answer to a probe of so many bytes.
func (a *Assoc) probed(now time.Duration, p *path, nonce uint64, size int) {
	q := p.probe
	if q == nil || !q.waiting || nonce != q.nonce || size != int(q.size) {
		return
	}
	q.waiting, q.tries = false, 0
	a.alive(p, HeartbeatSuccess)
	switch q.state {
	case probeBase, probeSearch:
		q.low = q.size
		a.snd.setMTU(&p.flow, size, a.headers(p))
		a.search(now, p)
	case probeComplete:
		q.at = now + p.opt.ProbeIntvl
		if q.checks++; q.checks >= raiseAfter && int32(q.low)+probeStep <= p.routeMTU {
			q.high = uint16(min(p.routeMTU, 65532))
			q.size = q.low
			a.search(now, p)
		}
	}
}

// lowerMTU goes by an ICMP error that says that packets to p are too large (section 7.3).
func (a *Assoc) lowerMTU(p *path, mtu int) {
	q := p.probe
	if p.opt.NoPMTUD {
		return
	}
	switch {
	case p.addr.Is6():
		mtu = max(mtu, leastMTU) // RFC 8201, section 4
	case mtu < minPathMTU:
		// Less is not worth packets of its own: IP fragments them.
		mtu, p.tiny = minPathMTU, true
	}
	if q != nil && q.state == probeSearch && mtu > int(q.low) && mtu < int(q.size) {
		// Of the probe (RFC 8899, section 4.6.2).
		q.high = uint16(mtu)
		a.probeFrom(p, probeSearch, q.high)
		return
	}
	if mtu >= int(p.flow.mtu) {
		return
	}
	a.snd.setMTU(&p.flow, mtu, a.headers(p))
	if n := a.snd.resend(&p.flow); n > 0 {
		a.cfg.Counters.PmtudRetransmits += uint64(n)
	}
	if q != nil {
		q.high, q.low = uint16(mtu), minPathMTU
		a.probeFrom(p, probeBase, min(basePMTU, q.high))
	}
}

// resend marks what is outstanding on a path and larger than its packets may be: it did not arrive. That
// says nothing of congestion.
func (s *sender) resend(f *flow) (n int) {
	for t := s.una; t < s.nxt; t++ {
		if c := s.chunks.at(t); c.flow == f && c.outstanding() && s.headerLen()+c.n > f.room {
			s.mark(t, c)
			n++
		}
	}
	if n > 0 && f.flight == 0 && s.ahead < s.una {
		f.t3 = never // it starts anew with what is sent again
	}
	return n
}

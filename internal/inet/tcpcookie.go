package inet

import (
	"time"

	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/internal/wire"
)

// SYN cookies (RFC 4987, section 3.6). When a listener's incomplete queue is full, a
// SYN is answered without keeping state: the initial sequence number holds what is
// needed to build the connection from the ACK, and a keyed function over it.
//
//	31    27 26  24 23                    0
//	┌───────┬──────┬───────────────────────┐
//	│ count │ MSS  │ MAC                   │
//	└───────┴──────┴───────────────────────┘
//
// What the peer's SYN offered besides comes back in the low bits of the timestamp
// that the peer echoes, if it uses timestamps; without them there is no window
// scaling and no SACK.
const (
	cookiePeriod = 64 * time.Second
	cookieCounts = 32
	cookieMAC    = 1<<24 - 1

	// cookieFresh is how long after the last overflow cookies are believed.
	cookieFresh = 2 * cookiePeriod

	// Low bits of a cookie's timestamp.
	stampWScale = 0xf // the peer's shift; noWScale: none
	noWScale    = 0xf
	stampSACK   = 1 << 4
	stampECN    = 1 << 5
	stampMask   = 1<<6 - 1
)

// cookieMSS are the values that the three bits stand for, in rising order.
var cookieMSS = [8]uint16{48, 536, 1220, 1300, 1440, 1460, 4312, 8960}

// cookie computes the cookie of a SYN with sequence number irs.
func (t *tcpProto) cookie(k *tuple, irs uint32, count uint64, mss int) uint32 {
	extra := uint64(irs)<<16 | count%cookieCounts<<8 | uint64(mss)
	hi, _ := t.prf.sumWith(labelCookie, k, extra^count<<48)
	return uint32(count%cookieCounts)<<27 | uint32(mss)<<24 | uint32(hi)&cookieMAC
}

// sendCookie answers a SYN with a cookie.
func (t *tcpProto) sendCookie(l *tcpEndpoint, k *tuple, at *ip.Lane, seg *tcp.Segment, d *host.Domain) {
	defer seg.Data.Release()
	inc(&t.Stats.TCPReqQFullDoCookies)
	path, err := t.path(k.raddr, k.laddr, int(l.s.Opt.Device))
	if err != nil {
		return
	}
	now := at.At().Now()
	o, says := &seg.Options, seg.Options.MSS
	if says == 0 {
		says = assumedMSS(k.raddr)
	}
	mss := 0
	for mss+1 < len(cookieMSS) && cookieMSS[mss+1] <= says {
		mss++
	}
	// The state is made as for any SYN, asked for its SYN-ACK, and forgotten.
	c := &tcpEndpoint{proto: t, dom: d, path: path}
	c.acts.Store(l.s)
	c.tuple = *k
	c.conn.Init(t.cfg)
	p := t.params(c, t.cookie(k, seg.Seq, uint64(now/cookiePeriod), mss))
	p.Options = l.conn.Options()
	p.RcvBuf, p.SndBuf = int(l.rcvBuf), int(l.sndBuf)
	syn := tcp.Segment{TCP: seg.TCP}
	syn.Options.HasFastOpen = false
	c.conn.Accept(now, p, &syn)
	if out := &t.lane(d).out; c.conn.Poll(now, out) {
		a := &out.Options
		if a.HasTimestamp {
			bits := uint32(noWScale)
			if o.HasWScale {
				bits = uint32(min(o.WScale, 14))
			}
			if o.SACKPermitted {
				bits |= stampSACK
			}
			if out.Flags&wire.ECE != 0 {
				bits |= stampECN
			}
			clock := a.TSVal - p.TSOffset
			stamp := clock&^stampMask | bits
			if int32(stamp-clock) > 0 {
				stamp -= stampMask + 1 // never ahead of the clock
			}
			a.TSVal = stamp + p.TSOffset
		} else {
			a.HasWScale, a.SACKPermitted = false, false
			out.Flags &^= wire.ECE
		}
		t.send(at, out, k, path)
		inc(&t.Stats.SyncookiesSent)
	}
	t.sign(c)
	c.conn.Release()
	l.listener.overflow.Store(int64(now))
}

// takeCookie makes a connection from an ACK that carries a good cookie, and reports
// whether it did. The connection is in the domain d.
func (t *tcpProto) takeCookie(l *tcpEndpoint, k *tuple, seg *tcp.Segment, d *host.Domain) bool {
	q, now := l.listener, d.Now()
	if at := time.Duration(q.overflow.Load()); at == 0 || now-at > cookieFresh {
		return false
	}
	iss, irs := seg.Ack-1, seg.Seq-1
	mss := int(iss >> 24 & 7)
	count := uint64(now / cookiePeriod)
	// Cookies of this period and the one before it are good.
	if uint32(count%cookieCounts) != iss>>27 {
		count--
	}
	if t.cookie(k, irs, count, mss) != iss {
		inc(&t.Stats.SyncookiesFailed)
		return false
	}
	if !q.reserve() {
		// Taken as lost: data that the peer repeats brings the cookie again.
		inc(&t.Stats.ListenOverflows)
		inc(&t.Stats.ListenDrops)
		seg.Data.Release()
		return true
	}
	c := t.child(l, k, d)
	if c == nil {
		// It is dropped: another of the peer's segments has made the connection meanwhile, which a reset would end,
		// or there is no way back (Linux, cookie_v4_check).
		q.length.Add(-1)
		inc(&t.Stats.ListenDrops)
		seg.Data.Release()
		return true
	}
	c.placed = true
	state := tcp.CookieState{MSS: cookieMSS[mss]}
	p := t.childParams(l, c, iss)
	if o := &seg.Options; o.HasTimestamp && t.cfg.Timestamps {
		bits := o.TSEcr - p.TSOffset
		state.Timestamps = true
		state.SACKPermitted = bits&stampSACK != 0
		state.ECN = bits&stampECN != 0
		if s := bits & stampWScale; s != noWScale {
			state.HasWScale, state.WScale = true, uint8(s)
		}
	}
	inc(&t.Stats.SyncookiesRecv)
	c.conn.AcceptCookie(now, p, seg, &state)
	t.update(c, c.conn.Segment(now, seg))
	q.unreserve(c)
	return true
}

package sctp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/wire"
)

// A HEARTBEAT goes to each address that is idle, and to one that is not confirmed or potentially
// failed at once and every RTO (sections 5.4 and 8.3; RFC 7829, section 4.2 (3)). Its information,
// which the peer returns as it is, is
//
//	17 bytes  the address that it went to, as in a cookie
//	 8        when, in ns
//	 8        a nonce: nobody else can answer it
//	 2        the size of the packet, of a probe for the path MTU; else 0
const heartbeatInfoLen = 35

// startHeartbeat begins the heartbeats of a path.
func (a *Assoc) startHeartbeat(now time.Duration, p *path) {
	p.hb.waiting, p.hb.due = false, false
	a.startProbe(now, p)
	if p.confirmed() {
		p.hb.at = a.nextHeartbeat(now, p)
	} else {
		p.hb.at, p.hb.due = never, true
	}
}

// nextHeartbeat returns when the next one is due that follows on what was sent at the time: the RTO and
// HB.interval, and for chance half the RTO more or less (section 8.3).
func (a *Assoc) nextHeartbeat(at time.Duration, p *path) time.Duration {
	rto := p.flow.rto
	wait := rto/2 + time.Duration(a.cfg.random32()%1024)*(rto/1024)
	if p.state == PathActive || p.state == PathInactive {
		if p.opt.NoHB || p.opt.HBInterval == 0 {
			return never
		}
		wait += p.opt.HBInterval
	}
	return at + wait
}

// beats reports whether heartbeats are sent in the state (section 8.3).
func (s State) beats() bool {
	return s == Established || s == ShutdownPending || s == ShutdownReceived
}

// heartbeatExpired sends the next one, or counts the last one as lost.
func (a *Assoc) heartbeatExpired(now time.Duration, p *path) {
	p.hb.at = never
	if !a.state.beats() {
		return
	}
	if p.hb.waiting {
		p.hb.waiting = false
		p.backOff(a.snd.rto)
		if !a.failed(now, p) {
			a.end(syscall.ETIMEDOUT, CommLost, 0, nil)
			return
		}

		// Where it matters, the next one goes at once.
		if p.state == PathActive || p.state == PathInactive {
			if p.hb.at = a.nextHeartbeat(p.hb.last, p); p.hb.at > now {
				return
			}
		}
	}

	// What carries data is watched by T3-rtx.
	if idle := a.nextHeartbeat(p.lastSent, p); p.state == PathActive && idle > now && p.lastSent > p.hb.last {
		p.hb.at = idle
		return
	}
	p.hb.at, p.hb.due = never, true
}

// heartbeat builds a HEARTBEAT to p, and waits for its answer.
func (a *Assoc) heartbeat(now time.Duration, p *path) []byte {
	p.hb.due, p.hb.waiting = false, true
	p.hb.nonce, p.hb.last = a.cfg.random64(), now
	p.hb.at = now + p.flow.rto
	return heartbeatChunk(p.addr, now, p.hb.nonce, 0)
}

func heartbeatChunk(addr netip.Addr, now time.Duration, nonce uint64, size int) []byte {
	v := appendCookieAddr(make([]byte, 0, heartbeatInfoLen), addr)
	v = binary.BigEndian.AppendUint64(v, uint64(now))
	v = binary.BigEndian.AppendUint64(v, nonce)
	v = binary.BigEndian.AppendUint16(v, uint16(size))
	c := wire.Chunk{Type: wire.ChunkHeartbeat, Value: (&wire.TLV{Type: wire.ParamHeartbeatInfo, Value: v}).Append(nil)}
	return c.Append(nil)
}

// inHeartbeat answers a HEARTBEAT with what it holds, to where it came from.
func (a *Assoc) inHeartbeat(in *In, c *wire.Chunk) {
	if a.state != CookieWait {
		a.reply(in, a.peerTag, (&wire.Chunk{Type: wire.ChunkHeartbeatAck, Value: c.Value}).Append(nil), false)
	}
}

// inHeartbeatAck takes the answer to a heartbeat, or to a probe.
func (a *Assoc) inHeartbeatAck(now time.Duration, c *wire.Chunk) {
	x, _, err := wire.ParseTLV(c.Value)
	if err != nil || x.Type != wire.ParamHeartbeatInfo || len(x.Value) != heartbeatInfoLen {
		return
	}
	addr, rest := nextCookieAddr(x.Value)
	p := a.path(addr)
	if p == nil {
		return
	}
	sent, nonce := time.Duration(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint64(rest[8:])
	if size := int(binary.BigEndian.Uint16(rest[16:])); size != 0 {
		a.probed(now, p, nonce, size)
		return
	}
	if !p.hb.waiting || nonce != p.hb.nonce || sent != p.hb.last {
		return
	}
	p.hb.waiting = false
	p.sample(now-sent, a.snd.rto)
	a.alive(p, HeartbeatSuccess)
	if p.state == PathUnconfirmed {
		a.setPathState(p, PathActive, HeartbeatSuccess)
		a.startProbe(now, p)
	}
	p.hb.at = a.nextHeartbeat(p.hb.last, p)
}

// Heartbeat sends a HEARTBEAT to addr now, to all where addr is not valid (SPP_HB_DEMAND).
func (a *Assoc) Heartbeat(now time.Duration, addr netip.Addr) syscall.Errno {
	if !a.state.beats() {
		return syscall.ENOTCONN
	}
	if addr.IsValid() && a.path(addr) == nil {
		return syscall.EINVAL
	}
	for _, p := range a.paths {
		if !addr.IsValid() || p.addr == addr {
			p.hb.due = true
		}
	}
	return 0
}

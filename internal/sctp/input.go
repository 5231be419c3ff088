package sctp

import (
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// Packet takes a packet from the association's peer, or an INIT that names one of his addresses. The
// references of in.Body pass to the association.
func (a *Assoc) Packet(now time.Duration, in *In) wait.Events {
	defer in.Body.Release()
	defer a.observe()
	a.count(inPackets)
	r := in.chunks()
	c, ok := r.next()
	if !ok || a.state == Closed {
		return 0
	}
	echo, au, cookie, isEcho := in.echo()
	if in.ZeroSum && !a.takesZeroSum(in, c.Type, isEcho) {
		return 0
	}
	switch {
	case c.Type == wire.ChunkInit:
		if in.VTag == 0 && in.alone(&c) {
			a.inInit(now, in, c.Value)
		}
		return a.take()
	case isEcho:
		if !a.inCookieEcho(now, in, cookie.Value, &echo, au) {
			return a.take()
		}
		a.encapsulated(in)
		r = echo
	case in.VTag != a.tag:
		a.inForeign(in, &c)
		return a.take()
	default:
		a.encapsulated(in)
		if !a.chunk(now, &r, &c) {
			return a.take()
		}
	}
	a.rest(now, &r)
	return a.take()
}

// encapsulated goes by how the peer's packets come: its UDP port may change on the way (RFC 6951, section
// 5.4), or there be no UDP.
func (a *Assoc) encapsulated(in *In) {
	p := a.path(in.Src)
	if p == nil || p.opt.EncapPort == in.Encap {
		return
	}
	opt := *p.opt
	opt.EncapPort = in.Encap
	p.opt = &opt
	a.snd.setMTU(&p.flow, int(p.flow.mtu), a.headers(p))
}

// inForeign takes a packet whose tag is not this end's (section 8.5.1): what a peer without association
// reflects, and what belongs to an association of before.
func (a *Assoc) inForeign(in *In, c *wire.Chunk) {
	reflected := c.Flags&wire.FlagT != 0 && in.VTag == a.peerTag && a.peerTag != 0
	switch {
	case c.Type == wire.ChunkAbort && reflected:
		a.inAbort(c)
	case c.Type == wire.ChunkShutdownComplete && reflected:
		a.inShutdownComplete()
	case c.Type == wire.ChunkShutdownAck && (a.state == CookieWait || a.state == CookieEchoed):
		a.reply(in, in.VTag, (&wire.Chunk{Type: wire.ChunkShutdownComplete, Flags: wire.FlagT}).Append(nil), true)
	}
}

// rest takes the chunks that r has not read.
func (a *Assoc) rest(now time.Duration, r *chunks) {
	for a.state != Closed {
		c, ok := r.next()
		if !ok || !a.chunk(now, r, &c) {
			break
		}
	}
	if a.state == Closed {
		return
	}
	a.heard = now
	if r.sawData {
		if r.in.CE && a.caps&capECN != 0 {
			a.rcv.congested()
		}
		a.rcv.packet(now)
		a.startAutoClose(now)
		if a.state == ShutdownSent {
			// Data that comes then is answered at once, by the SHUTDOWN as well (section 9.2).
			a.rcv.ackNow()
			a.todo |= todoShutdown
			a.startT2(now)
		}
		if a.rcv.readable() {
			a.events |= wait.In
		}
	}
}

// chunk takes a chunk of a packet that has this end's tag. It reports false if the rest of the packet is
// not to be looked at.
func (a *Assoc) chunk(now time.Duration, r *chunks, c *wire.Chunk) bool {
	if c.Type != wire.ChunkData && c.Type != wire.ChunkIData {
		a.cfg.Counters.InCtrlChunks++
		a.count(inCtrlChunks)
	}
	if a.auth != nil && a.auth.wants.has(c.Type) && !r.authentic {
		return true // RFC 4895, section 6.3
	}
	switch c.Type {
	case wire.ChunkData, wire.ChunkIData:
		return a.inData(now, r, c)
	case wire.ChunkSack:
		if !r.in.tooDear() {
			a.inSack(now, c)
		}
	case wire.ChunkHeartbeat:
		a.inHeartbeat(r.in, c)
	case wire.ChunkHeartbeatAck:
		a.inHeartbeatAck(now, c)
	case wire.ChunkInitAck:
		a.inInitAck(now, r.in, c)
	case wire.ChunkCookieAck:
		a.inCookieAck(now)
	case wire.ChunkAbort:
		if c.Flags&wire.FlagT == 0 || a.tag == a.peerTag {
			a.inAbort(c)
		}
		return false
	case wire.ChunkError:
		a.inError(now, c)
	case wire.ChunkShutdown:
		a.inShutdown(now, c)
	case wire.ChunkShutdownAck:
		a.inShutdownAck(r.in)
	case wire.ChunkShutdownComplete:
		if c.Flags&wire.FlagT == 0 || a.tag == a.peerTag {
			a.inShutdownComplete()
		}
		return false
	case wire.ChunkInit, wire.ChunkCookieEcho:
		return false // they come first in a packet, or not at all (section 6.10)
	case wire.ChunkAuth:
		if a.auth == nil {
			return a.inUnknown(r.in, c)
		}
		return a.inAuth(r, c)
	case wire.ChunkAsconf, wire.ChunkAsconfAck:
		switch {
		case a.caps&capAsconf == 0 || a.auth == nil:
			return a.inUnknown(r.in, c)
		case c.Type == wire.ChunkAsconfAck:
			return a.inAsconfAck(now, c)
		}
		a.inAsconf(now, r.in, c)
	case wire.ChunkReConfig:
		if a.caps&capReConf == 0 {
			return a.inUnknown(r.in, c)
		}
		if r.in.tooDear() {
			return true
		}
		return a.inReConfig(r.in, c)
	case wire.ChunkForwardTSN, wire.ChunkIForwardTSN:
		if a.caps&capPR == 0 {
			return a.inUnknown(r.in, c)
		}
		if r.in.tooDear() {
			return true
		}
		return a.inForward(r, c)
	case wire.ChunkECNE, wire.ChunkCWR:
		a.inECN(c)
	case wire.ChunkPad:
	default:
		return a.inUnknown(r.in, c)
	}
	return true
}

// inUnknown takes a chunk of a type that is not known, as its high bits say (section 3.2).
func (a *Assoc) inUnknown(in *In, c *wire.Chunk) bool {
	if c.Type.Report() && a.state != CookieWait {
		a.replyError(in, wire.CauseUnrecognizedChunk, c.Append(nil))
	}
	return c.Type.Skip()
}

// replyError answers a packet with an ERROR, of which the value of the cause is cut where it does not
// fit into a small packet.
func (a *Assoc) replyError(in *In, cause uint16, v []byte) {
	v = v[:min(len(v), 1024)]
	a.reply(in, a.peerTag, (&wire.Chunk{Type: wire.ChunkError, Value: appendCause(nil, cause, v)}).Append(nil), false)
}

// takesData reports whether the state is one in which data is taken (section 6).
func (s State) takesData() bool {
	return s == Established || s == ShutdownPending || s == ShutdownSent
}

// inData takes a DATA or I-DATA chunk.
func (a *Assoc) inData(now time.Duration, r *chunks, c *wire.Chunk) bool {
	if !a.state.takesData() {
		return true
	}
	if (c.Type == wire.ChunkIData) != (a.caps&capIData != 0) {
		if c.Type == wire.ChunkIData {
			return a.inUnknown(r.in, c) // never offered
		}
		a.abort(wire.CauseProtocolViolation, []byte("DATA where I-DATA was agreed")) // RFC 8260, section 2.2.1
		return false
	}
	var d inData
	if c.Type == wire.ChunkData {
		if d.Parse(c.Flags, c.Value) != nil {
			a.abort(wire.CauseProtocolViolation, []byte("DATA without header"))
			return false
		}
	} else {
		var i wire.IData
		if i.Parse(c.Flags, c.Value) != nil {
			a.abort(wire.CauseProtocolViolation, []byte("I-DATA without header"))
			return false
		}
		d.Flags, d.TSN, d.Stream, d.PPID, d.mid, d.fsn = i.Flags, i.TSN, i.Stream, i.PPID, i.MID, i.FSN
	}
	if d.Flags&wire.DataU != 0 {
		a.cfg.Counters.InUnorderChunks++
	} else {
		a.cfg.Counters.InOrderChunks++
	}
	a.countData(a.rcv.judge(&d), d.Flags)
	d.at = r.in.At
	r.sawData = true
	if p := a.path(r.in.Src); p != nil {
		a.ackTo = p // section 6.2: the SACK goes where the DATA came from
	}
	var own packet.Vec
	v, off := r.payload(&own)
	res := a.rcv.data(&d, v, off, r.n)
	own.Release()
	switch res {
	case dataBadStream:
		var id [4]byte
		id[0], id[1] = byte(d.Stream>>8), byte(d.Stream)
		a.replyError(r.in, wire.CauseInvalidStream, id[:])
	case dataNone:
		a.abortWith(wire.AppendParam32(nil, wire.CauseNoUserData, d.TSN), wire.CauseNoUserData)
		return false
	case dataViolation:
		a.abort(wire.CauseProtocolViolation, []byte("DATA that no sender sends"))
		return false
	}
	return true
}

// countData counts a chunk of data by what is known of its TSN.
func (a *Assoc) countData(j tsnJudgement, flags uint8) {
	t := a.makeTally()
	switch {
	case j == tsnSeen:
		t.InDupChunks++
	case j == tsnTooHigh:
		t.OutOfSeqTSNs++
	case flags&wire.DataU != 0:
		t.InUnorderChunks++
	default:
		t.InOrder++
	}
}

// inForward takes a FORWARD-TSN or I-FORWARD-TSN (RFC 3758, section 3.6; RFC 8260, section 2.3.2).
func (a *Assoc) inForward(r *chunks, c *wire.Chunk) bool {
	if !a.state.takesData() {
		return true
	}
	f, err := wire.ParseForwardTSN(c.Type, c.Value)
	if err != nil || f.Interleaved != (a.caps&capIData != 0) || !a.rcv.forward(&f) {
		a.abort(wire.CauseProtocolViolation, []byte("FORWARD-TSN that no sender sends"))
		return false
	}
	r.sawData = true
	a.tellAborted()
	return true
}

// maxDear is how many chunks of a packet are taken whose few bytes may be work for each chunk that is
// outstanding or held, or for each stream: a sender has one SACK in a packet, one FORWARD-TSN, and a RE-CONFIG
// or two. What more there is is not heard; where it matters it comes again.
const maxDear = 4

// tooDear counts such a chunk, and reports whether it is one too many.
func (in *In) tooDear() bool {
	in.dear++
	return in.dear > maxDear
}

// inSack takes a SACK (section 6.2.1).
func (a *Assoc) inSack(now time.Duration, c *wire.Chunk) {
	switch a.state {
	case Established, ShutdownPending, ShutdownSent, ShutdownReceived:
	default:
		return
	}
	k, err := wire.ParseSack(c.Value)
	a.makeTally().InSacks++
	if err != nil {
		a.abort(wire.CauseProtocolViolation, []byte("SACK of a wrong length"))
		return
	}
	a.makeTally().GapAcks += uint64(k.Gaps())
	a.acked(now, a.snd.onSACK(now, &k))
}

// ackViolation ends an association whose peer acknowledges what was never sent.
func (a *Assoc) ackViolation() {
	a.abort(wire.CauseProtocolViolation, []byte("acknowledgment of a TSN that was not sent"))
}

// acked goes by what a SACK or SHUTDOWN has acknowledged.
func (a *Assoc) acked(now time.Duration, res sackResult) {
	if res.invalid && a.rcv.asked {
		return // of TSNs that begin anew: the answer that says so is still to come
	}
	if res.invalid {
		a.ackViolation()
		return
	}
	if res.old {
		a.allAcked(now) // a SHUTDOWN is one all the same
		return
	}
	for _, p := range a.paths {
		if p.traffic != nil && p.acked > 0 {
			p.acked = 0
			a.alive(p, ReceivedSACK)
		}
	}
	a.errors = 0
	if res.room {
		a.events |= wait.Out
	}
	a.tellFailed(0)
	a.tellFreed()
	if res.newly && a.snd.empty() && a.state == Established {
		a.notify(Notification{Type: EventSenderDry})
	}
	a.allAcked(now)
}

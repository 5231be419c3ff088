package sctp

import (
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// Poll builds the next packet into *out, or declines. It is the only builder of an association's
// packets. The references of out.Body are the caller's; what *out held before is overwritten.
func (a *Assoc) Poll(now time.Duration, out *Out) bool {
	if len(a.replies()) > 0 {
		a.buildReply(out)
		return true
	}
	switch a.state {
	case Closed:
		if a.todo&todoShutdownComplete == 0 {
			return false
		}
		a.todo = 0
		b := a.begin(out, a.ctl)
		b.chunk((&wire.Chunk{Type: wire.ChunkShutdownComplete}).Append(nil))
		return b.finish()
	case CookieWait:
		return a.buildInit(now, out)
	case CookieEchoed:
		return a.buildCookieEcho(now, out)
	}
	if a.todo&(todoCookieAck|todoShutdown|todoShutdownAck) != 0 && a.build(now, out, a.ctl) {
		return true
	}
	if a.acks(now) && a.build(now, out, a.ackTo) {
		return true
	}
	for _, p := range a.paths {
		if a.build(now, out, p) || p.probe != nil && p.probe.due && a.buildProbe(now, out, p) {
			return true
		}
	}

	// What was to leave may have been given up instead.
	a.tellFailed(0)
	return a.snd.forward && a.build(now, out, a.use)
}

// buildProbe builds a probe for the path MTU, alone in its packet.
func (a *Assoc) buildProbe(now time.Duration, out *Out, p *path) bool {
	if !a.state.beats() {
		p.probe.due = false
		return false
	}
	b := a.begin(out, p)
	b.room = int(p.probe.size) - p.headers() - b.auth
	b.chunk(a.probeChunks(now, p))
	return b.finish()
}

// buildReply builds an answer to a packet: what goes back the same way with the same tag goes with it.
func (a *Assoc) buildReply(out *Out) {
	replies := a.replies()
	r := replies[0]
	if a.todo&todoAbort != 0 {
		// The last packet of the association.
		a.todo = 0
		r.dst, r.src, r.tag, r.encap, r.alone = a.ctl.addr, a.ctl.src, a.peerTag, a.ctl.opt.EncapPort, true
	}
	b := a.begin(out, nil)
	if r.tag != a.peerTag {
		b.unauthenticated()
		b.sum = true // as out of the blue
	}
	out.Src, out.Dst, out.VTag, out.Encap = r.src, r.dst, r.tag, r.encap
	n := 0
	for _, q := range replies {
		if n > 0 && (q.alone || r.alone || q.dst != r.dst || q.src != r.src || q.tag != r.tag || q.encap != r.encap || len(q.chunk) > b.room) {
			break
		}
		b.chunk(q.chunk)
		n++
	}
	a.waiting.replies = replies[n:]
	a.waited()
	b.finish()
}

// buildInit builds the INIT, alone in its packet (section 6.10).
func (a *Assoc) buildInit(now time.Duration, out *Out) bool {
	if a.todo&todoInit == 0 {
		return false
	}
	a.todo &^= todoInit
	b := a.begin(out, a.ctl)
	out.VTag = 0
	b.chunk(a.init())
	a.opening.sent = max(now, 1) // 0: it was not
	a.opening.t1 = now + a.opening.rto
	return b.finish()
}

// buildCookieEcho builds the COOKIE ECHO, first in a packet that takes data, too (section 5.1 C and D).
func (a *Assoc) buildCookieEcho(now time.Duration, out *Out) bool {
	if a.todo&todoCookieEcho == 0 {
		return false
	}
	a.todo &^= todoCookieEcho
	o := a.opening
	b := a.begin(out, a.ctl)
	b.chunk((&wire.Chunk{Type: wire.ChunkCookieEcho, Value: o.cookie}).Append(nil))
	if o.unknown != nil {
		v := appendCause(nil, wire.CauseUnrecognizedParams, o.unknown)
		b.chunk((&wire.Chunk{Type: wire.ChunkError, Value: v}).Append(nil))
		o.unknown = nil
	}
	o.sent = max(now, 1)
	o.t1 = now + o.rto
	a.data(now, b, a.ctl)
	return b.finish()
}

// build builds a packet to p of what there is: control chunks that are due, a SACK, data.
func (a *Assoc) build(now time.Duration, out *Out, p *path) bool {
	b := a.begin(out, p)
	if p == a.ctl && a.todo != 0 {
		a.control(b)
	}
	if p == a.ctl && a.reconf != nil && a.reconf.due {
		b.chunk(a.reconfChunk(now, p))
	}
	if p == a.ctl && a.asconf != nil && a.asconf.due {
		b.chunk(a.asconfChunk(now, p))
	}
	if p == a.ackTo && a.acks(now) {
		var buf [512]byte
		b.chunk(a.sack(buf[:0], min(b.room, len(buf))))
	}
	if a.snd.outgoing != nil && a.snd.ecn.cwrDue && p == a.use {
		var buf [tsnChunkLen]byte
		b.chunk(a.snd.appendCWR(buf[:0], b.room))
	}
	if p.hb.due && a.state.beats() {
		b.chunk(a.heartbeat(now, p))
	}
	if a.snd.forward && p == a.use {
		var buf [256]byte
		b.chunk(a.snd.appendForward(now, &p.flow, buf[:0], min(b.room, len(buf))))
	}
	switch a.state {
	case Established, ShutdownPending, ShutdownReceived:
		a.data(now, b, p)
	}
	return b.finish()
}

// acks reports whether a SACK has to leave. In SHUTDOWN-ACK-SENT none does: the peer has sent SHUTDOWN, and so
// has nothing outstanding. He may have no association any more when it comes, and would answer with an ABORT.
func (a *Assoc) acks(now time.Duration) bool { return a.state != ShutdownAckSent && a.rcv.sackDue(now) }

// sack writes a SACK, and an ECNE in front of it where the peer has to be told of congestion.
func (a *Assoc) sack(b []byte, room int) []byte {
	a.makeTally().OutSacks++
	b = a.rcv.appendECNE(b, room)
	return a.rcv.appendSack(b, room-len(b))
}

// control writes the chunks of the handshake's and the association's end.
func (a *Assoc) control(b *builder) {
	if a.todo&todoCookieAck != 0 {
		b.chunk((&wire.Chunk{Type: wire.ChunkCookieAck}).Append(nil))
	}
	if a.todo&todoShutdown != 0 && a.state == ShutdownSent {
		b.chunk(wire.AppendTSN(nil, wire.ChunkShutdown, uint32(a.rcv.cum)))
	}
	if a.todo&todoShutdownAck != 0 && a.state == ShutdownAckSent {
		b.chunk((&wire.Chunk{Type: wire.ChunkShutdownAck}).Append(nil))
	}
	a.todo &^= todoCookieAck | todoShutdown | todoShutdownAck
}

// data fills the packet up with data, and a SACK that does not have to go yet with it.
func (a *Assoc) data(now time.Duration, b *builder, p *path) {
	l := load{room: b.room, bare: b.empty(), keyed: b.must}
	var d outData
	for a.snd.next(now, &p.flow, &l, &d) {
		b.data(&d)
		l.keyed, b.key = b.must, l.key
		if d.Flags&wire.DataU != 0 {
			a.cfg.Counters.OutUnorderChunks++
		} else {
			a.cfg.Counters.OutOrderChunks++
		}
		switch {
		case d.again:
			a.makeTally().RtxChunks++
		case d.Flags&wire.DataU != 0:
			a.makeTally().OutUnorderChunks++
		default:
			a.makeTally().OutOrder++
		}
	}
	b.out.ECT = l.n > 0 && a.caps&capECN != 0
	if l.n > 0 && p == a.ackTo && b.auth == 0 && a.state != CookieEchoed && a.rcv.sackPending() {
		if room := min(b.room, headCap-int(b.out.nhead)); room >= wire.SackLen(0, 0) {
			var buf [headCap]byte
			b.first(a.sack(buf[:0], room))
		}
	}
}

// builder writes the chunks of a packet: the first bytes into its head, others into a block between
// which views of user data stand.
type builder struct {
	a     *Assoc
	out   *Out
	room  int           // bytes that are left for chunks
	auth  int           // length of the AUTH chunk at the packet's start; 0: there is none
	must  bool          // it has to be there
	key   *AuthKey      // that data asks for; nil: the active one
	sum   bool          // the packet has its checksum, whatever was agreed to
	tiny  bool          // IP may fragment the packet, however small
	full  bool          // the head takes nothing more: there is to be room for a SACK in it
	block *packet.Block // where bytes go, nil: into the head
	from  int           // of the block: what is not in out.Body yet
	at    int
}

// begin begins a packet to p; to nil: the caller says where.
func (a *Assoc) begin(out *Out, p *path) *builder {
	*out = Out{}
	out.SrcPort, out.DstPort, out.VTag = a.port, a.peerPort, a.peerTag
	b := &out.build
	*b = builder{a: a, out: out, room: leastMTU - 40 - wire.SCTPLen}
	if p != nil {
		out.Src, out.Dst, out.Encap = p.src, p.addr, p.opt.EncapPort
		b.room, b.tiny = int(p.room), p.tiny
	}
	if x := a.auth; x != nil && x.must != (chunkSet{}) {
		b.auth = x.len()
		x.open(out.head[:b.auth])
		out.nhead = uint8(b.auth)
		if p == nil || x.overhead() == 0 {
			b.room -= b.auth // else it is off already
		}
	}
	return b
}

// unauthenticated takes the AUTH chunk out.
func (b *builder) unauthenticated() {
	n := uint8(b.auth)
	copy(b.out.head[:], b.out.head[n:b.out.nhead])
	b.out.nhead -= n
	b.auth = 0
}

func (b *builder) empty() bool {
	return int(b.out.nhead) == b.auth && b.block == nil && b.out.Body.Len() == 0
}

// finish ends the packet. It reports false if nothing stands in it.
func (b *builder) finish() bool {
	b.close()
	if b.auth > 0 && !b.must {
		b.unauthenticated()
	}
	if b.out.nhead == 0 && b.out.Body.Len() == 0 {
		return false
	}
	b.a.count(outPackets)
	b.out.ZeroSum = b.a.caps&capZeroSum != 0 && !b.sum
	b.out.Fragment = b.room < 0 || b.tiny
	if b.auth > 0 {
		b.a.auth.seal(b.a.opt.AuthSetup.sends(b.key), b.out)
	}
	return true
}

// close puts what was written into the block into the packet.
func (b *builder) close() {
	if b.block == nil {
		return
	}
	if b.at > b.from {
		b.block.Retain()
		b.out.Body.Append(b.block.View(b.from, b.at))
	}
	b.from = b.at
	b.block.Release()
	b.block = nil
}

// bytes returns n bytes of the packet to be written to.
func (b *builder) bytes(n int) []byte {
	b.room -= n
	if !b.full && b.block == nil && b.out.Body.Len() == 0 && int(b.out.nhead)+n <= headCap {
		i := int(b.out.nhead)
		b.out.nhead += uint8(n)
		return b.out.head[i : i+n]
	}
	if b.block != nil && b.at+n > b.block.Cap() {
		b.close()
	}
	if b.block == nil {
		b.block, b.from, b.at = packet.NewBlock(min(n+b.rest(), packet.MaxBlock)), 0, 0
	}
	b.at += n
	return b.block.Bytes()[b.at-n : b.at]
}

// rest is how many bytes may follow.
func (b *builder) rest() int {
	room := max(b.room, 0)
	if s := &b.a.snd; s.outgoing == nil || s.marked == 0 {
		const each = wire.IDataLen + 3
		room = min(room, int(s.waiting+s.messages*each)+headCap)
	}
	return room
}

// chunk writes a chunk.
func (b *builder) chunk(c []byte) {
	if len(c) > 0 {
		b.a.cfg.Counters.OutCtrlChunks++
		b.a.count(outCtrlChunks)
		b.needs(wire.ChunkType(c[0]))
		copy(b.bytes(len(c)), c)
	}
}

// needs notes that a chunk of a type is written.
func (b *builder) needs(t wire.ChunkType) {
	b.must = b.must || b.auth > 0 && b.a.auth.must.has(t)
	b.sum = b.sum || needsSum(t)
}

// first writes a chunk in front of all others, of which not more stands in the head than leaves room for it.
func (b *builder) first(c []byte) {
	n := int(b.out.nhead)
	copy(b.out.head[len(c):], b.out.head[:n])
	copy(b.out.head[:], c)
	b.out.nhead += uint8(len(c))
	b.room -= len(c)
	b.a.cfg.Counters.OutCtrlChunks++
	b.a.count(outCtrlChunks)
}

// lent is how long user data is at most that is copied into the packet: as many bytes cost less than
// a view.
const lent = 512

// data writes a DATA chunk.
func (b *builder) data(d *outData) {
	n := d.payload.Len()
	b.needs(d.chunkType())
	d.put(b.bytes(d.headerLen()))
	b.full = b.a.rcv.sackPending()
	pad := wire.Pad4(n) - n

	// Behind the views room is left for one of the bytes that follow.
	if n <= lent || len(b.out.Body.Views())+len(d.payload.Views())+2 > packet.VecCap {
		to := b.bytes(n + pad)
		d.payload.CopyTo(to, 0)
		clear(to[n:])
		return
	}
	b.flush()
	for _, v := range d.payload.Views() {
		v.Retain()
		b.out.Body.Append(v)
	}
	b.room -= n
	if pad > 0 {
		clear(b.bytes(pad))
	}
}

// flush puts what was written into the block into the packet, and goes on in the block.
func (b *builder) flush() {
	if b.block != nil && b.at > b.from {
		b.block.Retain()
		b.out.Body.Append(b.block.View(b.from, b.at))
		b.from = b.at
	}
}

package sctp

import (
	"slices"
	"syscall"
	"time"

	"usock/internal/wire"
)

// Stream reconfiguration (RFC 6525). An end asks; the other does it, refuses, or says that it is not time
// yet. One RE-CONFIG is under way at a time, and is sent again until it is answered (T4). A request to begin
// incoming streams anew, or for more of them, is answered by a request of the other end for its
// outgoing ones.

// reconf is an association's state of it, made when it is first needed.
type reconf struct {
	seq     uint32 // Request Sequence Number of the next request
	peerSeq uint32 // that the peer's next request is to have
	asked   []request
	answers [2]answer     // to the peer's last requests, the latest first
	at      time.Duration // T4
	due     bool          // RE-CONFIG is to be sent
}

// request is a request that is not answered.
type request struct {
	wire.ReConf
	streams []uint16
}

// answer is what was answered to a request.
type answer struct {
	result    uint32
	tsns      bool
	next, own uint32 // Receiver's and Sender's Next TSN
}

// maxNamed is how many streams the requests of one chunk name at most, with which it still fits into an IP
// packet: about 64 KiB, less two requests and the headers before them.
const maxNamed = (1<<16 - 128) / 2

// Which requests of the peer are granted (Options.Reset), with the bits of SCTP_ENABLE_STREAM_RESET.
const (
	GrantStreams = 1 << iota
	GrantAssoc
	GrantChange
)

// What Flags of a StreamReset, AssocReset or StreamChange notification can hold, with Linux's bits.
const (
	ResetIncoming = 0x1
	ResetOutgoing = 0x2
	ResetDenied   = 0x4
	ResetFailed   = 0x8
)

// reconfig returns the state, made of the initial TSNs (section 5.1.1).
func (a *Assoc) reconfig() *reconf {
	if a.reconf == nil {
		a.reconf = &reconf{seq: a.tsn, peerSeq: a.peerTSN, at: never}
	}
	return a.reconf
}

// mayAsk says whether a request can be made now, as Linux does.
func (a *Assoc) mayAsk(grant uint32) syscall.Errno {
	switch {
	case a.caps&capReConf == 0 || a.opt.Reset&grant == 0:
		return syscall.ENOPROTOOPT
	case a.state != Established:
		return syscall.ENOTCONN
	case a.reconf != nil && len(a.reconf.asked) > 0:
		return syscall.EINPROGRESS
	}
	return 0
}

// ResetStreams begins streams anew in one direction or both, all if none is named (SCTP_RESET_STREAMS).
func (a *Assoc) ResetStreams(now time.Duration, outgoing, incoming bool, streams []uint16) syscall.Errno {
	if errno := a.mayAsk(GrantStreams); errno != 0 {
		return errno
	}
	if !outgoing && !incoming {
		return syscall.EINVAL
	}
	n := 0
	if outgoing {
		n += len(streams)
	}
	if incoming {
		n += len(streams)
	}
	if n > maxNamed {
		return syscall.EINVAL // Linux, sctp_send_reset_streams
	}
	for _, n := range streams {
		if outgoing && n >= a.out || incoming && n >= a.in {
			return syscall.EINVAL
		}
	}
	if outgoing && !a.canReset(streams) {
		return syscall.EAGAIN
	}
	streams = slices.Clone(streams)
	if outgoing {
		a.askOutgoing(streams, 0)
	}
	if incoming {
		a.ask(request{wire.ReConf{Type: wire.ParamIncomingReset}, streams})
	}
	return 0
}

// ResetAssoc begins TSNs and all streams anew (SCTP_RESET_ASSOC).
func (a *Assoc) ResetAssoc(now time.Duration) syscall.Errno {
	if errno := a.mayAsk(GrantAssoc); errno != 0 {
		return errno
	}
	if !a.snd.empty() {
		return syscall.EAGAIN
	}
	a.hold(nil, true)
	a.rcv.asked = true
	a.ask(request{ReConf: wire.ReConf{Type: wire.ParamTSNReset}})
	return 0
}

// AddStreams asks for more streams (SCTP_ADD_STREAMS).
func (a *Assoc) AddStreams(now time.Duration, out, in uint16) syscall.Errno {
	if errno := a.mayAsk(GrantChange); errno != 0 {
		return errno
	}
	if out == 0 && in == 0 || int(a.out)+int(out) > 65535 || int(a.in)+int(in) > 65535 {
		return syscall.EINVAL
	}
	if out > 0 {
		a.ask(request{ReConf: wire.ReConf{Type: wire.ParamAddOutgoing, New: out}})
	}
	if in > 0 {
		a.ask(request{ReConf: wire.ReConf{Type: wire.ParamAddIncoming, New: in}})
	}
	return 0
}

// canReset reports whether nothing of the outgoing streams is under way.
func (a *Assoc) canReset(streams []uint16) bool {
	if len(streams) == 0 {
		return a.snd.empty()
	}
	for _, n := range streams {
		if !a.snd.streamEmpty(n) {
			return false
		}
	}
	return true
}

// hold has nothing of the outgoing streams leave, or has them go on.
func (a *Assoc) hold(streams []uint16, held bool) {
	a.eachStream(streams, a.out, func(n uint16) { a.snd.hold(n, held) })
}

// eachStream calls f with the numbers of the streams, all n of them if none is named.
func (a *Assoc) eachStream(streams []uint16, n uint16, f func(uint16)) {
	if len(streams) == 0 {
		for i := range n {
			f(i)
		}
	}
	for _, i := range streams {
		f(i)
	}
}

// askOutgoing asks for outgoing streams to begin anew; resp is the peer's request that wants it.
func (a *Assoc) askOutgoing(streams []uint16, resp uint32) {
	a.hold(streams, true)
	if resp == 0 {
		resp = a.reconfig().peerSeq - 1
	}
	a.ask(request{wire.ReConf{Type: wire.ParamOutgoingReset, RespSeq: resp, LastTSN: uint32(a.snd.nxt - 1)}, streams})
}

// ask queues a request.
func (a *Assoc) ask(q request) {
	r := a.reconfig()
	q.Seq = r.seq + uint32(len(r.asked))
	r.asked = append(r.asked, q)
	r.due = true
	a.ctl = a.use
}

// reconfChunk builds the RE-CONFIG with what is asked for, and starts T4.
func (a *Assoc) reconfChunk(now time.Duration, p *path) []byte {
	r := a.reconf
	r.due, r.at = false, now+p.rto
	var v []byte
	for i := range r.asked {
		v = r.asked[i].Append(v, r.asked[i].streams)
	}
	return (&wire.Chunk{Type: wire.ChunkReConfig, Value: v}).Append(nil)
}

// t4Expired sends the RE-CONFIG again (section 5.1.1).
func (a *Assoc) t4Expired(now time.Duration) {
	a.cfg.Counters.T4RtoExpireds++
	r := a.reconf
	r.at = never
	if !a.state.beats() || len(r.asked) == 0 {
		return
	}
	a.ctl.backOff(a.snd.rto)
	if !a.failed(now, a.ctl) {
		a.end(syscall.ETIMEDOUT, CommLost, 0, nil)
		return
	}
	a.ctl = a.pathOf(a.snd.retran)
	r.due = true
}

// inReConfig takes a RE-CONFIG. It reports false if the association is over by it.
func (a *Assoc) inReConfig(in *In, c *wire.Chunk) bool {
	if !a.state.beats() {
		return true
	}
	var answers []byte
	for b, n := c.Value, 0; len(b) > 0; n++ {
		x, rest, err := wire.ParseTLV(b)
		var q wire.ReConf
		if err == nil {
			q, err = wire.ParseReConf(x)
		}
		if err != nil || n == 2 {
			a.abort(wire.CauseProtocolViolation, []byte("RE-CONFIG that no sender sends"))
			return false
		}
		if q.Type == wire.ParamReConfResp {
			a.inAnswer(&q)
		} else if w, ok := a.inRequest(&q); ok {
			answers = (&wire.ReConf{
				Type: wire.ParamReConfResp, Seq: q.Seq, Result: w.result, HasTSNs: w.tsns, SenderTSN: w.own, RcvrTSN: w.next,
			}).Append(answers, nil)
		}
		b = rest
	}
	if answers != nil {
		a.reply(in, a.peerTag, (&wire.Chunk{Type: wire.ChunkReConfig, Value: answers}).Append(nil), false)
	}
	return true
}

// inRequest takes a request of the peer, and returns the answer, false if there is none yet: a request of
// this end is it.
func (a *Assoc) inRequest(q *wire.ReConf) (w answer, ok bool) {
	r := a.reconfig()
	if q.Type == wire.ParamOutgoingReset && !a.rcv.reached(q.LastTSN) {
		return answer{result: wire.ReConfWait}, true // section 5.2.2 E1
	}
	switch back := r.peerSeq - q.Seq; {
	case back == 1 || back == 2:
		return r.answers[back-1], true // it came twice
	case back != 0:
		return answer{result: wire.ReConfBadSeq}, true
	}
	w = a.grant(q)
	if w.result == wire.ReConfWait {
		return w, true // it will come again, with this number
	}
	r.peerSeq++
	r.answers[1], r.answers[0] = r.answers[0], w
	own := q.Type == wire.ParamIncomingReset || q.Type == wire.ParamAddIncoming
	return w, !own || w.result != wire.ReConfPerformed
}

// grant does what the peer asks for, or refuses.
func (a *Assoc) grant(q *wire.ReConf) answer {
	streams := make([]uint16, q.Streams())
	for i := range streams {
		streams[i] = q.Stream(i)
	}
	grant, limit := uint32(GrantStreams), a.in
	switch q.Type {
	case wire.ParamIncomingReset:
		limit = a.out
	case wire.ParamTSNReset:
		grant = GrantAssoc
	case wire.ParamAddOutgoing, wire.ParamAddIncoming:
		grant = GrantChange
	}
	if a.opt.Reset&grant == 0 {
		return answer{result: wire.ReConfDenied}
	}
	for _, n := range streams {
		if n >= limit {
			return answer{result: wire.ReConfWrongSSN}
		}
	}
	if !a.freeFor(q) {
		return answer{result: wire.ReConfInProgress}
	}
	switch q.Type {
	case wire.ParamOutgoingReset:
		a.rcv.resetStreams(streams)
		a.notify(Notification{Type: EventStreamReset, Flags: ResetIncoming, Streams: streams})
	case wire.ParamIncomingReset:
		if len(streams) > maxNamed {
			return answer{result: wire.ReConfDenied} // this end's own request would be longer
		}
		if !a.canReset(streams) {
			return answer{result: wire.ReConfWait}
		}
		a.askOutgoing(streams, q.Seq)
	case wire.ParamTSNReset:
		return a.grantTSNs()
	case wire.ParamAddOutgoing:
		if q.New == 0 || int(a.in)+int(q.New) > 65535 {
			return answer{result: wire.ReConfDenied}
		}
		a.in += q.New
		a.rcv.inbound = int(a.in)
		a.notify(Notification{Type: EventStreamChange, InStreams: q.New})
	case wire.ParamAddIncoming:
		if q.New == 0 || int(a.out)+int(q.New) > 65535 {
			return answer{result: wire.ReConfDenied}
		}
		a.ask(request{ReConf: wire.ReConf{Type: wire.ParamAddOutgoing, New: q.New}})
	}
	return answer{result: wire.ReConfPerformed}
}

// freeFor reports whether no request of this end is in the way of the peer's. One that it answers is
// taken off.
func (a *Assoc) freeFor(q *wire.ReConf) bool {
	r := a.reconf
	if len(r.asked) == 0 {
		return true
	}
	switch q.Type {
	case wire.ParamOutgoingReset:
		for i := range r.asked {
			if r.asked[i].Type == wire.ParamIncomingReset && r.asked[i].Seq == q.RespSeq {
				a.answered(i)
				return true
			}
		}
	case wire.ParamAddOutgoing:
		for i := range r.asked {
			if r.asked[i].Type == wire.ParamAddIncoming {
				a.answered(i)
				return true
			}
		}
	}
	return false
}

// answered takes a request of this end off.
func (a *Assoc) answered(i int) request {
	r := a.reconf
	q := r.asked[i]
	r.asked = slices.Delete(r.asked, i, i+1)
	r.seq++
	if len(r.asked) == 0 {
		r.asked, r.at, r.due = nil, never, false
	}
	return q
}

// grantTSNs begins TSNs and streams anew (section 5.2.4).
func (a *Assoc) grantTSNs() answer {
	if !a.snd.empty() {
		return answer{result: wire.ReConfWait}
	}

	// This end's next TSN SHOULD be the highest that was sent, plus 1. But where the answer is lost, and what is sent
	// behind it is not, a peer would take that for what was to come before, acknowledge it, and drop it with
	// the answer that comes again: so they go on farther away than a peer takes any from.
	w := answer{result: wire.ReConfPerformed, tsns: true, next: uint32(a.rcv.cum) + 1<<31, own: uint32(a.snd.nxt) + 1<<17}
	a.renumber(w.own, w.next)
	return w
}

// renumber has the next TSN of each side be these, and all streams begin anew.
func (a *Assoc) renumber(own, peers uint32) {
	a.snd.renumber(own)
	a.rcv.renumber(peers)
	a.eachStream(nil, a.out, a.snd.resetStream)
	a.rcv.resetStreams(nil)
	a.notify(Notification{Type: EventAssocReset, LocalTSN: own, RemoteTSN: peers})
}

// inAnswer takes the peer's answer (section 5.2.7).
func (a *Assoc) inAnswer(w *wire.ReConf) {
	r := a.reconfig()
	i := slices.IndexFunc(r.asked, func(q request) bool { return q.Seq == w.Seq })
	if i < 0 || w.Result == wire.ReConfWait {
		return // T4 goes on
	}
	q := a.answered(i)
	a.alive(a.ctl, 0)
	ok := w.Result == wire.ReConfPerformed || w.Result == wire.ReConfNothing
	n := Notification{Streams: q.streams}
	switch {
	case w.Result == wire.ReConfDenied:
		n.Flags = ResetDenied
	case !ok:
		n.Flags = ResetFailed
	}
	switch q.Type {
	case wire.ParamOutgoingReset:
		if ok {
			a.eachStream(q.streams, a.out, a.snd.resetStream)
		}
		a.hold(q.streams, false)
		n.Type, n.Flags = EventStreamReset, n.Flags|ResetOutgoing
	case wire.ParamIncomingReset:
		if ok {
			return // the peer's own request tells of it
		}
		n.Type, n.Flags = EventStreamReset, n.Flags|ResetIncoming
	case wire.ParamTSNReset:
		a.hold(nil, false)
		a.rcv.answered()
		if ok && w.HasTSNs {
			a.renumber(w.RcvrTSN, w.SenderTSN)
			return
		}
		n.Type = EventAssocReset
	case wire.ParamAddOutgoing:
		if ok {
			a.out += q.New
		}
		n.Type, n.OutStreams = EventStreamChange, q.New
	case wire.ParamAddIncoming:
		if ok {
			return
		}
		n.Type, n.InStreams = EventStreamChange, q.New
	}
	a.notify(n)
}

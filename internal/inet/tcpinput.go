package inet

import (
	"time"

	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/rank"
	"usock/internal/tcp"
	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// Input implements ip.Transport: the way in of every segment. It is taken in the domain of its connection;
// where the lane cannot go there at once, somebody else takes it.
func (t *tcpProto) Input(p *packet.Packet, m *ip.Meta) bool {
	if m.Broadcast || m.Dst.IsMulticast() {
		p.Free() // not to a host alone: nothing of TCP's (Linux, tcp_v4_rcv)
		return true
	}
	lane := t.at(m)
	seg := &lane.in
	seg.SegmentSize = 0
	n, err := seg.TCP.Parse(p.Front())
	if err != nil {
		lane.inSegs++
		inc(&t.Stats.InErrs)
		p.Free()
		return true
	}
	if !p.Trusted && !tcpKind.sum.OK(p, m) {
		lane.inSegs++
		inc(&t.Stats.InErrs)
		inc(&t.Stats.InCsumErrors)
		p.Free()
		return true
	}
	k := tuple{laddr: m.Dst, raddr: m.Src, lport: seg.DstPort, rport: seg.SrcPort}
	found, busy := t.visit(lane, m.Lane.At(), &k)
	e, ok := found.(*tcpEndpoint)
	switch {
	case !ok:
		return t.inputOther(found, p, m, &k, n)
	case busy:
		m.Lane.Busy(e.dom, p, m)
		return true
	}
	lane.inSegs++
	if !e.keep(p, m, 0, n) {
		p.Free()
		return true
	}
	t.gather(e, seg, p, m, n)
	t.consume(seg, p, m, n)
	t.segment(e, m, seg)
	return true
}

// visit finds who has the tuple and, if that is a connection, goes into its domain. busy says that it cannot go there.
func (t *tcpProto) visit(lane *lane, at *host.Lane, k *tuple) (found nodeOwner, busy bool) {
	if found = lane.seen(at, k); found == nil {
		found = t.conns.find(k)
	}
	for {
		e, ok := found.(*tcpEndpoint)
		switch {
		case !ok:
			return found, false
		case !at.Visit(e.dom):
			return found, true
		case e.node.owner != nil && e.tuple.is(k):
			if e != lane.last[0] {
				lane.last[0], lane.last[1] = e, lane.last[0]
			}
			return found, false
		}
		found = t.conns.find(k) // it has gone while nobody was in its domain
	}
}

// seen returns the connection of one of the lane's last segments, if it has the tuple, nil otherwise: segments come in runs
// of one connection, or of both its ends. It is looked at in its domain only, without which its tuple may change.
func (l *lane) seen(at *host.Lane, k *tuple) nodeOwner {
	for _, e := range l.last {
		if e != nil && at.In(e.dom) && e.node.owner != nil && e.tuple.is(k) {
			return e
		}
	}
	return nil
}

// consume moves the data of a segment out of its packet.
func (t *tcpProto) consume(seg *tcp.Segment, p *packet.Packet, m *ip.Meta, n int) {
	p.Consume(n)
	seg.Data.Moved()
	p.Payload.MoveTo(&seg.Data)
	seg.CE = m.TOS&3 == 3
	p.Free()
}

// inputOther is Input for a segment of no connection: of one that was, or of one that is to be.
func (t *tcpProto) inputOther(found nodeOwner, p *packet.Packet, m *ip.Meta, k *tuple, n int) bool {
	lane := t.at(m)
	seg := &lane.in
	l := t.listenerFor(k, m.Iface.Index())
	opens := isSYN(seg)
	if _, flow := found.(*Flow); !m.Lane.At().Whole() && (flow || l == nil && opens && t.asks(m)) {
		m.Lane.InWhole(p, m)
		return true
	}

	// What makes a connection is taken in its domain.
	var d *host.Domain
	if l != nil && (opens || found == nil && seg.Flags&wire.ACK != 0 && l.listener.overflow.Load() != 0) {
		there := false
		if d, there = t.birthplace(m, k); !there {
			m.Lane.Busy(d, p, m)
			return true
		}
	}
	lane.inSegs++
	if found == nil && l != nil && !l.keep(p, m, 0, n) {
		p.Free()
		return true
	}
	t.consume(seg, p, m, n)
	t.other(found, l, k, m, seg, d)
	return true
}

// isSYN reports whether a segment asks for a connection.
func isSYN(seg *tcp.Segment) bool {
	return seg.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
}

// other takes a segment of no connection, but for one that was or is asked for: found is what is left or known of that. What may become
// a connection of the listener l does so in the domain d, where the lane is.
func (t *tcpProto) other(found nodeOwner, l *tcpEndpoint, k *tuple, m *ip.Meta, seg *tcp.Segment, d *host.Domain) {
	switch o := found.(type) {
	case *timeWait:
		o.segment(l, m, seg, d)
	case *Flow:
		o.segment(m, seg)
	default:
		t.stray(l, k, m, seg, 0, d)
	}
}

// birthplace returns the domain of a connection that is to be, and has the lane go there: that of its other
// end, if it is on this host, else one that is found. It reports false if the lane could not.
func (t *tcpProto) birthplace(m *ip.Meta, k *tuple) (d *host.Domain, there bool) {
	at := m.Lane.At()
	other := tuple{laddr: k.raddr, raddr: k.laddr, lport: k.rport, rport: k.lport}
	if e, ok := t.conns.find(&other).(*tcpEndpoint); ok {
		return e.dom, at.Visit(e.dom)
	}
	if t.Host.Alone() {
		return &t.Host.Domain, true
	}
	return at.Found(), true
}

// segment gives a connection its segment.
func (t *tcpProto) segment(e *tcpEndpoint, m *ip.Meta, seg *tcp.Segment) {
	if ttl := e.ip().minTTL; m.TTL < ttl {
		inc(&t.Stats.TCPMinTTLDrop)
		seg.Data.Release()
		return
	}
	var reserved *listener
	if e.counted && seg.Flags&(wire.RST|wire.SYN) == 0 {
		l := e.parent.listener
		if !l.reserve() {
			// The accept queue is full: the ACK is taken as lost, and the SYN-ACK will be
			// repeated, or the peer is told (Linux, tcp_check_req; tcp_abort_on_overflow).
			inc(&t.Stats.ListenOverflows)
			inc(&t.Stats.ListenDrops)
			seg.Data.Release()
			if t.cfg.AbortOnOverflow {
				e.conn.Abort(e.now())
				t.update(e, 0)
			}
			return
		}
		e.placed, reserved = true, l
	}
	_, before := e.conn.Received()
	t.tells(e)
	ev := e.conn.Segment(e.now(), seg)
	_, after := e.conn.Received()
	e.cameUpTo(before, after)
	t.update(e, ev)
	if reserved != nil {
		reserved.unreserve(e)
	}
}

// stray deals with a segment of no connection: a SYN for the listener l, if there is one,
// or one to be answered with a reset (RFC 9293, sections 3.10.7.1 and 3.10.7.2). A SYN
// that replaces a connection in TIME-WAIT brings the initial sequence number along. What may become a connection
// does so in the domain d, where the lane is.
func (t *tcpProto) stray(l *tcpEndpoint, k *tuple, m *ip.Meta, seg *tcp.Segment, iss uint32, d *host.Domain) {
	if seg.Flags&wire.RST != 0 {
		seg.Data.Release()
		return
	}
	if l != nil && m.TTL >= l.ip().minTTL {
		switch {
		case seg.Flags&(wire.SYN|wire.ACK|wire.FIN) == wire.SYN:
			t.arrived(l, k, m, seg, iss, d)
			return
		case seg.Flags&wire.ACK == 0:
			seg.Data.Release()
			return
		case seg.Flags&wire.SYN == 0 && d != nil && t.takeCookie(l, k, seg, d):
			return
		}
	}
	if l == nil && seg.Flags&(wire.SYN|wire.ACK) == wire.SYN && t.asks(m) {
		t.ask(k, m, seg, iss)
		return
	}
	t.reset(k, m, seg)
}

// reset answers a segment with a RST.
func (t *tcpProto) reset(k *tuple, m *ip.Meta, seg *tcp.Segment) {
	rst, ok := tcp.ResetFor(seg)
	seg.Data.Release()
	if !ok || t.silent(k) {
		return
	}
	inc(&t.Stats.OutRsts)
	t.reply(k, m, &rst)
}

// reply sends a segment without a connection.
func (t *tcpProto) reply(k *tuple, m *ip.Meta, seg *tcp.Segment) {
	t.answer(m.Lane, k, scopeOf(m), seg)
}

// answer is reply where the interface of a link-local peer is known.
func (t *tcpProto) answer(l *ip.Lane, k *tuple, scope int, seg *tcp.Segment) {
	path, err := t.path(k.raddr, k.laddr, scope)
	if err != nil {
		return
	}
	out := &t.lanes[l.At().ID].out
	*out = *seg
	t.send(l, out, k, path)
}

// scopeOf returns the interface by which a link-local sender is answered.
func scopeOf(m *ip.Meta) int {
	if m.Src.IsLinkLocalUnicast() && m.V6 {
		return m.Iface.Index()
	}
	return 0
}

// maxTimeWaits bounds the connections in TIME-WAIT; beyond it the state is skipped
// (net.ipv4.tcp_max_tw_buckets).
const maxTimeWaits = 262144

// timeWait is what is left of a connection in TIME-WAIT. It is in no domain, but has a lock: all that it does is
// to answer, and to make room.
type timeWait struct {
	mu rank.TimeWait

	node
	binding
	timer timer.Entry
	proto *tcpProto
	state tcp.TimeWaitState
}

func (w *timeWait) tcpNode() {}

// Lock implements host.Loose.
func (w *timeWait) Lock() { w.mu.Lock() }

// Unlock implements host.Loose.
func (w *timeWait) Unlock() { w.mu.Unlock() }

// Expired implements timer.Expirer. It is locked, or the host has one lane.
func (w *timeWait) Expired(_ *timer.Entry, now time.Duration) {
	if w.node.owner == nil {
		return
	}
	if w.state.Expires() > now {
		w.setTimer(now) // a segment has come first, after which 2 MSL begin anew
		return
	}
	inc(&w.proto.Stats.TW)
	w.end(false)
}

// setTimer gives the state's end as the deadline.
func (w *timeWait) setTimer(now time.Duration) {
	w.proto.Host.SetLoose(int(w.rport), &w.timer, w.state.Expires(), now)
}

// end ends the state. ports says that the table of ports is locked already.
func (w *timeWait) end(ports bool) {
	t := w.proto
	switch gone := t.conns.remove(&w.node); {
	case !ports:
		if gone {
			t.vacated(&w.tuple)
		}
		t.ports.leave(&w.binding)
	default:
		if gone {
			t.taken.gone(&w.tuple)
		}
		t.ports.remove(&w.binding)
	}
	t.Host.RemoveLoose(int(w.rport), &w.timer)
	t.timeWaits.Add(-1)
}

// mayTimeWait counts one connection more in TIME-WAIT, if there is room for it.
func (t *tcpProto) mayTimeWait() bool {
	if t.timeWaits.Add(1) > maxTimeWaits {
		t.timeWaits.Add(-1)
		return false
	}
	return true
}

// toTimeWait replaces a connection by a record. A socket that is still open keeps
// the endpoint for what there is to be read.
func (t *tcpProto) toTimeWait(e *tcpEndpoint) {
	if e.node.owner == nil {
		if e.s == nil && !e.queued() {
			e.release()
		}
		return
	}
	state, ok := e.conn.TimeWait()
	if !ok || !t.mayTimeWait() {
		inc(&t.Stats.TCPTimeWaitOverflow)
		t.closed(e)
		return
	}
	if t.ended != nil {
		t.tellEnd(e)
	}
	w := &timeWait{proto: t, state: state}
	w.tuple = e.tuple
	w.addr, w.device, w.reuse, w.reuseport = e.addr, e.device, e.reuse, e.reuseport
	w.auto, w.v6only, w.six = e.auto, e.v6only, e.six
	w.timer.On = w
	w.mu.Lock()
	defer w.mu.Unlock()
	port := e.lport

	// At no time does the tuple, or the port, seem to be free.
	if e.like {
		w.bucket, w.like = e.bucket, true
		e.bucket, e.like = nil, false
	} else {
		t.ports.mu.Lock()
		if e.s == nil || !e.explicit {
			t.ports.remove(&e.binding)
		}
		t.ports.add(&w.binding, port)
		t.ports.mu.Unlock()
	}
	t.conns.replace(&e.node, &w.node, w)
	t.closed(e)
	w.setTimer(e.now())
}

// segment takes a segment that arrived for the connection that was. One that opens a new one for the listener l
// does so in the domain d.
func (w *timeWait) segment(l *tcpEndpoint, m *ip.Meta, seg *tcp.Segment, d *host.Domain) {
	t := w.proto
	var reply tcp.Segment
	k := w.tuple
	w.mu.Lock()
	if w.node.owner == nil {
		w.mu.Unlock()
		t.stray(l, &k, m, seg, 0, d) // it has ended since it was found
		return
	}
	m.Lane.At().Refresh() // it is in no domain, where time would not go back
	does := w.state.Segment(m.Lane.At().Now(), seg, &reply)
	iss := uint32(0)
	switch {
	case does == tcp.Reply:
		w.setTimer(m.Lane.At().Now())
	case does == tcp.Reuse && (l != nil || t.asks(m)):
		iss = w.state.NextISS()
		w.end(false)
	case does == tcp.End:
		w.end(false)
	}
	w.mu.Unlock()
	if does == tcp.Reuse && (l != nil || t.asks(m)) {
		t.stray(l, &k, m, seg, iss, d)
		return
	}
	seg.Data.Release()
	if does == tcp.Reply {
		t.reply(&k, m, &reply)
	}
}

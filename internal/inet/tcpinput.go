package inet

import (
	"time"

	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// Input implements ip.Transport: the way in of every segment.
func (t *tcpProto) Input(p *packet.Packet, m *ip.Meta) bool {
	if m.Broadcast || m.Dst.IsMulticast() {
		p.Free() // not to a host alone: nothing of TCP's (Linux, tcp_v4_rcv)
		return true
	}
	t.Stats.InSegs++
	seg := &t.in
	n, err := seg.TCP.Parse(p.Front())
	if err != nil {
		t.Stats.InErrs++
		p.Free()
		return true
	}
	if !p.Trusted && !tcpKind.sum.OK(p, m) {
		t.Stats.InErrs++
		t.Stats.InCsumErrors++
		p.Free()
		return true
	}
	k := tuple{laddr: m.Dst, raddr: m.Src, lport: seg.DstPort, rport: seg.SrcPort}
	found := t.conns.find(&k)
	if e, ok := found.(*tcpEndpoint); ok && !e.keep(p, m, 0, n) {
		p.Free()
		return true
	}
	var l *tcpEndpoint
	if found == nil {
		if l = t.listenerFor(&k, m.Iface.Index()); l != nil && !l.keep(p, m, 0, n) {
			p.Free()
			return true
		}
	}
	p.Consume(n)
	seg.Data, p.Payload = p.Payload, packet.Vec{}
	seg.CE = m.TOS&3 == 3
	p.Free()

	switch o := found.(type) {
	case *tcpEndpoint:
		t.segment(o, m, seg)
	case *timeWait:
		o.segment(seg, m)
	case *Flow:
		o.segment(m, seg)
	default:
		t.stray(l, &k, m, seg, 0)
	}
	return true
}

// segment gives a connection its segment.
func (t *tcpProto) segment(e *tcpEndpoint, m *ip.Meta, seg *tcp.Segment) {
	if ttl := e.ip().minTTL; m.TTL < ttl {
		t.Stats.TCPMinTTLDrop++
		seg.Data.Release()
		return
	}
	if e.counted && e.parent.listener.full() && seg.Flags&(wire.RST|wire.SYN) == 0 {
		// The accept queue is full: the ACK is taken as lost, and the SYN-ACK will be
		// repeated, or the peer is told (Linux, tcp_check_req; tcp_abort_on_overflow).
		t.Stats.ListenOverflows++
		t.Stats.ListenDrops++
		seg.Data.Release()
		if t.cfg.AbortOnOverflow {
			e.conn.Abort(t.Host.Now())
			t.update(e, 0)
		}
		return
	}
	_, before := e.conn.Received()
	ev := e.conn.Segment(t.Host.Now(), seg)
	_, after := e.conn.Received()
	e.cameUpTo(before, after)
	t.update(e, ev)
}

// stray deals with a segment of no connection: a SYN for the listener l, if there is one,
// or one to be answered with a reset (RFC 9293, sections 3.10.7.1 and 3.10.7.2). A SYN
// that replaces a connection in TIME-WAIT brings the initial sequence number along.
func (t *tcpProto) stray(l *tcpEndpoint, k *tuple, m *ip.Meta, seg *tcp.Segment, iss uint32) {
	if seg.Flags&wire.RST != 0 {
		seg.Data.Release()
		return
	}
	if l != nil && m.TTL >= l.ip().minTTL {
		switch {
		case seg.Flags&(wire.SYN|wire.ACK|wire.FIN) == wire.SYN:
			t.arrived(l, k, seg, iss)
			return
		case seg.Flags&wire.ACK == 0:
			seg.Data.Release()
			return
		case seg.Flags&wire.SYN == 0 && t.takeCookie(l, k, seg):
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
	if !ok {
		return
	}
	t.Stats.OutRsts++
	t.reply(k, m, &rst)
}

// reply sends a segment without a connection.
func (t *tcpProto) reply(k *tuple, m *ip.Meta, seg *tcp.Segment) { t.answer(k, scopeOf(m), seg) }

// answer is reply where the interface of a link-local peer is known.
func (t *tcpProto) answer(k *tuple, scope int, seg *tcp.Segment) {
	path, err := t.path(k.raddr, k.laddr, scope)
	if err != nil {
		return
	}
	t.out = *seg
	t.send(&t.out, k, path)
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

// timeWait is what is left of a connection in TIME-WAIT.
type timeWait struct {
	node
	binding
	timer timer.Entry
	proto *tcpProto
	state tcp.TimeWaitState
}

func (w *timeWait) tcpNode() {}

// Expired implements timer.Expirer.
func (w *timeWait) Expired(*timer.Entry, time.Duration) {
	w.proto.Stats.TW++
	w.end()
}

// end ends the state. The record may be reused at once.
func (w *timeWait) end() {
	t := w.proto
	t.conns.remove(&w.node)
	t.Host.RemoveTimer(&w.timer)
	t.ports.remove(&w.binding)
	t.timeWaits--
	if len(t.spare) < maxSpare {
		*w = timeWait{}
		t.spare = append(t.spare, w)
	}
}

// timeWait returns an empty record.
func (t *tcpProto) timeWait() *timeWait {
	if n := len(t.spare); n > 0 {
		w := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return w
	}
	return new(timeWait)
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
	if !ok || t.timeWaits >= maxTimeWaits {
		t.Stats.TCPTimeWaitOverflow++
		t.closed(e)
		return
	}
	w := t.timeWait()
	w.proto, w.state = t, state
	w.tuple = e.tuple
	w.addr, w.device, w.reuse, w.reuseport = e.addr, e.device, e.reuse, e.reuseport
	w.auto, w.v6only, w.six = e.auto, e.v6only, e.six
	w.timer.On = w
	port := e.lport
	t.closed(e)
	t.timeWaits++
	t.conns.add(&w.node, w)
	t.ports.add(&w.binding, port)
	t.Host.SetTimer(&w.timer, state.Expires())
}

// segment takes a segment that arrived for the connection that was.
func (w *timeWait) segment(seg *tcp.Segment, m *ip.Meta) {
	t := w.proto
	var reply tcp.Segment
	k := w.tuple
	switch w.state.Segment(t.Host.Now(), seg, &reply) {
	case tcp.Reply:
		seg.Data.Release()
		t.reply(&k, m, &reply)
		t.Host.SetTimer(&w.timer, w.state.Expires())
	case tcp.Reuse:
		if l := t.listenerFor(&k, m.Iface.Index()); l != nil || t.asks(m) {
			iss := w.state.NextISS()
			w.end()
			t.stray(l, &k, m, seg, iss)
			return
		}
		seg.Data.Release()
	case tcp.End:
		seg.Data.Release()
		w.end()
	default:
		seg.Data.Release()
	}
}

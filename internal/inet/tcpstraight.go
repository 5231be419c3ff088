package inet

import (
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/packet"
)

// tcpStraight is a segment between two connections of the host, or a SYN from one of them to a listener, that becomes no packet
// (ip.Lane.Straight): the one core takes it as the other has built it.
//
//	sender    transmit ──► sendsStraight
//	                            │ Leave, Settle
//	receiver                    ├──► segment, or other: a SYN to a listener
//	                            ├──► the domain's box: it is busy
//	                            └──► a packet, for Output: it is for nobody, or for who looks at packets
type tcpStraight struct {
	proto *tcpProto
	dom   *host.Domain // the sender's: a connection that a SYN makes is born there, with its other end
	seg   tcp.Segment
	out   ip.Out
	path  *ip.Path
	n     int // length with its header
	owner packet.Owner
}

// maxSpareStraight is how many a lane keeps for reuse.
const maxSpareStraight = 64

// sendsStraight has the lane carry seg without a packet, and reports false where it must be one.
func (t *tcpProto) sendsStraight(e *tcpEndpoint, seg *tcp.Segment) bool {
	if seg.SegmentSize != 0 || e.faulty() != nil {
		return false
	}
	lane := t.lane(e.dom)
	var s *tcpStraight
	if k := len(lane.spare); k > 0 {
		s = lane.spare[k-1]
		lane.spare = lane.spare[:k-1]
	} else {
		s = &tcpStraight{proto: t}
	}
	t.out(e, &s.out)
	s.n = seg.TCP.Len() + seg.Data.Len()
	if !t.IP.In(e.dom).Straight(e.path, &s.out, s.n) || !e.dom.Lane().LoopFirst(s) {
		lane.spare = append(lane.spare, s)
		return false
	}
	lane.outSegs++
	s.seg.TCP = seg.TCP
	s.seg.SrcPort, s.seg.DstPort = e.lport, e.rport
	seg.Data.MoveTo(&s.seg.Data)
	if seg.ECT {
		s.out.TOS |= 2
	}
	s.seg.CE = s.out.TOS&3 == 3
	s.dom, s.path, s.owner = e.dom, e.path, packet.Owner{PID: e.owner(), Socket: e.sid()}
	return true
}

// Run implements host.Task.
func (s *tcpStraight) Run(at *host.Lane, _ *packet.Packet) {
	t := s.proto
	lane := t.lanes[at.ID]
	k := tuple{laddr: s.out.Dst, raddr: s.out.Src, lport: s.seg.DstPort, rport: s.seg.SrcPort}
	found, busy := t.visit(lane, at, &k)
	e, ok := found.(*tcpEndpoint)
	d, l := s.dom, (*tcpEndpoint)(nil) // where it is taken; the listener of a SYN of no connection
	if ok {
		d = e.dom
	} else if l = s.listener(found, &k); l != nil {
		busy = !at.Visit(d)
	}
	layer := t.IP.Lane(at)
	switch {
	case !ok && l == nil, !busy && (layer.Watched(&s.out) || ok && e.ip().filter != nil):
		p := packet.New()
		p.Owner = s.owner
		s.seg.Data.MoveTo(&p.Payload)
		s.seg.TCP.Put(p.Prepend(s.seg.TCP.Len()))
		layer.OutputInPlace(p, s.path, &s.out)
	case busy && d.Full():
		layer.DropStraight(s.path, &s.out, s.n)
		s.seg.Data.Release()
	case busy:
		at.Post(d, s, nil)
		return
	case ok:
		lane.inSegs++
		t.segment(e, layer.GoStraight(s.path, &s.out, s.n), &s.seg)
	default:
		lane.inSegs++
		t.other(found, l, &k, layer.GoStraight(s.path, &s.out, s.n), &s.seg, d)
	}
	s.seg.Data.Moved()
	s.dom, s.path = nil, nil
	if len(lane.spare) < maxSpareStraight {
		lane.spare = append(lane.spare, s)
	}
}

// listener returns who listens for the segment, if it is a SYN that need be no packet for him; else nil. found is who has the tuple.
func (s *tcpStraight) listener(found nodeOwner, k *tuple) *tcpEndpoint {
	if _, flow := found.(*Flow); flow || !isSYN(&s.seg) {
		return nil
	}
	if l := s.proto.listenerFor(k, s.path.Iface.Index()); l != nil && l.ip().filter == nil {
		return l
	}
	return nil
}

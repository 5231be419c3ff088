package inet

import (
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/internal/wire"
	"usock/packet"
)

// tcpStraight is a segment between two connections of the host that becomes no packet (ip.Lane.Straight): the one core takes it as
// the other has built it.
//
//	sender    transmit ──► sendsStraight
//	                            │ Leave
//	receiver                    ├──► segment
//	                            ├──► the domain's box: it is busy
//	                            └──► a packet, for Output: there is no such connection, or it looks at packets
type tcpStraight struct {
	proto *tcpProto
	seg   tcp.Segment
	out   ip.Out
	path  *ip.Path
	n     int // length with its header
	owner packet.Owner
}

// maxSpareStraight is how many a lane keeps for reuse.
const maxSpareStraight = 64

// sendsStraight has the lane carry seg without a packet, and reports false where it must be one. A SYN is one for the sake of
// listeners, who keep its headers.
func (t *tcpProto) sendsStraight(e *tcpEndpoint, seg *tcp.Segment) bool {
	if seg.Flags&(wire.SYN|wire.ACK) == wire.SYN || seg.SegmentSize != 0 || e.faulty() != nil {
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
	s.path, s.owner = e.path, packet.Owner{PID: e.owner(), Socket: e.sid()}
	return true
}

// Run implements host.Task.
func (s *tcpStraight) Run(at *host.Lane, _ *packet.Packet) {
	t := s.proto
	lane := t.lanes[at.ID]
	k := tuple{laddr: s.out.Dst, raddr: s.out.Src, lport: s.seg.DstPort, rport: s.seg.SrcPort}
	found, busy := t.visit(lane, at, &k)
	e, ok := found.(*tcpEndpoint)
	layer := t.IP.Lane(at)
	switch {
	case !ok || !busy && e.ip().filter != nil:
		p := packet.New()
		p.Owner = s.owner
		s.seg.Data.MoveTo(&p.Payload)
		s.seg.TCP.Put(p.Prepend(s.seg.TCP.Len()))
		layer.OutputInPlace(p, s.path, &s.out)
	case busy && e.dom.Full():
		layer.DropStraight(s.path, &s.out, s.n)
		s.seg.Data.Release()
	case busy:
		at.Post(e.dom, s, nil)
		return
	default:
		lane.inSegs++
		t.segment(e, layer.GoStraight(s.path, &s.out, s.n), &s.seg)
	}
	s.seg.Data.Moved()
	s.path = nil
	if len(lane.spare) < maxSpareStraight {
		lane.spare = append(lane.spare, s)
	}
}

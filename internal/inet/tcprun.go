package inet

import (
	"bytes"
	"encoding/binary"

	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/internal/wire"
	"usock/packet"
)

// Segments that come together, one behind the other, are taken as one (Linux's GRO): one look-up, one way through the core, one
// acknowledgment at most.
//
//	batch ──► ip.Lane.Input ──► Input: whose, in its domain, may it begin a run (tcp.Conn.TakesRun)
//	            ▲                 │
//	            └── Behind, Take ─┴─► gather: continues, fits? its data go to the first one's packet
//	                                    │
//	                                    └─► tcp.Conn.Segment, once
//
// A run ends in front of what differs in more than number and data, which is a segment of its own. It ends behind PSH, and behind a
// segment that is shorter than the first. Nobody else sees the packets: where somebody looks at each, a raw socket, a filter, a tap or
// who asks for events, there are no runs. What is counted is counted for each.

// maxRun is how many bytes of data a run has at most: as many as the largest segment that is made here.
const maxRun = 64 << 10

// gather takes the run that begins with seg, of e, out of the batch into p, the packet of seg, whose header has n bytes.
func (t *tcpProto) gather(e *tcpEndpoint, seg *tcp.Segment, p *packet.Packet, m *ip.Meta, n int) {
	size := p.Len() - n
	if size == 0 || size > maxRun || p.SegmentSize != 0 || seg.Flags&wire.PSH != 0 || m.Lane.Behind(m) == nil || e.ip().filter != nil || e.faulty() != nil {
		return
	}
	room := min(e.conn.TakesRun(seg), maxRun)
	head := p.Front()[:n]
	for total, k := size, size; k == size && seg.Flags&wire.PSH == 0; total += k {
		q := m.Lane.Behind(m)
		if q == nil {
			return
		}
		k = q.Len() - len(m.Header) - n
		if k <= 0 || k > size || total+k > room || q.SegmentSize != 0 || !continues(head, q.Front()[len(m.Header):], uint32(total)) || !fits(p, q) {
			return
		}
		m.Lane.Take(m)
		t.at(m).inSegs++
		if !q.Trusted && !tcpKind.sum.OK(q, m) {
			inc(&t.Stats.InErrs)
			inc(&t.Stats.InCsumErrors)
			q.Free()
			return
		}
		seg.Flags |= wire.TCPFlags(q.Front()[13])
		q.Consume(n)
		for _, v := range q.Payload.Views() {
			p.Payload.Join(v)
		}
		q.Payload.Moved()
		q.Free()
		seg.SegmentSize = uint16(size)
	}
}

// continues reports whether b begins with the header head, but for PSH, the checksum, and a number that is off higher.
func continues(head, b []byte, off uint32) bool {
	const seq, ack, flags, window, sum, urgent = 4, 8, 13, 14, 16, 18
	return len(b) >= len(head) &&
		binary.BigEndian.Uint32(b[seq:])-binary.BigEndian.Uint32(head[seq:]) == off && wire.TCPFlags(b[flags]^head[flags])&^wire.PSH == 0 &&
		bytes.Equal(b[:seq], head[:seq]) && bytes.Equal(b[ack:flags], head[ack:flags]) &&
		bytes.Equal(b[window:sum], head[window:sum]) && bytes.Equal(b[urgent:len(head)], head[urgent:])
}

// fits reports whether the data of q, whose headers are there still, find places behind that of p.
func fits(p, q *packet.Packet) bool {
	mine, its := p.Payload.Views(), q.Payload.Views()
	places := len(its)
	if len(q.Head()) > 0 && len(mine) > 0 && len(its) > 0 && mine[len(mine)-1].Precedes(its[0]) {
		places--
	}
	return places <= p.Payload.Room()
}

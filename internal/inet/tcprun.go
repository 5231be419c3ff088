package inet

import (
	"bytes"
	"encoding/binary"

	"usock/internal/ip"
	"usock/internal/wire"
	"usock/packet"
)

// maxRun is how many bytes of data of segments are taken as one at most (Linux, GRO_LEGACY_MAX_SIZE).
const maxRun = 64 << 10

// gather appends to p, a segment with a header of n bytes, the data of those behind it which are no news but for their data. They begin
// where it ends, and are as long, but for the last one, which may be shorter.
func (t *tcpProto) gather(p *packet.Packet, m *ip.Meta, n, room int) {
	lane := t.at(m)
	head := p.Front()[:n]
	net := len(m.Header)
	size := p.Len() - n
	seq := binary.BigEndian.Uint32(head[4:])
	total := size
	room = min(room, maxRun)
	for head[13]&uint8(wire.PSH) == 0 {
		q := m.Lane.Behind(m)
		if q == nil {
			break
		}
		k := q.Len() - net - n
		if k <= 0 || k > size || total+k > room || !continues(head, q.Front()[net:], seq+uint32(total)) || !fits(p, q) {
			break
		}
		m.Lane.Take(m)
		lane.inSegs++
		if !q.Trusted && !tcpKind.sum.OK(q, m) {
			inc(&t.Stats.InErrs)
			inc(&t.Stats.InCsumErrors)
			q.Free()
			break
		}
		head[13] |= q.Front()[13]
		q.Consume(n)
		for _, v := range q.Payload.Views() {
			p.Payload.Join(v)
		}
		q.Payload.Moved()
		q.Free()
		total += k
		p.SegmentSize = uint16(size)
		if k < size {
			break
		}
	}
}

// continues reports whether the segment at the start of b has the header head, but for its number, which is seq, and PSH.
func continues(head, b []byte, seq uint32) bool {
	const flags = 13
	return len(b) >= len(head) && bytes.Equal(b[:4], head[:4]) && binary.BigEndian.Uint32(b[4:]) == seq && bytes.Equal(b[8:flags], head[8:flags]) &&
		wire.TCPFlags(b[flags]^head[flags])&^wire.PSH == 0 && bytes.Equal(b[14:16], head[14:16]) && bytes.Equal(b[18:len(head)], head[18:])
}

// fits reports whether the payload of q, which has its headers still, has room behind that of p.
func fits(p, q *packet.Packet) bool {
	its := q.Payload.Views()
	need := len(its)
	if len(q.Head()) > 0 {
		if mine := p.Payload.Views(); len(mine) > 0 && len(its) > 0 {
			last := mine[len(mine)-1]
			if last.Join(its[0]) {
				need--
			}
		}
	}
	return need <= p.Payload.Room()
}

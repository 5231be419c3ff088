package relay

import "usock/packet"

// maxIdle is for how many packets a queue keeps room while it is empty.
const maxIdle = 1024

// fifo is a list of packets, first in, first out, that looks into none of them: a packet has left the cache of
// whoever pushed it when it is taken out, and a list that is linked through packets waits for one after another.
type fifo struct {
	list  []*packet.Packet
	taken int // of list, and nil there
}

func (q *fifo) len() int { return len(q.list) - q.taken }

func (q *fifo) push(p *packet.Packet) {
	// What is taken is at most as long as what waits, so that a queue that is never empty does not grow.
	if len(q.list) == cap(q.list) && q.taken > q.len() {
		n := copy(q.list, q.list[q.taken:])
		clear(q.list[n:])
		q.list, q.taken = q.list[:n], 0
	}
	q.list = append(q.list, p)
}

// popTo moves as many packets as there are and as fit into batch, and returns how many.
func (q *fifo) popTo(batch []*packet.Packet) int {
	waiting := q.list[q.taken:]
	n := copy(batch, waiting)
	clear(waiting[:n])
	if q.taken += n; q.taken == len(q.list) {
		q.list, q.taken = q.list[:0], 0
		if cap(q.list) > maxIdle {
			q.list = nil
		}
	}
	return n
}

// free frees all packets.
func (q *fifo) free() {
	for _, p := range q.list[q.taken:] {
		p.Free()
	}
	*q = fifo{}
}

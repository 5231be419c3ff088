package packet

// Queue is a list of packets, first in, first out. Its zero value is empty.
type Queue struct {
	head, tail *Packet
	n          int
	bytes      int
}

// Len returns the number of packets.
func (q *Queue) Len() int { return q.n }

// Bytes returns the number of bytes in all packets.
func (q *Queue) Bytes() int { return q.bytes }

// Push puts p at the end and takes it over.
func (q *Queue) Push(p *Packet) {
	// A packet is in one queue at a time: the link is its own field, and costs no node.
	p.next = nil
	if q.tail != nil {
		q.tail.next = p
	} else {
		q.head = p
	}
	q.tail = p
	q.n++
	q.bytes += p.Len()
}

// Pop takes the first packet, nil if there is none.
func (q *Queue) Pop() *Packet {
	p := q.head
	if p == nil {
		return nil
	}
	q.head = p.next
	if q.head == nil {
		q.tail = nil
	}
	p.next = nil
	q.n--
	q.bytes -= p.Len()
	return p
}

// PopTo takes as many packets as there are and as fit into batch, and returns how
// many.
func (q *Queue) PopTo(batch []*Packet) int {
	for i := range batch {
		if batch[i] = q.Pop(); batch[i] == nil {
			return i
		}
	}
	return len(batch)
}

// Peek returns the first packet without taking it, nil if there is none.
func (q *Queue) Peek() *Packet { return q.head }

// Take empties the queue and returns what was in it.
func (q *Queue) Take() Queue {
	t := *q
	*q = Queue{}
	return t
}

// Free frees all packets.
func (q *Queue) Free() {
	for p := q.Pop(); p != nil; p = q.Pop() {
		p.Free()
	}
}

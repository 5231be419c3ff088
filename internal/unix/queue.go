package unix

import (
	"usock/packet"
)

// overhead is what a message costs besides its blocks, in bytes of SO_SNDBUF:
// about what Linux charges for its packet structure.
const overhead = 512

// message is what one send has put into a receiver's queue.
type message struct {
	next   *message
	data   []packet.View // owned; on a stream, what has not been received yet
	n      int           // bytes in data
	from   *endpoint     // who sent it, and pays for it
	charge int           // what it pays
	signature
	one [1]packet.View // data's array where one view is enough
}

// queue holds the messages for one receiver, oldest first.
type queue struct {
	head, tail *message
	len        int
	bytes      int
}

// unread reports whether closing loses data. Linux takes one empty record at the
// front for an urgent byte that was received out of order, and looks behind it.
func (q *queue) unread() bool {
	if q.head != nil && q.head.n == 0 {
		return q.len > 1
	}
	return q.len > 0
}

func (q *queue) push(m *message) {
	if q.tail != nil {
		q.tail.next = m
	} else {
		q.head = m
	}
	q.tail = m
	q.len++
	q.bytes += m.n
}

// pop drops the first message with the views that it still has and gives its
// sender the charge back.
func (q *queue) pop() {
	m := q.head
	q.head = m.next
	if q.head == nil {
		q.tail = nil
	}
	q.len--
	q.bytes -= m.n
	for _, v := range m.data {
		v.Release()
	}
	m.from.uncharge(m.charge)
	m.from.domain.free(m)
}

// purge drops everything.
func (q *queue) purge() {
	for q.head != nil {
		q.pop()
	}
}

// maxSpare is how many messages a domain keeps for reuse.
const maxSpare = 256

func (d *Domain) free(m *message) {
	*m = message{}
	if d.spares < maxSpare {
		m.next, d.spare = d.spare, m
		d.spares++
	}
}

func (d *Domain) message() *message {
	m := d.spare
	if m == nil {
		return &message{}
	}
	d.spare, m.next = m.next, nil
	d.spares--
	return m
}

// newMessage returns a message of the views, which it takes over, and charges it
// to from.
func newMessage(from *endpoint, views []packet.View) *message {
	m := from.domain.message()
	m.from = from
	m.data = append(m.one[:0], views...)
	m.charge = overhead
	for _, v := range views {
		m.n += v.Len()
		m.charge += v.Cap()
	}
	from.charged += m.charge
	return m
}

// appendViews appends to out views of up to limit bytes of m, from byte off on,
// each with a reference of its own.
func (m *message) appendViews(out []packet.View, off, limit int) ([]packet.View, int) {
	n := 0
	for _, v := range m.data {
		if n == limit {
			break
		}
		if off >= v.Len() {
			off -= v.Len()
			continue
		}
		k := min(v.Len()-off, limit-n)
		part := v.Slice(off, off+k)
		part.Retain()
		out = append(out, part)
		n += k
		off = 0
	}
	return out, n
}

// consume drops the first n bytes of q's first message, which has as many.
func (q *queue) consume(n int) {
	m := q.head
	m.n -= n
	q.bytes -= n
	for n > 0 {
		v := &m.data[0]
		if n < v.Len() {
			*v = v.Slice(n, v.Len())
			return
		}
		n -= v.Len()
		v.Release()
		m.data = m.data[1:]
	}
}

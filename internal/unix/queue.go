package unix

import "usock/internal/buf"

// overhead is what a message costs besides its blocks, in bytes of SO_SNDBUF:
// about what Linux charges for its packet structure.
const overhead = 512

// message is what one send has put into a receiver's queue.
type message struct {
	data    []buf.View // owned; on a stream, what has not been received yet
	n       int        // bytes in data
	from    *endpoint  // who sent it, and pays for it
	charge  int        // what it pays
	cred    Cred
	hasCred bool
	one     [1]buf.View // data's array where one view is enough
}

// queue holds the messages for one receiver, oldest first.
type queue struct {
	m     []*message
	bytes int
}

func (q *queue) len() int { return len(q.m) }

func (q *queue) push(m *message) {
	q.m = append(q.m, m)
	q.bytes += m.n
}

// pop drops the first message, whose views have been released or handed on, and
// gives its sender the charge back.
func (q *queue) pop() {
	m := q.m[0]
	q.bytes -= m.n
	q.m[0] = nil
	q.m = q.m[1:]
	if len(q.m) == 0 {
		q.m = nil
	}
	m.data = nil
	m.from.uncharge(m.charge)
}

// purge drops everything.
func (q *queue) purge() {
	for q.len() > 0 {
		for _, v := range q.m[0].data {
			v.Release()
		}
		q.pop()
	}
}

// newMessage returns a message of the views, which it takes over, and charges it
// to from.
func newMessage(from *endpoint, views []buf.View) *message {
	m := &message{from: from}
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
func (m *message) appendViews(out []buf.View, off, limit int) ([]buf.View, int) {
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
	m := q.m[0]
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

//go:build linux

package gateway

import (
	"net/netip"
	"time"

	"usock"
)

// train is datagrams of one length to one peer that leave together, cut apart by the kernel
// (UDP_SEGMENT): a sender that floods costs one system call for many. The first datagram
// after a pause never waits; those that follow it close wait until the gateway has nothing
// else to do.
type train struct {
	to     netip.AddrPort
	head   usock.Datagram // what the IP headers are to say; without data
	data   []byte
	size   int
	n      int
	short  bool // the last one is shorter: nothing may follow
	called bool // the gateway calls, so that it leaves
}

const (
	trainGap  = 30 * time.Microsecond // between datagrams that travel together
	maxTrain  = 64                    // datagrams (UDP_MAX_SEGMENTS before Linux 6.9)
	maxLength = 65507 - 40            // bytes
)

// joins has a datagram join, or begin, the train and reports whether it did. gap is the time
// since the one before.
func (t *train) joins(m *mapping, d *usock.Datagram, gap time.Duration) bool {
	size := 0
	for _, b := range d.Data {
		size += len(b)
	}
	if d.SegmentSize != 0 || size == 0 || gap > trainGap && t.n == 0 || m.long > 0 && size >= m.long {
		return false
	}
	head := usock.Datagram{TTL: d.TTL, TOS: d.TOS, DontFragment: d.DontFragment}
	fits := t.n < maxTrain && len(t.data)+size <= maxLength
	if t.n > 0 && (t.short || size > t.size || t.to != d.Dst || !fits || !same(&head, &t.head)) {
		t.leave(m)
		if m.fd < 0 || len(m.waits) > 0 {
			return false
		}
	}
	if t.n == 0 {
		if t.data, m.g.spare = m.g.spare, nil; t.data == nil {
			t.data = make([]byte, 0, maxLength)
		}
		t.to, t.head, t.size, t.short = d.Dst, head, size, false
	}
	for _, b := range d.Data {
		t.data = append(t.data, b...)
	}
	t.n++
	t.short = size < t.size
	if !t.called {
		t.called = true
		m.g.later(m)
	}
	return true
}

func same(a, b *usock.Datagram) bool {
	return a.TTL == b.TTL && a.TOS == b.TOS && a.DontFragment == b.DontFragment
}

// leave sends the train.
func (t *train) leave(m *mapping) {
	if t.n == 0 {
		return
	}
	d := t.head
	d.Dst, d.Src, d.Data = t.to, m.key.src, [][]byte{t.data}
	if t.n > 1 {
		d.SegmentSize = t.size
	}
	data := t.data
	t.n, t.data = 0, nil
	m.send(&d)
	if m.g.spare == nil {
		m.g.spare = data[:0]
	}
}

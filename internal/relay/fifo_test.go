package relay

import (
	"encoding/binary"
	"testing"

	"usock/packet"
)

// A list that is never empty keeps its order and does not grow beyond what waits; an empty one keeps little.
func TestFIFO(t *testing.T) {
	var q fifo
	var batch [3]*packet.Packet
	next, want := uint32(0), uint32(0)
	push := func(n int) {
		for range n {
			q.push(numbered(next))
			next++
		}
	}
	pop := func() int {
		n := q.popTo(batch[:])
		for _, p := range batch[:n] {
			if got := binary.BigEndian.Uint32(p.Front()); got != want {
				t.Fatalf("packet %d, want %d", got, want)
			}
			want++
			p.Free()
		}
		return n
	}
	push(10)
	for range 1000 {
		push(3)
		pop()
	}
	if q.len() != 10 || cap(q.list) > 64 {
		t.Errorf("%d packets in room for %d", q.len(), cap(q.list))
	}
	push(2 * maxIdle)
	for pop() > 0 {
	}
	if want != next || cap(q.list) > maxIdle {
		t.Errorf("%d of %d came; room for %d", want, next, cap(q.list))
	}
	push(5)
	q.free()
	if q.len() != 0 {
		t.Error("not empty")
	}
}

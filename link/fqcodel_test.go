package link

import (
	"slices"
	"testing"
	"time"

	"usock/packet"
)

// order pops everything, each packet a millisecond after the one before.
func (w *waiter) order(now time.Duration) (got []int) {
	for n := w.pop(now); n >= 0; n = w.pop(now) {
		got = append(got, n)
		now += ms
	}
	return got
}

// Worked by hand, with a quantum of 1500 bytes. Flow 1 has packets 0 to 3 and flow 2 4 to 7, all of 1000 bytes: in its first
// turn each sends two, since 500 bytes of credit are left after one; owing 500 then, it has 1000 in the next, for one
// packet, and so on.
func TestFQCoDelTurns(t *testing.T) {
	w := newWaiter(t, "queue fq_codel")
	w.add(0, 4, 1, 1000, 0)
	w.add(0, 4, 2, 1000, 0)
	if got, want := w.order(0), []int{0, 1, 4, 5, 2, 6, 3, 7}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Packets of a quantum alternate, and a flow that comes is first, once: after packet 8 it is the last of the old ones,
// but the two before it have had their turns and go behind it.
func TestFQCoDelFreshFirst(t *testing.T) {
	w := newWaiter(t, "queue fq_codel")
	w.add(0, 4, 1, 1500, 0)
	w.add(0, 4, 2, 1500, 0)
	var got []int
	for range 3 {
		got = append(got, w.pop(0)) // 0, 4, 1
	}
	w.add(0, 2, 3, 1500, 0) // 8 and 9
	got = append(got, w.order(0)...)
	if want := []int{0, 4, 1, 8, 5, 9, 2, 6, 3, 7}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A flow that sends now and then, but always while others wait, does not stay fresh for ever: it has to pass through the
// old ones, or they would starve (RFC 8290 section 4.2).
func TestFQCoDelNobodyStarves(t *testing.T) {
	w := newWaiter(t, "queue fq_codel")
	w.add(0, 50, 1, 1500, 0)
	others := 0
	for range 60 {
		w.add(0, 1, 2, 300, 0) // the sparse one has a packet whenever there is a choice
		p := w.q.pop(0)
		if p.Len() == 1500 {
			others++
		}
		p.Free()
	}
	if others < 8 || others > 15 {
		t.Errorf("%d of 60 were the other flow's, which is due a sixth", others)
	}
}

// Where there are too many packets, half of what the fattest flow has is dropped from its head, or a batch.
func TestFQCoDelFattest(t *testing.T) {
	w := newWaiter(t, "limit 10 queue fq_codel")
	w.add(0, 3, 1, 1000, 0)
	w.add(0, 7, 2, 1000, 0) // 3 to 9
	w.wantLost()
	w.add(0, 1, 1, 1000, 0)
	w.wantLost("3 queue full", "4 queue full", "5 queue full", "6 queue full")
	q := w.q.(*fqCodel)
	if n := q.flows[q.flowOf(queuedPacket(2, 0, 1000, 0))].codel.count; n != 4 {
		t.Errorf("the flow's CoDel knows of %d drops", n)
	}
	if got, want := w.order(0), []int{0, 1, 7, 8, 2, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}

	w = newWaiter(t, "limit 10 queue fq_codel,drop_batch,2")
	w.add(0, 11, 1, 1000, 0)
	w.wantLost("0 queue full", "1 queue full")

	// Eleven packets take more than the eleven thousand bytes that they have.
	w = newWaiter(t, "queue fq_codel,memory_limit,11000,drop_batch,1")
	w.add(0, 7, 1, 1000, 0)
	w.wantLost("0 queue full")

	w = newWaiter(t, "limit 5000b queue fq_codel,drop_batch,1")
	w.add(0, 6, 1, 1000, 0)
	w.wantLost("0 queue full")
}

// Each flow has a CoDel of its own: the one whose queue stands loses packets, the sparse one does not.
func TestFQCoDelIsolates(t *testing.T) {
	w := newWaiter(t, "queue fq_codel,noecn")
	w.add(0, 200, 1, 1500, 0)
	for now := time.Duration(0); now < time.Second; now += 10 * ms {
		if now%(50*ms) == 40*ms {
			w.add(now, 1, 2, 1500, 0)
			if got := w.pop(now); got != w.sent-1 {
				t.Fatalf("at %v: packet %d", now, got)
			}
		}
		w.pop(now)
	}
	if len(w.lost) < 10 || slices.ContainsFunc(w.lost, func(s string) bool { return len(s) > len("199 codel") }) {
		t.Errorf("lost %v", w.lost)
	}
}

// Flows are told apart by their ports, and by the seed; the fragments of a datagram stay together.
func TestFQCoDelFlows(t *testing.T) {
	w := newWaiter(t, "queue fq_codel")
	for flow := range 200 {
		w.add(0, 2, flow, 100, 0)
	}
	q := w.q.(*fqCodel)
	busy := 0
	for i := range q.flows {
		if q.flows[i].bytes > 0 {
			busy++
		}
	}
	if busy < 160 || busy > 200 { // 182 is to be expected
		t.Errorf("200 flows in %d queues", busy)
	}

	w = newWaiter(t, "queue fq_codel")
	q = w.q.(*fqCodel)
	for i := range 4 {
		b := queuedPacket(i, i, 100, 0).AppendTo(nil)
		b[6] = 0x20 // more fragments
		q.push(packet.FromBytes(b), 0)
	}
	if f := q.flows[q.fresh.head]; q.fresh.head != q.fresh.tail || f.bytes != 400 {
		t.Errorf("fragments are in several queues: %+v", f)
	}
}

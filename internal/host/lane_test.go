package host

import (
	"slices"
	"testing"

	"usock/clock"
	"usock/packet"
)

// numbered returns a packet that took tells from others.
func numbered(n byte) *packet.Packet { return packet.FromBytes([]byte{n}) }

// Tasks in place of packets that a host sends to itself are done in the order of both, also those that find that they must be
// packets, and what these bring comes behind what waits.
func TestLoopFirst(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	d := h.NewDomain()
	for _, left := range []bool{false, true} { // in a box, or by LoopFirst
		var got []int
		h.Input = func(l *Lane, p *packet.Packet) {
			n := int(p.Front()[0])
			got = append(got, n)
			p.Free()
			if n != 2 {
				return
			}
			if l.LoopFirst(did{n: 0, to: &got}) {
				t.Error("a task was taken before packets that wait")
			}
			l.Loop(numbered(5))
		}
		becomes := did{n: 1, to: &got, do: func(l *Lane) {
			l.InPlace(true)
			l.Loop(numbered(2))
			l.InPlace(false)
			l.Loop(numbered(4))
		}}
		l := h.EnterLane(0)
		switch {
		case left:
			d.leaveFor(becomes, nil)
			d.leaveFor(did{n: 3, to: &got}, nil)
			l.visits = append(l.visits, d)
		case !l.LoopFirst(becomes) || !l.LoopFirst(did{n: 3, to: &got}):
			t.Fatal("no task is taken of a lane in which nothing waits")
		}
		l.Leave()
		if want := []int{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
			t.Errorf("done in the order %v, want %v", got, want)
		}
	}
}

// A lane's list of tasks is as long as the most that wait at once, however many of them follow each other.
func TestTasksThatMakeTasks(t *testing.T) {
	var q tasks
	q.push(Call(nil))
	for range 10000 {
		q.push(Call(nil))
		if q.pop() == nil {
			t.Fatal("a task is lost")
		}
	}
	if n := cap(q.list); n > 16 {
		t.Errorf("room for %d tasks, of which 2 waited at once", n)
	}
	for range 2 * maxSpareTasks {
		q.push(Call(nil))
	}
	for q.pop() != nil {
	}
	if n := cap(q.list); n > maxSpareTasks {
		t.Errorf("room for %d tasks is kept", n)
	}
}

// Settle does what a domain has brought about for itself, with what that brings, and stays in the domain: what is for another one
// waits until it is left.
func TestSettle(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	d, other := h.NewDomain(), h.NewDomain()
	var got []int
	d.Enter()
	l := d.Lane()
	l.LoopFirst(did{n: 1, to: &got, do: func(l *Lane) {
		l.LoopFirst(did{n: 2, to: &got})
		if l.Visit(other) || !l.Visit(d) {
			t.Error("a task has the lane leave the domain")
		}
		l.Post(other, did{n: 3, to: &got}, nil)
	}})
	d.Settle()
	if want := []int{1, 2}; !slices.Equal(got, want) || d.Lane() != l || !l.In(d) {
		t.Errorf("done %v, want %v; in the domain %v", got, want, l.In(d))
	}
	d.Leave()
	if want := []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("done %v when the domain is left, want %v", got, want)
	}
	if other.Enter(); other.Lane().pinned {
		t.Error("the lane stays in a domain that it has left")
	}
	other.Leave()
}

package link

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Who can take flows from several goroutines at once gets them so, each flow in order.
func TestPipeFlows(t *testing.T) {
	leakCheck(t)
	a, b := parallelPipe()
	defer a.Close()
	defer b.Close()

	var both sync.WaitGroup // two goroutines are inside at once, or this never ends
	both.Add(2)
	var next [2]atomic.Int32
	b.DeliverFlows(func(batch []*Packet) {
		flow := number(batch[0]) / flowSpan
		if next[flow].Load() == 0 {
			both.Done()
			both.Wait()
		}
		for _, p := range batch {
			if got, want := number(p)%flowSpan, int(next[flow].Add(1))-1; got != want {
				t.Errorf("flow %d: packet %d, want %d", flow, got, want)
			}
			p.Free()
		}
	})
	sendFlows(t, a)
	for i := range next {
		if n := next[i].Load(); n != flowSpan {
			t.Errorf("flow %d: %d packets", i, n)
		}
	}
}

// Who takes packets from one goroutine at a time gets flows one after another, with nothing lost.
func TestPipeFlowsMerged(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := parallelPipe()
		defer a.Close()
		defer b.Close()
		var inside, came atomic.Int32
		b.Deliver(func(batch []*Packet) {
			if inside.Add(1) != 1 {
				t.Error("two goroutines at once")
			}
			for _, p := range batch {
				came.Add(1)
				p.Free()
			}
			inside.Add(-1)
		})
		sendFlows(t, a)
		synctest.Wait() // a relay that has had its turn goes on in another goroutine
		if n := came.Load(); n != 2*flowSpan {
			t.Errorf("%d packets of %d", n, 2*flowSpan)
		}
	})
}

// What is sent by flows can be received, up to a bound, and after the end that receives is closed it is dropped.
func TestPipeFlowsReceived(t *testing.T) {
	leakCheck(t)
	a, b := parallelPipe()
	if n := a.SendFlow(numbered(0, 10)); n != 10 {
		t.Errorf("%d accepted of 10", n)
	}
	batch := make([]*Packet, 20)
	n, err := b.Recv(batch)
	if n != 10 || err != nil {
		t.Errorf("%d received: %v", n, err)
	}
	for i, p := range batch[:n] {
		if got := number(p); got != i {
			t.Errorf("packet %d, want %d", got, i)
		}
		p.Free()
	}
	if n := a.SendFlow(numbered(0, queueBound+10)); n != queueBound {
		t.Errorf("%d accepted of %d, want %d", n, queueBound+10, queueBound)
	}
	if n := a.SendFlow(numbered(0, 10)); n != 0 {
		t.Errorf("%d accepted by a full end", n)
	}
	b.Close()
	if n := a.SendFlow(numbered(0, 10)); n != 0 {
		t.Errorf("%d accepted by a closed end", n)
	}
	a.Close()
	a.SendFlow(numbered(0, 10))
	b.DeliverFlows(func([]*Packet) { t.Error("delivered by a closed link") })
	a.SendFlow(numbered(0, 10))
}

func parallelPipe() (a, b Parallel) {
	x, y := Pipe(PipeConfig{})
	return x.(Parallel), y.(Parallel)
}

// flowSpan is how many packets there are of each of two flows; their numbers say which they are of.
const flowSpan = 2048

func sendFlows(t *testing.T, l Parallel) {
	var wg sync.WaitGroup
	for flow := range 2 {
		wg.Go(func() {
			for i := 0; i < flowSpan; i += 16 {
				if n := l.SendFlow(numbered(flow*flowSpan+i, 16)); n != 16 {
					t.Errorf("%d accepted of 16", n)
				}
			}
		})
	}
	wg.Wait()
}

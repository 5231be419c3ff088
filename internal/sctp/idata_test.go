package sctp

import (
	"testing"
	"time"

	"usock/packet"
)

// bottleneck is a link of a rate and a delay, with a queue of so many bytes, in each direction.
type bottleneck struct {
	*pair
	rate    int // bytes/s
	delay   time.Duration
	queue   time.Duration // as long as it takes to send what is in it
	free    [2]time.Duration
	flying  []passing
	dropped int
}

type passing struct {
	at time.Duration
	to int
	in In
}

func newBottleneck(t *testing.T, rate, queue int, delay time.Duration) *bottleneck {
	b := &bottleneck{pair: newPair(t, 1500, 1), rate: rate, delay: delay}
	b.queue = time.Duration(queue) * time.Second / time.Duration(rate)
	b.carry = func(from int, in *In) {
		free := max(b.free[from], b.now)
		if free-b.now > b.queue {
			b.dropped++
			in.Body.Release()
			return
		}
		n := 32 + len(in.Head) + in.Body.Len()
		b.free[from] = free + time.Duration(n)*time.Second/time.Duration(b.rate)
		p := passing{b.free[from] + b.delay, 1 - from, *in}
		p.in.Head = append([]byte(nil), in.Head...)
		b.flying = append(b.flying, p)
	}
	return b
}

// advance has what happens next happen, but not later than the time.
func (b *bottleneck) advance(until time.Duration) {
	b.pump()
	at, k := min(b.deadline(), until), -1
	for i := range b.flying {
		if f := &b.flying[i]; f.at < at || k < 0 && f.at == at {
			at, k = f.at, i
		}
	}
	b.now = max(b.now, at)
	if k >= 0 {
		f := b.flying[k]
		b.flying = append(b.flying[:k], b.flying[k+1:]...)
		b.arrive(f.to, &f.in)
	} else {
		for i := range b.end {
			if a := b.end[i].a; a != nil && a.Deadline() <= b.now {
				a.Expire(b.now)
			}
		}
	}
	b.pump()
}

// beside sends messages of 64 KiB on stream 0 without pause, and one of 100 bytes every 100 ms on
// stream 1, and returns how long those take on average.
func beside(t *testing.T, idata bool, sched Sched) time.Duration {
	b := newBottleneck(t, 2<<20, 16<<10, 5*time.Millisecond)
	for i := range b.end {
		o := b.end[i].e.Options
		o.IData, o.Interleave, o.Scheduler = idata, 2, uint16(sched)
	}
	b.connect()
	for b.end[1].a == nil || b.end[0].a.State() != Established {
		b.advance(b.now + time.Second)
	}
	x, y := b.end[0].a, b.end[1].a
	x.SetStreamValue(0, 5)
	x.SetStreamValue(1, 1)

	var sentAt []time.Duration
	var sum time.Duration
	got := 0
	for next := b.now + time.Second; got < 100; {
		for x.SendSpace() > 70000 {
			if _, err := x.Send(b.now, &SendInfo{}, []packet.View{packet.Copy(make([]byte, 64<<10))}); err != 0 {
				t.Fatal(err)
			}
		}
		if b.now >= next {
			next += 100 * time.Millisecond
			if _, err := x.Send(b.now, &SendInfo{Stream: 1}, []packet.View{packet.Copy(make([]byte, 100))}); err != 0 {
				t.Fatal(err)
			}
			sentAt = append(sentAt, b.now)
		}
		b.advance(next)
		for {
			v, r, ok := y.Recv(b.now, 1<<30, nil)
			if !ok {
				break
			}
			packet.ReleaseAll(v)
			if r.Stream == 1 && r.EOR {
				sum += b.now - sentAt[got]
				got++
			}
		}
	}
	x.Release()
	y.Release()
	for i := range b.flying {
		b.flying[i].in.Body.Release()
	}
	return sum / time.Duration(got)
}

// TestSmallBesideBulk: what I-DATA and the schedulers are for (RFC 8260). A small message does not wait
// until a large one of another stream is over.
func TestSmallBesideBulk(t *testing.T) {
	fcfs := beside(t, false, SchedFCFS)
	data := beside(t, false, SchedPriority)
	for _, sched := range []Sched{SchedPriority, SchedRR, SchedFair} {
		idata := beside(t, true, sched)
		t.Logf("scheduler %d: %v with I-DATA, %v without, %v first come, first served", sched, idata, data, fcfs)
		if idata > fcfs/4 || idata > data*3/4 {
			t.Errorf("scheduler %d: a small message takes %v, without I-DATA %v", sched, idata, data)
		}
	}
}

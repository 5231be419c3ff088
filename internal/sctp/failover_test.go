package sctp

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"usock/packet"
)

// haul is one message behind the other from the first end to the second.
type haul struct {
	*chance
	sent, got int
	last      time.Duration // when a message was last read
	gap       time.Duration // longest time without one
	states    []int32       // what the sender was told of its primary path
}

// run goes on for d.
func (x *haul) run(d time.Duration) {
	a := x.end[0].a
	for end := x.now + d; x.now < end; {
		for a.SendSpace() > a.snd.bufSize-20000 { // a megabyte a second
			m := make([]byte, 1200)
			m[0], m[1], m[2] = byte(x.sent>>16), byte(x.sent>>8), byte(x.sent)
			if _, errno := a.Send(x.now, &SendInfo{}, views(m)); errno != 0 {
				x.t.Fatal(errno)
			}
			x.sent++
		}
		x.pump()
		x.read()
		for {
			_, r, ok := a.Recv(x.now, 1, nil)
			if !ok {
				break
			}
			if r.Notification.Addr == pairAddr(1, 0) {
				x.states = append(x.states, r.Notification.State)
			}
		}
		x.pump()
		if !x.step() {
			x.t.Fatal("nothing happens")
		}
	}
}

// read reads what has come, which is to be the next messages.
func (x *haul) read() {
	for {
		v, r, ok := x.end[1].a.Recv(x.now, 2000, nil)
		if !ok {
			return
		}
		if r.Notification != nil {
			continue
		}
		var m []byte
		for _, b := range v {
			m = append(m, b.Bytes()...)
		}
		packet.ReleaseAll(v)
		if n := int(m[0])<<16 | int(m[1])<<8 | int(m[2]); n != x.got || !r.EOR || len(m) != 1200 {
			x.t.Fatalf("message %d in place of %d", n, x.got)
		}
		x.got++
		x.gap = max(x.gap, x.now-x.last)
		x.last = x.now
	}
}

// A transfer over two networks of which the first is cut: it goes on over the other within an RTO, and when the first
// is back it returns there; no message is lost or doubled.
func TestFailover(t *testing.T) {
	c := &chance{pair: newPair(t, 1500, 2), rnd: rand.New(rand.NewPCG(1, 1)), cut: map[int]bool{}, nets: 2}
	c.quiet = true
	c.delay = 10 * time.Millisecond
	c.carry = c.launch
	for i := range c.end {
		o := c.end[i].e.Options
		o.Events = EventMask(0).With(EventPeerAddrChange, true)
		o.Path.HBInterval, o.Path.MaxRetrans = time.Second, 2
	}
	c.connect()
	for c.end[1].a == nil || !c.end[0].a.paths[len(c.end[0].a.paths)-1].confirmed() {
		if !c.step() {
			t.Fatal("not connected")
		}
	}
	a := c.end[0].a
	x := &haul{chance: c, last: c.now}

	x.run(2 * time.Second)
	if a.use != a.primary || x.gap > 100*time.Millisecond {
		t.Fatalf("a gap of %v before anything was cut", x.gap)
	}
	c.cut[0] = true
	x.run(20 * time.Second)
	if most := a.opt.RTOMin + 100*time.Millisecond; x.gap > most {
		t.Errorf("nothing came for %v, at most %v are allowed", x.gap, most)
	}
	if a.use.addr != pairAddr(1, 1) || a.primary.state != PathInactive {
		t.Errorf("data goes to %v, the primary path is in state %v", a.use.addr, a.primary.state)
	}
	x.gap = 0
	c.cut[0] = false
	x.run(20 * time.Second)
	if a.use != a.primary || x.gap > 200*time.Millisecond {
		t.Errorf("data goes to %v; nothing came for %v", a.use.addr, x.gap)
	}
	if !slices.Equal(x.states, []int32{AddrUnreachable, AddrAvailable}) {
		t.Errorf("told of the path: %v", x.states)
	}
	a.Release()
	c.end[1].a.Release()
	c.drop()
}

package sctp

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"usock/packet"
)

// partialTalk is what one end says to the other with messages that may be given up.
type partialTalk struct {
	t     *testing.T
	c     *chance
	sent  []SendInfo // by the PPID
	sizes []int
	got   map[uint32]int
	fails map[uint32]int
	last  map[uint16]uint32
	parts map[uint16][]byte
}

// TestChancePartial: over a network of chance that marks packets, too, a message arrives whole and once
// or has failed, what is reliable arrives, and streams keep their order.
func TestChancePartial(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	for seed := range uint64(tries(*seeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			before := packet.Live()
			c := newChance(t, seed, 1+int(seed%2))
			for i := range c.end {
				o := c.end[i].e.Options
				o.Events = ^EventMask(0)
				o.RTOMax = time.Minute // and so the guard of the shutdown is long
				o.OutStreams, o.Scheduler = 4, uint16(seed%uint64(numScheds))
				o.PDPoint = []uint32{0, 100, 5000}[seed%3]
			}
			c.carry = func(from int, in *In) {
				in.CE = c.rnd.IntN(20) == 0
				c.launch(from, in)
			}
			c.connect()
			for c.end[0].a.State() != Established || c.end[1].a == nil {
				if !c.step() {
					t.Fatal("not connected")
				}
			}
			k := &partialTalk{
				t: t, c: c, got: map[uint32]int{}, fails: map[uint32]int{}, last: map[uint16]uint32{}, parts: map[uint16][]byte{},
			}
			k.converse(150)
			c.end[0].a.Release()
			c.end[1].a.Release()
			c.drop()
			if n := packet.Live() - before; n != 0 {
				t.Fatalf("%d blocks leak", n)
			}
		})
	}
}

func (k *partialTalk) converse(total int) {
	x, y := k.c.end[0].a, k.c.end[1].a
	for n := 0; x.State() != Closed || y.State() != Closed; n++ {
		if n > 400000 {
			k.t.Fatalf("no end: sent %d, got %d, failed %d, states %v %v", len(k.sent), len(k.got), len(k.fails), x.State(), y.State())
		}
		for len(k.sent) < total && x.SendSpace() > 0 && k.c.rnd.IntN(3) > 0 {
			k.send(x)
		}
		if len(k.sent) == total && x.snd.empty() {
			x.Shutdown(k.c.now)
		}
		k.recv(x)
		if k.c.rnd.IntN(3) > 0 {
			k.recv(y)
		}
		k.c.pump()
		if !k.c.step() {
			break
		}
	}
	k.recv(x)
	k.recv(y)
	for i, info := range k.sent {
		got, failed := k.got[uint32(i)], k.fails[uint32(i)]
		if got > 1 || got+failed == 0 || info.PR == PRNone && got != 1 {
			k.t.Errorf("message %d of policy %#x came %d times and has failed %d times", i, info.PR, got, failed)
		}
	}
}

func (k *partialTalk) send(a *Assoc) {
	rnd := k.c.rnd
	info := SendInfo{Stream: uint16(rnd.IntN(int(a.out))), PPID: uint32(len(k.sent)), Unordered: rnd.IntN(4) == 0}
	if rnd.IntN(2) == 0 {
		info.PR = PRPolicy(rnd.IntN(4) << 4)
		info.PRValue = uint32(rnd.IntN(4))
		if info.PR == PRTTL {
			info.PRValue = uint32(1 + rnd.IntN(3000))
		}
	}
	n := 1 + rnd.IntN(300)
	if rnd.IntN(3) == 0 {
		n = 1 + rnd.IntN(15000)
	}
	v := views(bytes.Repeat([]byte{byte(info.PPID)}, n))
	if _, err := a.Send(k.c.now, &info, v); err != 0 {
		packet.ReleaseAll(v)
		return
	}
	k.sent, k.sizes = append(k.sent, info), append(k.sizes, n)
}

func (k *partialTalk) recv(a *Assoc) {
	for {
		v, r, ok := a.Recv(k.c.now, 1<<30, nil)
		if !ok {
			return
		}
		if n := r.Notification; n != nil {
			switch n.Type {
			case EventSendFailedEvent:
				k.fails[n.Info.PPID]++
			case EventPartialDelivery:
				delete(k.parts, n.Stream)
			case EventAssocChange:
				if n.State == CommLost {
					k.t.Errorf("the association was lost at %v: cause %d", k.c.now, n.Error)
				}
			}
			continue
		}
		for _, x := range v {
			k.parts[r.Stream] = append(k.parts[r.Stream], x.Bytes()...)
		}
		packet.ReleaseAll(v)
		if !r.EOR {
			continue
		}
		b, id := k.parts[r.Stream], r.PPID
		delete(k.parts, r.Stream)
		if int(id) >= len(k.sent) || !bytes.Equal(b, bytes.Repeat([]byte{byte(id)}, k.sizes[id])) {
			k.t.Fatalf("message %d of %d bytes is not what was sent", id, len(b))
		}
		k.got[id]++
		if last, ok := k.last[r.Stream]; !r.Unordered {
			if ok && last > id {
				k.t.Fatalf("stream %d: %d behind %d", r.Stream, id, last)
			}
			k.last[r.Stream] = id
		}
	}
}

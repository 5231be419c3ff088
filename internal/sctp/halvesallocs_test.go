package sctp

import (
	"testing"
	"time"
	"unsafe"

	"usock/internal/wire"
	"usock/packet"
)

// straight is a sender and a receiver that sit together: chunks are handed over as they are cut.
type straight struct {
	snd   sender
	rcv   receiver
	f     flow
	now   time.Duration
	sack  []byte
	views []packet.View
	one   [1]packet.View
	msg   outMessage
}

func newStraight(interleaved bool, mtu int) *straight {
	d := &straight{now: time.Second}
	d.snd.rto = &RTOBounds{time.Second, time.Second, time.Minute}
	d.snd.interleaved, d.rcv.interleaved, d.rcv.mixed = interleaved, interleaved, interleaved
	d.snd.noDelay = true
	d.snd.addFlow(&d.f, mtu, testOverhead)
	d.snd.begin(1)
	d.rcv.bufSize, d.rcv.mtu, d.rcv.sackFreq, d.rcv.sackDelay = 1<<18, uint32(mtu), 2, time.Second
	d.rcv.begin(1, 10)
	d.snd.agree(d.rcv.initialWindow(), 10)
	return d
}

func (d *straight) free() {
	d.snd.free()
	d.rcv.free()
}

// carry has a message of n bytes go across, losing one packet of lose.
func (d *straight) carry(n, lose int) {
	for left := n; left > 0; left -= packet.MaxBlock {
		b := packet.NewBlock(min(left, packet.MaxBlock))
		d.one[0] = b.View(0, min(left, packet.MaxBlock))
		d.snd.push(d.now, &d.msg, d.one[:])
	}
	packets := 0
	for !d.snd.empty() {
		var out outData
		l := load{room: int(d.f.room), bare: true}
		packets++
		for d.snd.next(d.now, &d.f, &l, &out) {
			if lose > 0 && packets%lose == 2 {
				continue
			}
			in := inData{Data: out.Data, mid: out.mid, fsn: out.fsn}
			if d.rcv.data(&in, &out.payload, 0, out.payload.Len()) != dataTaken {
				panic("violation")
			}
		}
		d.rcv.packet(d.now)
		if l.n == 0 {
			d.now += time.Second
			if d.f.t3 <= d.now {
				d.snd.timeout(d.now, &d.f)
			}
		}
		for {
			var m inMessage
			views, ok := d.rcv.take(1<<20, d.views[:0], &m)
			if !ok {
				break
			}
			packet.ReleaseAll(views)
			d.views = views
		}
		if d.rcv.sackDue(d.now) {
			d.sack = d.rcv.appendSack(d.sack[:0], 1400)
			k, _ := wire.ParseSack(d.sack[wire.ChunkHeaderLen:])
			d.snd.onSACK(d.now, &k)
		}
	}
}

// TestAllocations: a chunk allocates nothing in steady state, large or small, lost or not.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		interleaved   bool
		n, lose, most int
	}{{false, 100, 0, 0}, {false, 60000, 0, 0}, {false, 60000, 7, 0}, {true, 100, 0, 0}, {true, 60000, 7, 0}} {
		d := newStraight(c.interleaved, testMTU)
		for range 50 {
			d.carry(c.n, c.lose)
		}

		// A collection empties pools now and then.
		if n := testing.AllocsPerRun(200, func() { d.carry(c.n, c.lose) }); n > 0.9 && !raceEnabled {
			t.Errorf("%+v: %v allocations", c, n)
		}
		d.free()
	}
}

// TestIdleSize: what an idle association holds for its halves.
func TestIdleSize(t *testing.T) {
	d := newStraight(false, testMTU)
	d.carry(60000, 7)
	if d.snd.chunks.a != nil || d.rcv.tsns.a != nil {
		t.Error("an idle association keeps arrays")
	}
	n := unsafe.Sizeof(d.snd) + unsafe.Sizeof(d.rcv) + unsafe.Sizeof(d.f) + unsafe.Sizeof(outPage{}) + unsafe.Sizeof(inPage{})
	if n > 1900 {
		t.Errorf("the halves, a path and a page of streams of each take %d bytes", n)
	}
	d.free()
}

func BenchmarkHalves(b *testing.B) {
	for _, c := range []struct {
		name   string
		n, mtu int
	}{{"100", 100, testMTU}, {"64K", 1 << 16, testMTU}, {"64K, large packets", 1 << 16, 1 << 16}} {
		b.Run(c.name, func(b *testing.B) {
			d := newStraight(false, c.mtu)
			b.SetBytes(int64(c.n))
			b.ReportAllocs()
			d.rcv.sackFreq = 1
			for b.Loop() {
				d.carry(c.n, 0)
			}
			d.free()
		})
	}
}

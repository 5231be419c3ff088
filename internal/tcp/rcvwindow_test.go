package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/packet"
)

// holding returns a receiver with a buffer of size bytes that holds n bytes not read and has offered
// a window of w bytes.
func holding(size, n, w uint32, wscale uint8, mss uint16) *receiver {
	r := &receiver{bufSize: size, wscale: wscale, mss: mss, advMSS: mss, ssthresh: 1 << 30}
	r.q.Reset(origin + 1)
	for left := int(n); left > 0; left -= packet.MaxBlock {
		k := min(left, packet.MaxBlock)
		b := packet.NewBlock(k)
		r.q.Push(b.View(0, k))
	}
	r.nxt = r.q.End()
	r.adv = r.nxt + uint64(w)
	return r
}

// Which window the next segment offers, before the rule that it does not shrink: half of the buffer less
// what waits to be read, and nothing where that is less than a segment or a sixteenth of the whole (RFC
// 9293 §3.8.6.2.2; Linux, __tcp_select_window).
func TestWindowOffered(t *testing.T) {
	for _, c := range []struct {
		name      string
		size, n   uint32 // of the buffer, not read
		window    uint32 // offered before
		wscale    uint8
		mss       uint16
		clamp     uint32
		threshold uint32 // most that is offered at present; 0: no bound
		want      uint32
		quick     uint8 // of three quick acknowledgments
	}{
		{"empty, scaled", 64000, 0, 1000, 2, 1000, 0, 0, 32000, 3},
		{"rounded up to the unit", 64006, 0, 1000, 2, 1000, 0, 0, 32004, 3},
		{"a multiple of the unit", 64008, 0, 1000, 2, 1000, 0, 0, 32004, 3},
		{"bounded by what has grown", 64000, 0, 1000, 2, 1000, 0, 9001, 9004, 3},
		{"half of it is free", 64000, 16000, 1000, 2, 1000, 0, 0, 16000, 3},
		{"less than half: rounded down", 64000, 16001, 1000, 2, 1000, 0, 0, 15996, 0},
		{"a sixteenth is free", 64000, 30000, 1000, 2, 1000, 0, 0, 2000, 0},
		{"less than a sixteenth", 64000, 30001, 1000, 2, 1000, 0, 0, 0, 0},
		{"a segment is free", 16000, 7000, 1000, 2, 1000, 0, 0, 1000, 0},
		{"less than a segment", 16000, 7001, 1000, 2, 1000, 0, 0, 0, 0},
		{"full", 64000, 33000, 0, 2, 1000, 0, 0, 0, 0},
		{"clamped", 64000, 0, 1000, 2, 1000, 8000, 0, 8000, 3},
		{"clamped, and less than half of the clamp is free", 64000, 28500, 1000, 2, 1000, 8000, 0, 3500, 0},

		{"not scaled: whole segments", 16500, 0, 1000, 0, 1000, 0, 0, 8000, 3},
		{"not scaled: not by less than a segment", 16500, 0, 7251, 0, 1000, 0, 0, 7251, 3},
		{"not scaled: by a segment", 16500, 0, 7250, 0, 1000, 0, 0, 8000, 3},
		{"not scaled: as before", 16500, 0, 8250, 0, 1000, 0, 0, 8250, 3},
		{"not scaled: more than there is", 16500, 0, 8251, 0, 1000, 0, 0, 8000, 3},
		{"not scaled: 16 bits", 200000, 0, 0, 0, 1000, 0, 0, 65535, 3},
		{"a buffer of one segment: by half of it", 1800, 0, 449, 0, 1000, 0, 0, 900, 3},
		{"a buffer of one segment: not by less", 1800, 100, 400, 0, 900, 0, 0, 400, 3},
		{"a buffer of one segment: half of it", 1800, 100, 350, 0, 900, 0, 0, 350, 3},
		{"a buffer of one segment: more than half", 1800, 100, 349, 0, 900, 0, 0, 800, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := holding(c.size, c.n, c.window, c.wscale, c.mss)
			if c.threshold != 0 {
				r.ssthresh = c.threshold
			}
			r.ack.quick = 3
			tb := &tcb{cfg: DefaultConfig()}
			tb.opt.WindowClamp = c.clamp
			if got := r.wouldAdvertise(tb); got != c.want || r.ack.quick != c.quick {
				t.Fatalf("%d, %d quick acknowledgments left; want %d, %d", got, r.ack.quick, c.want, c.quick)
			}
			r.q.Reset(r.q.End())
		})
	}
}

// What was offered stays offered (RFC 9293 §3.8.6), in whole units; the field has 16 bits; behind the
// peer's FIN the edge stays.
func TestWindowAdvertised(t *testing.T) {
	for _, c := range []struct {
		name            string
		size, n, window uint32
		wscale          uint8
		fin             bool
		field           uint16
		edge            uint32 // from RCV.NXT
	}{
		{"opens", 64000, 0, 1000, 2, false, 8000, 32000},
		{"does not shrink", 64000, 20000, 20000, 2, false, 5000, 20000},
		{"does not shrink, in whole units", 64000, 20000, 20001, 2, false, 5001, 20004},
		{"stays", 64000, 0, 32000, 2, false, 8000, 32000},
		{"closed", 64000, 32000, 0, 2, false, 0, 0},
		{"16 bits", 1 << 20, 0, 0, 2, false, 65535, 65535 << 2},
		{"16 bits, not scaled", 1 << 20, 0, 70000, 0, false, 65535, 70000},
		{"behind the FIN", 64000, 0, 1000, 2, true, 8000, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := holding(c.size, c.n, c.window, c.wscale, 1000)
			tb := &tcb{cfg: DefaultConfig()}
			if c.fin {
				tb.flags |= finRcvd
			}
			if got := r.advertise(tb, 0); got != c.field || r.window() != c.edge {
				t.Fatalf("field %d, edge %d; want %d, %d", got, r.window(), c.field, c.edge)
			}
			r.q.Reset(r.q.End())
		})
	}
}

// The most that is offered grows by two segments for each that arrives, and by twice what a large one
// holds, as far as there is room (Linux, tcp_grow_window).
func TestWindowGrows(t *testing.T) {
	for _, c := range []struct {
		name                  string
		size, n, clamp, start uint32
		arrives               int
		want                  uint32
	}{
		{"by two segments", 64000, 0, 0, 8000, 100, 10000},
		{"by twice a large one", 64000, 0, 0, 8000, 5000, 18000},
		{"as far as there is room", 64000, 20000, 0, 11000, 1000, 12000},
		{"no further", 64000, 20000, 0, 12000, 1000, 12000},
		{"it does not shrink", 64000, 20000, 0, 13000, 1000, 13000},
		{"the whole of it", 64000, 0, 0, 31500, 1000, 32000},
		{"the clamp", 64000, 0, 9000, 8000, 1000, 9000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := holding(c.size, c.n, 0, 2, 1000)
			r.ssthresh = c.start
			tb := &tcb{cfg: DefaultConfig()}
			tb.opt.WindowClamp = c.clamp
			if r.growWindow(tb, c.arrives); r.ssthresh != c.want {
				t.Fatalf("%d, want %d", r.ssthresh, c.want)
			}
			r.q.Reset(r.q.End())
		})
	}
}

// The receiver's round trip is the shortest time in which a window of data arrives (Linux,
// tcp_rcv_rtt_measure).
func TestReceiverRTT(t *testing.T) {
	r := holding(64000, 0, 10000, 2, 1000)
	at := func(ms int, arrived uint64, want time.Duration) {
		t.Helper()
		r.nxt = origin + 1 + arrived
		r.adv = r.nxt + 10000
		if r.windowCame() {
			r.measureRTT(secs(50)+msec(ms), 0)
		}
		if got := time.Duration(r.rtt>>3) * time.Microsecond; got != want {
			t.Fatalf("at %d ms: %v, want %v", ms, got, want)
		}
	}
	at(0, 1000, 0) // the window ends at 11 000
	at(30, 10999, 0)
	at(40, 11000, msec(40)) // now at 21 000
	at(60, 20999, msec(40))
	at(65, 21500, msec(25)) // 31 500
	at(165, 31500, msec(25))
	at(175, 41500, msec(10)) // a shorter one
	at(175, 51500, time.Microsecond)
}

// Once a round trip the buffer becomes large enough for twice what was read in it and sixteen segments,
// and twice that again by the share by which that has grown, at most tcp_rmem[2]; what waits behind a hole
// comes on top. With SO_RCVBUF set it stays (Linux, tcp_rcv_space_adjust).
func TestBufferTunes(t *testing.T) {
	for _, c := range []struct {
		name     string
		rtt, rcv int // ms: measured by the sender, by the receiver
		after    int // ms
		read     uint64
		fixed    bool
		held     uint64 // behind a hole
		want     uint32
		space    uint32
	}{
		{"as much as in the last round trip", 100, 0, 100, 10000, false, 0, 60000, 10000},
		{"a byte more", 100, 0, 100, 10001, false, 0, 2 * (36002 + 2*36002/10000), 10001},
		{"half as much again", 100, 0, 100, 15000, false, 0, 2 * (46000 + 2*46000/2), 15000},
		{"twice as much", 100, 0, 100, 20000, false, 0, 2 * (56000 + 2*56000), 20000},
		{"less than a round trip", 100, 0, 99, 20000, false, 0, 60000, 10000},
		{"by the receiver's own", 100, 20, 20, 20000, false, 0, 2 * (56000 + 2*56000), 20000},
		{"the receiver's own is not over", 10, 50, 49, 20000, false, 0, 60000, 10000},
		{"none is known", 0, 0, 100, 20000, false, 0, 60000, 10000},
		{"the limit", 100, 0, 100, 4 << 20, false, 0, 6 << 20, 4 << 20},
		{"a size that was set", 100, 0, 100, 20000, true, 0, 60000, 20000},
		{"behind a hole", 100, 0, 100, 20000, false, 5000, 2 * (56000 + 2*56000 + 5000), 20000},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := &tcb{cfg: DefaultConfig()}
			tb.cfg.RMem[2] = 6 << 20
			if c.fixed {
				tb.flags |= fixedRcv
			}
			tb.rtt.srtt = uint32(c.rtt) * 8000
			r := holding(60000, 0, 30000, 2, 1000)
			r.rtt = uint32(c.rcv) * 8000
			r.drsSpace, r.drsSeq, r.drsAt = 10000, r.q.Base(), secs(7)
			r.q.Reset(r.q.Base() + c.read)
			r.nxt = r.q.End()
			if c.held != 0 {
				r.ooo = new(outOfOrder)
				b := packet.NewBlock(100)
				r.ooo.q.Insert(r.nxt+c.held-100, b.View(0, 100))
				defer r.ooo.q.Reset()
			}
			r.rightSize(tb, secs(7)+msec(c.after))
			if r.bufSize != c.want || r.drsSpace != c.space {
				t.Fatalf("%d for %d, want %d for %d", r.bufSize, r.drsSpace, c.want, c.space)
			}
			over := c.rtt != 0 && c.after >= max(c.rcv, 20) && (c.rcv != 0 || c.after >= c.rtt)
			if begun := r.drsAt != secs(7); begun != over || begun != (r.drsSeq == r.q.Base()) {
				t.Fatalf("a round trip is over: %v", begun)
			}
		})
	}
}

// What a round trip of less than a millisecond needs is in the cache: of large segments no sixteen are
// waited for, but 128 KiB, and nothing is ahead of slow start.
func TestNearBufferStaysSmall(t *testing.T) {
	for _, c := range []struct {
		name string
		rtt  time.Duration
		mss  uint16
		read uint64
		want uint32
	}{
		{"the loopback interface", 10 * time.Microsecond, 65483, 128 << 10, 2 * (256 + 128) << 10},
		{"large reads", 10 * time.Microsecond, 65483, 1 << 20, 2 * (2048 + 128) << 10},
		{"segments of Ethernet's size", 999 * time.Microsecond, 1448, 128 << 10, 2 * (256<<10 + 16*1448)},
		{"a millisecond", time.Millisecond, 65483, 128 << 10, 2 * 3 * (256<<10 + 16*65483)},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := &tcb{cfg: DefaultConfig()}
			r := holding(60000, 0, 30000, 2, c.mss)
			r.rtt = uint32(c.rtt/time.Microsecond) << 3
			r.drsSpace, r.drsSeq, r.drsAt = uint32(c.read/2), r.q.Base(), secs(7)
			r.q.Reset(r.q.Base() + c.read)
			r.nxt = r.q.End()
			r.rightSize(tb, secs(7)+c.rtt)
			if r.bufSize != c.want {
				t.Errorf("%d, want %d", r.bufSize, c.want)
			}
		})
	}
}

// When reading tells the peer of room (Linux, tcp_cleanup_rbuf): if the window at least doubles, and was
// less than half of what it may be.
func TestReadOpensWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		clamp  int
		read   int
		window string // told; empty: nothing
	}{
		{"all", 0, 8760, "8760"},
		{"half: it doubles", 0, 4380, "4380"},
		{"less than a segment", 0, 1459, ""},
		{"a segment", 0, 1460, "1460"},
		{"clamped", 4380, 8760, "4380"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.p.RcvBuf = 12 * 1460
			if c.clamp != 0 {
				tc.c.SetWindowClamp(c.clamp)
			}
			tc.connect()
			n := 1
			for tc.c.rcv.window() > 0 {
				k := min(1460, int(tc.c.rcv.window()))
				tc.recv(fmt.Sprintf(". %d+%d ack 1", n, k))
				n += k
			}
			tc.sleep(secs(1))
			tc.out = nil
			held := tc.c.Buffered()
			tc.read(min(c.read, held), min(c.read, held))
			if c.window != "" {
				tc.want(fmt.Sprintf(". 1 ack %d win %s", n, c.window))
			}
			tc.wantIdle("no more to be told")
		})
	}
}

// The receiver's round trip becomes longer where timestamps say so, the window has held the peer back, and either less comes than when
// that was last so, or more, by a window that has grown: a queue that grows with the window is not the path.
func TestReceiverRTTLengthens(t *testing.T) {
	const before = 10 * time.Millisecond
	for _, c := range []struct {
		name       string
		took, trip time.Duration
		rate       uint32 // of the last time; what comes now is 100 bytes a ms
		want       time.Duration
	}{
		{"longer", msec(90), msec(90), 0, msec(20)},
		{"nobody knows the trip", msec(90), 0, 0, before},
		{"as long as ever, and the clock's ticks", msec(90), msec(11), 0, before},
		{"not all of the window was in flight", msec(104), msec(90), 0, before},
		{"as much of it as can be told", msec(103), msec(90), 0, msec(20)},
		{"the same comes", msec(90), msec(90), 100, before},
		{"hardly more", msec(90), msec(90), 89, before},
		{"more", msec(90), msec(90), 88, msec(20)},
		{"hardly less", msec(90), msec(90), 133, before},
		{"less", msec(90), msec(90), 135, msec(20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := holding(64000, 0, uint32(100*c.took/time.Millisecond), 2, 1000)
			r.measureRTT(secs(50), 0)
			r.rtt, r.rttRate = uint32(before/time.Microsecond)<<3, c.rate
			r.nxt = r.adv
			r.measureRTT(secs(50)+c.took, c.trip)
			if got := time.Duration(r.rtt>>3) * time.Microsecond; got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// A window that takes longer than the variable can tell leaves the round trip alone.
func TestReceiverRTTHasRoom(t *testing.T) {
	r := holding(64000, 0, 10000, 2, 1000)
	r.measureRTT(secs(50), 0)
	r.rtt = 8 * 20000
	r.nxt = r.adv
	r.measureRTT(secs(50)+(1<<29+10)*time.Microsecond, 0)
	if r.rtt != 8*20000 {
		t.Errorf("%d µs", r.rtt>>3)
	}
}

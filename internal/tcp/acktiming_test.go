package tcp

import (
	"strconv"
	"testing"

	"usock/internal/wire"
)

// When data is acknowledged: Linux's adaptive delay (tcp_event_data_recv, tcp_send_delayed_ack,
// tcp_delack_timer, tcp_incr_quickack), within RFC 9293 §3.8.6.3.

// The wait follows the gaps between segments; the first data, and data after a pause, are acknowledged at
// once, as many segments as half of the window holds, two at the least and sixteen at the most.
func TestAckPace(t *testing.T) {
	for _, c := range []struct {
		name   string
		ato    int // ms
		since  int // ms since the last data
		window uint32
		quick  uint8 // before
		want   int   // ms
		quickN uint8
	}{
		{"first data", 0, 1000, 20000, 0, 40, 10},
		{"first data, sixteen at the most", 0, 1000, 64000, 0, 40, 16},
		{"first data, two at the least", 0, 1000, 1999, 0, 40, 2},
		{"first data, one segment for two", 0, 1000, 2000, 0, 40, 1},
		{"first data, more are due", 0, 1000, 2000, 7, 40, 7},
		{"gap of no time", 100, 0, 20000, 3, 70, 3},
		{"gap of half the least wait", 100, 20, 20000, 3, 70, 3},
		{"a little longer", 100, 21, 20000, 3, 71, 3},
		{"just within the wait", 100, 99, 20000, 3, 149, 3},
		{"as long as the wait", 100, 100, 20000, 3, 100, 3},
		{"longer", 100, 200, 20000, 3, 100, 3},
		{"not more than the timeout", 290, 280, 20000, 3, 300, 3},
		{"as long as the timeout", 100, 300, 20000, 3, 100, 3},
		{"a pause", 100, 301, 20000, 3, 100, 10},
		{"a pause, two at the least", 100, 301, 2000, 0, 100, 2},
		{"a pause, sixteen at the most", 100, 301, 64000, 0, 100, 16},
		{"a pause, more are due", 100, 301, 2000, 7, 100, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := holding(1<<20, 0, c.window, 7, 1000)
			tb := &tcb{cfg: DefaultConfig()}
			tb.rtt.rto = 300_000
			now := secs(500)
			r.ack.ato, r.ack.quick, r.ack.lastRcv = msec(c.ato), c.quick, now-msec(c.since)
			r.dataArrived(tb, now, 100, &Segment{})
			if r.ack.ato != msec(c.want) || r.ack.quick != c.quickN || !r.ack.owed || r.ack.lastRcv != now {
				t.Fatalf("%+v, want %d ms, %d", r.ack, c.want, c.quickN)
			}
		})
	}
}

// The size of the peer's segments is that of the largest, as far as it was offered; small ones that are
// pushed are counted: their sender waits.
func TestPeerSegmentSize(t *testing.T) {
	for _, c := range []struct {
		name        string
		n           int
		f           wire.TCPFlags
		pushed      uint8
		mss         uint16
		pushedAfter uint8
	}{
		{"larger", 700, 0, 0, 700, 0},
		{"larger than was offered", 5000, 0, 0, 1000, 0},
		{"larger, pushed", 700, wire.PSH, 0, 700, 1},
		{"as large, pushed", 500, wire.PSH, 0, 500, 1},
		{"larger, pushed, after two", 700, wire.PSH, 2, 700, 2},
		{"smaller", 499, 0, 0, 500, 0},
		{"smaller, other flags", 499, wire.ACK | wire.URG, 1, 500, 1},
		{"smaller, pushed", 499, wire.PSH, 0, 500, 1},
		{"a second", 499, wire.PSH, 1, 500, 2},
		{"a third", 499, wire.PSH, 2, 500, 2},
	} {
		r := &receiver{mss: 500, advMSS: 1000}
		r.ack.pushed = c.pushed
		if r.measureMSS(c.n, c.f); r.mss != c.mss || r.ack.pushed != c.pushedAfter {
			t.Errorf("%s: %d, %d pushed; want %d, %d", c.name, r.mss, r.ack.pushed, c.mss, c.pushedAfter)
		}
	}
}

// How long an acknowledgment waits.
func TestAckDelay(t *testing.T) {
	for _, c := range []struct {
		name     string
		ato      int // ms
		pingpong bool
		pushed   uint8
		srtt     int // ms
		running  int // ms until the timer expires; 0: it is off
		want     int // ms until it is; 0: acknowledged now
	}{
		{"the least", 40, false, 0, 0, 0, 40},
		{"no data has set the pace", 0, false, 0, 0, 0, 1},
		{"the pace", 100, false, 0, 0, 0, 100},
		{"200 ms at the most", 400, false, 0, 0, 0, 200},
		{"200 ms where somebody waits", 300, false, 1, 0, 0, 200},
		{"200 ms for a program that answers", 300, true, 0, 0, 0, 200},
		{"a round trip at the most", 150, false, 0, 90, 0, 90},
		{"a round trip, where somebody waits", 150, true, 2, 90, 0, 90},
		{"a short round trip", 150, false, 0, 3, 0, 40},
		{"the least is no more than that", 40, false, 0, 3, 0, 40},
		{"a longer round trip", 150, false, 0, 190, 0, 150},
		{"running, and sooner", 100, false, 0, 0, 60, 60},
		{"running, and later", 100, false, 0, 0, 130, 100},
		{"running, and nearly over", 100, false, 0, 0, 25, 0},
		{"running, and not so nearly", 100, false, 0, 0, 26, 26},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &receiver{}
			tb := &tcb{cfg: DefaultConfig(), timer: noTimers()}
			tb.rtt.srtt = uint32(c.srtt) * 8000
			now := secs(500)
			r.ack = acking{ato: msec(c.ato), pingpong: c.pingpong, pushed: c.pushed}
			if c.running != 0 {
				tb.timer.ack = now + msec(c.running)
			}
			r.delayAck(tb, now)
			if c.want == 0 {
				if tb.todo != todoAck {
					t.Fatalf("todo %b", tb.todo)
				}
				return
			}
			if tb.timer.ack-now != msec(c.want) || tb.todo != 0 || !r.ack.owed {
				t.Fatalf("in %v, todo %b", tb.timer.ack-now, tb.todo)
			}
		})
	}
}

// A wait in vain: the next is twice as long, up to the timeout, or a program that was thought to answer is
// thought so no longer.
func TestAckExpired(t *testing.T) {
	for _, c := range []struct {
		name     string
		ato      int
		pingpong bool
		owed     bool
		want     int
	}{
		{"twice as long", 100, false, true, 200},
		{"the timeout at the most", 200, false, true, 300},
		{"no answer after all", 100, true, true, 40},
		{"nothing is owed", 100, false, false, 100},
		{"nothing is owed by one who answers", 100, true, false, 100},
	} {
		r := &receiver{}
		tb := &tcb{cfg: DefaultConfig(), timer: noTimers()}
		tb.timer.ack = secs(5)
		tb.rtt.rto = 300_000
		r.ack = acking{ato: msec(c.ato), pingpong: c.pingpong, owed: c.owed}
		r.ackExpired(tb, secs(5))
		if r.ack.ato != msec(c.want) || r.ack.pingpong != (c.pingpong && !c.owed) ||
			(tb.todo == todoAck) != c.owed || tb.timer.ack != never {
			t.Errorf("%s: %+v, todo %b, timer %v", c.name, r.ack, tb.todo, tb.timer.ack)
		}
	}
}

// What leaves acknowledges all: nothing is owed any more, and one quick acknowledgment less is due. After
// the last of them the wait begins with the least.
func TestAckSent(t *testing.T) {
	for _, c := range []struct {
		quick, after uint8
		ato          int
	}{{0, 0, 100}, {1, 0, 40}, {2, 1, 100}} {
		r := &receiver{nxt: 500}
		tb := &tcb{cfg: DefaultConfig(), timer: noTimers(), todo: todoAck | todoProbe}
		tb.timer.ack = secs(5)
		r.ack = acking{ato: msec(100), quick: c.quick, owed: true, pushed: 2}
		r.ackSent(tb, secs(4))
		if r.ack != (acking{ato: msec(c.ato), quick: c.after}) || tb.todo != todoProbe || tb.timer.ack != never || r.lastAck != 500 {
			t.Errorf("%d: %+v, todo %b, timer %v", c.quick, r.ack, tb.todo, tb.timer.ack)
		}
	}
}

// Data that leaves within the wait is an answer: from then on acknowledgments wait for it. After a pause,
// and with a retransmission or a FIN alone, it is none.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(tc *script)
		want bool
	}{
		{"an answer", func(tc *script) { tc.sleep(msec(39)); tc.write(10); tc.want("P. 1+10 ack 101") }, true},
		{"too late", func(tc *script) { tc.sleep(msec(40)); tc.write(10); tc.want("P. 1+10 ack 101") }, false},
		{"a FIN", func(tc *script) { tc.shutdown(); tc.want("F. 1 ack 101") }, false},
		{"a retransmission", func(tc *script) {
			tc.write(10)
			tc.want("P. 1+10 ack 101")
			tc.c.rcv.ack.pingpong = false
			tc.sleep(leastRTO - msec(10))
			tc.recv("P. 101+100 ack 1")
			tc.out = nil
			tc.c.rcv.ack.pingpong = false
			tc.wantAfter(msec(10), "P. 1+10 ack 201")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			tc.recv("P. 1+100 ack 1")
			tc.want(". 1 ack 101")
			c.do(tc)
			if got := !tc.c.QuickAck(); got != c.want {
				t.Errorf("it is taken for one that answers: %v", got)
			}
		})
	}
}

// Invalid and old segments have the next ones acknowledged at once, half a window of segments at the most,
// and end the waiting for answers.
func TestQuickAckAfterOld(t *testing.T) {
	for _, c := range []struct {
		window uint32
		quick  uint8
		want   uint8
	}{{20000, 0, 10}, {64000, 0, 16}, {1999, 0, 2}, {20000, 12, 12}} {
		r := holding(1<<20, 0, c.window, 7, 1000)
		r.ack = acking{quick: c.quick, pingpong: true, ato: msec(300)}
		r.quickAck(0, quickCount)
		if r.ack.quick != c.want || r.ack.pingpong || r.ack.ato != ackMin {
			t.Errorf("window %d: %+v, want %d", c.window, r.ack, c.want)
		}
	}
	for _, in := range []string{
		". 101+100 ack 1", // old
		". 151+100 ack 1", // up to what comes next
	} {
		tc := newScript(t, noTS)
		tc.connect()
		tc.recv("P. 1+250 ack 1")
		tc.read(1000, 250)
		tc.sleep(secs(1))
		tc.out = nil
		tc.c.rcv.ack.quick, tc.c.rcv.ack.pingpong = 0, true
		tc.recv(in)
		if tc.c.rcv.ack.quick == 0 || tc.c.rcv.ack.pingpong {
			t.Errorf("%s: %+v", in, tc.c.rcv.ack)
		}
		tc.out = nil
	}
}

// While the window grows the peer hears of it by each segment (Linux, tcp_grow_window): one in order of less than
// 128 bytes lets it grow not at all.
func TestGrowthIsAcknowledged(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	seq := 1
	segment := func(n int, at string) {
		t.Helper()
		tc.recv(". " + strconv.Itoa(seq) + "+" + strconv.Itoa(n) + " ack 1")
		seq += n
		if at == "now" {
			tc.want(". 1 ack " + strconv.Itoa(seq))
		}
		tc.wantIdle(at)
		tc.read(n, n)
	}
	for range quickCount {
		segment(1460, "now")
	}
	segment(1460, "later: nothing grows")
	segment(1460, "now")
	tc.c.SetRcvBuf(tc.now, 4*int(tc.c.rcv.bufSize))
	before := tc.c.rcv.ssthresh
	for range 4 {
		segment(1460, "now")
	}
	if got, want := tc.c.rcv.ssthresh, before+4*2*1460; got != want {
		t.Errorf("the window is %d, want %d", got, want)
	}
	segment(127, "later: too small")
	segment(128, "now")
	tc.rest()
}

package tcp

import (
	"strconv"
	"testing"

	"usock/internal/wait"
)

// writeMore is a send with MSG_MORE, writeRecord one with MSG_EOR.
func (s *script) writeMore(n int) {
	s.t.Helper()
	s.queue(n)
	s.call(func(c *Conn) { c.Written(true, false) })
}

func (s *script) writeRecord(n int) {
	s.t.Helper()
	s.queue(n)
	s.call(func(c *Conn) { c.Written(false, true) })
}

// What MSG_MORE holds back goes with the next acknowledgment where Nagle's rule allows it, and is not
// pushed (was seen).
func TestMoreUntilAck(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.writeMore(20)
	tc.wantIdle("more follows")
	tc.recv(". 1 ack 11")
	tc.want(". 11+20 ack 1")
}

// TCP_CORK is no matter of acknowledgments.
func TestCorkBeyondAck(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.c.SetCork(tc.now, true)
	tc.writeMore(20)
	tc.recv(". 1 ack 11")
	tc.wantIdle("corked")
	tc.wantAfter(leastRTO, "P. 11+20 ack 1")
}

// A small segment in flight still holds back what MSG_MORE no longer does.
func TestMoreThenNagle(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1470)
	tc.want(". 1+1460 ack 1")
	tc.want("P. 1461+10 ack 1")
	tc.writeMore(20)
	tc.recv(". 1 ack 1461")
	tc.wantIdle("Nagle")
	tc.recv(". 1 ack 1471")
	tc.want(". 1471+20 ack 1")
}

func TestMoreAlone(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetNoDelay(tc.now, true)
	tc.connect()
	tc.writeMore(10)
	tc.wantIdle("MSG_MORE is stronger than TCP_NODELAY")
	tc.wantAfter(leastRTO, "P. 1+10 ack 1")
	tc.writeMore(1460)
	tc.want(". 11+1460 ack 1") // a full segment is never held back
	tc.writeMore(5)
	tc.write(5)
	tc.want("P. 1471+10 ack 1")
	tc.writeMore(5)
	tc.shutdown()
	tc.want("F. 1481+5 ack 1")
}

// Data of the peer's that acknowledges nothing new changes nothing.
func TestMoreAndData(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.writeMore(10)
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11")
	tc.wantIdle("more follows")
	tc.recv(". 11 ack 1")
	tc.want(". 1+10 ack 11")
}

// Records do not share segments. What ends one waits for nothing once another follows.
func TestRecords(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.writeRecord(1)
	tc.want("P. 1+1 ack 1")
	tc.writeRecord(2)
	tc.wantIdle("Nagle")
	tc.writeRecord(3)
	tc.want("P. 2+2 ack 1")
	tc.write(4)
	tc.want("P. 4+3 ack 1")
	tc.wantIdle("Nagle")
	tc.recv(". 1 ack 7")
	tc.want("P. 7+4 ack 1")
	tc.recv(". 1 ack 11")
	if tc.c.lazy.records != nil {
		t.Errorf("records are kept: %v", tc.c.lazy.records)
	}
}

// Nor do they when they are sent again, nor where the link cuts large segments.
func TestRecordsAgain(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MaxSegment = 64 << 10
	tc.c.SetNoDelay(tc.now, true)
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.writeRecord(2920)
	tc.writeRecord(1460)
	tc.writeRecord(100)
	tc.write(5000)
	tc.recv(". 1 ack 1 win 65535")
	tc.want("P. 1+2920 ack 1 gso 1460")
	tc.want("P. 2921+1460 ack 1")
	tc.want("P. 4381+100 ack 1")
	tc.want("P. 4481+5000 ack 1 gso 1460")
	tc.wantAfter(leastRTO, ". 1+1460 ack 1")
	tc.rest()
	for tc.recv(". 1 ack 1461"); ; tc.recv(". 1 ack 4381") {
		again := tc.out
		tc.out = nil
		for _, g := range again {
			first, last := int(int32(g.Seq-tc.p.ISS)), int(int32(g.Seq-tc.p.ISS))+len(g.data)
			for _, end := range []int{2921, 4381, 4481} {
				if first < end && last > end {
					t.Errorf("%s holds the end of a record", tc.format(&g))
				}
			}
		}
		if tc.c.snd.una > 3000 {
			break
		}
	}
}

// A probe of the path holds no end of a record.
func TestRecordsAndMTUProbe(t *testing.T) {
	tc := newScript(t, plain)
	tc.cfg.InitialCwnd = 100
	tc.connect()
	tc.c.makeLazy().mtu = mtuProbe{on: true, low: 500, high: 1460}
	tc.c.snd.setMSS(&tc.c.tcb)
	tc.queue(300)
	tc.c.Written(false, true)
	tc.write(4000)
	tc.want("P. 1+300 ack 1")
	tc.want(". 301+980 ack 1") // behind it there is room for one
	tc.out = nil               // data behind the probe
}

// A write takes what there is room for, and no more beyond it than fills its last segment.
func TestWriteRoom(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.SndBuf = 4000
	tc.connect()
	room := func(n, want int) {
		t.Helper()
		if got := tc.c.Room(n); got != want {
			t.Errorf("room for %d of %d bytes, want %d", got, n, want)
		}
	}
	room(100, 100)
	room(4000, 4000)
	room(4001, 4001)
	room(100000, 4380)
	tc.recv(". 1 ack 1 win 0")
	tc.write(3000)
	room(100000, 1460)
	room(1200, 1200)
	tc.write(1000)
	room(1, 0)
	tc.recv(". 1 ack 1 win 65535")
	tc.out, tc.ev = nil, 0
	tc.recv(". 1 ack 4001")
	tc.wantEvents(wait.Out)
	tc.c.SetNotSentLowat(2000)
	room(100000, 2920)
	tc.rest()
}

// What was pushed is pushed again, whatever was written behind it since and however it is cut then; what was not,
// as MSG_MORE had said that more follows, is not. A record's end makes no difference to that.
func TestPushedAgain(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS = 1000
	tc.c.SetNoDelay(tc.now, true)
	tc.connectIn(msec(50))
	tc.write(100)
	tc.queue(1000)
	tc.c.Written(true, false)
	tc.pump()
	tc.write(1500)
	tc.queue(1000)
	tc.c.Written(true, true)
	tc.queue(1000)
	tc.c.Written(false, true)
	tc.pump()
	tc.queue(1000)
	tc.c.Written(true, false)
	tc.pump()
	tc.rest("P. 1+100 ack 1", ". 101+1000 ack 1", ". 1101+1000 ack 1", "P. 2101+500 ack 1", ". 2601+1000 ack 1",
		"P. 3601+1000 ack 1", ". 4601+1000 ack 1")
	again := func(ack int, text string) {
		t.Helper()
		tc.recv(". 1 ack " + strconv.Itoa(ack))
		for len(tc.out) == 0 {
			tc.now = tc.c.Deadline()
			tc.c.Expire(tc.now)
			tc.pump()
		}
		tc.want(text)
		tc.out = nil
	}
	again(1, "P. 1+100 ack 1")
	again(101, ". 101+1000 ack 1")
	tc.recv(". 1 ack 2101")
	again(2101, "P. 2101+500 ack 1")
	again(2601, ". 2601+1000 ack 1")
	tc.recv(". 1 ack 3601")
	tc.out = nil
	tc.c.ICMP(tc.now, &ICMPError{Seq: tc.c.snd.sndSeq(tc.c.snd.una), MSS: 700})
	tc.pump()
	tc.rest(". 3601+700 ack 1", "P. 4301+300 ack 1")
}

// Whoever could not write all is told when he can go on, though he has not asked again: because the buffer is full
// to the byte, or memory is scarce (epoll(7), EPOLLET).
func TestShortWriteIsTold(t *testing.T) {
	for name, scarce := range map[string]bool{"buffer": false, "memory": true} {
		t.Run(name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.p.SndBuf = 4 * 1460
			tc.connect()
			if scarce {
				tc.scarce(2 << 20)
			}
			n := tc.c.Room(60000)
			tc.queue(n)
			tc.call((*Conn).Cut)
			tc.ev, tc.out = 0, nil
			tc.recv(". 1 ack " + strconv.Itoa(n+1))
			tc.wantEvents(wait.Out)
		})
	}

	// The end of the pressure tells those who have not written all for its sake.
	tc := newScript(t, plain)
	tc.connect()
	tc.scarce(2 << 20)
	tc.queue(tc.c.Room(60000))
	tc.cfg.Memory.used.Store(0)
	tc.recv("P. 1+10 ack 1")
	if !tc.cfg.Memory.Relieved() {
		t.Error("not relieved")
	}
	tc.out = nil
}

// With large segments it is one of those, which half of the peer's window bounds.
func TestWriteRoomLarge(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.SndBuf, tc.p.MaxSegment = 4000, 64<<10
	tc.connect()
	if n := tc.c.Room(100000); n != 22*1460 {
		t.Errorf("room for %d bytes", n)
	}
}

// What finds no room for its end is let go, corked or not: its end waits for the room.
func TestCutWriteGoes(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetCork(tc.now, true)
	tc.write(100)
	tc.wantIdle("corked")
	tc.call((*Conn).Cut)
	tc.want("P. 1+100 ack 1")
}

package tcp

import (
	"fmt"
	"syscall"
	"testing"

	"usock/internal/wait"
)

// Urgent data beyond one byte that arrives with its pointer: RFC 9293 §3.8.5, RFC 6093, and Linux.

// urgentWrite writes n bytes, the last of them urgent.
func (s *script) urgentWrite(n int) {
	s.t.Helper()
	b := newBlock(n)
	off := s.c.snd.q.End() - origin
	for i := range n {
		b.Bytes()[i] = streamByte(off + uint64(i))
	}
	s.call(func(c *Conn) {
		if got := c.WriteUrgent(s.now, b.View(0, n)); got != n {
			s.t.Fatalf("%d of %d", got, n)
		}
	})
}

// The pointer stands in every segment up to the urgent byte; from 64 KiB away it points as far as it can.
// Behind it, and once it is acknowledged, there is none.
func TestUrgentPointer(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.urgentWrite(2500)
	tc.rest("U. 1+1000 ack 1 urg 2500", "U. 1001+1000 ack 1 urg 1500", "PU. 2001+500 ack 1 urg 500")
	tc.write(100)
	tc.want("P. 2501+100 ack 1") // Nagle's rule does not hold meanwhile, nor does a cork
	tc.c.SetCork(tc.now, true)
	tc.write(200)
	tc.want("P. 2601+200 ack 1")
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.recv(". 1 ack 1001")
	tc.recv(". 1 ack 2501")
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.recv(". 1 ack 2801")
	tc.want("P. 2801+10 ack 1")
	tc.recv(". 1 ack 2811")
	tc.write(10)
	tc.want("P. 2811+10 ack 1")
	if tc.c.lazy.urg.sndUp != 0 {
		t.Error("the pointer is kept although it is acknowledged")
	}
}

// Urgent data does not wait for Nagle's rule: it is pushed.
func TestUrgentPushes(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(50))
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.write(10)
	tc.wantIdle("Nagle")
	tc.urgentWrite(1)
	tc.want("PU. 11+11 ack 1 urg 11")
}

func TestUrgentFarAhead(t *testing.T) {
	for _, c := range []struct {
		ahead uint64 // of the segment's number
		sent  uint64 // snd.nxt ahead of it
		urg   uint16 // 0: none
	}{
		{1, 0, 1}, {0xffff, 0, 0xffff}, {0x10000, 0, 0xffff}, {0x20000, 0, 0xffff},
		{0x20000, 0xfffe, 0xffff}, {0x20000, 0xffff, 0}, {0xffff, 0xffff, 0xffff},
		{0, 0, 0},
	} {
		tb := &tcb{cfg: DefaultConfig()}
		s := &sender{una: 1000, nxt: 5000 + c.sent}
		tb.makeLazy().urg.sndUp = 5000 + c.ahead
		var g Segment
		s.putUrgent(tb, &g, 5000)
		if flag := g.Flags != 0; g.Urgent != c.urg || flag != (c.urg != 0) {
			t.Errorf("%+v: %d, flags %b", c, g.Urgent, g.Flags)
		}
		if tb.lazy.urg.sndUp == 0 {
			t.Errorf("%+v: forgotten", c)
		}
	}
	for una, kept := range map[uint64]bool{5000: true, 5001: false, 5002: false} {
		tb := &tcb{cfg: DefaultConfig()}
		s := &sender{una: una, nxt: 6000}
		tb.makeLazy().urg.sndUp = 5001
		var g Segment
		if s.putUrgent(tb, &g, 5500); g.Flags != 0 || (tb.lazy.urg.sndUp != 0) != kept {
			t.Errorf("acknowledged up to %d: flags %b, kept %v", una, g.Flags, tb.lazy.urg.sndUp != 0)
		}
	}
}

// A pointer advances, or is no news: the program is told once of each, and what was urgent before and was
// not read is skipped where it is next.
func TestUrgentAdvances(t *testing.T) {
	for _, c := range []struct {
		name   string
		inline bool
		read   int // bytes before the second
		in     string
		mark   int // relative number of the urgent byte afterwards
		told   wait.Events
		left   int // bytes to be read
	}{
		{"further", false, 0, "PU. 11+10 ack 1 urg 5", 15, wait.In | wait.Pri, 19},
		{"the same", false, 0, "U. 11 ack 1 urg 0", 6, 0, 9},
		{"behind", false, 0, "PU. 11+10 ack 1", 6, wait.In, 19},
		{"announced", false, 0, "U. 11 ack 1 urg 20", 30, wait.Pri, 10},
		{"further, the old one is next", false, 5, "PU. 11+10 ack 1 urg 5", 15, wait.In | wait.Pri, 13},
		{"further, the old one is next and inline", true, 5, "PU. 11+10 ack 1 urg 5", 15, wait.In | wait.Pri, 15},
		{"further, the old one was passed", false, 9, "PU. 11+10 ack 1 urg 5", 15, wait.In | wait.Pri, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			tc.c.SetOOBInline(tc.now, c.inline)
			tc.recv("PU. 1+10 ack 1 urg 6")
			tc.out = nil
			for n := c.read; n > 0; {
				k := 0
				for _, v := range tc.c.Read(tc.now, n, nil) {
					k += v.Len()
					v.Release()
				}
				n -= k
			}
			tc.pump()
			tc.out, tc.ev = nil, 0
			tc.recv(c.in)
			tc.out = nil
			tc.wantEvents(c.told)
			if got := int(tc.c.lazy.urg.mark - origin); got != c.mark {
				t.Errorf("the mark is at %d, want %d", got, c.mark)
			}
			if n := tc.c.Buffered(); n != c.left {
				t.Errorf("%d bytes to be read, want %d", n, c.left)
			}
		})
	}
}

// The urgent byte is taken from the segment that has it, the first or the last of its bytes.
func TestUrgentByteIn(t *testing.T) {
	for urg, want := range map[int]error{10: nil, 11: nil, 20: nil, 21: syscall.EAGAIN} {
		t.Run(fmt.Sprint(urg), func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			tc.recv(fmt.Sprintf("U. 1 ack 1 urg %d", urg)) // the urg-th byte
			tc.wantEvents(wait.Pri)
			wantUrgent(tc, false, 0, syscall.EAGAIN)
			tc.recv("P. 1+9 ack 1")
			tc.recv("P. 10+1 ack 1")
			tc.ev = 0
			tc.recv("P. 11+10 ack 1")
			if got := tc.ev&wait.Pri != 0; got != (urg > 10 && want == nil) {
				t.Errorf("told with the second: %v", got)
			}
			wantUrgent(tc, false, streamByte(uint64(urg)), want)
			tc.sleep(secs(1))
			tc.out = nil
		})
	}
}

// The SYN-ACK may have urgent data, too.
func TestUrgentInSYNACK(t *testing.T) {
	for flags, want := range map[string]error{"SU.": nil, "S.": syscall.EINVAL} {
		tc := newScript(t, plain)
		tc.c.Connect(tc.now, &tc.p)
		tc.pump()
		tc.want("S 0 <mss 1460>")
		tc.recv(flags + " 0+3 ack 1 urg 2 <mss 1460>")
		tc.out = nil
		wantUrgent(tc, false, streamByte(2), want)
	}
}

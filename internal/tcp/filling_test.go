package tcp

import (
	"testing"

	"usock/packet"
)

// The FIN takes a number: it rides on the last data only where the window has room for it as well, and
// waits for room alone (RFC 9293 §3.8.6).
func TestFINInWindow(t *testing.T) {
	for win, want := range map[uint32][]string{
		1000: {"P. 1+1000 ack 1"}, 1001: {"FP. 1+1000 ack 1"}, 5000: {"FP. 1+1000 ack 1"},
	} {
		tc := newScript(t, plain)
		tc.connect()
		tc.c.snd.wnd = win
		tc.queue(1000)
		tc.c.ShutdownWrite(tc.now)
		tc.pump()
		tc.rest(want...)
		if win == 1000 {
			tc.recv(". 1 ack 1001 win 1")
			tc.want("F. 1001 ack 1")
		}
	}
}

// What stands in more pieces than a segment refers to leaves as whole segments of what fits; where not even
// one does, it is copied.
func TestManyPieces(t *testing.T) {
	for _, c := range []struct {
		size, pieces, n, mss int
		full                 bool // some of it fits as it stands
	}{
		{100, 3, 300, 300, true}, {100, 200, 5000, 250, true}, {1, 2000, 1500, 1000, false}, {1, 2000, 700, 1000, false},
	} {
		s := &sender{}
		s.q.Reset(origin + 1)
		for i := range c.pieces {
			b := packet.NewBlock(c.size)
			for k := range c.size {
				b.Bytes()[k] = streamByte(uint64(1 + i*c.size + k))
			}
			s.q.Push(b.View(0, c.size))
		}
		var g Segment
		n := s.fill(&g, origin+1, c.n, c.mss)
		if n != g.Data.Len() || n > c.n || n < min(c.n, c.mss) {
			t.Errorf("%+v: %d bytes, %d said", c, g.Data.Len(), n)
		}
		if n != c.n && n%c.mss != 0 {
			t.Errorf("%+v: %d bytes are no whole segments", c, n)
		}
		if !c.full && n != min(c.n, c.mss) {
			t.Errorf("%+v: %d bytes are copied", c, n)
		}
		for i, b := range g.Data.AppendTo(nil) {
			if b != streamByte(uint64(1+i)) {
				t.Fatalf("%+v: byte %d is wrong", c, i)
			}
		}
		g.Data.Release()
		s.q.Reset(s.q.End())
	}
}

// Who holds the stream up is the peer's window where that, and not the congestion window, forbids a full
// segment or what there is (tcpi_rwnd_limited); a window that has room does not.
func TestWindowLimitedTime(t *testing.T) {
	for _, c := range []struct {
		name       string
		win, write int
		cwnd       uint32
		limited    bool
	}{
		{"a full segment does not fit", 1999, 3000, 20000, true},
		{"all that fits has left", 2000, 3000, 20000, true},
		{"the congestion window", 60000, 12000, 10000, false},
		{"Nagle", 60000, 1100, 20000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctl := &recorder{}
			tc := newScript(t, noTS, noWS, recorded(ctl))
			tc.p.MSS = 1000
			tc.connectIn(msec(100))
			tc.c.snd.wnd, tc.c.snd.maxWnd = uint32(c.win), 60000
			tc.c.snd.newFlight(&tc.c.tcb, tc.now)
			ctl.cwnd = c.cwnd
			tc.write(c.write - 100)
			tc.write(100)
			tc.out = nil
			tc.sleep(msec(40))
			tc.out = nil
			want := uint64(0)
			if c.limited {
				want = 40_000
			}
			tc.wantInfo(c.name, map[string]uint64{"RwndLimited": want})
		})
	}
}

package tcp

import (
	"fmt"
	"testing"

	"usock/cc"
)

// Loss recovery without SACK (RFC 5681 §3.2, RFC 6582), and what is told of the rate.

// A duplicate stands for a segment that has left, but for the one that is asked for; what they have said is
// not delivered once more by the acknowledgment that follows. What the controller hears adds up to what
// was sent, each byte once.
func TestNewRenoAccounts(t *testing.T) {
	ctl := &recorder{}
	tc := newScript(t, noTS, noSACK, recorded(ctl))
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1") // the window
	if len(ctl.acks) != 0 {
		t.Fatal("a window update is told")
	}
	for i := range 12 { // more than there are segments: an attack
		tc.recv(". 1 ack 1")
		a := ctl.acks[i]
		if want := uint32(10000 - 1000*min(i+1, 9)); a.InFlight+a.Lost != want && i < 2 || a.Delivered != 1000 || a.Acked != 0 {
			t.Fatalf("duplicate %d: %+v", i+1, a)
		}
		if n := tc.c.snd.flight.loss.reno; n != uint32(1000*min(i+1, 9)) {
			t.Fatalf("duplicate %d: %d bytes have left", i+1, n)
		}
	}
	if a := ctl.acks[2]; a.Lost != 1000 || a.State != cc.Recovery {
		t.Fatalf("the third: %+v", a)
	}
	tc.rest(". 1+1000 ack 1")
	tc.sleep(msec(50))
	tc.recv(". 1 ack 4001") // two of the nine are behind it; the fifth is lost, too
	a := ctl.acks[12]
	if a.Acked != 4000 || a.Delivered != 1000 || a.Lost != 1000 || a.State != cc.Recovery {
		t.Fatalf("the partial acknowledgment: %+v", a)
	}
	tc.rest(". 4001+1000 ack 1")
	tc.recv(". 1 ack 10001")
	if a := ctl.acks[13]; a.State != cc.Open || a.InFlight != 0 {
		t.Fatalf("the full one: %+v", a)
	}
	if fmt.Sprint(ctl.calls) != "[congestion recovered]" {
		t.Errorf("the controller hears %v", ctl.calls)
	}
}

// Duplicates in a row end with news, and with the flight: others begin anew (RFC 5681 §2).
func TestDuplicatesBeginAnew(t *testing.T) {
	tc := inFlight(t, 10, noSACK)
	tc.recv(". 1 ack 1") // the window
	tc.recv(". 1 ack 1")
	tc.recv(". 1 ack 1")
	tc.recv(". 1 ack 1001")
	tc.recv(". 1 ack 1001")
	tc.recv(". 1 ack 1001")
	tc.wantIdle("two, and two")
	tc.recv(". 1 ack 10001")
	tc.write(5000)
	tc.rest("P. 10001..15001/1000 ack 1")
	if l := &tc.c.snd.flight.loss; l.dup != 0 || l.reno != 0 {
		t.Errorf("%d duplicates, %d bytes that have left", l.dup, l.reno)
	}
	tc.recv(". 1 ack 10001")
	tc.recv(". 1 ack 10001")
	tc.wantIdle("two")
	tc.recv(". 1 ack 10001")
	tc.want(". 10001+1000 ack 1")
	tc.recv(". 1 ack 15001")
}

// What is no duplicate (RFC 5681 §2): with data, with another window, of something older.
func TestNoDuplicates(t *testing.T) {
	for _, in := range []string{"P. 1+10 ack 2001", ". 1 ack 2001 win 60000", ". 1 ack 1001"} {
		tc := inFlight(t, 10, noSACK, noWS, func(s *script) { s.wnd = 50000 })
		tc.recv(". 1 ack 2001")
		for range 5 {
			tc.recv(in)
			if in[0] == '.' && in[len(in)-1] == '0' {
				tc.c.snd.wnd = 50000 // each is another
			}
		}
		if n := tc.c.count().RetransSegs; n != 0 {
			t.Errorf("%s: something is sent again", in)
		}
		tc.out = nil
	}
}

// The delivery rate that is told is the newest, but where the program was what limited it only a larger one
// is news (tcp_rate_gen; draft-cheng-iccrg-delivery-rate-estimation §4).
func TestDeliveryRate(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(8000)
	tc.rest("P. 1..8001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 8001")
	var in Info
	tc.c.Info(tc.now, &in)
	if in.DeliveryRate != 80_000 {
		t.Errorf("8000 bytes in 100 ms are %d a second", in.DeliveryRate)
	}
	tc.write(1000) // a little, as that is all the program has
	tc.want("P. 8001+1000 ack 1")
	tc.write(1000)
	tc.want("P. 9001+1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 10001")
	if tc.c.Info(tc.now, &in); in.DeliveryRate != 80_000 || in.AppLimited {
		t.Errorf("%d, limited %v: less, and the program's", in.DeliveryRate, in.AppLimited)
	}
	tc.write(30000)
	tc.out = nil
	tc.sleep(msec(200))
	tc.recv(fmt.Sprintf(". 1 ack %d", tc.c.snd.nxt-origin))
	sent := tc.c.snd.nxt - origin - 10001
	if tc.c.Info(tc.now, &in); in.DeliveryRate >= 80_000 && sent < 16000 || in.DeliveryRate == 0 {
		t.Errorf("%d after %d bytes in 200 ms", in.DeliveryRate, sent)
	}
	tc.out = nil
}

// Room in the send buffer is told to a program that has found none, once, and not to one that has ended.
func TestRoomIsTold(t *testing.T) {
	for _, c := range []struct {
		name        string
		asked, ends bool
		told        bool
	}{{"asked", true, false, true}, {"not asked", false, false, false}, {"asked, and ended", true, true, false}} {
		tc := newScript(t, plain)
		tc.p.SndBuf = 3000
		tc.p.MSS = 1000
		tc.connectIn(msec(50))
		tc.write(3000)
		tc.rest("P. 1..3001/1000 ack 1")
		if c.asked && tc.c.SendSpace() != 0 {
			t.Fatal("there is room")
		}
		if c.ends {
			tc.shutdown()
			tc.want("F. 3001 ack 1")
		}
		tc.ev = 0
		tc.recv(". 1 ack 2001")
		if got := tc.ev != 0; got != c.told {
			t.Errorf("%s: told %v", c.name, got)
		}
		tc.ev = 0
		tc.recv(". 1 ack 3001")
		if tc.ev != 0 {
			t.Errorf("%s: told again", c.name)
		}
	}
}

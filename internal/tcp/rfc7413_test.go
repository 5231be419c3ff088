package tcp

import (
	"testing"
	"time"

	"usock/cc"
	"usock/internal/wait"
)

// RFC 7413: TCP Fast Open.

var cookie = FastOpen{Ask: true, NCookie: 8, Cookie: [16]byte{1, 2, 3, 4, 5, 6, 7, 8}, MSS: 1400}

// Section 4.1.2: asking for a cookie.
func TestFastOpenRequest(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = FastOpen{Ask: true}
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0 <mss 1460,fo>")
	tc.recv("S. 0 ack 1 <mss 1400,fo 0102030405060708>")
	tc.want("P. 1+100 ack 1")
	got, ok := tc.c.FastOpenAnswer()
	if want := (FastOpenAnswer{MSS: 1400, NCookie: 8, Cookie: cookie.Cookie}); !ok || got != want {
		t.Fatalf("cookie %+v %v", got, ok)
	}
}

// Section 4.2.1: data in the SYN, taken.
func TestFastOpenData(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 101 <mss 1460>")
	tc.want(". 101 ack 1")
	tc.wantState(Established)
	if !tc.c.SYNDataAcked() || tc.c.Outstanding() != 0 {
		t.Fatalf("acked %v, outstanding %d", tc.c.SYNDataAcked(), tc.c.Outstanding())
	}
	tc.write(10)
	tc.want("P. 101+10 ack 1")
	tc.wantCounts("TCPFastOpenActive 1")
}

// The server took nothing: the data is sent again at once.
func TestFastOpenDataRefused(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want("P. 1+100 ack 1")
	tc.recv(". 1 ack 101")
	tc.wantIdle("all is acknowledged")
	tc.wantCounts("RetransSegs 1 TCPFastOpenActiveFail 1")
}

// Both open at once. The peer's acknowledgment tells whether it has taken the SYN's data; else that is sent again.
func TestFastOpenSimultaneous(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"S. 0 ack 101 <mss 1460>", ". 101 ack 1"},
		{". 1 ack 101", ""},
		{". 1 ack 51", "P. 51+50 ack 1"},
		{". 1 ack 1", "P. 1+100 ack 1"},
	} {
		tc := newScript(t, plain)
		tc.p.FastOpen = cookie
		tc.c.Connect(tc.now, &tc.p)
		tc.queue(100)
		tc.pump()
		tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
		tc.recv("S 0 <mss 1460>")
		tc.want("S. 0 ack 1 <mss 1460>")
		tc.recv(". 1 ack 102")
		tc.want("R 102")
		tc.recv(c.in)
		tc.wantState(Established)
		if c.out != "" {
			tc.want(c.out)
		}
		tc.recv(". 1 ack 101")
		tc.wantIdle("all is acknowledged")
	}
}

// A server whose program has answered and closed before the handshake's end sends its FIN with that; what has only
// ended the program's direction waits, as on Linux.
func TestFastOpenServerCloses(t *testing.T) {
	for _, closes := range []bool{true, false} {
		tc := newScript(t, plain)
		g, _ := tc.parse("S 0 <mss 1460>")
		withData(tc, &g, 100)
		tc.p.ServerFastOpen = ServerFastOpen{Data: true}
		tc.c.Accept(tc.now, &tc.p, &g)
		g.Data.Release()
		tc.pump()
		tc.want("S. 0 ack 101 <mss 1460>")
		tc.read(100, 100)
		tc.write(50)
		tc.want("P. 1+50 ack 101")
		tc.shutdown()
		tc.wantIdle("the handshake has not ended")
		if closes {
			tc.close()
			tc.want("F. 51 ack 101")
			tc.wantState(SynRcvd)
			tc.wantAfter(secs(1), "S. 0 ack 101 <mss 1460>")
			tc.recv(". 101 ack 52")
			tc.wantState(FinWait2)
			continue
		}
		tc.recv(". 101 ack 51")
		tc.want("F. 51 ack 101")
		tc.wantState(FinWait1)
	}
}

// The server took a part.
func TestFastOpenDataPart(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.rest("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 41 <mss 1460>")
	tc.want("P. 41+60 ack 1")
}

// More data than fits: what the peer's remembered MSS allows goes first.
func TestFastOpenMuchData(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(3000)
	tc.pump()
	tc.want("S 0+1360 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 1361 <mss 1460>")
	tc.want(". 1361+1460 ack 1")
	tc.want("P. 2821+180 ack 1")
}

// Section 4.2.1: a SYN that is sent again has neither data nor cookie.
func TestFastOpenRetry(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want("P. 1+100 ack 1")
}

// Section 4.2.2: the server takes the data and answers before the handshake ends.
func TestFastOpenServer(t *testing.T) {
	tc := newScript(t, plain).exact()
	g, _ := tc.parse("S 0 <mss 1460>")
	withData(tc, &g, 100)
	tc.p.ServerFastOpen = ServerFastOpen{Data: true}
	tc.c.Accept(tc.now, &tc.p, &g)
	g.Data.Release()
	tc.wantUsed(256) // it is there to be read
	tc.pump()
	tc.want("S. 0 ack 101 <mss 1460>")
	tc.wantState(SynRcvd)
	tc.wantReady(wait.In | wait.Out)
	tc.read(1000, 100)
	tc.write(50)
	tc.want("P. 1+50 ack 101")
	tc.recv(". 101 ack 51")
	tc.wantState(Established)
	tc.wantIdle("all is acknowledged")
	tc.wantCounts("PassiveOpens 1 TCPFastOpenPassive 1")
}

// The SYN-ACK is sent again, and the data after it.
func TestFastOpenServerRetry(t *testing.T) {
	tc := newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460>")
	withData(tc, &g, 100)
	tc.p.ServerFastOpen = ServerFastOpen{Data: true}
	tc.c.Accept(tc.now, &tc.p, &g)
	g.Data.Release()
	tc.pump()
	tc.want("S. 0 ack 101 <mss 1460>")
	tc.write(50)
	tc.want("P. 1+50 ack 101")
	tc.wantAfter(secs(1), "S. 0 ack 101 <mss 1460>")
	tc.recv(". 101 ack 1")
	tc.wantState(Established)
	for len(tc.out) == 0 {
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
	}
	tc.want("P. 1+50 ack 101")
	tc.recv(". 101 ack 51")
}

// Without a valid cookie the data is left, and a cookie handed out.
func TestFastOpenServerNoCookie(t *testing.T) {
	tc := newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460,fo>")
	withData(tc, &g, 100)
	tc.p.ServerFastOpen = ServerFastOpen{NCookie: 8, Cookie: cookie.Cookie}
	tc.c.Accept(tc.now, &tc.p, &g)
	g.Data.Release()
	tc.pump()
	tc.want("S. 0 ack 1 <mss 1460,fo 0102030405060708>")
	tc.wantReady(0)
}

func withData(tc *script, g *Segment, n int) {
	b := newBlock(n)
	for i := range n {
		b.Bytes()[i] = streamByte(uint64(1 + i))
	}
	g.Data.Append(b.View(0, n))
}

// Appendix A.5: the experimental form, which the server answers as it was asked.
func TestFastOpenExperimental(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = FastOpen{Ask: true, Exp: true}
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460,foexp>")
	tc.recv("S. 0 ack 1 <mss 1400,foexp 0102030405060708>")
	tc.want(". 1 ack 1")
	want := FastOpenAnswer{MSS: 1400, Exp: true, NCookie: 8, Cookie: cookie.Cookie}
	if got, ok := tc.c.FastOpenAnswer(); !ok || got != want {
		t.Fatalf("answer %+v %v", got, ok)
	}

	tc = newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460,foexp>")
	tc.p.ServerFastOpen = ServerFastOpen{NCookie: 8, Cookie: cookie.Cookie, Exp: true}
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 <mss 1460,foexp 0102030405060708>")
}

// Section 4.1.3: what the SYN-ACK says of the server, whatever the SYN had.
func TestFastOpenAnswer(t *testing.T) {
	asks, exp, bare := FastOpen{Ask: true}, FastOpen{Ask: true, Exp: true}, FastOpen{Ask: true, NoCookie: true}
	for _, c := range []struct {
		name   string
		fo     FastOpen
		again  bool
		synAck string
		want   FastOpenAnswer
	}{
		{"no cookie", asks, false, "S. 0 ack 1 <mss 1300>", FastOpenAnswer{MSS: 1300, Refused: true}},
		{"no cookie, experimental", exp, false, "S. 0 ack 1 <mss 1300>", FastOpenAnswer{MSS: 1300, Refused: true, Exp: true}},
		{"no cookie, SYN sent again", asks, true, "S. 0 ack 1 <mss 1300>", FastOpenAnswer{MSS: 1300}},
		{"an empty cookie", asks, false, "S. 0 ack 1 <mss 1300,fo>", FastOpenAnswer{MSS: 1300}},
		{"data taken", cookie, false, "S. 0 ack 101 <mss 1300>", FastOpenAnswer{MSS: 1300}},
		{"data refused, new cookie", cookie, false, "S. 0 ack 1 <mss 1300,fo 09080706>", FastOpenAnswer{MSS: 1300, NCookie: 4, Cookie: [16]byte{9, 8, 7, 6}}},
		{"none was asked for", bare, false, "S. 0 ack 101 <mss 1300,fo 09080706>", FastOpenAnswer{MSS: 1300}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.p.FastOpen = c.fo
			tc.c.Connect(tc.now, &tc.p)
			tc.queue(100)
			tc.pump()
			if _, ok := tc.c.FastOpenAnswer(); ok {
				t.Error("an answer before the SYN-ACK")
			}
			if c.again {
				tc.out = nil
				tc.wantAfter(secs(1), "S 0 <mss 1460>")
			}
			tc.recv(c.synAck)
			if got, ok := tc.c.FastOpenAnswer(); !ok || got != c.want {
				t.Errorf("answer %+v %v, want %+v", got, ok, c.want)
			}
			tc.out = nil
		})
	}
}

// Data in the SYN without a cookie, where both sides are set so (section 4.1.3, Linux's
// TCP_FASTOPEN_NO_COOKIE).
func TestFastOpenNoCookie(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = FastOpen{Ask: true, NoCookie: true}
	tc.c.Connect(tc.now, &tc.p)
	if got := tc.c.SYNRoom(); got != 1420 {
		t.Errorf("room %d", got)
	}
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460>")
	tc.recv("S. 0 ack 101 <mss 1460>")
	tc.want(". 101 ack 1")
}

// A SYN waits for data, or for the program to say that there is none, and leaves once.
func TestFastOpenWait(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.p.FastOpen.Wait = true
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.wantIdle("nobody has written")
	tc.wantState(SynSent)
	tc.queue(10)
	tc.pump()
	tc.wantIdle("SendSYN was not called")
	tc.c.SendSYN()
	tc.pump()
	tc.want("S 0+10 <mss 1460,fo 0102030405060708>")
	if got := tc.c.SYNRoom(); got != 0 {
		t.Errorf("room in a SYN that has left: %d", got)
	}
	tc.c.SendSYN()
	tc.pump()
	tc.recv("S. 0 ack 11 <mss 1460>")
	tc.want(". 11 ack 1")
	tc.c.SendSYN()
	tc.pump()
}

// SYNRoom is what TestFastOpenMuchData sees sent, and bounded by TCP_MAXSEG.
func TestFastOpenRoom(t *testing.T) {
	tc := newScript(t, plain)
	for _, c := range []struct{ maxSeg, want int }{{0, 1360}, {900, 860}, {1300, 1260}} {
		tc.p.FastOpen = cookie
		if c.maxSeg != 0 {
			tc.c.SetMaxSeg(c.maxSeg)
		}
		tc.c.Connect(tc.now, &tc.p)
		if got := tc.c.SYNRoom(); got != c.want {
			t.Errorf("TCP_MAXSEG %d: room %d, want %d", c.maxSeg, got, c.want)
		}
		tc.c.Release()
	}
}

// Data of the SYN that is sent again is a retransmission: Nagle's rule neither holds it nor counts it as
// the small segment in flight.
func TestFastOpenRefusedNagle(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.queue(20)
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want(". 1+100 ack 1")
	tc.want("P. 101+20 ack 1")
	tc.write(30)
	tc.wantIdle("a small segment of new data is in flight")
	tc.recv(". 1 ack 121")
	tc.want("P. 121+30 ack 1")
	tc.recv(". 1 ack 151")
	tc.wantIdle("all is acknowledged")
}

// The server's segments may be smaller than was remembered.
func TestFastOpenRefusedSmallerMSS(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(1360)
	tc.pump()
	tc.want("S 0+1360 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 1 <mss 1000>")
	tc.want(". 1+1000 ack 1")
	tc.want("P. 1001+360 ack 1")
	tc.recv(". 1 ack 1361")
	tc.wantIdle("all is acknowledged")
}

// It was no congestion: the window is the initial one (Linux, tcp_non_congestion_loss_retransmit).
func TestFastOpenRefusedWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(100)
	tc.pump()
	tc.want("S 0+100 <mss 1460,fo 0102030405060708>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want("P. 1+100 ack 1")
	var in Info
	if tc.c.Info(tc.now, &in); in.SndCwnd != 10 {
		t.Errorf("window of %d segments", in.SndCwnd)
	}
	if tc.c.snd.flight.loss.state != cc.Loss {
		t.Error("what is lost next is a second loss")
	}
	tc.recv(". 1 ack 101")
	if tc.c.snd.flight.loss.state != cc.Open {
		t.Error("all is acknowledged")
	}
}

// What comes after the data of the SYN is a connection's first: a FIN is acknowledged within a tick, and
// data at once, as Linux 6.18 was seen to do.
func TestFastOpenServerFIN(t *testing.T) {
	for _, c := range []struct {
		in, out string
		after   time.Duration
	}{
		{"F. 101 ack 1", ". 1 ack 102", ackTick},
		{". 101+10 ack 1", ". 1 ack 111", 0},
	} {
		tc := newScript(t, plain)
		g, _ := tc.parse("S 0 <mss 1460>")
		withData(tc, &g, 100)
		tc.p.ServerFastOpen = ServerFastOpen{Data: true}
		tc.c.Accept(tc.now, &tc.p, &g)
		g.Data.Release()
		tc.pump()
		tc.want("S. 0 ack 101 <mss 1460>")
		tc.now += 10 * time.Millisecond
		tc.recv(c.in)
		if c.after > 0 {
			tc.wantAfter(c.after, c.out)
		} else {
			tc.want(c.out)
		}
	}
}

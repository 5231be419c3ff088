package tcp

import (
	"testing"

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
	got, ok := tc.c.FastOpenCookie()
	if !ok || got != cookie {
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
	tc.wantCounts("TCPFastOpenActiveFail 1")
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
	tc := newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460>")
	withData(tc, &g, 100)
	tc.p.ServerFastOpen = ServerFastOpen{Data: true}
	tc.c.Accept(tc.now, &tc.p, &g)
	g.Data.Release()
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

package tcp

import (
	"fmt"
	"testing"

	"usock/cc"
)

// RFC 3168: explicit congestion notification.

func ecnOn(s *script) { s.cfg.ECN = ECNOn }

// Section 6.1.1: negotiation.
func TestECNNegotiation(t *testing.T) {
	for _, c := range []struct {
		name        string
		mode        int
		syn, synack string
		on          bool
	}{
		{"off", ECNOff, "S 0 <mss 1460>", "S. 0 ack 1 <mss 1460>", false},
		{"passive does not ask", ECNPassive, "S 0 <mss 1460>", "S. 0 ack 1 <mss 1460>", false},
		{"asked and agreed", ECNOn, "SEW 0 <mss 1460>", "S.E 0 ack 1 <mss 1460>", true},
		{"asked, not agreed", ECNOn, "SEW 0 <mss 1460>", "S. 0 ack 1 <mss 1460>", false},
		{"a broken peer reflects", ECNOn, "SEW 0 <mss 1460>", "S.EW 0 ack 1 <mss 1460>", false},
		{"not asked, agreed", ECNPassive, "S 0 <mss 1460>", "S.E 0 ack 1 <mss 1460>", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.cfg.ECN = c.mode
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want(c.syn)
			tc.recv(c.synack)
			tc.want(". 1 ack 1")
			tc.write(10)
			if c.on {
				tc.want("P. 1+10 ack 1 ect")
			} else {
				tc.want("P. 1+10 ack 1")
			}
		})
	}
}

func TestECNPassive(t *testing.T) {
	for _, c := range []struct {
		name        string
		mode        int
		syn, synack string
	}{
		{"off", ECNOff, "SEW 0 <mss 1460>", "S. 0 ack 1 <mss 1460>"},
		{"passive", ECNPassive, "SEW 0 <mss 1460>", "S.E 0 ack 1 <mss 1460>"},
		{"on", ECNOn, "SEW 0 <mss 1460>", "S.E 0 ack 1 <mss 1460>"},
		{"not asked", ECNOn, "S 0 <mss 1460>", "S. 0 ack 1 <mss 1460>"},
		{"half asked", ECNOn, "SE 0 <mss 1460>", "S. 0 ack 1 <mss 1460>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.cfg.ECN = c.mode
			g, _ := tc.parse(c.syn)
			tc.c.Accept(tc.now, &tc.p, &g)
			tc.pump()
			tc.want(c.synack)
		})
	}
}

// A SYN that is not answered is sent again without asking (section 6.1.1.1), here
// after the second.
func TestECNSYNRetry(t *testing.T) {
	tc := newScript(t, plain, ecnOn)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("SEW 0 <mss 1460>")
	tc.wantAfter(secs(1), "SEW 0 <mss 1460>")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
}

// ecnConnect opens a connection that uses ECN.
func ecnConnect(t *testing.T) *script {
	t.Helper()
	tc := newScript(t, plain, ecnOn)
	tc.p.MSS = 1000
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("SEW 0 <mss 1000>")
	tc.sleep(msec(100))
	tc.recv("S.E 0 ack 1 <mss 1000>")
	tc.want(". 1 ack 1")
	return tc
}

// Section 6.1.3: the receiver echoes CE in every acknowledgment until CWR.
func TestECNReceiver(t *testing.T) {
	tc := ecnConnect(t)
	tc.recv("P. 1+100 ack 1")
	tc.want(". 1 ack 101")
	tc.recv("P. 101+100 ack 1 ce")
	tc.want(".E 1 ack 201")
	tc.recv("P. 201+100 ack 1")
	tc.want(".E 1 ack 301")
	tc.write(10)
	tc.want("P.E 1+10 ack 301 ect")
	tc.recv("P.W 301+100 ack 11")
	tc.want(". 11 ack 401")
	// CE and CWR in one segment: the echo begins anew.
	tc.recv("P.W 401+100 ack 11 ce")
	tc.want(".E 11 ack 501")
}

// Section 6.1.2: the sender halves once a window and says CWR with the next data.
func TestECNSender(t *testing.T) {
	tc := ecnConnect(t)
	tc.write(10000)
	for range 10 {
		if !tc.out[0].ECT {
			t.Fatal("data without ECT")
		}
		tc.out = tc.out[1:]
	}
	tc.sleep(msec(100))
	tc.write(5000)
	tc.recv(".E 1 ack 2001")
	tc.wantLossState(cc.CWR)
	if th := tc.c.snd.flight.cc.SSThresh(); th > 5000 {
		t.Fatalf("ssthresh %d", th)
	}
	th := tc.c.snd.flight.cc.SSThresh()
	tc.recv(".E 1 ack 4001")
	if tc.c.snd.flight.cc.SSThresh() != th {
		t.Fatal("reduced twice in a window")
	}
	found := false
	for _, g := range tc.out {
		found = found || g.Flags&0x80 != 0
	}
	if !found {
		t.Fatal("no CWR")
	}
	tc.rest(".W 10001+1000 ack 1 ect", ". 11001+1000 ack 1 ect")
	tc.recv(fmt.Sprintf(". 1 ack %d", tc.c.snd.nxt-origin))
	tc.wantLossState(cc.Open)
	tc.rest("P. 12001..15001/1000 ack 1 ect")
}

// Sections 6.1.5 and 6.1.6: retransmissions and window probes are not ECN-capable.
func TestECNRetransmission(t *testing.T) {
	tc := ecnConnect(t)
	tc.write(100)
	tc.want("P. 1+100 ack 1 ect")
	tc.wantAfter(msec(300), "P. 1+100 ack 1")
	tc.recv(". 1 ack 101 win 0")
	tc.write(100)
	for len(tc.out) == 0 {
		tc.sleep(msec(100))
	}
	tc.want(". 100 ack 1")
}

// Without ECN a mark says nothing.
func TestECNUnused(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("P. 1+100 ack 1 ce")
	tc.want(". 1 ack 101")
	tc.write(3000)
	tc.rest("P. 1..3001/1460 ack 101")
	w := tc.c.snd.cwnd()
	tc.recv(".E 101 ack 1461")
	if tc.c.snd.cwnd() < w {
		t.Fatal("reduced")
	}
}

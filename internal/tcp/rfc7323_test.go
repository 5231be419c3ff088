package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/internal/wire"
)

// RFC 7323: window scaling and timestamps.

// Section 2.2: the option is used only if both sides have sent it; the window of a
// SYN is never scaled.
func TestWindowScaleOffer(t *testing.T) {
	for _, c := range []struct {
		name, synack string
		wnd          uint32 // snd.wnd after the handshake
		later        uint32 // and after a segment with window 100
		field        string // what we advertise in the ACK
	}{
		{"both", "<mss 1460,ws 4>", 5000, 1600, "win 502"},
		{"ours only", "<mss 1460>", 5000, 100, "win 64240"},
		{"largest (section 2.3)", "<mss 1460,ws 14>", 5000, 100 << 14, "win 502"},
		{"too large (section 2.3)", "<mss 1460,ws 15>", 5000, 100 << 14, "win 502"},
		{"zero", "<mss 1460,ws 0>", 5000, 100, "win 502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noTS, noSACK)
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want("S 0 win 64240 <mss 1460,ws 7>")
			tc.recv("S. 0 ack 1 win 5000 " + c.synack)
			tc.want(". 1 ack 1 " + c.field)
			if tc.c.snd.wnd != c.wnd {
				t.Fatalf("window %d", tc.c.snd.wnd)
			}
			tc.recv("P. 1+1 ack 1 win 100")
			tc.want(". 1 ack 2")
			if tc.c.snd.wnd != c.later {
				t.Fatalf("window %d, want %d", tc.c.snd.wnd, c.later)
			}
		})
	}
}

// A server answers with options only if the client offered them.
func TestPassiveOptions(t *testing.T) {
	for _, c := range []struct{ syn, synack string }{
		{"S 0", "S. 0 ack 1 win 64240 <mss 1460>"},
		{"S 0 <mss 1000>", "S. 0 ack 1 win 64240 <mss 1460>"},
		{"S 0 <mss 1000,ws 2>", "S. 0 ack 1 win 64240 <mss 1460,ws 7>"},
		{"S 0 <mss 1000,sackok>", "S. 0 ack 1 win 64240 <mss 1460,sackok>"},
		{"S 0 <mss 1000,ts 5:0>", "S. 0 ack 1 win 65160 <mss 1460,ts 100000:5>"},
		{"S 0 <mss 1000,sackok,ts 5:0,ws 0>", "S. 0 ack 1 win 65160 <mss 1460,sackok,ts 100000:5,ws 7>"},
	} {
		t.Run(c.syn, func(t *testing.T) {
			tc := newScript(t)
			g, _ := tc.parse(c.syn)
			tc.c.Accept(tc.now, &tc.p, &g)
			tc.pump()
			tc.want(c.synack)
		})
	}
}

// The scale comes from the limit of the receive buffer (Linux).
func TestWindowScaleFromLimit(t *testing.T) {
	for _, c := range []struct{ max, fixed, ws, wnd int }{
		{6 << 20, 0, 7, 64240},
		{DefaultSettings().RMem[2], 0, 10, 64240},
		{64 << 20, 0, 11, 64240},
		{131072, 0, 2, 64240},
		{6 << 20, 64 << 10, 0, 32120},
		{6 << 20, 2 << 20, 5, 65535},
		{6 << 20, 4096, 0, 1460},
	} {
		t.Run(fmt.Sprint(c.max, " ", c.fixed), func(t *testing.T) {
			tc := newScript(t, noTS, noSACK)
			tc.cfg.RMem[2] = c.max
			tc.p.RcvBuf = c.fixed
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want(fmt.Sprintf("S 0 win %d <mss 1460,ws %d>", c.wnd, c.ws))
		})
	}
}

// Section 3.2: a timestamp in every segment, echoing the newest in order.
func TestTimestampEcho(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.ts = false
	tc.recv("P. 1+10 ack 1 <ts 100200:100000>")
	tc.want(". 1 ack 11 <ts 100000:100200>")
	// Section 4.3, case: out of order, the echo stays that of the last in order.
	tc.recv("P. 21+10 ack 1 <ts 100300:100000>")
	tc.want(". 1 ack 11 <ts 100000:100200,sack 21-31>")
	// The segment that fills the hole gives the echo.
	tc.recv("P. 11+10 ack 1 <ts 100250:100000>")
	tc.want(". 1 ack 31 <ts 100000:100250>")
	// An old acknowledgment with a newer timestamp.
	tc.recv(". 31 ack 1 <ts 100400:100000>")
	tc.write(5)
	tc.want("P. 1+5 ack 31 <ts 100000:100400>")
}

// Delayed acknowledgments: the echo is of the earliest segment not acknowledged
// (section 4.3, case A).
func TestTimestampDelayedACK(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	n := lazyTS(tc)
	tc.ts = false
	now := tc.lastTS()
	tc.recv(fmt.Sprintf(". %d+1000 ack 1 <ts %d:1>", n, now+5))
	tc.read(1<<20, 1000)
	tc.recv(fmt.Sprintf(". %d+1000 ack 1 <ts %d:1>", n+1000, now+9))
	tc.want(fmt.Sprintf(". 1 ack %d <ts %d:%d>", n+2000, now, now+5))
}

func lazyTS(tc *script) int {
	tc.t.Helper()
	for i := range 16 {
		tc.recv(fmt.Sprintf("P. %d+1000 ack 1", 1+1000*i))
		tc.want(fmt.Sprintf(". 1 ack %d", 1001+1000*i))
		tc.read(1<<20, 1000)
		tc.sleep(msec(10))
	}
	return 16001
}

// Section 5.3: PAWS.
func TestPAWS(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.ts = false
	tc.recv("P. 1+10 ack 1 <ts 150000:100000>")
	tc.want(". 1 ack 11 <ts 100000:150000>")
	tc.recv("P. 11+10 ack 1 <ts 149999:100000>") // older
	tc.want(". 1 ack 11 <ts 100000:150000>")
	if tc.c.Buffered() != 10 {
		t.Fatal("an old segment was taken")
	}
	tc.recv("P. 11+10 ack 1 <ts 150000:100000>") // the same is not older
	tc.want(". 1 ack 21 <ts 100000:150000>")
	// Section 5.2: half of the number space is older.
	tc.recv(fmt.Sprintf("P. 21+10 ack 1 <ts %d:100000>", uint32(150000+1<<31)))
	tc.want(". 1 ack 21 <ts 100000:150000>")
	tc.recv(fmt.Sprintf("P. 21+10 ack 1 <ts %d:100000>", uint32(150000+1<<31-1)))
	tc.want(fmt.Sprintf(". 1 ack 31 <ts 100000:%d>", uint32(150000+1<<31-1)))
	tc.wantCounts("PAWSEstab 2")
}

// The clock wraps (section 5.4).
func TestPAWSWrap(t *testing.T) {
	tc := newScript(t)
	tc.tsv = func() uint32 { return 0xffff_fff0 }
	tc.connect()
	tc.ts = false
	tc.recv("P. 1+10 ack 1 <ts 0xfffffff8:100000>")
	tc.want(". 1 ack 11 <ts 100000:0xfffffff8>")
	tc.recv("P. 11+10 ack 1 <ts 4:100000>")
	tc.want(". 1 ack 21 <ts 100000:4>")
	tc.recv("P. 21+10 ack 1 <ts 0xfffffff8:100000>")
	tc.want(". 1 ack 21 <ts 100000:4>")
}

// A RST is not subject to PAWS (section 5.3).
func TestPAWSReset(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.ts = false
	tc.recv("R 1 <ts 5:0>")
	tc.wantState(Closed)
}

// Section 5.5: what was remembered 24 days ago says nothing.
func TestPAWSOutdated(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.ts = false
	tc.recv("P. 1+10 ack 1 <ts 150000:100000>")
	tc.want(". 1 ack 11 <ts 100000:150000>")
	tc.now += 25 * 24 * time.Hour
	tc.recv("P. 11+10 ack 1 <ts 5:100000>")
	tc.want(fmt.Sprintf(". 1 ack 21 <ts %d:5>", tc.lastTS()))
}

// A segment without the option is taken, as Linux does (section 3.2 would drop it).
func TestMissingTimestamp(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.ts = false
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11 <ts 100000:100000>")
}

// A timestamp that was not agreed on is ignored.
func TestUnaskedTimestamp(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	tc.recv("P. 1+10 ack 1 <ts 5:6>")
	tc.want(". 1 ack 11")
	tc.recv("P. 11+10 ack 1 <ts 4:6>")
	tc.want(". 1 ack 21")
}

// The SYN-ACK must echo one of our timestamps (Linux; RFC 1323's PAWS for SYN-SENT).
func TestSYNACKEcho(t *testing.T) {
	tc := newScript(t)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.rest("S 0 <mss 1460,sackok,ts 100000:0,ws 7>")
	tc.recv("S. 0 ack 1 <mss 1460,ts 5:99999>")
	tc.want("R 1")
	tc.wantState(SynSent)
	tc.recv("S. 0 ack 1 <mss 1460,ts 5:100000>")
	tc.want(". 1 ack 1 <ts 100000:5>")
	tc.wantState(Established)
	tc.wantCounts("OutRsts 1 PAWSActive 1")
}

// The MSS leaves room for the option (RFC 6691, section 2).
func TestMSSWithTimestamp(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	tc.write(3000)
	tc.want(". 1+1448 ack 1")
	tc.want(". 1449+1448 ack 1")
	tc.want("P. 2897+104 ack 1")
}

// MSS rules of RFC 9293, section 3.7.1.
func TestMSS(t *testing.T) {
	for _, c := range []struct {
		name, opt string
		path      int
		assumed   uint16
		maxSeg    int
		want      uint16
	}{
		{"peer's", "<mss 1000>", 1460, 1220, 0, 1000},
		{"path's", "<mss 9000>", 1460, 1220, 0, 1460},
		{"none", "", 1460, 0, 0, 536},
		{"none over IPv6", "", 1440, 1220, 0, 1220},
		{"floor (Linux)", "<mss 10>", 1460, 0, 0, 48},
		{"TCP_MAXSEG", "<mss 1460>", 1460, 0, 700, 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.p.MSS, tc.p.AssumedMSS = c.path, c.assumed
			if c.maxSeg != 0 {
				tc.c.SetMaxSeg(c.maxSeg)
			}
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want(fmt.Sprintf("S 0 <mss %d>", tc.c.rcv.advMSS))
			tc.recv("S. 0 ack 1 " + c.opt)
			tc.want(". 1 ack 1")
			if tc.c.snd.mss != c.want {
				t.Fatalf("MSS %d", tc.c.snd.mss)
			}
		})
	}
}

// Segments larger than the MSS are made where the link cuts them.
func TestLargeSegments(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MaxSegment = 65000
	tc.connect()
	tc.write(14600)
	// Half of the window each, so that the first's acknowledgment finds the second on its way.
	tc.want("P. 1+7300 ack 1 gso 1460")
	tc.want("P. 7301+7300 ack 1 gso 1460")
	tc.recv(". 1 ack 14601") // the window is twenty segments
	tc.write(15000)
	// The small rest goes too: Nagle's rule allows it.
	tc.want("P. 14601+14600 ack 1 gso 1460")
	tc.want("P. 29201+400 ack 1")
	tc.recv(". 1 ack 29601")
	tc.write(10000)
	tc.want("P. 29601+10000 ack 1 gso 1460")
	tc.recv(". 1 ack 39601")
	tc.write(3000)
	tc.want("P. 39601+3000 ack 1 gso 1460")
	tc.write(3000)
	tc.want("P. 42601+2920 ack 1 gso 1460")
	tc.wantIdle("Nagle")
	tc.recv(". 1 ack 42601")
	tc.want("P. 45521+80 ack 1")
	// The counters count what the link makes of them (Linux).
	var in Info
	if tc.c.Info(tc.now, &in); in.DataSegsOut != 10+10+1+7+3+2+1 {
		t.Errorf("tcpi_data_segs_out %d, want %d", in.DataSegsOut, 10+10+1+7+3+2+1)
	}
}

// A segment for a link that cuts carries about a millisecond of the rate that the window makes, two
// full ones at the least (Linux, tcp_tso_autosize); near peers get as much as the link takes.
func TestSegmentSizing(t *testing.T) {
	for _, c := range []struct {
		rtt    time.Duration
		window int // segments
		want   int
	}{
		{0, 300, 64}, // no round trip known
		{500 * time.Microsecond, 40, 20},
		{500 * time.Microsecond, 300, 64}, // near: 64 KiB and half of the window are the only bounds
		{msec(1), 64, 32},                 // 32 KiB for being near, and more than a millisecond of the rate
		{msec(10), 100, 20},               // twice the window a round trip, in slow start
		{msec(10), 300, 60},
		{msec(100), 100, 2}, // two for a round trip of 100 ms
		{msec(100), 300, 6},
	} {
		t.Run(fmt.Sprint(c.rtt, " ", c.window), func(t *testing.T) {
			tc := newScript(t, noTS)
			tc.p.MSS, tc.p.MaxSegment = 1000, 64000
			tc.cfg.InitialCwnd = c.window
			tc.p.SndBuf = 1 << 20
			tc.connectIn(c.rtt)
			tc.c.snd.wnd, tc.c.snd.maxWnd = 1<<20, 1<<20 // as if the peer's window were scaled
			if c.rtt == 0 {
				tc.c.rtt = rtt{rto: tc.c.rtt.rto}
			}
			tc.write(c.window * 1000)
			for at := 0; at < c.window; at += c.want {
				n := min(c.want, c.window-at)
				gso := " gso 1000"
				if n == 1 {
					gso = ""
				}
				tc.want(fmt.Sprintf("P. %d+%d ack 1%s", 1+1000*at, 1000*n, gso))
			}
		})
	}
}

// A loss inside a large segment: only the missing part is sent again.
func TestLargeSegmentLoss(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS, tc.p.MaxSegment = 1000, 65000
	tc.connectIn(msec(100))
	tc.write(10000)
	for i := range 5 {
		tc.want(fmt.Sprintf("P. %d+2000 ack 1 gso 1000", 1+2000*i))
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 2001 <sack 3001-10001>")
	tc.want(". 2001+1000 ack 1")
	tc.recv(". 1 ack 10001")
	tc.wantIdle("all is acknowledged")
}

// What was lost as a whole is sent again as large as it was, within the congestion window; the
// retransmission of the timer is one segment.
func TestLargeRetransmission(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS, tc.p.MaxSegment = 1000, 65000
	tc.connectIn(msec(1))
	tc.write(10000)
	tc.want("P. 1+5000 ack 1 gso 1000")
	tc.want("P. 5001+5000 ack 1 gso 1000")
	tc.sleep(msec(1))
	tc.recv(". 1 ack 1 <sack 5001-8001>")
	tc.want("P. 1+3000 ack 1 gso 1000") // PRR lets as much go as has come
	tc.recv(". 1 ack 3001 <sack 5001-10001>")
	tc.want("P. 3001+2000 ack 1 gso 1000")
	tc.recv(". 1 ack 10001")
	tc.wantCounts("RetransSegs 5 TCPSackRecovery 1 TCPFastRetrans 5")
	var in Info
	if tc.c.Info(tc.now, &in); in.TotalRetrans != 5 {
		t.Errorf("tcpi_total_retrans %d, want 5", in.TotalRetrans)
	}
	tc.write(4000)
	tc.want("P. 10001+2000 ack 1 gso 1000")
	tc.want("P. 12001+2000 ack 1 gso 1000")
	tc.wantAfter(msec(4), "P. 13001+1000 ack 1") // the probe
	tc.wantAfter(msec(201), ". 10001+1000 ack 1")
	tc.recv(". 1 ack 14001")
}

var _ = wire.SYN

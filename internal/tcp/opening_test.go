package tcp

import (
	"fmt"
	"syscall"
	"testing"

	"usock/internal/wait"
	"usock/internal/wire"
)

// The handshake at its edges: RFC 9293 §3.10.7.3 and §3.10.7.4, RFC 7323, RFC 7413, RFC 4987.

// SYN-SENT, first check: an acknowledgment of anything but our SYN, or an echo of no SYN that we sent, is of
// an older connection: it is reset and nothing is taken from it, not even a refusal. The SYN left 50 ms ago,
// with the time 100000.
func TestSynSentACK(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		out   string
		state State
		paws  bool
	}{
		{"ours", "S. 0 ack 1 <mss 1460,ts 7:100000>", ". 1 ack 1", Established, false},
		{"ours, echoed late", "S. 0 ack 1 <mss 1460,ts 7:100050>", ". 1 ack 1", Established, false},
		{"no echo", "S. 0 ack 1 <mss 1460,ts 7:0>", ". 1 ack 1", Established, false},
		{"no timestamp", "S. 0 ack 1 <mss 1460>", ". 1 ack 1", Established, false},
		{"an echo from before", "S. 0 ack 1 <mss 1460,ts 7:99999>", "R 1", SynSent, true},
		{"an echo from the future", "S. 0 ack 1 <mss 1460,ts 7:100051>", "R 1", SynSent, true},
		{"the number before", "S. 0 ack 0 <mss 1460,ts 7:100000>", "R 0", SynSent, false},
		{"the number behind", "S. 0 ack 2 <mss 1460,ts 7:100000>", "R 2", SynSent, false},
		{"both wrong, before", "S. 0 ack 0 <mss 1460,ts 7:99999>", "R 0", SynSent, false},
		{"both wrong, behind", "S. 0 ack 2 <mss 1460,ts 7:99999>", "R 2", SynSent, false},
		{"a refusal", "R. 0 ack 1", "", Closed, false},
		{"a refusal of something else", "R. 0 ack 2", "", SynSent, false},
		{"a refusal with a wrong echo", "R. 0 ack 1 <ts 7:99999>", "", SynSent, true},
		{"a RST without ACK", "R 0", "", SynSent, false},
		{"no SYN", ". 0 ack 1", "", SynSent, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noSACK, noWS)
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want("S 0 <mss 1460,ts 100000:0>")
			tc.sleep(msec(50))
			tc.recv(c.in)
			tc.ts = true
			if c.out != "" {
				tc.want(c.out)
			}
			tc.wantIdle("no more")
			tc.wantState(c.state)
			if got := tc.c.count().PAWSActive; got != 0 != c.paws {
				t.Errorf("counted %d", got)
			}
			if c.state == SynSent {
				tc.recv("S. 0 ack 1 <mss 1460,ts 7:100000>") // the true one
				tc.want(". 1 ack 1")
				tc.wantState(Established)
			}
		})
	}
}

// SYN-RECEIVED of a connection that others know of, opened simultaneously or by Fast Open: a RST counts with
// exactly the next number, and a SYN never (RFC 5961). A listener's own ends with either.
func TestSynRcvdGuarded(t *testing.T) {
	for _, c := range []struct {
		in   string
		out  string // of those that are guarded
		ends bool
	}{
		{"R 1", "", true}, {"R 2", ". 1 ack 1", false}, {"S 2", ". 1 ack 1", false}, {"R. 1 ack 1", "", true},
		{". 1 ack 5", "R 5", false}, {"R 900000", "", false},
	} {
		for kind, err := range map[string]syscall.Errno{"simultaneous": syscall.ECONNREFUSED, "fast open": syscall.ECONNRESET} {
			t.Run(kind+" "+c.in, func(t *testing.T) {
				tc := newScript(t, plain)
				if kind == "fast open" {
					tc.p.ServerFastOpen = ServerFastOpen{Data: true}
					inState(tc, SynRcvd)
				} else {
					inState(tc, SynSent)
					tc.recv("S 0 <mss 1460>")
					tc.want("S. 0 ack 1 <mss 1460>")
				}
				tc.wantState(SynRcvd)
				tc.recv(c.in)
				if c.out != "" {
					tc.want(c.out)
				}
				tc.wantIdle("no more")
				if !c.ends {
					tc.wantState(SynRcvd)
					return
				}
				tc.wantState(Closed)
				tc.wantErr(err)
			})
		}
	}
}

// The SYN-ACK of a simultaneous open ends the handshake; its SYN has come before (RFC 9293 §3.5, figure 8).
func TestSimultaneousSYNACK(t *testing.T) {
	tc := newScript(t, plain)
	inState(tc, SynSent)
	tc.recv("S 0 win 500 <mss 1460>")
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.recv("S. 0 ack 1 win 600 <mss 1460>")
	tc.wantState(Established)
	tc.wantInfo("open", map[string]uint64{"SndWnd": 600})
	tc.want(". 1 ack 1")
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.wantCounts("DelayedACKLost 1")
}

// What a SYN's options lead to: an MSS from tcp_min_snd_mss on, a scale of 14 at most, 536 bytes where none
// is said, and only what this host has turned on.
func TestSYNOptions(t *testing.T) {
	for _, c := range []struct {
		opts string
		off  scriptOption
		want map[string]uint64
	}{
		{"<mss 1460,sackok,ts 5:0,ws 7>", nil, map[string]uint64{"SndMSS": 1448, "SndWScale": 7, "RcvWScale": 7,
			"Options": InfoTimestamps | InfoSACK | InfoWScale, "RcvMSS": 536}},
		{"<mss 100>", nil, map[string]uint64{"SndMSS": 100, "RcvMSS": 100, "Options": 0, "SndWScale": 0, "RcvWScale": 0}},
		{"<mss 1>", nil, map[string]uint64{"SndMSS": 48}},
		{"", nil, map[string]uint64{"SndMSS": 536}},
		{"<mss 1460,ws 15>", nil, map[string]uint64{"SndWScale": 14, "Options": InfoWScale}},
		{"<mss 1460,ws 14>", nil, map[string]uint64{"SndWScale": 14}},
		{"<mss 1460,sackok,ts 5:0,ws 7>", plain, map[string]uint64{"SndMSS": 1460, "Options": 0, "SndWScale": 0, "RcvWScale": 0}},
	} {
		t.Run(c.opts, func(t *testing.T) {
			opts := []scriptOption{}
			if c.off != nil {
				opts = append(opts, c.off)
			}
			tc := newScript(t, opts...)
			g, _ := tc.parse("S 0 " + c.opts)
			tc.c.Accept(tc.now, &tc.p, &g)
			tc.pump()
			tc.out = nil
			tc.recv(". 1 ack 1 <ts 6:100000>")
			tc.wantState(Established)
			tc.wantInfo("accepted", c.want)
		})
	}
}

// RFC 4987 §3.6: a connection that is made of a cookie is as one whose SYN was kept; nothing leaves but
// what the acknowledgment brings about.
func TestCookieConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		k    CookieState
		ts   bool // the acknowledgment has a timestamp
		want map[string]uint64
	}{
		{"all", CookieState{MSS: 1000, HasWScale: true, WScale: 3, SACKPermitted: true, Timestamps: true, ECN: true}, true,
			map[string]uint64{"SndMSS": 988, "SndWScale": 3, "Options": InfoTimestamps | InfoSACK | InfoWScale | InfoECN, "SndWnd": 8000}},
		{"no timestamps in the cookie", CookieState{MSS: 1000, SACKPermitted: true}, true,
			map[string]uint64{"SndMSS": 1000, "Options": InfoSACK, "SndWnd": 1000}},
		{"none in the acknowledgment", CookieState{MSS: 1000, Timestamps: true}, false,
			map[string]uint64{"SndMSS": 1000, "Options": 0}},
		{"nothing", CookieState{MSS: 536}, false, map[string]uint64{"SndMSS": 536, "Options": 0, "RcvWScale": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t)
			tc.cfg.ECN = ECNOn
			g, _ := tc.parse(". 1 ack 1 win 1000")
			if c.ts {
				g.Options = wire.TCPOptions{HasTimestamp: true, TSVal: 5, TSEcr: tc.lastTS()}
			}
			tc.c.AcceptCookie(tc.now, &tc.p, &g, &c.k)
			tc.wantState(SynRcvd)
			tc.pump()
			tc.wantIdle("the SYN-ACK left long ago")
			tc.ev = tc.c.Segment(tc.now, &g)
			tc.pump()
			tc.wantIdle("nothing to say")
			tc.wantState(Established)
			tc.wantEvents(wait.Out)
			tc.wantInfo("open", c.want)
			tc.wantCounts("PassiveOpens 1")
			if w := tc.c.rcv.window(); w == 0 || w > 65535 {
				t.Errorf("a window of %d was offered", w)
			}
		})
	}
}

// TCP_DEFER_ACCEPT: a bare acknowledgment is left until data comes, a FIN, or the SYN-ACKs have been sent.
func TestDeferAcceptUntil(t *testing.T) {
	for in, open := range map[string]bool{". 1 ack 1": false, "P. 1+1 ack 1": true, "F. 1 ack 1": true} {
		tc := newScript(t, plain)
		tc.c.SetDeferAccept(3) // two SYN-ACKs more
		inState(tc, SynRcvd)
		tc.recv(in)
		if got := tc.c.State() != SynRcvd; got != open {
			t.Errorf("%s: open %v", in, got)
		}
		if !open {
			tc.wantCounts("TCPDeferAcceptDrop 1")
			tc.wantAfter(secs(1), "S. 0 ack 1 <mss 1460>")
			tc.recv(in)
			tc.wantState(SynRcvd)
			tc.wantAfter(secs(2), "S. 0 ack 1 <mss 1460>")
			tc.recv(in)
			tc.wantState(Established)
		}
		tc.sleep(secs(1))
		tc.out = nil
	}
}

// Fast Open, the client: a cookie is one of four bytes or more; what it brought is for the next time with
// the server's MSS; data in the SYN leaves room for all options, and counts as sent.
func TestFastOpenClient(t *testing.T) {
	for _, c := range []struct {
		answer string
		got    uint8
	}{
		{"<mss 1300,fo 01020304>", 4}, {"<mss 1300,fo 0102>", 0}, {"<mss 1300,fo>", 0}, {"<mss 1300>", 0},
	} {
		tc := newScript(t, plain)
		tc.p.FastOpen = FastOpen{Ask: true}
		tc.c.Connect(tc.now, &tc.p)
		tc.pump()
		tc.want("S 0 <mss 1460,fo>")
		tc.recv("S. 0 ack 1 " + c.answer)
		tc.want(". 1 ack 1")
		if fo, ok := tc.c.FastOpenAnswer(); !ok || fo.NCookie != c.got || fo.MSS != 1300 {
			t.Errorf("%s: %+v, %v", c.answer, fo, ok)
		}
		if tc.c.SYNDataAcked() {
			t.Errorf("%s: data was in the SYN", c.answer)
		}
	}

	tc := newScript(t, plain)
	tc.recvUnasked(t)

	for _, c := range []struct {
		mss, maxSeg, n int
		sent           int
	}{{1400, 0, 3000, 1360}, {0, 0, 3000, 1420}, {9000, 0, 3000, 1420}, {1400, 700, 3000, 660}, {1400, 0, 1360, 1360}, {40, 0, 10, 0}} {
		tc := newScript(t, plain)
		tc.p.FastOpen = cookie
		tc.p.FastOpen.MSS = uint16(c.mss)
		if c.maxSeg != 0 {
			tc.c.SetMaxSeg(c.maxSeg)
		}
		tc.c.Connect(tc.now, &tc.p)
		tc.queue(c.n)
		tc.pump()
		if got := len(tc.out[0].data); got != c.sent {
			t.Errorf("%+v: %d bytes in the SYN", c, got)
		}
		dataOut := uint64(1)
		if c.sent == 0 {
			dataOut = 0
		}
		tc.wantInfo(fmt.Sprint(c), map[string]uint64{"BytesSent": uint64(c.sent), "DataSegsOut": dataOut})
		tc.out = nil
		tc.recv(fmt.Sprintf("S. 0 ack %d <mss 1460>", 1+c.sent))
		tc.wantInfo(fmt.Sprint(c), map[string]uint64{"BytesAcked": uint64(1 + c.sent)})
		if got := tc.c.SYNDataAcked(); got != (c.sent > 0) {
			t.Errorf("%+v: acknowledged %v", c, got)
		}
		tc.out = nil
	}
}

// recvUnasked gives the core a cookie that it has not asked for.
func (s *script) recvUnasked(t *testing.T) {
	inState(s, SynSent)
	s.recv("S. 0 ack 1 <mss 1460,fo 01020304>")
	s.want(". 1 ack 1")
	if _, ok := s.c.FastOpenAnswer(); ok {
		t.Error("a cookie that was not asked for is kept")
	}
}

// Fast Open, the server: it may write before the handshake's end, with what the SYN has brought read or not,
// and a small write at once (Nagle's rule has nothing to wait for).
func TestFastOpenServerWrites(t *testing.T) {
	for _, n := range []int{0, 100} {
		tc := newScript(t, plain)
		tc.p.ServerFastOpen = ServerFastOpen{Data: true, NCookie: 8, Cookie: cookie.Cookie}
		g, _ := tc.parse("S 0 win 4000 <mss 1460>")
		if n > 0 {
			withData(tc, &g, n)
		}
		tc.c.Accept(tc.now, &tc.p, &g)
		g.Data.Release()
		tc.ev = tc.c.take()
		if tc.ev&wait.Out == 0 {
			t.Errorf("%d bytes: nobody is told that it may be written", n)
		}
		tc.pump()
		tc.want(fmt.Sprintf("S. 0 ack %d <mss 1460,fo 0102030405060708>", 1+n))
		tc.wantInfo("half open", map[string]uint64{"SndWnd": 4000, "BytesReceived": uint64(n)})
		tc.write(10)
		tc.want(fmt.Sprintf("P. 1+10 ack %d", 1+n))
		tc.write(10)
		tc.wantIdle("now Nagle's rule has")
		if tc.c.timer.ack != never {
			t.Error("the SYN-ACK has acknowledged all")
		}
		tc.recv(fmt.Sprintf(". %d ack 11", 1+n))
		tc.want(fmt.Sprintf("P. 11+10 ack %d", 1+n))
	}
}

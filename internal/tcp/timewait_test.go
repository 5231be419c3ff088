package tcp

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"usock/internal/wire"
)

// TIME-WAIT: RFC 9293, section 3.10.7.4; RFC 1122, section 4.2.2.13; RFC 6191;
// RFC 1337.

// timeWait returns the record of a connection whose peer's next number is 2 and
// ours is 2, relative.
func timeWait(t *testing.T, opts ...scriptOption) (*script, *TimeWaitState) {
	t.Helper()
	tc := newScript(t, opts...)
	tc.accept()
	tc.shutdown()
	tc.want("F. 1 ack 1")
	tc.recv("F. 1 ack 2")
	tc.want(". 2 ack 2")
	w, ok := tc.c.TimeWait()
	if !ok {
		t.Fatal("not in TIME-WAIT")
	}
	tc.ts = false
	return tc, &w
}

func TestTimeWaitSize(t *testing.T) {
	if n := unsafe.Sizeof(TimeWaitState{}); n > 64 {
		t.Fatalf("%d bytes", n)
	}
}

func TestTimeWait(t *testing.T) {
	tsOnly := func(s *script) { noSACK(s); noWS(s) }
	for _, c := range []struct {
		name  string
		opt   scriptOption
		in    string
		want  Verdict
		reply string
	}{
		{"the FIN again", plain, "F. 1 ack 2", Reply, ". 2 ack 2"},
		{"an acknowledgment", plain, ". 2 ack 2", Drop, ""},
		{"data", plain, "P. 2+10 ack 2", Reply, ". 2 ack 2"},
		{"old data", plain, "P. 1+1 ack 2", Reply, ". 2 ack 2"},
		{"RST", plain, "R 2", End, ""},
		{"RST elsewhere", plain, "R 500", Drop, ""},
		{"RST, RFC 1337", func(s *script) { plain(s); s.cfg.RFC1337 = true }, "R 2", Drop, ""},
		{"a new SYN above (RFC 1122)", plain, "S 1000", Reuse, ""},
		{"a new SYN at the number", plain, "S 2", Reply, ". 2 ack 2"},
		{"a new SYN below", plain, "S -1000", Reply, ". 2 ack 2"},
		{"a new SYN below, newer timestamp (RFC 6191)", tsOnly, "S -1000 <ts 100001:0>", Reuse, ""},
		{"a new SYN below, same timestamp", tsOnly, "S -1000 <ts 100000:0>", Reply, ". 2 ack 2 <ts 100000:100000>"},
		{"a new SYN above, older timestamp", tsOnly, "S 1000 <ts 99999:0>", Reply, ". 2 ack 2 <ts 100000:100000>"},
		{"a SYN-ACK", plain, "S. 1000 ack 2", Reply, ". 2 ack 2"},
		{"old timestamp", tsOnly, "F. 1 ack 2 <ts 99999:0>", Reply, ". 2 ack 2 <ts 100000:100000>"},
		{"old timestamp, RST", tsOnly, "R 2 <ts 99999:0>", Drop, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc, w := timeWait(t, c.opt)
			g, n := tc.parse(c.in)
			if n > 0 {
				withData(tc, &g, n)
			}
			var reply Segment
			if v := w.Segment(tc.now, &g, &reply); v != c.want {
				t.Fatalf("verdict %d, want %d", v, c.want)
			}
			g.Data.Release()
			if c.reply != "" {
				tc.match(&sent{Segment: reply}, c.reply)
			}
		})
	}
}

// The state lasts anew after the peer's FIN, so that the ACK of the FIN can be lost.
func TestTimeWaitRestart(t *testing.T) {
	tc, w := timeWait(t, plain)
	end := w.Expires()
	g, _ := tc.parse("F. 1 ack 2")
	var reply Segment
	w.Segment(tc.now+secs(30), &g, &reply)
	if d := w.Expires() - end; d != secs(30) {
		t.Fatalf("moved by %v", d)
	}
}

// Answers to segments without data are limited, so that two ends cannot keep each
// other busy.
func TestTimeWaitRateLimit(t *testing.T) {
	tc, w := timeWait(t, plain)
	var reply Segment
	n := 0
	for i := range 20 {
		g, _ := tc.parse(". 500 ack 2")
		if w.Segment(tc.now+msec(100*i), &g, &reply) == Reply {
			n++
		}
	}
	if n != 4 {
		t.Fatalf("%d answers in two seconds", n)
	}
}

// The next connection's numbers are above all of this one's (RFC 1122).
func TestTimeWaitNextISS(t *testing.T) {
	_, w := timeWait(t, plain)
	iss := uint32(scriptISS)
	if d := int32(w.NextISS() - (iss + 2)); d < 65535 {
		t.Fatalf("%d above", d)
	}
}

// RFC 5961: answers to invalid segments are limited for each connection.
func TestChallengeLimit(t *testing.T) {
	for _, in := range []string{"S 5", "R 500", ". 1 ack 70000", ". 900000 ack 1"} {
		t.Run(in, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			n := 0
			for range 100 {
				tc.recv(in)
				n += len(tc.out)
				tc.out = nil
				tc.sleep(msec(10))
			}
			if n != 2 {
				t.Fatalf("%d answers in a second", n)
			}
		})
	}
}

// RFC 5961, section 5.2: an acknowledgment far below gets a challenge ACK, and one a
// little below is taken as old.
func TestOldACK(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	una := 1
	for range 10 {
		tc.write(10000)
		tc.rest(fmt.Sprintf("P. %d..%d/1460 ack 1", una, una+10000))
		una += 10000
		tc.recv(fmt.Sprintf(". 1 ack %d", una))
	}
	tc.recv(fmt.Sprintf("P. 1+10 ack %d", una-60000))
	tc.want(fmt.Sprintf(". %d ack 11", una))
	tc.recv(fmt.Sprintf("P. 11+10 ack %d", una-90000))
	tc.want(fmt.Sprintf(". %d ack 11", una))
	if tc.c.Buffered() != 10 {
		t.Fatalf("%d bytes", tc.c.Buffered())
	}
	tc.wantCounts("TCPChallengeACK 1")
}

// A SYN cookie's acknowledgment makes the connection (RFC 4987, section 3.6).
func TestAcceptCookie(t *testing.T) {
	tc := newScript(t)
	g, _ := tc.parse(". 1 ack 1 win 500 <ts 77:100000>")
	tc.c.AcceptCookie(tc.now, &tc.p, &g, &CookieState{MSS: 1300, HasWScale: true, WScale: 3, SACKPermitted: true, Timestamps: true})
	tc.pump()
	tc.wantIdle("the SYN-ACK was sent before")
	tc.recv(". 1 ack 1 win 500 <ts 77:100000>")
	tc.wantState(Established)
	if tc.c.snd.wnd != 4000 || tc.c.snd.mss != 1288 || tc.c.flags&(useSACK|useTS) != useSACK|useTS {
		t.Fatalf("wnd %d mss %d flags %b", tc.c.snd.wnd, tc.c.snd.mss, tc.c.flags)
	}
	tc.write(2000)
	tc.want(". 1+1288 ack 1 <ts 100000:77>")
	tc.want("P. 1289+712 ack 1 <ts 100000:77>")
}

// The same, where the acknowledgment carries data.
func TestAcceptCookieData(t *testing.T) {
	tc := newScript(t, plain)
	g, _ := tc.parse("P. 1+10 ack 1")
	tc.c.AcceptCookie(tc.now, &tc.p, &g, &CookieState{MSS: 536})
	tc.recv("P. 1+10 ack 1")
	tc.wantState(Established)
	tc.want(". 1 ack 11")
	tc.read(100, 10)
}

// TCP_DEFER_ACCEPT: a bare ACK does not complete the handshake.
func TestDeferAccept(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetDeferAccept(3)
	g, _ := tc.parse("S 0 <mss 1460>")
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.recv(". 1 ack 1")
	tc.wantState(SynRcvd)
	tc.wantAfter(secs(1), "S. 0 ack 1 <mss 1460>")
	tc.recv("P. 1+10 ack 1")
	tc.wantState(Established)
	tc.want(". 1 ack 11")
	tc.wantCounts("PassiveOpens 1 OutSegs 1 RetransSegs 1 TCPDeferAcceptDrop 1 TCPSynRetrans 1")
}

const sizeofConn = unsafe.Sizeof(Conn{})

// Which segments have 2 MSL begin anew, which timestamp is kept, and what is answered with (RFC 9293
// §3.10.7.4; Linux, tcp_timewait_state_process).
func TestTimeWaitRenewed(t *testing.T) {
	tsOnly := func(s *script) { noSACK(s); noWS(s) }
	for _, c := range []struct {
		name    string
		opt     scriptOption
		in      string
		renewed bool
		recent  uint32 // 0: as it was
	}{
		{"an acknowledgment in order", plain, ". 2 ack 2", true, 0},
		{"a newer timestamp", tsOnly, ". 2 ack 2 <ts 100500:0>", true, 100500},
		{"the same timestamp", tsOnly, ". 2 ack 2 <ts 100000:0>", true, 100000},
		{"none, where they are in use", tsOnly, ". 2 ack 2", true, 0},
		{"an older timestamp", tsOnly, ". 2 ack 2 <ts 99000:0>", true, 0},
		{"an acknowledgment elsewhere", plain, ". 500 ack 2", true, 0},
		{"elsewhere, with a timestamp", tsOnly, ". 500 ack 2 <ts 100500:0>", true, 0},
		{"no acknowledgment", plain, "P 500+10", false, 0},
		{"no acknowledgment, older timestamp", tsOnly, "P 500+10 <ts 99000:0>", true, 0},
		{"SYN", plain, "S -1000", false, 0},
		{"RST", plain, "R 500", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc, w := timeWait(t, c.opt)
			g, n := tc.parse(c.in)
			if n > 0 {
				withData(tc, &g, n)
				defer g.Data.Release()
			}
			end, recent := w.Expires(), w.tsRecent
			if c.recent != 0 {
				recent = c.recent
			}
			reply := Segment{TCP: g.TCP} // whatever it was before
			v := w.Segment(tc.now+secs(7), &g, &reply)
			if got := w.Expires() == end+secs(7); got != c.renewed || !got && w.Expires() != end {
				t.Errorf("it begins anew: %v", got)
			}
			if w.tsRecent != recent {
				t.Errorf("timestamp %d is kept, want %d", w.tsRecent, recent)
			}
			if v == Reply {
				want := Segment{}
				want.Flags, want.Seq, want.Ack, want.Window = wire.ACK, w.sndNxt, w.rcvNxt, w.window
				if w.hasTS {
					want.Options.HasTimestamp, want.Options.TSEcr = true, recent
					want.Options.TSVal = uint32((tc.now+secs(7))/time.Millisecond) + tc.p.TSOffset
				}
				if reply.TCP != want.TCP {
					t.Errorf("answered %+v, want %+v", reply.TCP, want.TCP)
				}
			}
		})
	}
}

// The limit of answers: half a second between those to segments without data and to SYNs; data is always
// answered.
func TestTimeWaitLimit(t *testing.T) {
	for _, c := range []struct {
		in    string
		after int // ms behind the last answer
		want  Verdict
	}{
		{". 500 ack 2", 499, Drop}, {". 500 ack 2", 500, Reply},
		{"S -1000", 499, Drop}, {"S -1000", 500, Reply},
		{"P. 500+10 ack 2", 1, Reply}, {"F. 1 ack 2", 1, Reply},
	} {
		tc, w := timeWait(t, plain)
		first, _ := tc.parse(". 500 ack 2")
		g, n := tc.parse(c.in)
		if n > 0 {
			withData(tc, &g, n)
		}
		var reply Segment
		if v := w.Segment(tc.now, &first, &reply); v != Reply {
			t.Fatalf("the first is not answered: %d", v)
		}
		if v := w.Segment(tc.now+msec(c.after), &g, &reply); v != c.want {
			t.Errorf("%s after %d ms: %d, want %d", c.in, c.after, v, c.want)
		}
		g.Data.Release()
	}
}

// The window that is told is what was offered, in the peer's unit; the connection's own limit of answers
// goes on, and what the record learns goes back to it while it is there.
func TestTimeWaitOfConn(t *testing.T) {
	tc := newScript(t, noSACK)
	tc.accept()
	tc.shutdown()
	tc.want("F. 1 ack 1")
	tc.recv("F. 1 ack 2")
	tc.want(". 2 ack 2")
	w, _ := tc.c.TimeWait()
	if got, want := uint32(w.window)<<tc.c.rcv.wscale, tc.c.rcv.window(); got > want || got+128 <= want || want < 1000 {
		t.Errorf("a window of %d, %d was offered", got, want)
	}
	tc.sleep(secs(10))
	tc.recv(". 500 ack 2")
	tc.want(". 2 ack 2")
	tc.recv(". 500 ack 2")
	tc.wantIdle("at a limited rate")
	tc.sleep(secs(1))
	tc.recv(". 2 ack 2") // with a newer timestamp, in order
	tc.wantIdle("in order")
	if w, _ := tc.c.TimeWait(); w.tsRecent != tc.tsv() || w.Expires() != tc.now+tc.cfg.TimeWait {
		t.Errorf("%+v", w)
	}
	tc.silent(tc.cfg.TimeWait-1, "2 MSL from there")
	tc.wantState(TimeWait)
	tc.silent(1, "over")
	tc.wantState(Closed)
}

// RFC 6191 §2; Linux, tcp_twsk_unique: a tuple can be used again by an active open if timestamps were in
// use and their clock has moved on, or the program has chosen the port.
func TestTimeWaitReusable(t *testing.T) {
	for _, c := range []struct {
		ts, chosen bool
		after      time.Duration
		want       bool
	}{
		{true, false, msec(1) - 1, false}, {true, false, msec(1), true}, {true, true, 0, true},
		{false, false, secs(30), false}, {false, true, secs(30), false},
	} {
		opts := []scriptOption{noSACK, noWS}
		if !c.ts {
			opts = append(opts, noTS)
		}
		tc, w := timeWait(t, opts...)
		iss, ok := w.Reusable(tc.now+c.after, c.chosen)
		if ok != c.want || iss != w.NextISS() {
			t.Errorf("%+v: %v, with %d", c, ok, iss)
		}
	}
}

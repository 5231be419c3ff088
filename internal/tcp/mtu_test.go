package tcp

import (
	"fmt"
	"syscall"
	"testing"

	"usock/cc"
)

// icmp gives the core an error about the segment at a relative number.
func (s *script) icmp(seq int, errno syscall.Errno, mss int) {
	s.t.Helper()
	s.ev |= s.c.ICMP(s.now, &ICMPError{Seq: s.p.ISS + uint32(seq), Errno: errno, MSS: mss})
	s.pump()
}

// RFC 5927, section 4.1: the quoted number must be in flight.
func TestICMPSequenceCheck(t *testing.T) {
	for _, c := range []struct {
		seq     int
		believe bool
	}{{0, false}, {1, true}, {1000, true}, {1001, false}, {5000, false}, {-1, false}} {
		t.Run(fmt.Sprint(c.seq), func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			tc.write(1000)
			tc.rest("P. 1+1000 ack 1")
			tc.icmp(c.seq, 0, 600)
			if got := tc.c.snd.mss == 600; got != c.believe {
				t.Fatalf("MSS %d", tc.c.snd.mss)
			}
			if c.believe {
				tc.rest("P. 1..1001/600 ack 1")
			}
		})
	}
}

// In SYN-SENT an error ends the attempt (Linux).
func TestICMPSynSent(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		tc := newScript(t, plain)
		tc.c.Connect(tc.now, &tc.p)
		tc.pump()
		tc.want("S 0 <mss 1460>")
		tc.icmp(0, e, 0)
		tc.wantState(Closed)
		tc.wantErr(e)
	}
}

// Later it is soft (RFC 5927, section 5.2): told only when the connection times out.
func TestICMPSoft(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(100)
	tc.rest("P. 1+100 ack 1")
	tc.icmp(1, syscall.EHOSTUNREACH, 0)
	tc.wantState(Established)
	tc.wantErr(0)
	if err := tc.c.TakeSoftErr(); err != syscall.EHOSTUNREACH {
		t.Fatal(err)
	}
	if err := tc.c.TakeSoftErr(); err != nil {
		t.Fatal("told twice")
	}
	tc.icmp(1, syscall.EHOSTUNREACH, 0)
	for tc.c.State() != Closed {
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
	}
	tc.rest("16 * P. 1+100 ack 1")
	tc.wantErr(syscall.EHOSTUNREACH)
}

// RFC 1191, section 6.4: what did not fit is sent again at once, in smaller segments,
// and the window stays.
func TestICMPTooBig(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(100))
	tc.write(4000)
	tc.want(". 1+1460 ack 1")
	tc.want(". 1461+1460 ack 1")
	tc.want("P. 2921+1080 ack 1")
	tc.icmp(1, 0, 1000)
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+1000 ack 1")
	tc.want(". 2001+920 ack 1")
	tc.want(". 2921+1000 ack 1")
	tc.want("P. 3921+80 ack 1")
	if th := tc.c.snd.flight.cc.SSThresh(); th != cc.MaxWindow {
		t.Fatalf("ssthresh %d", th)
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 4001")
	tc.wantLossState(cc.Open)
	tc.write(2000)
	tc.want(". 4001+1000 ack 1")
	tc.want("P. 5001+1000 ack 1")
}

// A message cannot make the segments absurdly small (RFC 5927, section 7.2), nor
// larger.
func TestICMPTooBigBounds(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(100)
	tc.rest("P. 1+100 ack 1")
	tc.icmp(1, 0, 10)
	if tc.c.snd.mss != minPathMSS {
		t.Fatalf("MSS %d", tc.c.snd.mss)
	}
	tc.icmp(1, 0, 9000)
	if tc.c.snd.mss != minPathMSS {
		t.Fatalf("MSS %d", tc.c.snd.mss)
	}
}

// RFC 4821, section 7.7: a black hole drops all above 1100 bytes and tells nobody.
func TestBlackHole(t *testing.T) {
	tc := newScript(t, noTS)
	tc.cfg.MTUProbing = 1
	tc.connectIn(msec(20))
	total := 400000
	written, una := 0, 1
	biggest := 0
	for i := 0; una <= total; i++ {
		if i > 5000 {
			t.Fatalf("stuck at %d", una)
		}
		for written < total && tc.c.SendSpace() > 0 {
			n := min(total-written, tc.c.SendSpace(), 60000)
			tc.queue(n)
			written += n
		}
		tc.pump()
		tc.sleep(msec(20))
		got := map[int]int{}
		for _, g := range tc.out {
			if n := len(g.data); n <= 1100 {
				got[int(g.Seq-tc.p.ISS)] = n
				biggest = max(biggest, n)
			}
		}
		tc.out = nil
		before := una
		for got[una] > 0 {
			una += got[una]
		}
		sack := ""
		for s, n := range got {
			if s > una {
				sack = fmt.Sprintf(" <sack %d-%d>", s, s+n)
			}
		}
		if una > before || sack != "" {
			tc.recv(fmt.Sprintf(". 1 ack %d%s", una, sack))
		} else if len(tc.out) == 0 {
			tc.sleep(msec(50))
		}
	}
	if tc.c.snd.mss < 1024 || tc.c.snd.mss > 1100 {
		t.Fatalf("MSS %d in the end", tc.c.snd.mss)
	}
	t.Logf("MSS %d, largest that passed %d, %v", tc.c.snd.mss, biggest, tc.now)
}

// Without probing the MSS stays.
func TestNoProbing(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1460)
	tc.rest("P. 1+1460 ack 1")
	tc.sleep(secs(20))
	if tc.c.snd.mss != 1460 {
		t.Fatalf("MSS %d", tc.c.snd.mss)
	}
	tc.rest("6 * P. 1+1460 ack 1")
}

// probing brings a connection to where probes of larger segments may be sent: the
// MSS fell to 1024 after timeouts, and the window has grown since.
func probing(t *testing.T, options ...scriptOption) (tc *script, una int) {
	t.Helper()
	tc = newScript(t, append(options, noTS)...)
	tc.cfg.MTUProbing = 1
	tc.p.SndBuf = 1 << 20
	tc.connectIn(msec(20))
	tc.write(1460)
	tc.want("P. 1+1460 ack 1")
	for tc.c.snd.mss != 1024 {
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
	}
	tc.rest("3 * P. 1+1460 ack 1", ". 1+1024 ack 1")
	tc.recv(". 1 ack 1461")
	una = 1461
	tc.sleep(mtuReprobe / 60)
	for range 8 {
		tc.queue(20000)
		tc.pump()
		tc.out = nil
		tc.sleep(msec(20))
		una = int(tc.c.snd.nxt - origin)
		tc.recv(fmt.Sprintf(". 1 ack %d", una))
		if tc.c.lazy.mtu.size != 0 {
			break
		}
	}
	return tc, una
}

// RFC 4821, section 7.3: the search goes up by halves; what arrives is the MSS.
func TestProbeUp(t *testing.T) {
	tc, _ := probing(t)
	for i := 0; tc.c.snd.mss < 1450; i++ {
		if i > 100 {
			t.Fatalf("MSS %d, probe %+v, cwnd %d", tc.c.snd.mss, tc.c.lazy.mtu, tc.c.snd.cwnd())
		}
		if tc.c.Unsent() < 50000 {
			tc.queue(50000)
		}
		tc.pump()
		tc.out = nil
		tc.sleep(msec(20))
		tc.recv(fmt.Sprintf(". 1 ack %d", tc.c.snd.nxt-origin))
	}
	tc.rest(". 173114..192016/1454 ack 1")
	tc.wantCounts("RetransSegs 4 TCPLostRetransmit 2 TCPTimeouts 3 TCPLossProbes 1 TCPMTUPSuccess 6")
}

// probeMTU sends and acknowledges until a probe is under way.
func (s *script) probeMTU() {
	for i := 0; s.c.lazy.mtu.size == 0; i++ {
		if i > 100 {
			s.t.Fatalf("no probe: %+v, cwnd %d", s.c.lazy.mtu, s.c.snd.cwnd())
		}
		s.queue(50000)
		s.pump()
		if s.c.lazy.mtu.size == 0 {
			s.out = nil
			s.sleep(msec(20))
			s.recv(fmt.Sprintf(". 1 ack %d", s.c.snd.nxt-origin))
		}
	}
}

// Section 7.6.2: a probe that is lost is sent again in small segments, and is no sign
// of congestion.
func TestProbeLost(t *testing.T) {
	tc, _ := probing(t)
	tc.probeMTU()
	m := tc.c.lazy.mtu
	start, end, nxt := int(m.start-origin), int(m.end-origin), int(tc.c.snd.nxt-origin)
	if end-start <= 1024 || end-start != int(m.size) {
		t.Fatalf("probe of %d bytes: %+v", end-start, m)
	}
	w, th, high := tc.c.snd.cwnd(), tc.c.snd.flight.cc.SSThresh(), m.high
	tc.rest(". 69045..71311/1242 ack 1", ". 71311..80527/1024 ack 1")
	tc.sleep(msec(20))
	tc.recv(fmt.Sprintf(". 1 ack %d <sack %d-%d>", start, end, nxt))
	if len(tc.out) < 2 || len(tc.out[0].data) != 1024 || len(tc.out[1].data) != end-start-1024 {
		t.Fatalf("%d segments", len(tc.out))
	}
	if tc.c.snd.flight.cc.SSThresh() != th || tc.c.snd.cwnd() < w {
		t.Fatalf("ssthresh %d, was %d; cwnd %d, was %d", tc.c.snd.flight.cc.SSThresh(), th, tc.c.snd.cwnd(), w)
	}
	if tc.c.lazy.mtu.high >= high {
		t.Fatalf("the size is still believed: %+v", tc.c.lazy.mtu)
	}
	tc.rest(". 69045..70287/1024 ack 1", ". 80527..90767/1024 ack 1")
	tc.wantCounts("RetransSegs 6 TCPLostRetransmit 2 TCPFastRetrans 2 TCPTimeouts 3 TCPLossProbes 1 TCPMTUPFail 1")
}

// During the handshake ICMP's news goes to the peer, too, with the SYN when that is sent again (Linux,
// tcp_advertise_mss).
func TestTooBigSYN(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.icmp(0, 0, 1000)
	tc.wantAfter(secs(1), "S 0 <mss 1000>")
	tc.icmp(0, 0, 1200)
	tc.wantAfter(secs(1), "S 0 <mss 1000>")
	tc.icmp(0, 0, 100)
	tc.wantAfter(secs(1), "S 0 <mss 512>")
}

// A SYN-ACK, too.
func TestTooBigSYNACK(t *testing.T) {
	tc := newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460>")
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.icmp(0, 0, 1000)
	tc.wantAfter(secs(1), "S. 0 ack 1 <mss 1000>")
}

// A SYN whose data was too much for the path is sent again at once and without (Linux,
// tcp_simple_retransmit).
func TestTooBigSYNData(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.FastOpen = cookie
	tc.c.Connect(tc.now, &tc.p)
	tc.queue(2000)
	tc.pump()
	tc.want("S 0+1360 <mss 1460,fo 0102030405060708>")
	tc.icmp(0, 0, 1000)
	tc.want("S 0 <mss 1000>")
	tc.icmp(0, 0, 1000)
	tc.wantIdle("that is no news")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+360 ack 1")
	tc.want("P. 1361+640 ack 1")
	tc.recv(". 1 ack 2001")
}

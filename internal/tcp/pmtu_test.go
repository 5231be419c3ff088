package tcp

import (
	"syscall"
	"testing"

	"usock/cc"
)

// Which ICMP messages are believed, and what of them (RFC 5927 §4.1; Covers is for the owner that looks
// the connection up).
func TestCovers(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1000)
	tc.rest("P. 1+1000 ack 1")
	for seq, want := range map[uint32]bool{0: false, 1: true, 500: true, 1000: true, 1001: false, 1 << 31: false} {
		if got := tc.c.Covers(tc.p.ISS + seq); got != want {
			t.Errorf("%d: %v", seq, got)
		}
	}
	tc.c.Abort(tc.now)
	if tc.c.Covers(tc.p.ISS + 1) {
		t.Error("CLOSED covers something")
	}
	tc.c.LowerPathMSS(tc.now, 600) // nothing to lower
	if tc.c.snd.mss != 1460 {
		t.Errorf("MSS %d in CLOSED", tc.c.snd.mss)
	}
	tc.pump()
	tc.rest("R. 1001 ack 1")
}

// What another connection has learnt of the path counts here, too (RFC 8201 §5.2), and sends again what
// does not fit; larger is no news.
func TestLowerPathMSS(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1000)
	tc.rest("P. 1+1000 ack 1")
	tc.call(func(c *Conn) { c.LowerPathMSS(tc.now, 1460) })
	tc.call(func(c *Conn) { c.LowerPathMSS(tc.now, 1500) })
	tc.wantIdle("no news")
	tc.call(func(c *Conn) { c.LowerPathMSS(tc.now, 600) })
	tc.rest("P. 1..1001/600 ack 1")
	tc.call(func(c *Conn) { c.LowerPathMSS(tc.now, 600) })
	tc.wantIdle("no news")
	tc.wantInfo("lowered", map[string]uint64{"SndMSS": 600, "PMTU": 640})
}

// In SYN-RECEIVED an error is the answer, but not to a server that data came to with the SYN (Linux).
func TestICMPSynRcvd(t *testing.T) {
	tc := newScript(t, plain)
	inState(tc, SynRcvd)
	tc.icmp(0, syscall.EHOSTUNREACH, 0)
	tc.wantState(Closed)
	tc.wantErr(syscall.EHOSTUNREACH)
}

// What is too large for the path is sent again at once and without a reduction (RFC 8201 §5.4); what is
// small enough, or SACKed, is left. In recovery that goes on.
func TestTooBigMarks(t *testing.T) {
	tc := inFlight(t, 5, func(s *script) { s.p.SndBuf = 1 << 20 })
	tc.c.SetNoDelay(tc.now, true)
	tc.write(300)
	tc.want("P. 5001+300 ack 1")
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.wantIdle("it may be reordering")
	w := tc.c.snd.flight.cc.SSThresh()
	tc.icmp(1, 0, 600)
	tc.want(". 1+600 ack 1") // the timer's
	tc.rest(". 601+400 ack 1", "P. 2001..5001/600 ack 1")
	if got := tc.c.snd.flight.cc.SSThresh(); got != w {
		t.Errorf("ssthresh %d, was %d", got, w)
	}
	tc.recv(". 1 ack 5301")
	tc.wantLossState(cc.Open)
	tc.wantIdle("all is acknowledged")
}

// Timeouts in a row make a black hole likely: the MSS falls to tcp_base_mss, or to half where that is no
// less, and further with each timeout, down to what every path carries (RFC 4821 §7.7). How long the
// suspicion lasts doubles with each that follows another (RFC 8899 §5.1.1's timer at the most).
func TestBlackHoleSuspected(t *testing.T) {
	now := secs(5000)
	for _, c := range []struct {
		name    string
		probing int
		retrans uint8
		path    uint16
		before  mtuProbe
		want    mtuProbe
		mss     uint16 // with 12 bytes of options
	}{
		{"too few timeouts", 1, 2, 1460, mtuProbe{}, mtuProbe{}, 1448},
		{"probing is off", 0, 9, 1460, mtuProbe{}, mtuProbe{}, 1448},
		{"the third", 1, 3, 1460, mtuProbe{},
			mtuProbe{on: true, low: 1024, high: 1460, falls: 1, next: secs(5010), again: secs(5030)}, 1012},
		{"not larger than the base", 1, 3, 1024, mtuProbe{},
			mtuProbe{on: true, low: 512, high: 1024, falls: 1, next: secs(5010), again: secs(5030)}, 500},
		{"a little larger", 1, 3, 1025, mtuProbe{},
			mtuProbe{on: true, low: 1024, high: 1025, falls: 1, next: secs(5010), again: secs(5030)}, 1012},
		{"small already", 1, 3, 80, mtuProbe{},
			mtuProbe{on: true, low: 48, high: 80, falls: 1, next: secs(5010), again: secs(5030)}, 36},
		{"on, and a probe is out", 1, 4, 1460, mtuProbe{on: true, low: 1024, high: 1400, size: 1200, falls: 1, again: secs(5030)},
			mtuProbe{on: true, low: 512, high: 1400, falls: 1, next: secs(5010), again: secs(5030)}, 500},
		{"on, above twice the base", 1, 4, 9000, mtuProbe{on: true, low: 4000, high: 9000, falls: 1, again: secs(5030)},
			mtuProbe{on: true, low: 1024, high: 9000, falls: 1, next: secs(5010), again: secs(5030)}, 1012},
		{"on, at the least", 1, 5, 1460, mtuProbe{on: true, low: 512, high: 1400, falls: 1, again: secs(5030)},
			mtuProbe{on: true, low: 512, high: 1400, falls: 1, next: secs(5010), again: secs(5030)}, 500},
		{"again, soon after the last", 1, 3, 1460, mtuProbe{falls: 1, again: secs(4970)},
			mtuProbe{on: true, low: 1024, high: 1460, falls: 2, next: secs(5010), again: secs(5060)}, 1012},
		{"again, long after", 1, 3, 1460, mtuProbe{falls: 1, again: secs(4969)},
			mtuProbe{on: true, low: 1024, high: 1460, falls: 1, next: secs(5010), again: secs(5030)}, 1012},
		{"for the fifth time", 1, 3, 1460, mtuProbe{falls: 4, again: secs(4990)},
			mtuProbe{on: true, low: 1024, high: 1460, falls: 5, next: secs(5010), again: secs(5480)}, 1012},
		{"for the sixth", 1, 3, 1460, mtuProbe{falls: 5, again: secs(4990)},
			mtuProbe{on: true, low: 1024, high: 1460, falls: 6, next: secs(5010), again: secs(5600)}, 1012},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.MTUProbing, cfg.Retries1 = c.probing, 3
			tb := &tcb{cfg: cfg, state: Established, flags: useTS}
			s := &sender{retrans: c.retrans, pathMSS: c.path, peerMSS: 9000}
			if c.before != (mtuProbe{}) {
				tb.makeLazy().mtu = c.before
			}
			s.setMSS(tb)
			s.suspectBlackHole(tb, now)
			got := mtuProbe{}
			if tb.lazy != nil {
				got = tb.lazy.mtu
			}
			if got != c.want || s.mss != c.mss {
				t.Errorf("MSS %d, %+v\nwant %d, %+v", s.mss, got, c.mss, c.want)
			}
		})
	}
}

// When a probe of a larger size may leave, and of which (RFC 4821 §7.3 and 7.4): half way up, with three
// full segments behind it, a window of eleven, and nothing amiss.
func TestMTUProbeSize(t *testing.T) {
	now := secs(5000)
	on := mtuProbe{on: true, low: 1000, high: 1400, next: now, again: secs(5030)}
	for _, c := range []struct {
		name        string
		m           mtuProbe
		state       cc.State
		sacked      uint32
		cwnd        uint32
		inFlight    uint32
		avail, room uint64
		want        uint32
		after       func(m *mtuProbe) // what changes
	}{
		{"half way", on, cc.Open, 0, 20000, 0, 9000, 9000, 1188, nil},
		{"half way, rounded up", mtuProbe{on: true, low: 1000, high: 1401, next: now}, cc.Open, 0, 20000, 0, 9000, 9000, 1189, nil},
		{"off", mtuProbe{low: 1000, high: 1400}, cc.Open, 0, 20000, 0, 9000, 9000, 0, nil},
		{"one is out", mtuProbe{on: true, low: 1000, high: 1400, size: 1200}, cc.Open, 0, 20000, 0, 9000, 9000, 0, nil},
		{"not yet", mtuProbe{on: true, low: 1000, high: 1400, next: now + 1}, cc.Open, 0, 20000, 0, 9000, 9000, 0, nil},
		{"in recovery", on, cc.Recovery, 0, 20000, 0, 9000, 9000, 0, nil},
		{"something is SACKed", on, cc.Open, 1000, 20000, 2000, 9000, 9000, 0, nil},
		{"a window of eleven", on, cc.Open, 0, 11 * 988, 0, 9000, 9000, 1188, nil},
		{"a smaller one", on, cc.Open, 0, 11*988 - 1, 0, 9000, 9000, 0, nil},
		{"a smaller one, for too long", mtuProbe{on: true, low: 1000, high: 1400, again: now}, cc.Open, 0, 11*988 - 1, 0, 9000, 9000, 0,
			func(m *mtuProbe) { m.on = false }},
		{"close enough", mtuProbe{on: true, low: 1000, high: 1007, again: secs(5030)}, cc.Open, 0, 20000, 0, 9000, 9000, 0,
			func(m *mtuProbe) { m.next, m.high = secs(5600), 1460 }},
		{"not quite", mtuProbe{on: true, low: 1000, high: 1008, again: secs(5030)}, cc.Open, 0, 20000, 0, 9000, 9000, 992, nil},
		{"three segments behind it", on, cc.Open, 0, 20000, 0, 1188 + 3*988, 9000, 1188, nil},
		{"less behind it", on, cc.Open, 0, 20000, 0, 1188 + 3*988 - 1, 9000, 0, nil},
		{"less room", on, cc.Open, 0, 20000, 0, 9000, 1188 + 3*988 - 1, 0, nil},
		{"the window just takes it", on, cc.Open, 0, 20000, 20000 - 1188, 9000, 9000, 1188, nil},
		{"the window does not", on, cc.Open, 0, 20000, 20000 - 1187, 9000, 9000, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := &tcb{cfg: DefaultConfig(), state: Established, flags: useTS}
			tb.makeLazy().mtu = c.m
			s := &sender{una: origin + 1, nxt: origin + 1 + uint64(c.inFlight), pathMSS: 1460, peerMSS: 1460, mss: 988}
			s.flight = &flight{cc: &recorder{cwnd: c.cwnd, mss: 988}}
			s.flight.loss.state, s.flight.loss.sacked = c.state, c.sacked
			if got := s.mtuProbeSize(tb, now, c.avail, c.room); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
			want := c.m
			if c.after != nil {
				c.after(&want)
			}
			if got := tb.lazy.mtu; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if mss := s.mss; (mss == 1448) != (c.m.on && !want.on) {
				t.Errorf("MSS %d", mss)
			}
			s.sentMTUProbe(tb, s.nxt, 1188)
			if m := tb.lazy.mtu; m.size != 1200 || m.start != s.nxt || m.end != s.nxt+1188 {
				t.Errorf("sent: %+v", m)
			}
			s.una = s.nxt + 1187
			if s.ackedMTUProbe(tb, now); tb.lazy.mtu.size != 1200 {
				t.Error("arrived, but for a byte")
			}
			s.una++
			if s.ackedMTUProbe(tb, now); tb.lazy.mtu.size != 0 || tb.lazy.mtu.low != 1200 {
				t.Errorf("arrived: %+v", tb.lazy.mtu)
			}
		})
	}
}

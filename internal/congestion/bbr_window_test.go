package congestion

import (
	"encoding/binary"
	"testing"
	"time"

	"usock/cc"
)

// steadyBBR has found a path of 1 MB/s and 20 ms, whose BDP is 20 segments, and is in a phase of
// ProbeBW that cruises. Its window is what it aims at: twice the BDP and three quanta of two
// segments.
func steadyBBR() *BBR {
	b := new(BBR)
	b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS, SRTT: 20 * ms, MinRTT: 20 * ms})
	b.bw.update(1_000_000, 0, bbrBWRounds)
	b.filled, b.mode, b.phase = true, bbrProbeBW, 2
	b.pacing, b.cwnd = 1_000_000, 46*testMSS
	return b
}

// Section 4.2.3.2, BBRInflight: the BDP times gain and three quanta, rounded up to an even number of
// segments, with two more in the phase of ProbeBW that probes (Linux, bbr_quantization_budget); the
// initial window as long as a factor is unknown.
func TestBBRTarget(t *testing.T) {
	for _, c := range []struct {
		name  string
		bw    uint64
		rtt   time.Duration
		mode  bbrMode
		phase uint8
		gain  float64
		want  uint32
	}{
		{"even", 1_000_000, 20 * ms, bbrProbeBW, 2, 1, 26_000},
		{"odd", 1_000_000, 21 * ms, bbrProbeBW, 2, 1, 28_000},
		{"part of a segment", 1_000_000, 20*ms + time.Microsecond, bbrProbeBW, 2, 1, 28_000},
		{"gain", 1_000_000, 20 * ms, bbrProbeBW, 2, 0.5, 16_000},
		{"gain, not probing", 1_000_000, 20 * ms, bbrProbeBW, 2, 1.5, 36_000},
		{"probing", 1_000_000, 20 * ms, bbrProbeBW, 0, 1.5, 38_000},
		{"window while probing", 1_000_000, 20 * ms, bbrProbeBW, 0, 2, 48_000},
		{"another mode", 1_000_000, 20 * ms, bbrStartup, 0, 1.5, 36_000},
		{"no bandwidth", 0, 20 * ms, bbrProbeBW, 2, 1, 10_000},
		{"no round-trip time", 1_000_000, 0, bbrProbeBW, 2, 1, 10_000},
	} {
		b := steadyBBR()
		b.bw, b.minRTT, b.mode, b.phase = maxFilter{}, c.rtt, c.mode, c.phase
		b.bw.update(c.bw, 0, bbrBWRounds)
		if got := b.target(c.gain); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}

	b := new(BBR)
	b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS})
	if b.SetMSS(500); b.target(1) != cc.InitialWindow(500) {
		t.Errorf("of a new connection with segments of 500 bytes: %d", b.target(1))
	}
}

// Section 4.2.3.6, BBRSetCwnd.
func TestBBRSetWindow(t *testing.T) {
	for _, c := range []struct {
		name      string
		filled    bool
		mode      bbrMode
		cwnd      uint32
		delivered uint32
		lost      uint32
		total     uint64
		want      uint32
	}{
		{"towards the target by what is delivered", true, bbrProbeBW, 30_000, 3000, 0, 1e6, 33_000},
		{"not beyond it", true, bbrProbeBW, 45_000, 3000, 0, 1e6, 46_000},
		{"down to it at once", true, bbrProbeBW, 90_000, 3000, 0, 1e6, 46_000},
		{"not down in Startup", false, bbrStartup, 90_000, 3000, 0, 1e6, 90_000},
		{"up in Startup", false, bbrStartup, 60_000, 8000, 0, 1e6, 68_000},
		{"the target of Startup is 2.885 times the BDP", false, bbrStartup, 64_000, 3000, 0, 1e6, 64_000},
		{"less than the initial window delivered", false, bbrStartup, 90_000, 3000, 0, 9_999, 93_000},
		{"the initial window delivered", false, bbrStartup, 90_000, 3000, 0, 10_000, 90_000},
		{"four segments at least", true, bbrProbeBW, 1000, 1000, 0, 1e6, 4000},
		{"four segments at most in ProbeRTT", true, bbrProbeMinRTT, 46_000, 1000, 0, 1e6, 4000},
		{"nothing delivered", true, bbrProbeBW, 90_000, 0, 5000, 1e6, 90_000},
	} {
		b := steadyBBR()
		b.filled, b.mode, b.cwnd = c.filled, c.mode, c.cwnd
		b.setWindow(&cc.Ack{Delivered: c.delivered, Lost: c.lost, Rate: cc.Sample{Total: c.total}})
		if b.cwnd != c.want {
			t.Errorf("%s: %d, want %d", c.name, b.cwnd, c.want)
		}
	}
}

// Section 4.2.3.4, BBRModulateCwndForRecovery and what goes with entering and leaving recovery: what
// is lost goes off the window, the first round trip sends what is delivered, and the end brings back
// the window that was saved.
func TestBBRRecoverySteps(t *testing.T) {
	ack := func(s cc.State, lost, inFlight, delivered uint32) *cc.Ack {
		return &cc.Ack{State: s, Lost: lost, InFlight: inFlight, Delivered: delivered, CWndLimited: true}
	}
	for _, c := range []struct {
		name         string
		was          cc.State
		conservation bool
		ack          *cc.Ack
		cwnd         uint32
		conserves    bool
	}{
		{"nothing", cc.Open, false, ack(cc.Open, 0, 5000, 1000), 20_000, false},
		{"loss", cc.Loss, false, ack(cc.Loss, 3000, 5000, 1000), 17_000, false},
		{"more lost than the window", cc.Loss, false, ack(cc.Loss, 30_000, 5000, 1000), 1000, false},
		{"a mark of ECN", cc.CWR, false, ack(cc.CWR, 0, 0, 1000), 20_000, false},
		{"recovery begins", cc.Open, false, ack(cc.Recovery, 1000, 9000, 2000), 11_000, true},
		{"recovery after a timeout", cc.Loss, false, ack(cc.Recovery, 1000, 9000, 2000), 11_000, true},
		{"recovery begins, one byte delivered", cc.Open, false, ack(cc.Recovery, 1000, 0, 1), testMSS, true},
		{"first round trip, more in flight", cc.Recovery, true, ack(cc.Recovery, 0, 25_000, 2000), 27_000, true},
		{"first round trip, less in flight", cc.Recovery, true, ack(cc.Recovery, 2000, 9000, 2000), 18_000, true},
		{"later round trips", cc.Recovery, false, ack(cc.Recovery, 0, 25_000, 2000), 20_000, false},
		{"recovery ends", cc.Recovery, true, ack(cc.Open, 0, 5000, 1000), 40_000, false},
		{"recovery from a timeout ends", cc.Loss, false, ack(cc.CWR, 0, 5000, 1000), 40_000, false},
	} {
		b := steadyBBR()
		b.cwnd, b.prior, b.state, b.conservation = 20_000, 40_000, c.was, c.conservation
		if got := b.recover(c.ack); got != c.conserves || b.cwnd != c.cwnd || b.state != c.ack.State {
			t.Errorf("%s: window %d, conserves %v, want %d, %v", c.name, b.cwnd, got, c.cwnd, c.conserves)
		}
	}

	// The least window of a segment is for losses: without one it is left alone.
	b := steadyBBR()
	b.cwnd, b.state = 500, cc.Loss
	if b.recover(ack(cc.Loss, 0, 0, 500)); b.cwnd != 500 {
		t.Errorf("nothing lost, and the window went from 500 to %d", b.cwnd)
	}
}

// Packet conservation lasts until what was sent after recovery began is acknowledged.
func TestBBRConservationRound(t *testing.T) {
	b := steadyBBR()
	b.nextRound = 75_000
	for _, c := range []struct {
		prior, total uint64
		conserves    bool
	}{
		{70_000, 100_000, true}, // begins
		{80_000, 110_000, true},
		{99_000, 120_000, true},
		{100_000, 130_000, false}, // sent after 100000 had been delivered
	} {
		b.Ack(&cc.Ack{
			Now: ms, SRTT: 20 * ms, Delivered: 1000, InFlight: 10_000, State: cc.Recovery, CWndLimited: true,
			Rate: cc.Sample{Delivered: 20_000, Interval: 20 * ms, PriorDelivered: c.prior, Total: c.total},
		})
		if b.conservation != c.conserves {
			t.Errorf("at %d: packet conservation %v", c.prior, b.conservation)
		}
	}
}

// Section 4.2.3.4, BBRSaveCwnd: the last good window, which in recovery and in ProbeRTT is the
// greater of what was saved and what is.
func TestBBRSaveWindow(t *testing.T) {
	for _, c := range []struct {
		state cc.State
		mode  bbrMode
		prior uint32
		want  uint32
	}{
		{cc.Open, bbrProbeBW, 90_000, 46_000},
		{cc.CWR, bbrProbeBW, 90_000, 46_000},
		{cc.Recovery, bbrProbeBW, 90_000, 90_000},
		{cc.Loss, bbrProbeBW, 90_000, 90_000},
		{cc.Recovery, bbrProbeBW, 9_000, 46_000},
		{cc.Open, bbrProbeMinRTT, 90_000, 90_000},
		{cc.Open, bbrProbeMinRTT, 9_000, 46_000},
	} {
		for event, call := range map[string]func(*BBR){
			"loss":    func(b *BBR) { b.Congestion(&cc.Event{}) },
			"timeout": func(b *BBR) { b.Timeout(&cc.Event{}) },
		} {
			b := steadyBBR()
			b.state, b.mode, b.prior = c.state, c.mode, c.prior
			if call(b); b.prior != c.want {
				t.Errorf("%s in state %d, mode %d with %d saved: %d, want %d", event, c.state, c.mode, c.prior, b.prior, c.want)
			}
		}
	}
}

// After a timeout Startup's search for a plateau begins again, nothing is conserved, and the end
// of the repair brings back the window (section 4.2.3.4). A spurious one is taken back.
func TestBBRTimeout(t *testing.T) {
	b := steadyBBR()
	b.conservation, b.fullBW, b.fullCount = true, 900_000, 2
	b.Timeout(&cc.Event{InFlight: 40_000})
	if b.cwnd != testMSS || b.fullBW != 0 || b.conservation {
		t.Errorf("window %d, full bandwidth %d, packet conservation %v", b.cwnd, b.fullBW, b.conservation)
	}
	lost := *b

	b.Ack(&cc.Ack{Now: ms, SRTT: 20 * ms, Delivered: 1000, State: cc.Loss})
	if b.cwnd != 4*testMSS {
		t.Errorf("during the repair the window is %d", b.cwnd)
	}
	b.Ack(&cc.Ack{Now: 2 * ms, SRTT: 20 * ms, Delivered: 1000, State: cc.Open})
	if b.cwnd != 47*testMSS {
		t.Errorf("after the repair the window is %d", b.cwnd)
	}

	spurious := lost
	spurious.Ack(&cc.Ack{Now: ms, SRTT: 20 * ms, Delivered: 1000, State: cc.Open})
	if spurious.cwnd != 47*testMSS {
		t.Errorf("after a repair of one acknowledgment the window is %d", spurious.cwnd)
	}

	for mode, want := range map[bbrMode]uint32{bbrProbeBW: 46 * testMSS, bbrProbeMinRTT: testMSS} {
		u := lost
		u.mode, u.conservation, u.fullBW, u.fullCount = mode, true, 900_000, 2
		if u.Undo(0); u.cwnd != want || u.fullBW != 0 || u.fullCount != 0 || u.conservation {
			t.Errorf("undone in mode %d: window %d, full bandwidth %d after %d rounds, packet conservation %v", mode, u.cwnd, u.fullBW, u.fullCount, u.conservation)
		}
	}
}

// struct tcp_bbr_info of linux/inet_diag.h.
func TestBBRInfo(t *testing.T) {
	type info struct {
		BW                         uint64
		MinRTT, PacingGain, CwGain uint32
	}
	probing := steadyBBR()
	probing.phase = 0
	for _, c := range []struct {
		name string
		b    *BBR
		want info
	}{
		{"not begun", new(BBR), info{}},
		{"probing", probing, info{1_000_000, 20_000, 320, 512}},
	} {
		p := c.b.AppendInfo(nil)
		var got info
		if n, err := binary.Decode(p, binary.NativeEndian, &got); err != nil || n != len(p) || got != c.want {
			t.Errorf("%s: %+v, want %+v (%d of %d bytes, %v)", c.name, got, c.want, n, len(p), err)
		}
	}
}

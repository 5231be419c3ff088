package tcp

import (
	"fmt"
	"testing"

	"usock/internal/wait"
)

// What is held behind a gap, besides the blocks that tell of it (sackblocks_test.go).

// SACK blocks take room from data: a full segment is smaller by them (RFC 6691 §3), by 8 bytes each and 4
// for the option with its padding; beside timestamps three fit.
func TestSACKTakesRoom(t *testing.T) {
	for _, c := range []struct {
		opt    scriptOption
		ranges int // held
		dup    bool
		mss    int
	}{
		{noTS, 0, false, 1460},
		{noTS, 1, false, 1460 - 12},
		{noTS, 3, false, 1460 - 28},
		{noTS, 4, false, 1460 - 36},
		{noTS, 0, true, 1460 - 12},
		{noTS, 2, true, 1460 - 28},
		{noTS, 4, true, 1460 - 36},
		{noSACK, 3, true, 1448},
		{func(*script) {}, 2, false, 1448 - 20},
		{func(*script) {}, 3, false, 1448 - 28},
		{func(*script) {}, 4, false, 1448 - 28},
		{func(*script) {}, 3, true, 1448 - 28},
	} {
		t.Run(fmt.Sprintf("%d ranges, duplicate %v, %d", c.ranges, c.dup, c.mss), func(t *testing.T) {
			tc := newScript(t, c.opt)
			tc.connect()
			for i := range c.ranges {
				tc.recv(fmt.Sprintf(". %d+10 ack 1", 101+20*i))
			}
			tc.out = nil
			if c.dup {
				// Not acknowledged on its own: the data that leaves tells.
				if tc.c.rcv.ooo == nil {
					tc.c.rcv.ooo = new(outOfOrder)
				}
				tc.c.rcv.ooo.dsack = span{tc.c.rcv.nxt - 1, tc.c.rcv.nxt}
			}
			tc.write(4000)
			if n := len(tc.out[0].data); n != c.mss {
				t.Errorf("%d bytes, want %d", n, c.mss)
			}
			tc.out = nil
		})
	}
}

// A RST behind the last range that was SACKed is believed: the peer may have reset with its newest number
// (Linux, tcp_reset_check). One elsewhere in the window is challenged (RFC 5961 §3.2).
func TestRSTAtSACKEdge(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  scriptOption
		held []int // where 50 bytes are held
		rst  int
		ends bool
	}{
		{"behind the only range", noTS, []int{101}, 151, true},
		{"elsewhere", noTS, []int{101}, 152, false},
		{"behind the highest of two", noTS, []int{101, 301}, 351, true},
		{"behind the highest, which came first", noTS, []int{301, 101}, 351, true},
		{"behind the lower of two", noTS, []int{101, 301}, 151, false},
		{"nothing is held", noTS, nil, 151, false},
		{"without SACK", plain, []int{101}, 151, false},
		{"what comes next", noTS, []int{101}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, c.opt)
			tc.connect()
			for _, at := range c.held {
				tc.recv(fmt.Sprintf(". %d+50 ack 1", at))
			}
			tc.out = nil
			tc.recv(fmt.Sprintf("R %d", c.rst))
			if c.ends {
				tc.wantIdle("it is believed")
				tc.wantState(Closed)
				return
			}
			tc.out = nil // the challenge ACK, with blocks
			tc.wantState(Established)
			tc.wantCounts(map[int]string{0: "", 1: "TCPOFOQueue 1 ", 2: "TCPOFOQueue 2 "}[len(c.held)] + "TCPChallengeACK 1")
		})
	}
}

// What fills a gap makes readable if SO_RCVLOWAT is reached with what was behind it.
func TestGapReachesLowat(t *testing.T) {
	for low, ready := range map[int]bool{100: true, 300: true, 301: false} {
		tc := newScript(t, plain)
		tc.connect()
		tc.c.SetRcvLowat(tc.now, low)
		tc.recv(". 101+200 ack 1")
		tc.want(". 1 ack 1")
		tc.wantEvents(0)
		tc.recv(". 1+100 ack 1")
		tc.want(". 1 ack 301")
		if got := tc.ev&wait.In != 0; got != ready {
			t.Errorf("low %d: the program is told: %v", low, got)
		}
		tc.sleep(secs(1))
		tc.out = nil
	}
}

// With SACK the window grows by what comes out of order, as by what comes in order: a lossy path's data
// mostly comes so. Without, it does not.
func TestWindowGrowsBehindGap(t *testing.T) {
	for name, c := range map[string]struct {
		opt   scriptOption
		in    []string
		grows uint32
	}{
		"a small segment":        {noTS, []string{". 101+100 ack 1"}, 2 * 1460},
		"a large one":            {noTS, []string{". 101+4000 ack 1"}, 2 * 4000},
		"one that was there":     {noTS, []string{". 101+100 ack 1", ". 101+100 ack 1"}, 2 * 1460},
		"one that was, in part":  {noTS, []string{". 101+4000 ack 1", ". 101+6000 ack 1"}, 2*4000 + 2*2000},
		"without SACK":           {plain, []string{". 101+4000 ack 1"}, 0},
		"nothing but a FIN":      {noTS, []string{"F. 101 ack 1"}, 0},
		"what is behind the FIN": {noTS, []string{"F. 101 ack 1", ". 101+4000 ack 1"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tc := newScript(t, c.opt)
			tc.p.RcvBuf = 1 << 20
			tc.connect()
			tc.c.rcv.ssthresh = 20000
			for _, in := range c.in {
				tc.recv(in)
			}
			tc.out = nil
			if got := tc.c.rcv.ssthresh - 20000; got != c.grows {
				t.Errorf("by %d, want %d", got, c.grows)
			}
		})
	}
}

// In a buffer that is full what is nearest to RCV.NXT is kept, and the far end given up, although it was
// SACKed (RFC 2018 §8). What has no room is no more acknowledged than what never came, nor is its FIN.
func TestFullBehindGap(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetRcvBuf(tc.now, 8000) // 4000 may be held
	for i := range 4 {
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", 5001+1000*i))
	}
	tc.rest("4 * . 1 ack 1")
	tc.recv("F. 9001+1000 ack 1") // further away than all that is held
	tc.want(". 1 ack 1")
	if end := tc.c.rcv.ooo.q.End() - origin; end != 9001 || tc.c.rcv.ooo.fin != 0 {
		t.Fatalf("held up to %d, FIN %v", end, tc.c.rcv.ooo.fin)
	}
	for i := range 4 {
		tc.recv(fmt.Sprintf(". %d+1000 ack 1", 4001-1000*i)) // nearer and nearer
	}
	if n := tc.c.rcv.ooo.q.Len(); n != 4000 {
		t.Errorf("%d bytes are held", n)
	}
	tc.recv(". 1+1000 ack 1")
	tc.sleep(secs(1))
	last := tc.out[len(tc.out)-1].Ack - tc.irs
	if last != 5001 {
		t.Errorf("acknowledged up to %d", last)
	}
	tc.out = nil
}

package tcp

import (
	"fmt"
	"testing"
)

// RFC 9293 §3.10.7.4, first check: what of a segment is taken is what is new and inside the window. Without
// the data before it a FIN does not count. The window is 2000 bytes from 251 on.
func TestTrimToWindow(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		taken int
		ack   int  // told at once; 0: nothing is
		dsack bool // with the old part
		fin   bool
		quick bool // the next ones are acknowledged at once
	}{
		{"new", ". 251+100 ack 1", 100, 0, false, false, false},
		{"old", ". 151+100 ack 1", 0, 251, true, false, true},
		{"old, and what comes next", ". 201+100 ack 1", 50, 301, true, false, false},
		{"old, with the FIN behind it", "F. 151+100 ack 1", 0, 252, true, true, false},
		{"the last of the window", ". 251+2000 ack 1", 2000, 2251, false, false, false},
		{"a byte more", ". 251+2001 ack 1", 2000, 2251, false, false, true},
		{"the FIN behind the window", "F. 251+2000 ack 1", 2000, 0, false, true, false},
		{"the FIN beyond", "F. 251+2001 ack 1", 2000, 2251, false, false, true},
		{"at the edge", ". 2251+10 ack 1", 0, 251, false, false, true},
		{"nothing, at the edge", ". 2251 ack 1", 0, 0, false, false, false},
		{"beyond the edge", ". 2252+10 ack 1", 0, 251, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noTS)
			tc.connect()
			tc.recv("P. 1+250 ack 1")
			tc.read(1000, 250)
			tc.sleep(secs(1))
			tc.out = nil
			r := &tc.c.rcv
			r.bufSize, r.adv, r.mss, r.ssthresh = 1<<20, r.nxt+2000, 1460, 2000
			r.ack.quick, r.ack.pingpong = 0, true
			tc.recv(c.in)
			if n := tc.c.Buffered(); n != c.taken {
				t.Errorf("%d bytes are taken", n)
			}
			if c.ack != 0 {
				want := fmt.Sprintf(". 1 ack %d", c.ack)
				if c.dsack {
					g, n := tc.parse(c.in)
					from := int(g.Seq - tc.irs)
					want += fmt.Sprintf(" <sack %d-%d>", from, min(from+n, 251))
				}
				if !c.fin {
					tc.want(want)
				}
			}
			if !c.fin {
				tc.wantIdle("nothing more")
			}
			tc.out = nil
			if got := tc.c.flags&finRcvd != 0; got != c.fin {
				t.Errorf("the end is there: %v", got)
			}
			if got := !r.ack.pingpong; got != c.quick && !c.fin {
				t.Errorf("the next ones are acknowledged at once: %v", got)
			}
		})
	}
}

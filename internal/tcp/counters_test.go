package tcp

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// wantCounts asserts which counters have counted, and how much: NAME N, in the order of Counters.
func (s *script) wantCounts(text string) {
	s.t.Helper()
	var got []string
	v := reflect.ValueOf(*s.cfg.Counters)
	for i := range v.NumField() {
		if n := v.Field(i).Uint(); n != 0 {
			got = append(got, fmt.Sprint(v.Type().Field(i).Name, " ", n))
		}
	}
	if g := strings.Join(got, " "); g != text {
		s.t.Errorf("counted %q, want %q", g, text)
	}
}

// What comes to an established connection of a client's, and what is counted of it.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		name, counts string
		opts         scriptOption
		in, out      []string
	}{
		{"reset", "EstabResets 1", plain, []string{"R 1"}, nil},
		{"SYN", "InErrs 1 TCPChallengeACK 1 TCPSYNChallenge 1", plain, []string{"S 5"}, []string{". 1 ack 1"}},
		{"SYN outside", "InErrs 1 TCPChallengeACK 1 TCPSYNChallenge 1", plain, []string{"S 900000"}, []string{". 1 ack 1"}},
		{"resets in the window", "TCPChallengeACK 1 TCPACKSkippedChallenge 2", plain,
			[]string{"R 500", "R 500", "R 500"}, []string{". 1 ack 1"}},
		{"segments outside", "TCPACKSkippedSeq 1", plain,
			[]string{". 900000 ack 1", ". 900000 ack 1"}, []string{". 1 ack 1"}},
		{"old timestamps", "PAWSEstab 2 TCPACKSkippedPAWS 1", nil,
			[]string{". 1 ack 1 <ts 1:100000>", ". 1 ack 1 <ts 1:100000>"}, []string{". 1 ack 1"}},
		{"old data", "DelayedACKLost 1 TCPDSACKOldSent 1", noTS,
			[]string{". 1+10 ack 1", ". 1+10 ack 1"}, []string{". 1 ack 11", ". 1 ack 11 <sack 1-11>"}},
		{"DSACK in a block", "TCPDSACKOfoRecv 1 TCPDSACKRecvSegs 1", noTS,
			[]string{". 1 ack 1 <sack 2001-2101,sack 2001-3001>"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := []scriptOption{}
			if c.opts != nil {
				opts = append(opts, c.opts)
			}
			tc := newScript(t, opts...)
			tc.connect()
			if strings.Contains(c.name, "DSACK") {
				tc.write(5000)
				tc.rest("P. 1..5001/1460 ack 1")
			}
			for _, in := range c.in {
				tc.recv(in)
			}
			tc.rest(c.out...)
			tc.wantCounts(c.counts)
		})
	}
}

// A listener's connection that is reset before it is there, and one whose SYN is repeated too
// often to be answered each time.
func TestCountersSynRcvd(t *testing.T) {
	for _, c := range []struct{ in, counts, out string }{
		{"R 1", "AttemptFails 1", ""},
		{"S 0 <mss 1460>", "OutSegs 1 RetransSegs 1 TCPACKSkippedSynRecv 2 TCPSynRetrans 1", "S. 0 ack 1 <mss 1460>"},
		{". 900000 ack 1", "TCPACKSkippedSynRecv 2", ". 1 ack 1"},
	} {
		tc := newScript(t, plain)
		g, _ := tc.parse("S 0 <mss 1460>")
		tc.c.Accept(tc.now, &tc.p, &g)
		tc.pump()
		tc.want("S. 0 ack 1 <mss 1460>")
		for range 3 {
			tc.recv(c.in)
		}
		if c.out != "" {
			tc.want(c.out)
		}
		tc.wantIdle("answered once")
		tc.wantCounts(c.counts)
	}
}

// A refused attempt is one that fails; one that the program gives up is none.
func TestCountersConnect(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.recv("R. 0 ack 1")
	tc.wantErr(syscall.ECONNREFUSED)
	tc.wantCounts("AttemptFails 1")

	tc = newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.close()
	tc.wantCounts("")
}

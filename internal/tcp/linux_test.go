package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// asLinux is what Linux 6.18 (Reno) was seen to make of the same segments, told by TCP_INFO
// after each: state, cwnd, ssthresh (- for none), and segments unacknowledged,
// SACKed, lost and sent again.
//
// A step is "< SEGMENT", "write N", "sleep MS" or "= STATE CWND SSTHRESH UNACKED
// SACKED LOST RETRANS".
var asLinux = map[string]struct {
	rtt   int // ms
	opts  []scriptOption
	steps string
}{
	"fast retransmit": {100, nil, `
		write 10000
		sleep 100
		< . 1 ack 1 <sack 1001-2001>
		= disorder 10 - 10 1 0 0
		< . 1 ack 1 <sack 1001-3001>
		< . 1 ack 1 <sack 1001-4001>
		= recovery 7 5 10 3 1 1
		< . 1 ack 1 <sack 1001-5001>
		= recovery 6 5 10 4 1 1
		sleep 90
		< . 1 ack 10001
		= open 6 5 0 0 0 0`},
	"one of twenty": {100, nil, `
		write 30000
		sleep 90
		< . 1 ack 10001
		= open 20 - 20 0 0 0
		sleep 90
		< . 1 ack 10001 <sack 11001-12001>
		< . 1 ack 10001 <sack 11001-13001>
		< . 1 ack 10001 <sack 11001-14001>
		< . 1 ack 10001 <sack 11001-15001>
		< . 1 ack 10001 <sack 11001-16001>
		< . 1 ack 10001 <sack 11001-17001>
		< . 1 ack 10001 <sack 11001-18001>
		< . 1 ack 10001 <sack 11001-19001>
		< . 1 ack 10001 <sack 11001-20001>
		< . 1 ack 10001 <sack 11001-21001>
		< . 1 ack 10001 <sack 11001-22001>
		< . 1 ack 10001 <sack 11001-23001>
		< . 1 ack 10001 <sack 11001-24001>
		< . 1 ack 10001 <sack 11001-25001>
		< . 1 ack 10001 <sack 11001-26001>
		< . 1 ack 10001 <sack 11001-27001>
		< . 1 ack 10001 <sack 11001-28001>
		< . 1 ack 10001 <sack 11001-29001>
		< . 1 ack 10001 <sack 11001-30001>
		= recovery 10 10 20 19 1 1
		< . 1 ack 30001
		= open 10 10 0 0 0 0`},
	"most of ten": {100, nil, `
		write 10000
		sleep 90
		< . 1 ack 1 <sack 7001-8001>
		< . 1 ack 1 <sack 7001-9001>
		< . 1 ack 1 <sack 7001-10001>
		= recovery 1 5 10 3 7 1
		sleep 90
		< . 1 ack 1001 <sack 7001-10001>
		= recovery 2 5 9 3 6 2
		< . 1 ack 2001 <sack 7001-10001>
		< . 1 ack 4001 <sack 7001-10001>
		= recovery 4 5 6 3 3 3
		sleep 90
		< . 1 ack 10001
		= open 5 5 0 0 0 0`},
	"three holes": {50, nil, `
		write 10000
		sleep 50
		< . 1 ack 1 <sack 1001-2001,sack 3001-4001,sack 5001-6001>
		= recovery 5 5 10 3 3 1
		< . 1 ack 1 <sack 1001-2001,sack 3001-4001,sack 5001-10001>
		= recovery 5 5 10 7 3 3
		sleep 50
		< . 1 ack 2001 <sack 3001-4001,sack 5001-10001>
		= recovery 5 5 8 6 2 2
		< . 1 ack 10001
		= open 5 5 0 0 0 0`},
	"DSACK undoes": {100, nil, `
		write 10000
		sleep 90
		< . 1 ack 1 <sack 1001-4001>
		< . 1 ack 4001
		= recovery 7 5 6 0 0 0
		< . 1 ack 4001 <sack 1-1001>
		= open 10 - 6 0 0 0
		< . 1 ack 10001
		= open 16 - 0 0 0 0`},
	"NewReno": {100, []scriptOption{noSACK}, `
		write 20000
		sleep 90
		< . 1 ack 1
		< . 1 ack 1
		< . 1 ack 1
		= disorder 10 - 12 2 0 0
		< . 1 ack 1
		< . 1 ack 1
		< . 1 ack 1
		< . 1 ack 1
		< . 1 ack 1
		= recovery 7 5 14 7 1 1
		< . 1 ack 4001
		= recovery 5 5 10 4 1 0
		< . 1 ack 13001
		= open 6 5 6 0 0 0`},
	"reordering": {50, nil, `
		write 10000
		sleep 50
		< . 1 ack 1 <sack 1001-3001>
		< . 1 ack 3001
		= open 11 - 7 0 0 0
		< . 1 ack 3001 <sack 4001-10001>
		= disorder 11 - 7 6 0 0`},
	"timeout": {50, nil, `
		write 10000
		sleep 900
		< . 1 ack 1001
		= loss 2 5 9 0 9 2
		< . 1 ack 2001
		= loss 3 5 8 0 8 3
		< . 1 ack 4001
		= loss 5 5 6 0 6 5
		< . 1 ack 10001
		= open 6 5 0 0 0 0`},
	"timeout without SACK": {50, []scriptOption{noSACK}, `
		write 10000
		sleep 300
		= loss 1 5 10 0 10 1
		< . 1 ack 1001
		= loss 2 5 9 0 9 2
		< . 1 ack 2001
		= loss 3 5 8 0 8 3
		< . 1 ack 4001
		= loss 5 5 6 0 6 5`},
	"slow start": {50, nil, `
		write 40000
		sleep 50
		< . 1 ack 2001
		< . 1 ack 4001
		< . 1 ack 6001
		< . 1 ack 8001
		< . 1 ack 10001
		= open 20 - 20 0 0 0`},
	"idle": {50, nil, `
		write 10000
		sleep 50
		< . 1 ack 10001
		= open 20 - 0 0 0 0
		sleep 1000
		write 20000
		= open 10 - 10 0 0 0`},
	"spurious timeout": {100, nil, `
		write 10000
		sleep 600
		= loss 1 5 10 0 10 1
		write 5000
		< . 1 ack 1001
		= loss 2 5 11 0 9 0
		< . 1 ack 2001
		= open 11 - 11 0 0 0`},
}

func TestAsLinux(t *testing.T) {
	for name, c := range asLinux {
		t.Run(name, func(t *testing.T) {
			tc := newScript(t, append([]scriptOption{noTS}, c.opts...)...)
			tc.p.MSS, tc.p.SndBuf = 1000, 1<<20
			tc.connectIn(msec(c.rtt))
			for _, line := range strings.Split(strings.TrimSpace(c.steps), "\n") {
				tc.step(strings.TrimSpace(line))
			}
		})
	}
}

func (s *script) step(line string) {
	s.t.Helper()
	var n int
	switch what, rest, _ := strings.Cut(line, " "); what {
	case "<":
		s.recv(rest)
		s.out = nil
	case "write":
		fmt.Sscan(rest, &n)
		s.write(n)
		s.out = nil
	case "sleep":
		fmt.Sscan(rest, &n)
		s.sleep(time.Duration(n) * time.Millisecond)
		s.out = nil
	case "=":
		if got := s.told(); got != rest {
			s.t.Errorf("want %s\n got %s", rest, got)
		}
	default:
		s.t.Fatalf("step %q", line)
	}
}

// told is what TCP_INFO tells, in the notation of TestAsLinux.
func (s *script) told() string {
	var in Info
	s.c.Info(s.now, &in)
	th := fmt.Sprint(in.SndSSThresh)
	if in.SndSSThresh == noSSThresh {
		th = "-"
	}
	state := [...]string{"open", "disorder", "cwr", "recovery", "loss"}[in.CAState]
	return fmt.Sprint(state, " ", in.SndCwnd, " ", th, " ", in.Unacked, " ", in.Sacked, " ", in.Lost, " ", in.Retrans)
}

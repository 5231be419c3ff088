package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/cc"
)

// SO_MAX_PACING_RATE: after ten segments the next ones leave at the rate, and at once
// again when the bound is gone.
func TestMaxPacing(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetMaxPacing(14600)
	tc.write(20 * 1460)
	for i := range 10 {
		tc.want(fmt.Sprintf(". %d+1460 ack 1", 1+i*1460))
	}
	tc.wantIdle("the rate")
	tc.recv(". 1 ack 14601")
	tc.wantIdle("the rate, though the window is open")
	tc.wantAfter(msec(100), ". 14601+1460 ack 1")
	tc.wantAfter(msec(100), ". 16061+1460 ack 1")
	tc.c.SetMaxPacing(^uint64(0))
	tc.wantAfter(msec(100), ". 17521+1460 ack 1")
	for i := 13; i < 19; i++ {
		tc.want(fmt.Sprintf(". %d+1460 ack 1", 1+i*1460))
	}
	tc.want(fmt.Sprintf("P. %d+1460 ack 1", 1+19*1460))
}

// A bound so low that a segment takes longer than a second holds all the same.
func TestMaxPacingSlow(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetMaxPacing(146)
	tc.write(12 * 1460)
	for i := range 10 {
		tc.want(fmt.Sprintf(". %d+1460 ack 1", 1+i*1460))
	}
	tc.recv(". 1 ack 14601")
	tc.wantAfter(10*time.Second, ". 14601+1460 ack 1")
}

// 0 is no pacing at all.
func TestMaxPacingZero(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetMaxPacing(0)
	if got := tc.c.MaxPacing(); got != 0 {
		t.Errorf("the bound is %d", got)
	}
	tc.write(3 * 1460)
	for i := range 2 {
		tc.want(fmt.Sprintf(". %d+1460 ack 1", 1+i*1460))
	}
	tc.want(fmt.Sprintf("P. %d+1460 ack 1", 1+2*1460))
}

// atRate is a controller whose window is large and whose rate is what it says, in bytes a second.
type atRate uint64

func (atRate) Name() string                       { return "at rate" }
func (atRate) Start(cc.Start)                     {}
func (atRate) Sent(time.Duration, uint32, uint32) {}
func (atRate) Ack(*cc.Ack)                        {}
func (atRate) Congestion(*cc.Event)               {}
func (atRate) Recovered(time.Duration)            {}
func (atRate) Timeout(*cc.Event)                  {}
func (atRate) Undo(time.Duration)                 {}
func (atRate) Restart(_, _, _ time.Duration)      {}
func (atRate) SetMSS(uint32)                      {}
func (atRate) CWnd() uint32                       { return 1 << 20 }
func (atRate) SSThresh() uint32                   { return cc.MaxWindow }
func (r atRate) PacingRate() uint64               { return uint64(r) }
func (atRate) OwnsRecovery() bool                 { return true }

func paced(rate uint64) func(*script) {
	return func(s *script) {
		s.cfg.CC = "at rate"
		s.cfg.Controllers = map[string]func() cc.Controller{"at rate": func() cc.Controller { return atRate(rate) }}
	}
}

// A controller's rate: bursts of a quantum, each when the ones before are paid for. The first segment
// opens, as there is no burst yet.
func TestPacedBursts(t *testing.T) {
	tc := newScript(t, plain, paced(1_000_000))
	tc.p.MSS = 1000
	tc.connect()
	tc.pastFirst()
	tc.write(8000)
	tc.want(". 1+1000 ack 1")
	tc.wantIdle("it is paid for after a millisecond")
	at := 1001
	for _, wait := range []time.Duration{msec(1), msec(2), msec(2)} {
		tc.wantAfter(wait, fmt.Sprintf(". %d+1000 ack 1", at))
		tc.want(fmt.Sprintf(". %d+1000 ack 1", at+1000))
		at += 2000
	}
	tc.wantAfter(msec(2), "P. 7001+1000 ack 1")
	tc.recv(". 1 ack 8001")
}

// Half a burst and a millisecond late is the timers' fault, and the rate does not suffer by it; later is
// the program's, and what it did not use is gone.
func TestPacedLate(t *testing.T) {
	for _, c := range []struct{ late, next time.Duration }{
		{0, msec(2)},
		{msec(1), msec(1)},
		{1900 * time.Microsecond, 100 * time.Microsecond},
		{msec(2), msec(2)},
		{msec(50), msec(2)},
	} {
		t.Run(c.late.String(), func(t *testing.T) {
			tc := newScript(t, plain, paced(1_000_000))
			tc.p.MSS = 1000
			tc.connect()
			tc.pastFirst()
			tc.write(1000)
			tc.want("P. 1+1000 ack 1")
			tc.recv(". 1 ack 1001")
			tc.sleep(msec(1) + c.late)
			tc.write(3000)
			tc.want(". 1001+1000 ack 1")
			tc.want(". 2001+1000 ack 1")
			tc.wantAfter(c.next, "P. 3001+1000 ack 1")
			tc.recv(". 1 ack 4001")
		})
	}
}

// Who sends at once after connecting was not late: there is no burst to be late for.
func TestPacedFirst(t *testing.T) {
	tc := newScript(t, plain, paced(1_000_000))
	tc.p.MSS = 1000
	tc.now = 0
	tc.connect()
	tc.pastFirst()
	tc.write(2000)
	tc.want(". 1+1000 ack 1")
	tc.wantAfter(msec(1), "P. 1001+1000 ack 1")
	tc.recv(". 1 ack 2001")
}

// A segment for a link that cuts is no larger than a burst, and what it takes beyond what is left of one is
// paid for, too.
func TestPacedLargeSegments(t *testing.T) {
	tc := newScript(t, plain, paced(10_000_000))
	tc.p.MSS, tc.p.MaxSegment = 1000, 64000
	tc.connect()
	tc.pastFirst()
	tc.write(3000)
	tc.want("P. 1+3000 ack 1 gso 1000")
	tc.recv(". 1 ack 3001")
	tc.sleep(300 * time.Microsecond)
	tc.write(8000)
	tc.want("P. 3001+8000 ack 1 gso 1000") // of a burst of 10,000
	tc.recv(". 1 ack 11001")
	tc.write(5000)
	tc.want("P. 11001+5000 ack 1 gso 1000")
	tc.recv(". 1 ack 16001")
	tc.write(30000)
	tc.wantAfter(1300*time.Microsecond, "P. 16001+10000 ack 1 gso 1000")
	tc.wantAfter(msec(1), "P. 26001+10000 ack 1 gso 1000")
	tc.wantAfter(msec(1), "P. 36001+10000 ack 1 gso 1000")
	tc.recv(". 1 ack 46001")
}

// A rate estimated too low holds a segment up for a second at most.
func TestPacedTooSlow(t *testing.T) {
	tc := newScript(t, plain, paced(500))
	tc.p.MSS = 1000
	tc.connect()
	tc.pastFirst()
	tc.write(2000)
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 1001")
	tc.wantAfter(time.Second, "P. 1001+1000 ack 1")
	tc.recv(". 1 ack 2001")
}

// The program's bound holds for a controller that paces, too, where it is lower.
func TestPacedAndBounded(t *testing.T) {
	for bound, wait := range map[uint64]time.Duration{500_000: msec(2), 2_000_000: msec(1)} {
		tc := newScript(t, plain, paced(1_000_000))
		tc.p.MSS = 1000
		tc.connect()
		tc.pastFirst()
		tc.c.SetMaxPacing(bound)
		tc.write(2000)
		tc.want(". 1+1000 ack 1")
		tc.wantAfter(wait, "P. 1001+1000 ack 1")
		tc.recv(". 1 ack 2001")
	}
}

// A controller's rate does not hold the first ten segments up either. After a lost SYN there is
// one sample of the round-trip time, which may be of the SYN before: at that rate the second
// segment would wait long after an acknowledgment has put it right.
func TestUnpacedFirst(t *testing.T) {
	tc := newScript(t, plain, func(s *script) { s.cfg.CC = "bbr" })
	tc.connect()
	tc.write(20 * 1460)
	for i := range 10 {
		tc.want(fmt.Sprintf(". %d+1460 ack 1", 1+i*1460))
	}
	tc.recv(". 1 ack 2921")
	tc.wantIdle("the rate")
}

// pastFirst has sent the segments that no rate holds up.
func (s *script) pastFirst() { s.c.stats.bytesSent = unpaced << 16 }

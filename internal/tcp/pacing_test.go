package tcp

import (
	"fmt"
	"testing"
	"time"
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
	tc.quiet = true
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
	tc.quiet = true
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
	tc.quiet = true
}

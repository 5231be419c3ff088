package usock_test

import (
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/trace"
)

// TestTraceStalls has a connection over a wire wait for each who can be waited for, and looks that each is told
// at the time at which the waiting begins.
func TestTraceStalls(t *testing.T) {
	c := new(clock.Manual)
	c.Advance(time.Second)
	p, q := link.Pipe(link.PipeConfig{MTU: 1500})
	x := newHost(t, usock.Config{Clock: c, Interfaces: []usock.Interface{{Link: p, Addrs: prefixes("10.0.0.1/24")}}})
	slow, err := link.Impair(q, link.ImpairConfig{Out: link.Impairment{Delay: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	y := newHost(t, usock.Config{Clock: c, Interfaces: []usock.Interface{{Link: slow, Addrs: prefixes("10.0.0.2/24")}}})
	l := mustSocket(t, y, usock.AF_INET, usock.SOCK_STREAM)
	l.SetDeadline(time.Time{})
	l.Bind(mustAddr(t, "10.0.0.2:5080"))
	l.Listen(1)
	l.SetNonblock(true)
	a := mustSocket(t, x, usock.AF_INET, usock.SOCK_STREAM)
	a.SetDeadline(time.Time{})
	a.SetNonblock(true)

	stalls := make(map[trace.Why]time.Duration) // when each was last told
	now := trace.ByNobody
	defer x.Trace(func(events []trace.Event) {
		for _, e := range events {
			if e.Kind == trace.Stalled {
				if e.At != e.Time {
					t.Errorf("told at %v, and began at %v", e.Time, e.At)
				}
				stalls[e.Why], now = e.Time, e.Why
			}
		}
	})()
	want := func(why trace.Why, what string) {
		t.Helper()
		if at, ok := stalls[why]; now != why || !ok {
			t.Fatalf("%s: waits for %v, want %v (%v)", what, now, why, at)
		}
	}

	a.Connect(mustAddr(t, "10.0.0.2:5080"))
	c.Advance(300 * time.Millisecond)
	b, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b.SetNonblock(true)
	want(trace.ByProgram, "connected")

	// A small segment is out, a second one is held back, and the answer lets it go.
	a.Send(make([]byte, 10), 0)
	want(trace.ByNobody, "sent")
	a.Send(make([]byte, 10), 0)
	want(trace.ByNagle, "a second small segment")
	c.Advance(300 * time.Millisecond)
	want(trace.ByProgram, "all is acknowledged")

	// A cork.
	a.SetSockOptInt(usock.IPPROTO_TCP, usock.TCP_CORK, 1)
	a.Send(make([]byte, 10), 0)
	want(trace.ByProgram, "corked")
	a.SetSockOptInt(usock.IPPROTO_TCP, usock.TCP_CORK, 0)
	want(trace.ByNobody, "uncorked")
	c.Advance(300 * time.Millisecond)

	// More than the initial window, then more than a receiver that does not read has room for.
	for range 100 {
		a.Send(make([]byte, 64<<10), 0)
	}
	want(trace.ByCWnd, "ten segments are out")
	c.Advance(20 * time.Second)
	want(trace.ByWindow, "nobody reads")
	for range 200 {
		for n := 1; n > 0; {
			n, _ = b.Recv(make([]byte, 1<<20), 0)
		}
		c.Advance(50 * time.Millisecond)
	}
	want(trace.ByProgram, "all is read")

	// A rate that the program bounds.
	a.SetSockOptInt(usock.SOL_SOCKET, usock.SO_MAX_PACING_RATE, 20_000)
	a.Send(make([]byte, 20_000), 0)
	want(trace.ByPacing, "20 kB at 20 kB/s")
	c.Advance(2 * time.Second)
	want(trace.ByProgram, "a rate's time later")

	// A peer that has gone without a word.
	began := c.Now()
	y.Close()
	a.Send(make([]byte, 10), 0)
	want(trace.ByNobody, "sent to nobody")
	c.Advance(20 * time.Second)
	want(trace.ByPath, "nobody answers")
	if at := stalls[trace.ByPath]; at > began+2*time.Second {
		t.Errorf("told %v after the last segment", at-began)
	}
}

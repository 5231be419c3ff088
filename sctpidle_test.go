package usock_test

import (
	"runtime"
	"testing"

	"usock"
)

// TestIdleSCTP holds what an idle association of one-to-one style adds to the heap with both ends: control blocks,
// sockets, places in tables and timers. Resident it is a fifth more, and is to be below 4 KiB.
func TestIdleSCTP(t *testing.T) {
	h := newHost(t, usock.Config{})
	l, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Bind(mustAddr(t, "127.0.0.1:5000")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(10); err != nil {
		t.Fatal(err)
	}
	to, _ := l.GetSockName()
	var ends []*usock.Socket
	open := func(n int) {
		t.Helper()
		for range n {
			c, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
			if err != nil {
				t.Fatal(err)
			}
			// Options of its own, as programs have them.
			if err := c.SetSockOptInt(usock.SOL_SCTP, usock.SCTP_NODELAY, 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Connect(to); err != nil {
				t.Fatal(err)
			}
			s, _, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, c, s)
		}
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	const n = 2000
	ends = make([]*usock.Socket, 0, 2*(n+10))
	open(10)
	before := heap()
	open(n)
	each := (heap() - before) / n
	t.Logf("%d bytes", each)
	if each > 3400 {
		t.Errorf("both ends of an idle association have %d bytes", each)
	}
	runtime.KeepAlive(ends)
}

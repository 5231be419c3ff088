package ip

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/host"
)

// What is due in a layer is done though something else of it gets a later deadline before the alarm's goroutine has
// come into the host.
func TestDueStaysDue(t *testing.T) {
	h := host.NewWithLanes(clock.System(), 4)
	h.Enter()
	l := New(h, Config{}, new(Table))
	dst, now := netip.MustParseAddr("192.0.2.1"), h.Now()
	l.mtus[dst] = pathMTU{1000, now}
	l.arm(now)
	end := time.Now().Add(10 * time.Second)
	for h.Timers() != 0 { // until the alarm has taken it
		if time.Now().After(end) {
			t.Fatal("no alarm")
		}
		runtime.Gosched()
	}
	l.arm(now + time.Hour)
	h.Leave()
	for n := 1; n != 0; {
		if time.Now().After(end) {
			t.Fatal("what was due is still there")
		}
		runtime.Gosched()
		h.Enter()
		n = len(l.mtus)
		h.Leave()
	}
	h.Enter()
	l.Close()
	h.Close()
	h.Leave()
}

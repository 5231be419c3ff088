package usock_test

import (
	"net/netip"
	"sync"
	"testing"

	"usock"
	"usock/trace"
)

// TestTraceOfMany has connections that carry data at once be told of: every event is somebody's, the host's are in the order of
// their times, and those of each connection's end in that of what it has done. Nothing is missing.
func TestTraceOfMany(t *testing.T) {
	h := newHost(t, usock.Config{})
	const conns, writes, size = 6, 40, 3000
	type end struct{ local, peer netip.AddrPort }
	sent := make(map[end]uint64) // by each end, new data
	calls := make(map[end]int)
	var mu sync.Mutex
	var last trace.Event
	stop := h.Trace(func(events []trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		for i := range events {
			e := &events[i]
			if e.Kind == trace.Missed || e.Kind != trace.Called && !e.Peer.IsValid() || e.Time < last.Time {
				t.Errorf("nobody's, missed, or before %v: %s", last.Time, e)
			}
			last = *e
			who := end{e.Local, e.Peer}
			switch {
			case e.Kind == trace.Sent && e.Len > 0 && e.Flags&trace.SYN == 0 && e.Times == 1:
				if e.Seq != sent[who]+1 {
					t.Errorf("%v: %s, after %d bytes", who, e, sent[who])
				}
				if e.Flags&trace.FIN == 0 {
					sent[who] += uint64(e.Len)
				}
			case e.Kind == trace.Called && e.Call == "send":
				calls[who]++
			}
		}
	})
	var all sync.WaitGroup
	for range conns {
		a, b := pair(t, h, "127.0.0.1:0")
		all.Go(func() {
			buf := make([]byte, size)
			for range writes {
				a.Send(buf, 0)
				for n := 0; n < size; {
					k, err := b.Recv(buf, 0)
					if err != nil || k == 0 {
						t.Error(k, err)
						return
					}
					n += k
				}
			}
		})
	}
	all.Wait()
	stop()
	mu.Lock()
	defer mu.Unlock()
	whole := 0
	for who, n := range sent {
		if n == writes*size && calls[who] == writes {
			whole++
		}
	}
	if whole != conns {
		t.Errorf("%d connections of %d are told in full: %v, %v", whole, conns, sent, calls)
	}
}

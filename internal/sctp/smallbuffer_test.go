package sctp

import (
	"testing"
	"time"

	"usock/packet"
)

// TestSmallBuffer: 20,000 messages of a few bytes go through a small buffer as fast as they are read: what is sent finds
// room, so that nothing waits for a timer.
func TestSmallBuffer(t *testing.T) {
	for _, c := range []struct{ rcvBuf, size int }{{8192, 1}, {8192, 40}, {20_000, 4}, {20_000, 100}, {212_992, 1}} {
		p := newPair(t, 1500, 1)
		p.end[1].e.Buffers.RcvBuf = c.rcvBuf
		p.end[0].e.Options.NoDelay = true
		p.connect()
		a, b := p.end[0].a, p.end[1].a
		begin := p.now
		sent, got := 0, 0
		for got < 20_000 {
			for sent < 20_000 {
				v := views(make([]byte, c.size))
				if _, err := a.Send(p.now, &SendInfo{}, v); err != 0 {
					packet.ReleaseAll(v)
					break
				}
				sent++
			}
			p.pump()
			n := got
			got += len(readAll(b, p.now))
			p.pump()
			if got == n && !p.step() {
				t.Fatalf("stuck at %d of %d", got, sent)
			}
		}

		// The first ones may be more than the peer expects.
		if took, n := p.now-begin, p.end[0].e.Config.Counters.T3RtxExpireds; took > time.Second || n > 1 || c.rcvBuf >= 20_000 && n > 0 {
			t.Errorf("%+v: %v, and T3-rtx expired %d times", c, took, n)
		}
	}
}

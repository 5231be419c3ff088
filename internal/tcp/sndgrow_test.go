package tcp

import (
	"testing"
	"time"

	"usock/packet"
)

// The send buffer holds what Linux's does, of a window of n segments of 1448 bytes twice 4,352 bytes
// each; no more than of the peer's largest window, and above 4 MiB than four times what is delivered in the shortest round trip; and
// never more than the host's limit. Where round trips are shorter than a millisecond it is 1 MiB, or 64 segments, for 4 MiB, whatever
// the peer's window.
func TestSendBufferGrowth(t *testing.T) {
	for _, c := range []struct {
		segments uint32
		delivery uint64 // bytes/s
		min      uint32 // µs
		smoothed uint32 // µs
		most     int    // 0: the default
		window   uint32 // the peer's largest; 0: no limit
		mss      uint16 // 0: 1448
		want     uint32
	}{
		{segments: 100, delivery: 1e9, min: 20000, want: 100 * 2 * (4096 + 256)},
		{segments: 10000, want: 4 << 20},                            // no rate yet
		{segments: 10000, delivery: 10e9, min: 50, want: 2e6},       // 500 kB a round trip
		{segments: 10000, delivery: 1e9, min: 50, want: 1 << 20},    // 50 kB
		{segments: 10000, delivery: 125e6, min: 999, want: 1 << 20}, // 125 kB
		{segments: 10000, delivery: 125e6, min: 999, smoothed: 9999, want: 1 << 20},
		{segments: 10000, delivery: 125e6, min: 999, smoothed: 10000, want: 4 << 20}, // that has become a long one
		{segments: 10000, delivery: 125e6, min: 1000, want: 4 << 20},                 // the same, no short one
		{segments: 10000, delivery: 125e6, min: 20000, want: 10e6},                   // 1 Gbit/s over 20 ms
		{segments: 10000, delivery: 1250e6, min: 20000, want: 60 << 20},              // 10
		{segments: 2000, delivery: 1250e6, min: 20000, want: 2000 * 2 * (4096 + 256)},
		{segments: 10000, delivery: 1250e6, min: 20000, most: 20 << 20, want: 20 << 20},
		{segments: 10000, delivery: 10e9, min: 50, most: 1 << 20, want: 1 << 20},
		{segments: 10000, delivery: 1e11, min: 1<<32 - 1, want: 60 << 20},
		{segments: 100, window: 80 * 1448, want: 80 * 2 * (4096 + 256)},
		{segments: 100, window: 80*1448 + 1, want: 81 * 2 * (4096 + 256)},
		{segments: 100, window: 5840, want: 46 * 2 * (4096 + 256)}, // 65,536 bytes
		{segments: 0, window: 5840, want: 10 * 2 * (4096 + 256)},   // the initial window
		{segments: 0, window: 65535, mss: 65483, want: 2 * 2 * (131072 + 256)},
		{segments: 50, window: 384 << 10, mss: 65483, want: 7 * 2 * (131072 + 256)},
		{segments: 200, delivery: 1e9, min: 50, mss: 65483, want: 64 * 65483},
		{segments: 50, min: 50, window: 384 << 10, mss: 65483, want: 64 * 65483},
	} {
		tc := newScript(t)
		tc.connect()
		s := &tc.c.snd
		if s.mss != 1448 {
			t.Fatalf("an MSS of %d", s.mss)
		}
		if c.most != 0 {
			tc.cfg.WMem[2] = c.most
		}
		if s.maxWnd = 1 << 30; c.window != 0 {
			s.maxWnd = c.window
		}
		if c.mss != 0 {
			s.mss = c.mss
		}
		s.newFlight(&tc.c.tcb, tc.now)
		s.flight.delivery, tc.c.rtt.min, tc.c.rtt.srtt = c.delivery, c.min, c.smoothed<<3
		s.growSndBuf(&tc.c.tcb, c.segments)
		if s.bufSize != c.want {
			t.Errorf("%+v: %d", c, s.bufSize)
		}
	}
}

// Streams whose round trips are short share what they may have queued: one has 64 of the largest segments, or 1 MiB, each of many
// 256 KiB at least. What the path needs, SO_SNDBUF and long round trips count for more.
func TestNearStreamsShare(t *testing.T) {
	const large = 65483
	for _, c := range []struct {
		name     string
		streams  int
		mss      uint16
		min      uint32 // µs
		delivery uint64 // bytes/s
		fixed    bool
		used     int
		want     int
	}{
		{name: "one", streams: 1, mss: large, min: 10, used: 3 << 20, want: 64 * large},
		{name: "nobody counted yet", mss: large, min: 10, used: 3 << 20, want: 64 * large},
		{name: "eight", streams: 8, mss: large, min: 10, used: 300 << 10, want: 8 * large},
		{name: "a hundred", streams: 100, mss: large, min: 10, used: 300 << 10, want: 256 << 10},
		{name: "a hundred, and little queued", streams: 100, mss: large, min: 10, used: 256<<10 - 1, want: 8 << 20},
		{name: "one of Ethernet's segments", streams: 1, mss: 1448, min: 10, used: 300 << 10, want: 1 << 20},
		{name: "three of them", streams: 3, mss: 1448, min: 10, used: 300 << 10, want: 1 << 20 / 3},
		{name: "a fast path", streams: 100, mss: 1448, min: 100, delivery: 12.5e9, used: 300 << 10, want: 5e6},
		{name: "a long one", streams: 100, mss: 1448, min: 1000, used: 300 << 10, want: 8 << 20},
		{name: "SO_SNDBUF", streams: 100, mss: large, min: 10, fixed: true, used: 300 << 10, want: 8 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t)
			tc.connect()
			s, tb := &tc.c.snd, &tc.c.tcb
			s.newFlight(tb, tc.now)
			if s.mss, s.bufSize = c.mss, 8<<20; c.fixed {
				tc.c.SetSndBuf(8 << 20)
			}
			s.flight.delivery, tb.rtt.min, tb.rtt.srtt = c.delivery, c.min, c.min<<3
			for range c.streams {
				tc.cfg.Memory.streams.full(tc.now, 0)
			}
			if got := s.limit(tb, c.used); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// A stream counts once in each turn of 4 ms. What the last turn in which there was one has counted holds, and the one before it;
// a turn later than the next begins anew.
func TestStreamsAreCounted(t *testing.T) {
	var s streams
	is := func(when string, want int) {
		t.Helper()
		if got := s.lately(); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	is("at first", 1)
	turns := make([]uint32, 5)
	full := func(at time.Duration, n int) {
		for i := range n {
			turns[i] = s.full(at, turns[i])
		}
	}
	full(0, 3)
	is("three", 3)
	full(3*time.Millisecond, 3)
	is("the same turn", 3)
	full(4*time.Millisecond, 2)
	is("two in the next", 3)
	full(7*time.Millisecond, 5)
	is("five", 5)
	full(8*time.Millisecond, 1)
	is("one in the next", 5)
	full(12*time.Millisecond, 1)
	is("one again", 1)
	full(12*time.Millisecond, 5)
	full(20*time.Millisecond, 1)
	is("after a turn without", 1)
	s.full(19*time.Millisecond, 0)
	is("a clock that lags a turn behind", 2)

	for range 1 << 17 {
		s.full(20*time.Millisecond, 0)
	}
	is("more than are counted", 1<<16-1)
}

// Who has as much queued as his share lets him waits, however large the buffer is, and is told of Out when a third of the share
// is free.
func TestNearStreamWaits(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	s, tb := &tc.c.snd, &tc.c.tcb
	s.newFlight(tb, tc.now)
	s.bufSize, s.mss, s.maxWnd = 4<<20, 65483, 1<<30
	tb.rtt.min, tb.rtt.srtt = 10, 10<<3
	for range 7 {
		tc.cfg.Memory.streams.full(tc.now, 0)
	}
	n := 0
	for {
		k := tc.c.Room(packet.MaxBlock)
		if k == 0 {
			break
		}
		n += tc.c.Write(tc.now, packet.NewBlock(packet.MaxBlock).View(0, k))
	}
	// The stream itself is the eighth, and the last write fills a segment.
	if want := 8 * 65483; n < want || n >= want+65483 {
		t.Errorf("%d bytes of %d are queued", n, want)
	}
	for _, c := range []struct {
		used int
		want bool
	}{{8 * 65483, false}, {8*65483/3*2 + 100, false}, {8 * 65483 / 3 * 2, true}} {
		s.q.Reset(s.q.Base())
		for left := c.used; left > 0; left -= packet.MaxBlock {
			s.q.Push(packet.NewBlock(packet.MaxBlock).View(0, min(left, packet.MaxBlock)))
		}
		s.nxt = s.q.End() // all is sent: TCP_NOTSENT_LOWAT has no part in it
		if got := s.writable(tb); got != c.want {
			t.Errorf("%d bytes queued: writable is %v", c.used, got)
		}
	}
}

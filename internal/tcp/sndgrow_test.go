package tcp

import "testing"

// The send buffer holds what Linux's does, of a window of n segments of 1448 bytes twice 4,352 bytes
// each; no more than of the peer's largest window, and above 4 MiB than four times what is delivered in the shortest round trip; and
// never more than the host's limit. Where round trips are shorter than a millisecond it is 1 MiB, or 32 segments, for 4 MiB.
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
		{segments: 200, delivery: 1e9, min: 50, mss: 65483, want: 32 * 65483},
		{segments: 50, window: 384 << 10, mss: 65483, want: 7 * 2 * (131072 + 256)},
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

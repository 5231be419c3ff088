package tcp

import (
	"encoding/binary"
	"syscall"
	"testing"
	"time"
)

func TestInfo(t *testing.T) {
	tc := newScript(t)
	tc.p.MSS = 1012
	tc.connectIn(msec(100))
	var in Info
	tc.c.Info(tc.now, &in)
	if in.State != 1 || in.Options != InfoTimestamps|InfoSACK|InfoWScale || in.RTT != 100000 ||
		in.RTTVar != 50000 || in.SndMSS != 1000 || in.AdvMSS != 1012 || in.SndCwnd != 10 ||
		in.SndSSThresh != noSSThresh || in.RTO != 300000 || in.RcvWScale != 7 || in.BytesAcked != 1 ||
		in.MinRTT != 100000 || in.SegsIn != 1 || in.SegsOut != 2 || in.Delivered != 1 {
		t.Fatalf("%+v", in)
	}
	tc.write(12000)
	tc.rest(". 1..10001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.c.Info(tc.now, &in)
	if in.CAState != 3 || in.Sacked != 3 || in.Retrans != 1 || in.TotalRetrans != 1 ||
		in.BytesRetrans != 1000 || in.LastDataSent != 0 {
		t.Fatalf("%+v", in)
	}
	tc.rest(". 1+1000 ack 1", ". 10001+1000 ack 1")
	tc.recv("P. 1+100 ack 10001")
	tc.rest("P. 11001+1000 ack 101")
	tc.c.Info(tc.now, &in)
	if in.BytesAcked != 10001 || in.BytesReceived != 100 || in.Delivered != 11 || in.CAState == 3 && in.Unacked == 0 {
		t.Fatalf("%+v", in)
	}
	if in.BusyTime == 0 || in.DeliveryRate == 0 {
		t.Fatalf("busy %d rate %d", in.BusyTime, in.DeliveryRate)
	}
}

// TestKeepFlight has a connection end, of which Info goes on to tell what was in the way until it was told.
func TestKeepFlight(t *testing.T) {
	for _, keep := range []bool{false, true} {
		tc := newScript(t)
		tc.p.Config.KeepFlight = keep
		tc.connectIn(msec(100))
		tc.write(1000)
		tc.want("P. 1+1000 ack 1")
		tc.sleep(msec(100))
		tc.recv("R 1")
		tc.wantState(Closed)
		var in Info
		tc.c.Info(tc.now, &in)
		if (in.BusyTime == 100_000) != keep || tc.c.Age(tc.now) != msec(200) {
			t.Errorf("kept: %v; busy %d µs of %v", keep, in.BusyTime, tc.c.Age(tc.now))
		}
		if tc.c.Told(); tc.c.snd.flight != nil {
			t.Error("it is kept still")
		}
	}
}

// The layout of struct tcp_info.
func TestInfoPut(t *testing.T) {
	in := Info{
		State: 1, CAState: 2, Retransmits: 3, Probes: 4, Backoff: 5, Options: 6,
		SndWScale: 7, RcvWScale: 8, AppLimited: true,
		RTO: 100, RTT: 101, SndCwnd: 102, TotalRetrans: 103, PacingRate: 104,
		SegsOut: 105, DeliveryRate: 106, Delivered: 107, BytesSent: 108,
		SndWnd: 109, TotalRTO: 110, TotalRTOTime: 111,
	}
	b := make([]byte, 400)
	if n := in.Put(b); n != InfoLen {
		t.Fatalf("%d bytes", n)
	}
	if string(b[:8]) != "\x01\x02\x03\x04\x05\x06\x87\x01" {
		t.Fatalf("%x", b[:8])
	}
	for off, want := range map[int]uint32{
		8: 100, 68: 101, 80: 102, 100: 103, 136: 105, 192: 107, 228: 109, 244: 111,
	} {
		if got := binary.NativeEndian.Uint32(b[off:]); got != want {
			t.Errorf("at %d: %d, want %d", off, got, want)
		}
	}
	for off, want := range map[int]uint64{104: 104, 160: 106, 200: 108} {
		if got := binary.NativeEndian.Uint64(b[off:]); got != want {
			t.Errorf("at %d: %d, want %d", off, got, want)
		}
	}
	if n := in.Put(b[:104]); n != 104 {
		t.Fatalf("%d bytes of a short buffer", n)
	}
}

// Each option's range, as Linux has it.
func TestOptionRanges(t *testing.T) {
	tc := newScript(t)
	c := &tc.c
	now := time.Duration(0)
	for name, f := range map[string]struct {
		set      func(int) error
		good     []int
		bad      []int
		badErrno syscall.Errno
	}{
		"KEEPIDLE":     {func(n int) error { return c.SetKeepIdle(now, n) }, []int{1, 32767}, []int{0, -1, 32768}, syscall.EINVAL},
		"KEEPINTVL":    {c.SetKeepIntvl, []int{1, 32767}, []int{0, -1, 32768}, syscall.EINVAL},
		"KEEPCNT":      {c.SetKeepCnt, []int{1, 127}, []int{0, -1, 128}, syscall.EINVAL},
		"SYNCNT":       {c.SetSynCnt, []int{1, 127}, []int{0, -1, 128}, syscall.EINVAL},
		"MAXSEG":       {c.SetMaxSeg, []int{0, 88, 32767}, []int{1, 87, 32768, -1}, syscall.EINVAL},
		"USER_TIMEOUT": {c.SetUserTimeout, []int{0, 1, 1 << 30}, []int{-1}, syscall.EINVAL},
		"WINDOW_CLAMP": {c.SetWindowClamp, []int{0, 5000}, nil, 0},
	} {
		for _, n := range f.good {
			if err := f.set(n); err != nil {
				t.Errorf("%s %d: %v", name, n, err)
			}
		}
		before := *c.Options()
		for _, n := range f.bad {
			if err := f.set(n); err != f.badErrno {
				t.Errorf("%s %d: %v", name, n, err)
			}
		}
		if *c.Options() != before {
			t.Errorf("%s: a refused value was kept", name)
		}
	}
}

func TestDeferAcceptSeconds(t *testing.T) {
	// Linux rounds up to what retransmissions give: 1, 3, 7, 15, … seconds.
	for in, want := range map[int]int{0: 0, 1: 1, 2: 3, 3: 3, 4: 7, 30: 31} {
		var c Conn
		c.SetDeferAccept(in)
		if got := c.DeferAccept(); got != want {
			t.Errorf("%d: %d, want %d", in, got, want)
		}
	}
}

func TestSetCC(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	if err := tc.c.SetCC(tc.now, "nosuch"); err != syscall.ENOENT {
		t.Fatal(err)
	}
	tc.write(100)
	tc.rest("P. 1+100 ack 1")
	for _, n := range []string{"cubic", "bbr", "bbr3", "reno"} {
		if err := tc.c.SetCC(tc.now, n); err != nil || tc.c.CC() != n {
			t.Fatalf("%s: %v, %s", n, err, tc.c.CC())
		}
	}
	tc.recv(". 1 ack 101")
}

// A connection is small, and one at rest holds nothing besides.
func TestSize(t *testing.T) {
	if n := sizeofConn; n > 640 {
		t.Fatalf("%d bytes", n)
	}
}

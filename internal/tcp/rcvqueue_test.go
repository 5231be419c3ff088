package tcp

import (
	"testing"

	"usock/internal/wait"
	"usock/packet"
)

// What a program can ask of the receive queue, with an urgent byte in it or without.

// peeked returns the bytes of views that refer to the queue.
func peeked(views []packet.View) (b []byte) {
	for _, v := range views {
		b = append(b, v.Bytes()...)
		v.Release()
	}
	return b
}

// urgentAt connects and receives n bytes, the k-th of which is urgent; 0: none.
func urgentAt(t *testing.T, n, k int, inline bool) *script {
	t.Helper()
	tc := newScript(t, plain)
	tc.connect()
	tc.c.SetOOBInline(tc.now, inline)
	g, _ := tc.parse("P. 1 ack 1")
	if k > 0 {
		g, _ = tc.parse("PU. 1 ack 1")
		g.Urgent = uint16(k)
	}
	b := packet.NewBlock(n)
	for i := range n {
		b.Bytes()[i] = streamByte(uint64(1 + i))
	}
	g.Data.Append(b.View(0, n))
	tc.ev = tc.c.Segment(tc.now, &g)
	tc.pump()
	tc.out = nil
	return tc
}

// MSG_PEEK at an offset (SO_PEEK_OFF): reading stops before the urgent byte, and passes over it where it is
// next and not inline, as a read does (tcp(7), Linux's tcp_recvmsg_locked).
func TestPeekUrgent(t *testing.T) {
	for _, c := range []struct {
		name        string
		mark        int // the urgent byte is the mark-th; 0: none
		inline      bool
		off, max    int
		from, n     int // what is seen
		buffered    int // BufferedFrom(off)
		inQueue     int // FIONREAD
		arrived, at bool
	}{
		{"no urgent byte", 0, false, 0, 100, 0, 20, 20, 20, false, false},
		{"no urgent byte, from an offset", 0, false, 5, 100, 5, 15, 15, 20, false, false},
		{"no urgent byte, some", 0, false, 5, 3, 5, 3, 15, 20, false, false},
		{"stops before it", 8, false, 0, 100, 0, 7, 19, 7, true, false},
		{"stops before it, from an offset", 8, false, 3, 100, 3, 4, 16, 7, true, false},
		{"less than up to it", 8, false, 3, 2, 3, 2, 16, 7, true, false},
		{"at it", 8, false, 7, 100, 8, 12, 12, 7, true, false},
		{"behind it", 8, false, 8, 100, 8, 12, 12, 7, true, false},
		{"the first byte", 1, false, 0, 100, 1, 19, 19, 0, false, true},
		{"inline: stops before it", 8, true, 0, 100, 0, 7, 20, 20, true, false},
		{"inline: at it", 8, true, 7, 100, 7, 13, 13, 20, true, false},
		{"the last byte", 20, false, 0, 100, 0, 19, 19, 19, true, false},
		{"not there yet", 21, false, 0, 100, 0, 20, 20, 20, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := urgentAt(t, 20, c.mark, c.inline)
			got := peeked(tc.c.Peek(c.max, c.off, nil))
			if len(got) != c.n {
				t.Fatalf("%d bytes, want %d", len(got), c.n)
			}
			for i, b := range got {
				if b != streamByte(uint64(1+c.from+i)) {
					t.Fatalf("byte %d is not the one at %d", i, c.from+i)
				}
			}
			if n := tc.c.BufferedFrom(c.off); n != c.buffered {
				t.Errorf("%d bytes from %d on, want %d", n, c.off, c.buffered)
			}
			if n := tc.c.InQueue(); n != c.inQueue {
				t.Errorf("%d bytes in the queue, want %d", n, c.inQueue)
			}
			if got := c.mark > 1 && c.mark <= 20 && tc.c.MarkAt(c.mark-1); got != c.arrived {
				t.Errorf("the urgent byte is behind others: %v", got)
			}
			if got := tc.c.AtMark(); got != c.at {
				t.Errorf("at the mark: %v", got)
			}
			want := wait.In
			if c.mark > 0 {
				want |= wait.Pri
			}
			tc.wantEvents(want)
		})
	}
}

// The bytes and the memory that are held, in order and behind a hole, and the end.
func TestReceiveQueueSizes(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	if base, end := tc.c.Received(); base != end {
		t.Fatal("a new connection has received something")
	}
	tc.recv("P. 1+100 ack 1")
	tc.want(". 1 ack 101")
	r1, s1 := tc.c.Memory()
	if r1 < 100 || s1 != 0 {
		t.Errorf("%d and %d bytes of memory", r1, s1)
	}
	tc.recv("P. 201+1000 ack 1")
	tc.want(". 1 ack 101 <sack 201-1201>")
	if r2, _ := tc.c.Memory(); r2 < r1+1000 {
		t.Errorf("%d bytes of memory with what is behind a hole, %d without", r2, r1)
	}
	if n := tc.c.InqHint(); n != 100 {
		t.Errorf("TCP_INQ tells %d", n)
	}
	tc.recv("F. 101+100 ack 1") // a FIN in the middle: what is behind it does not count
	tc.out = nil
	if base, end := tc.c.Received(); end-base != 200 || tc.c.InqHint() != 201 || tc.c.EOF() {
		t.Errorf("%d bytes, TCP_INQ tells %d, end %v", end-base, tc.c.InqHint(), tc.c.EOF())
	}
	tc.read(1000, 200)
	if tc.c.InqHint() != 1 || !tc.c.EOF() {
		t.Errorf("TCP_INQ tells %d, end %v", tc.c.InqHint(), tc.c.EOF())
	}
	if r, _ := tc.c.Memory(); r != 0 {
		t.Errorf("%d bytes of memory at the end", r)
	}
}

// SO_RCVBUF before there is a connection, with one, and what it fixes.
func TestRcvBuf(t *testing.T) {
	cfg := DefaultConfig()
	var c Conn
	c.Init(cfg)
	if n := c.RcvBuf(); n != cfg.RMem[1] {
		t.Errorf("%d before anything, want the host's %d", n, cfg.RMem[1])
	}
	c.SetRcvBuf(0, 20000)
	if n := c.RcvBuf(); n != 20000 {
		t.Errorf("%d after it was set", n)
	}

	tc := newScript(t, plain)
	tc.c.SetRcvBuf(tc.now, 20000)
	tc.connect()
	if tc.c.RcvBuf() != 20000 || tc.c.flags&fixedRcv == 0 {
		t.Errorf("%d, fixed %v: a connection keeps what was set", tc.c.RcvBuf(), tc.c.flags&fixedRcv != 0)
	}
	tc = newScript(t, plain)
	tc.connect()
	if n := tc.c.RcvBuf(); n != tc.cfg.RMem[1] {
		t.Errorf("%d of a connection", n)
	}
	tc.c.SetRcvBuf(tc.now, 30000)
	if n := tc.c.RcvBuf(); n != 30000 || tc.c.flags&fixedRcv == 0 {
		t.Errorf("%d of a connection that was set", n)
	}
}

// SO_RCVLOWAT: the buffer grows so that what is waited for fits, at most to half of tcp_rmem[2]; with
// SO_RCVBUF set the mark is cut instead (Linux, tcp_set_rcvlowat).
func TestRcvLowatBuffer(t *testing.T) {
	const host = 200000 // tcp_rmem[2]
	for _, c := range []struct {
		name       string
		open       bool
		fixed      int
		n          int
		low        int32
		size       int
		thresh     uint32 // window at least; 0: as before
		acked      bool
		threshMore bool
	}{
		{"one byte", true, 0, 1, 1, 60000, 0, false, false},
		{"none is one", true, 0, 0, 1, 60000, 0, false, false},
		{"fits", true, 0, 30000, 30000, 60000, 0, false, false},
		{"a byte more", true, 0, 30001, 30001, 60002, 30001, true, false},
		{"the most", true, 0, 500000, 100000, host, 100000, true, false},
		{"all there can be", true, 0, -1, 100000, host, 100000, true, false},
		{"fixed", true, 20000, 30000, 10000, 20000, 0, false, false},
		{"fixed, fits", true, 20000, 10000, 10000, 20000, 0, false, false},
		{"not open yet", false, 0, 50000, 50000, 60000, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noTS)
			tc.cfg.RMem[1], tc.cfg.RMem[2] = 60000, host
			if c.open {
				tc.connect()
			}
			if c.fixed != 0 {
				tc.c.SetRcvBuf(tc.now, c.fixed)
			}
			before := tc.c.rcv.ssthresh
			tc.call(func(x *Conn) { x.SetRcvLowat(tc.now, c.n) })
			if got := tc.c.opt.RcvLowat; got != c.low || tc.c.RcvBuf() != c.size {
				t.Errorf("SO_RCVLOWAT %d with a buffer of %d, want %d, %d", got, tc.c.RcvBuf(), c.low, c.size)
			}
			if got := tc.c.rcv.ssthresh; c.thresh == 0 && got != before || got < c.thresh {
				t.Errorf("a window of %d, before %d", got, before)
			}
			if c.acked {
				tc.want(". 1 ack 1") // the larger window is told
			}
			tc.wantIdle("nothing to be told")
		})
	}
}

// Less than SO_RCVLOWAT makes readable if the window has no room for more than a segment: else neither side
// would go on.
func TestRcvLowatFull(t *testing.T) {
	r := holding(64000, 100, 1001, 2, 1000)
	tb := &tcb{cfg: DefaultConfig()}
	tb.opt.RcvLowat = 101
	if r.readable(tb) {
		t.Error("readable, and there is room for more than a segment")
	}
	r.adv--
	if !r.readable(tb) {
		t.Error("not readable, and there is no room for more than a segment")
	}
	r.q.Reset(r.q.End())
	if r.readable(tb) {
		t.Error("readable, and nothing is there")
	}
}

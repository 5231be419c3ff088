package tcp

import (
	"fmt"
	"strconv"
	"testing"

	"usock/internal/wait"
	"usock/packet"
)

// scarce has other connections of the host hold n bytes, of which there may be 2 MiB less a byte.
func (s *script) scarce(n int) {
	s.cfg.Mem = [3]int{512 << 10, 1 << 20, 2<<20 - 1}
	m := s.cfg.Memory
	m.used.Add(int64(n))
	m.holders.Add(1)
	m.pressure.Store(m.Used() > s.cfg.Mem[1])
}

// exact has every byte charged at once.
func (s *script) exact() *script {
	s.cfg.Mem[0] = 0
	return s
}

func (s *script) wantUsed(n int) {
	s.t.Helper()
	if got := s.cfg.Memory.Used(); got != n {
		s.t.Errorf("%d bytes are in use, want %d", got, n)
	}
}

// Whatever the queues hold is charged, and given back.
func TestMemoryAccount(t *testing.T) {
	tc := newScript(t, plain).exact()
	tc.connect()
	tc.wantUsed(0)
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.wantUsed(2 << 10)
	tc.recv("P. 1+100 ack 1")
	tc.wantUsed(2<<10 + 256)
	tc.recv("P. 201+100 ack 1")
	tc.wantUsed(2<<10 + 512)
	if tc.cfg.Memory.holders.Load() != 1 {
		t.Errorf("%d connections hold something", tc.cfg.Memory.holders.Load())
	}
	tc.recv(". 301 ack 1001")
	tc.wantUsed(512)
	tc.read(100, 100)
	tc.wantUsed(256)
	tc.recv("P. 101+100 ack 1001")
	tc.read(500, 200)
	tc.wantUsed(0)
	if tc.cfg.Memory.holders.Load() != 0 {
		t.Errorf("%d connections hold something", tc.cfg.Memory.holders.Load())
	}
	tc.write(10)
	tc.recv("P. 301+10 ack 1001")
	tc.call(func(c *Conn) { c.Abort(tc.now) })
	tc.wantUsed(0)
	tc.out = nil

	// What is there to be read after the end, until it is let go.
	tc = newScript(t, plain).exact()
	tc.connect()
	tc.recv("P. 1+10 ack 1")
	tc.recv("R. 11 ack 1")
	tc.wantUsed(256)
	tc.c.Release()
	tc.wantUsed(0)
	tc.out = nil
}

// An urgent byte that a read passes over is given back, though nothing follows it.
func TestMemoryOfUrgentByte(t *testing.T) {
	tc := newScript(t, plain).exact()
	tc.connect()
	tc.recv("PU. 1+1 ack 1 urg 1")
	tc.wantUsed(256)
	tc.call(func(c *Conn) { c.PassUrgent(tc.now) })
	tc.wantUsed(0)
	tc.out = nil
}

// Small changes are not told of, until nothing is held any more or memory is scarce; large ones are, roughly.
func TestMemorySlack(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("P. 1+100 ack 1")
	tc.wantUsed(0)
	used := 0
	for i := range 40 {
		tc.recv(fmt.Sprintf("P. %d+1400 ack 1", 101+1400*i))
		held := 256 + 2048*(i+1)
		if got := tc.cfg.Memory.Used(); got < used || held-got > leastSlack+got/8 || got > held {
			t.Fatalf("%d bytes are in use, of %d", got, held)
		}
		used = tc.cfg.Memory.Used()
	}
	tc.out = nil
	tc.scarce(1 << 20)
	tc.recv("P. 56101+1400 ack 1")
	tc.wantUsed(1<<20 + 256 + 41*2048)
	tc.read(1<<20, 41*1400+100)
	tc.wantUsed(1 << 20)
	tc.out = nil
}

// Pressure begins above the second limit, and ends at the first.
func TestMemoryPressure(t *testing.T) {
	tc := newScript(t, plain)
	tc.cfg.Mem = [3]int{256, 512, 1 << 20}
	tc.connect()
	in := func(on bool, n uint64) {
		t.Helper()
		if tc.cfg.Memory.pressed() != on || tc.cfg.Counters.TCPMemoryPressures != n {
			t.Errorf("pressure %v, the %d. time, want %v, %d", tc.cfg.Memory.pressed(), tc.cfg.Counters.TCPMemoryPressures, on, n)
		}
	}
	tc.recv("P. 1+10 ack 1")
	tc.recv("P. 101+10 ack 1")
	in(false, 0)
	tc.recv("P. 201+10 ack 1")
	in(true, 1)
	tc.recv("P. 11+90 ack 1")
	tc.read(10, 10)
	in(true, 1)
	tc.read(100, 100)
	in(false, 1)
	tc.out = nil
}

// A sender without memory waits, but for the least that each may have; poll says the same.
func TestMemoryOfSender(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.SndBuf = 1 << 20
	tc.connect()
	tc.scarce(2 << 20)
	if n := tc.c.Room(100000); n != 4096 {
		t.Fatalf("room for %d bytes", n)
	}
	tc.wantReady(wait.Out)
	b := packet.NewBlock(packet.MaxBlock)
	tc.c.Write(tc.now, b.View(0, 4096)) // the block is not kept for a part of it
	tc.pump()
	tc.out = nil
	if n := tc.c.SendSpace(); n != 0 {
		t.Fatalf("room for %d bytes", n)
	}
	if n := tc.c.snd.q.Mem(); n > 8<<10 {
		t.Fatalf("%d bytes are held", n)
	}
	tc.wantReady(0)
	tc.recv(". 1 ack 2921") // the rest does not keep the next out
	tc.wantEvents(wait.Out)
	if n := tc.c.Room(100000); n != 4096-1176 {
		t.Fatalf("room for %d bytes", n)
	}
	tc.recv(". 1 ack 4097")

	// Who has less than his share goes on below the last limit.
	tc.cfg.Memory.used.Store(3 << 19)
	if n := tc.c.Room(60000); n != 60000 {
		t.Fatalf("room for %d bytes", n)
	}
	tc.queueRaw(60000)
	tc.cfg.Memory.holders.Store(100)
	if tc.c.SendSpace() != 0 {
		t.Error("more than a share")
	}
	tc.wantReady(0)
	if tc.cfg.Memory.Relieved() {
		t.Error("relieved too early")
	}
	tc.cfg.Memory.used.Store(500 << 10)
	tc.recv("P. 1+10 ack 4097")
	if !tc.cfg.Memory.Relieved() || tc.cfg.Memory.Relieved() {
		t.Error("not relieved once")
	}
	tc.wantReady(wait.In | wait.Out)
	tc.out = nil // what the acknowledgment lets go
}

// Buffers and windows do not grow under pressure.
func TestMemoryStopsGrowth(t *testing.T) {
	grown := func(others int) (rcv, snd, wnd uint32) {
		tc := newScript(t)
		tc.connect()
		tc.scarce(others)
		seq := 1
		for range 30 {
			for range 60 {
				tc.recv(". " + strconv.Itoa(seq) + "+1460 ack 1")
				tc.read(1460, 1460)
				tc.out = nil // acknowledgments, whose windows are looked at in the end
				seq += 1460
			}
			tc.sleep(msec(10))
			tc.out = nil
		}
		tc.c.snd.growSndBuf(&tc.c.tcb, 1000)
		return tc.c.rcv.bufSize, tc.c.snd.bufSize, tc.c.rcv.ssthresh
	}
	rcv, snd, wnd := grown(1<<20 + 1)
	if rcv != 131072 || snd > 100000 || wnd > 65536 {
		t.Errorf("buffers of %d and %d, a window of %d", rcv, snd, wnd)
	}
	if r, s, w := grown(0); r <= rcv || s <= snd || w <= wnd {
		t.Errorf("without pressure buffers of %d and %d, a window of %d", r, s, w)
	}
}

// What comes and finds no memory is dropped unless the program has nothing to read, and the window is
// closed until there is some.
func TestMemoryOfReceiver(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.scarce(2 << 20)
	tc.cfg.RMem[0] = 256
	tc.recv(". 1+1000 ack 1")
	tc.want(". 1 ack 1001")
	tc.wantEvents(wait.In)
	tc.recv(". 1001+1000 ack 1")
	tc.want(". 1 ack 1001 win 0")
	tc.wantCounts("PruneCalled 1 TCPRcvQDrop 1")
	tc.wantEvents(wait.In)
	tc.recv(". 1001+1000 ack 1") // it was on its way
	tc.want(". 1 ack 1001 win 0")
	tc.read(1000, 1000)
	tc.want(". 1 ack 1001 win 5000") // no more than four segments of ours, in whole ones of the peer's
	tc.recv(". 1001+1000 ack 1")
	tc.want(". 1 ack 2001")
	tc.read(1000, 1000)

	// Nothing to read: a segment is taken, though there is no memory for it at all.
	tc.cfg.RMem[0] = 0
	tc.recv(". 2001+1000 ack 1")
	tc.want(". 1 ack 3001 win 0")
	tc.wantCounts("PruneCalled 2 TCPRcvQDrop 1")
	tc.read(1000, 1000)
	tc.cfg.Memory.used.Store(0)
	tc.cfg.Memory.pressure.Store(false)
	tc.recv(". 3000 ack 1") // a probe
	tc.want(". 1 ack 3001 win 5000")
	tc.rest()
}

// What is out of order goes first, from the far end, and its SACKs with it.
func TestMemoryPrunesOutOfOrder(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	tc.recv(". 1001+1000 ack 1")
	tc.want(". 1 ack 1 <sack 1001-2001>")
	tc.recv(". 3001+1000 ack 1")
	tc.want(". 1 ack 1 <sack 3001-4001,sack 1001-2001>")
	tc.scarce(2 << 20)
	tc.cfg.RMem[0] = 4096
	tc.recv(". 2001+500 ack 1") // behind the first, before the last
	tc.want(". 1 ack 1 <sack 2001-2501>")
	tc.wantCounts("TCPOFOQueue 3 PruneCalled 1 OfoPruned 1")
	tc.recv(". 5001+1000 ack 1")
	tc.want(". 1 ack 1 <sack 2001-2501>")
	tc.wantCounts("TCPOFOQueue 3 PruneCalled 2 OfoPruned 1 TCPOFODrop 1")
	tc.recv(". 1+1000 ack 1")
	tc.want(". 1 ack 2001")
	tc.wantCounts("TCPOFOQueue 3 PruneCalled 3 OfoPruned 2 TCPOFODrop 1")
	tc.read(5000, 2000)
	tc.rest()
}

// It is told where the receive buffer has been exceeded, too.
func TestMemoryBeyondBuffer(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv(". 1+1000 ack 1")
	tc.scarce(2 << 20)
	tc.c.SetRcvBuf(tc.now, 1500)
	tc.cfg.RMem[0] = 0
	tc.recv(". 1001+1000 ack 1")
	tc.wantCounts("PruneCalled 1 RcvPruned 1 TCPRcvQDrop 1")
	tc.rest(". 1 ack 1001", ". 1 ack 1001 win 0")
}

// A window that is taken back: what the peer sends from the end of what it had been offered is heard, its
// data aside, and what lies beyond is not (RFC 7323 §2.4).
func TestMemoryTakesWindowBack(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.recv("P. 1+1000 ack 1")
	tc.want(". 1001 ack 1001")
	edge := int(tc.c.rcv.adv) - origin
	tc.scarce(2 << 20)
	tc.cfg.RMem[0] = 256
	tc.recv(". 1001+1000 ack 1")
	tc.want(". 1001 ack 1001 win 0")

	if tc.c.snd.una != origin+1 {
		t.Fatalf("SND.UNA is %d", tc.c.snd.una-origin)
	}
	tc.recv(". " + strconv.Itoa(edge+1) + " ack 501")
	tc.want(". 1001 ack 1001 win 0")
	if tc.c.snd.una != origin+1 {
		t.Errorf("beyond the window: SND.UNA is %d", tc.c.snd.una-origin)
	}
	tc.recv(". " + strconv.Itoa(edge) + " ack 501")
	if tc.c.snd.una != origin+501 {
		t.Errorf("at its edge: SND.UNA is %d", tc.c.snd.una-origin)
	}
	tc.recv(". " + strconv.Itoa(edge-100) + "+100 ack 1001")
	tc.want(". 1001 ack 1001 win 0")
	if tc.c.snd.una != origin+1001 || tc.c.rcv.ooo != nil {
		t.Errorf("with data: SND.UNA is %d", tc.c.snd.una-origin)
	}
	tc.read(1000, 1000)
	tc.out = nil // the window opens
}

// Of a peer that has heard of no acknowledgment since the window was taken back, the acknowledgments are numbered
// from there, though what it has sent again has been received meanwhile: they are heard until it must have heard.
func TestMemoryHearsBehindWindowTakenBack(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.recv("P. 1+1000 ack 1")
	tc.want(". 1001 ack 1001")
	edge := int(tc.c.rcv.adv) - origin
	others := tc.cfg.Memory.used.Load()
	tc.scarce(2 << 20)
	tc.cfg.RMem[0] = 256
	tc.recv(". 1001+1000 ack 1")
	tc.want(". 1001 ack 1001 win 0")
	tc.read(1000, 1000)
	tc.cfg.Memory.used.Store(others)
	tc.cfg.Memory.pressure.Store(false)
	tc.out = nil // the window opens
	tc.recv(". 1001+500 ack 1")
	tc.want(". 1001 ack 1501")

	una := func(want int) {
		t.Helper()
		if got := int(tc.c.snd.una) - origin; got != want {
			t.Errorf("SND.UNA is %d, want %d", got, want)
		}
	}
	tc.recv(". 1000 ack 301")
	una(1)
	tc.recv(". 1001 ack 301")
	una(301)
	tc.recv(". 1001+256 ack 601")
	tc.want(". 1001 ack 1501")
	una(601)
	for seq := 1501; seq <= edge; seq += 1460 {
		tc.recv(". " + strconv.Itoa(seq) + "+1460 ack 601")
		tc.read(1460, min(1460, 500+1460))
		if seq == 1501 {
			tc.read(500, 500)
		}
	}
	tc.out = nil
	tc.recv(". 1001 ack 1001")
	una(601)
	tc.out = nil
}

package tcp

import (
	"sync/atomic"
	"time"

	"usock/internal/wait"
)

// What all connections of a host may hold together (tcp_mem), and how many of them no program holds any
// more (tcp_max_orphans). A connection charges what its queues hold, blocks and not bytes, at the end of
// each call that may have changed it (account). The account is one for all processors, so that a connection tells it of
// small changes (slack) only while memory is scarce, or once it holds nothing any more.
//
//	used    0 ──────────── Mem[0] ──────── Mem[1] ──────── Mem[2] ───────
//	        buffers grow    │ pressure ends  │ pressure begins │ nothing more
//
// Under pressure no buffer and no window grows, and who holds more than his share, Mem[2] by the number
// of those who hold anything, gets no more: his sends wait, and what comes for him is dropped once there
// is nothing out of order left to be dropped. Above Mem[2] that is all who hold the least of a buffer
// (WMem[0], RMem[0]). Below that everybody may send and receive, and a segment is taken by a receiver who
// holds none: whatever the others do, each connection goes on (Linux, __sk_mem_raise_allocated).

// Memory is the account of a host's connections, which charge it at the same time, each by itself.
type Memory struct {
	used    atomic.Int64 // bytes in all queues
	holders atomic.Int64 // connections that hold any
	orphans atomic.Int64 // connections without program that have not sent everything

	_ [64]byte // what follows is looked at with each segment, and seldom changed: it is on another cache line

	pressure atomic.Bool // used was above Mem[1], and not yet back at Mem[0]
	starved  atomic.Bool // a sender has waited for memory
	relieved atomic.Bool // pressure has ended since

	_ [64]byte // many streams change this every few milliseconds

	streams streams
}

// Used returns how many bytes the queues hold.
func (m *Memory) Used() int { return int(m.used.Load()) }

// Relieved reports, once, that senders that have waited for memory need not wait any more.
func (m *Memory) Relieved() bool { return m.relieved.Load() && m.relieved.Swap(false) }

// pressed reports whether memory is scarce.
func (m *Memory) pressed() bool { return m.pressure.Load() }

// ScaleTo sets the limits that are 0 to what Linux has on a machine with that many bytes of memory: a
// sixteenth of it is where pressure begins (tcp_init_mem), and there is an orphan for each 256 KiB.
func (s *Settings) ScaleTo(memory int) {
	if s.Mem == [3]int{} {
		limit := max(memory/16, 512<<10)
		s.Mem = [3]int{limit / 4 * 3, limit, limit / 4 * 6}
	}
	if s.MaxOrphans == 0 {
		s.MaxOrphans = max(memory>>18, 4096)
	}
}

// account charges what the queues hold to the host.
func (c *Conn) account() {
	n := c.snd.q.Mem() + c.rcv.q.Mem()
	if c.rcv.ooo != nil {
		n += c.rcv.ooo.q.Mem()
	}
	if n == c.held {
		return
	}
	if d, slack := n-c.held, c.slack(); n == 0 || d < -slack || d > slack {
		c.charge(n)
	}
}

// leastSlack is two blocks for packets of an Ethernet link, or some more small ones: what a connection that goes to and
// fro holds. For as many bytes of each connection pressure may begin too late.
const leastSlack = 4 << 10

// slack returns by how many bytes what the connection holds may differ from what the account says.
func (t *tcb) slack() int {
	if t.cfg.Memory.pressed() {
		return 0
	}
	return min(leastSlack+t.held/8, t.cfg.Mem[0]>>10)
}

// charge makes n the bytes that the connection is charged with.
func (t *tcb) charge(n int) {
	m := t.cfg.Memory
	switch {
	case t.held == 0:
		m.holders.Add(1)
	case n == 0:
		m.holders.Add(-1)
	}
	used := int(m.used.Add(int64(n - t.held)))
	t.held = n

	switch pressure := m.pressed(); {
	case !pressure && used > t.cfg.Mem[1]:
		m.pressure.Store(true)
		inc(&t.count().TCPMemoryPressures)
	case pressure && used <= t.cfg.Mem[0]:
		m.pressure.Store(false)
		if m.starved.Swap(false) {
			m.relieved.Store(true)
		}
	}
}

// overShare reports whether the connection gets no more memory beyond the least: there is none, or it
// has more than its share of what is scarce.
func (t *tcb) overShare() bool {
	m := t.cfg.Memory
	return m.Used() > t.cfg.Mem[2] || t.held*int(m.holders.Load()) >= t.cfg.Mem[2]
}

// least returns how many bytes may be queued whatever others do. They are counted without the rest of
// their blocks, within reason: a block that is acknowledged but for its end must not keep the next out.
func (s *sender) least(t *tcb) int {
	if s.q.Mem() > 4*t.cfg.WMem[0] {
		return 0
	}
	return max(t.cfg.WMem[0]-s.q.Len(), 0)
}

// starved reports whether the program has to wait for memory before it writes.
func (s *sender) starved(t *tcb) bool {
	m := t.cfg.Memory
	if !m.pressed() || s.least(t) > 0 || !t.overShare() {
		return false
	}
	m.starved.Store(true)

	// Pressure may have ended before it was known that somebody waits: then nobody is told of it.
	return m.pressed()
}

// mayHold reports whether there is memory for what comes next.
func (r *receiver) mayHold(t *tcb) bool {
	if !t.cfg.Memory.pressed() {
		return true
	}
	n := r.q.Mem()
	if r.ooo != nil {
		n += r.ooo.q.Mem()
	}
	return n < t.cfg.RMem[0] || !t.overShare()
}

// makeRoom reports whether a segment with data may be kept, and drops what is out of order for it. Where
// it may not the peer is told that there is no window (Linux, tcp_data_queue, tcp_prune_queue).
func (c *Conn) makeRoom(s *Segment, seq uint64) bool {
	if c.rcv.mayHold(&c.tcb) {
		return true
	}
	r := &c.rcv
	inc(&c.count().PruneCalled)
	r.ssthresh = min(r.ssthresh, 4*uint32(r.advMSS))

	// A SACK is no promise (RFC 2018 §8). What lies behind the segment is worth less than it.
	if o := r.ooo; o != nil && !o.q.Empty() && o.q.End() > seq {
		inc(&c.count().OfoPruned)
		for !o.q.Empty() && o.q.End() > seq && !r.mayHold(&c.tcb) {
			o.q.DropBack()
			c.account()
		}
		o.n, o.fin, o.dsack = 0, 0, span{}
		if o.q.Empty() {
			r.ooo = nil
		}
		if r.mayHold(&c.tcb) {
			return true
		}
	}
	if r.q.Mem() > int(r.bufSize) {
		inc(&c.count().RcvPruned)
	}

	c.ackNow()
	if seq > r.nxt {
		inc(&c.count().TCPOFODrop)
		return false
	}

	// The window that was offered is taken back, though it should not be (RFC 9293 §3.8.6): there is
	// nothing to keep the data in.
	c.flags |= noMemory
	if r.q.Len() == 0 {
		return true
	}
	inc(&c.count().TCPRcvQDrop)
	c.events |= wait.In // reading makes room, however much it waits for
	return false
}

// minSndBuf is SOCK_MIN_SNDBUF: what an orphan may hold whatever the others do.
const minSndBuf = 4608

// addOrphan counts a connection that the program has let go of, and reports whether it is one too many.
func (c *Conn) addOrphan() (tooMany bool) {
	if c.flags&countedOrphan == 0 {
		c.flags |= countedOrphan
		c.cfg.Memory.orphans.Add(1)
	}
	return c.oom(0)
}

// dropOrphan ends the effect of addOrphan.
func (t *tcb) dropOrphan() {
	if t.flags&countedOrphan != 0 {
		t.flags &^= countedOrphan
		t.cfg.Memory.orphans.Add(-1)
	}
}

// oom reports whether an orphan is not to be kept: there are too many, each counted twice for each of
// shift, or too little memory (Linux, tcp_check_oom).
func (c *Conn) oom(shift int) bool {
	m := c.cfg.Memory
	return int(m.orphans.Load())<<shift > c.cfg.MaxOrphans || c.snd.q.Mem() > minSndBuf && m.Used() > c.cfg.Mem[2]
}

// abortOnMemory ends an orphan for which there is no room, with a reset if told is set.
func (c *Conn) abortOnMemory(told bool) {
	inc(&c.count().TCPAbortOnMemory)
	if told {
		c.resetNow()
	}
	c.over()
}

// orphanAborted ends an orphan whose timer has found no answer if there are too many or too little
// memory, sooner where the peer was silent for long, or where a router has objected. reset says whether
// there is still hope, so that the peer is told (Linux, tcp_out_of_resources).
func (c *Conn) orphanAborted(now time.Duration, reset bool) bool {
	if c.flags&countedOrphan == 0 {
		return false
	}
	shift := 0
	if now-c.snd.lastData > 2*c.cfg.MaxRTO || !reset {
		shift++
	}
	if c.lazy != nil && c.lazy.softErr != 0 {
		shift++
	}
	if !c.oom(shift) {
		return false
	}
	c.abortOnMemory(reset || now-c.snd.lastData <= c.cfg.TimeWait || c.snd.wnd == 0 && c.snd.una == c.snd.nxt)
	return true
}

package tcp

import (
	"sync"
	"time"

	"usock/cc"
	"usock/internal/buf"
	"usock/internal/congestion"
	"usock/trace"
)

// The sender takes bytes from the program, and acknowledgments from the peer:
//
//	Write ──► q ─────────────────────────────► Poll: buildData
//	          │ una        nxt           end     │ lost, and the window allows:  retransmit.go
//	          ├──in flight──┼──not sent───┤      │ new, and may leave:           output.go
//	          └─ scoreboard ┘                    ▼ neither, and due:             tlp.go
//	             ▲                              sendNew, retransmit ──► recordSent, pace, timer
//	             │
//	onAck: takeSACK, advanceUna ──► takeRTT ──► advanceRecovery ──► Controller.Ack, prr ──► afterAck
//	       what arrived             rtt.go      what is lost:        what window follows     timer, room
//	       sack.go loss.go                      recovery.go rack.go
//
// The queue holds the bytes from snd.una on, and the scoreboard an entry for each range
// in flight: when it was sent, how often, and what became of it. Everything else is
// counted from there: inFlight is the bytes of the entries, less those SACKed and those
// lost, and may not exceed cwnd but for the probes and the timer's retransmission.
//
// Three parties decide how much that is. Loss detection (rack.go, and duplicate
// acknowledgments without SACK) says what is lost. The recovery state machine
// (recovery.go) says whether that is news, which is once a round trip. The controller
// (package cc) says which window follows. Timers are the connection's (timers.go): one of
// them is the sender's, and is a retransmission timeout, a loss probe, a reordering
// timeout or a window probe, whichever is next (rto.go, tlp.go, windowprobe.go).
//
// The sender does not see the receiver. What it needs of it comes as an argument: how much
// the SACK blocks take of a segment. And it leaves to Conn what a segment says of the
// other direction (header).

// sender is the half of a connection that sends the program's data. Its variables are
// those of RFC 9293 §3.3.1, as stream offsets.
type sender struct {
	flight   *flight   // what sending needs; nil until data is first sent
	q        buf.Queue // from snd.una on: what is in flight and what is to be sent
	una, nxt uint64
	wl1      uint64 // SEG.SEQ of the last window update
	wnd      uint32 // bytes
	maxWnd   uint32 // largest wnd seen
	iss      uint32
	tsOffset uint32
	tsEcr    uint32 // of the last acknowledgment; 0: none
	bufSize  uint32 // bytes of data that may be queued
	maxSeg   uint32 // largest payload of one segment
	mss      uint16 // bytes of data in a full segment, timestamps accounted for
	peerMSS  uint16 // from the peer's SYN
	pathMSS  uint16 // what the path's MTU leaves for data and TCP options
	wscale   uint8
	retrans  uint8         // consecutive retransmission timeouts
	probes   uint8         // consecutive window or keepalive probes without an answer
	lastData time.Duration // when data was last sent
	small    uint64        // snd.nxt behind the last segment smaller than the MSS (RFC 896, Minshall)
}

// flight is what a connection needs to send data, which one that never sends does without.
type flight struct {
	cc         cc.Controller
	rate       congestion.Rate
	use        congestion.Usage
	scoreboard scoreboard
	loss       loss
	told       cc.Ack // what cc was told last: an argument of its Ack

	chrono          chrono
	delivery        uint64 // bytes/s: last delivery-rate sample
	deliveredCE     uint32 // segments acknowledged with ECE
	deliveryLimited bool   // delivery was limited by the program

	paceAt         time.Duration // when the current burst is paid for
	burst, quantum uint32        // bytes of the burst that are left, and its size
	fullAt         uint32        // the turn in which it was last a stream (streams.full)
}

// flights keeps what connections that are over had for sending.
var flights sync.Pool

// newFlight makes what is needed to send data.
func (s *sender) newFlight(t *tcb, now time.Duration) *flight {
	f, _ := flights.Get().(*flight)
	if f == nil {
		f = &flight{}
	}

	name := t.opt.CC
	if name == "" {
		name = t.cfg.CC
	}

	// A controller from the pool is begun anew below. Only another algorithm takes a new one,
	// so that a server's next connection allocates nothing.
	if f.cc == nil || f.cc.Name() != name {
		ctl, ok := t.cfg.controller(name)
		if !ok {
			ctl, _ = congestion.New("")
		}
		f.cc = ctl
	}

	// The initial window is ten segments (RFC 6928 §2), or one where the SYN was lost: the path
	// is congested, or so it must be taken (RFC 5681 §3.1).
	mss := uint32(s.mss)
	w := uint32(t.cfg.InitialCwnd) * mss
	if t.flags&synLost != 0 {
		w = mss // RFC 5681 §3.1
	}

	f.cc.Start(cc.Start{Now: now, MSS: mss, CWnd: w, SRTT: t.rtt.smoothed(), MinRTT: t.rtt.least()})
	s.flight = f
	f.loss.init(s.una, t.cfg.Reordering)
	return f
}

// freeFlight gives the flight back for the next connection.
func (s *sender) freeFlight(t *tcb) {
	f := s.flight
	if f == nil {
		return
	}
	s.flight = nil
	f.scoreboard.free()

	// The array of the queue is kept for the next connection, unless this one was unlike
	// others.
	queue := f.loss.queue[:0]
	if cap(queue) > 64 {
		queue = nil
	}
	if t.cfg.Controllers[f.cc.Name()] != nil {
		f.cc = nil // of this host alone, and flights are shared
	}

	*f = flight{cc: f.cc}
	f.loss.queue = queue
	flights.Put(f)
}

// cwnd returns the congestion window in force.
func (s *sender) cwnd() uint32 {
	f := s.flight

	// While the window is being reduced, PRR says what is in force (RFC 6937 §3).
	if f.loss.cwnd != 0 {
		return f.loss.cwnd
	}
	return f.cc.CWnd()
}

// inFlight is what the network is believed to hold: "pipe" of RFC 6675, in bytes.
func (s *sender) inFlight() uint32 {
	// HighData - HighACK, without the SYN, which is over when data flows ...
	n := uint32(s.nxt - max(s.una, origin+1))

	// ... less what was SACKed and what is lost and was not sent again: SetPipe of RFC 6675 §4.
	// Without SACK each duplicate ACK stands for a segment that has left (RFC 5681 §3.2 step
	// 4).
	if f := s.flight; f != nil {
		n -= f.loss.sacked + f.loss.lost
		n -= min(n, f.loss.reno)
	}
	return n
}

// restart reduces the window of a connection that was idle (RFC 5681
// §4.1).
func (s *sender) restart(t *tcb, now time.Duration) {
	// With data in flight acknowledgments still clock what is sent. It takes an idle path to
	// make of a whole window one burst (RFC 5681 §4.1).
	if s.una != s.nxt || !t.cfg.SlowStartIdle || s.lastData == 0 {
		return
	}

	// After an RTO without sending, the window says nothing about the path any more.
	if idle := now - s.lastData; idle > t.rtt.timeout() {
		before, ssthresh := s.cwnd(), s.flight.cc.SSThresh()
		s.flight.cc.Restart(now, idle, t.rtt.timeout())
		if t.cfg.Trace != 0 && (s.cwnd() < before || s.flight.cc.SSThresh() != ssthresh) {
			s.tellWindow(t, trace.AfterIdle)
		}
	}
}

// sndEnd returns the offset behind everything there is to send, the FIN included.
func (s *sender) sndEnd(t *tcb) uint64 {
	end := s.q.End()
	if t.flags&finQueued != 0 {
		end++
	}
	return t.sendLimit(end)
}

// sndSeq returns the sequence number of an offset of ours.
func (s *sender) sndSeq(off uint64) uint32 { return s.iss + uint32(off) }

// sndOff returns the offset, near snd.una, that the peer's SEG.ACK means.
func (s *sender) sndOff(seq uint32) uint64 {
	// A signed difference: what lies below una stays below it, and may be told from what lies
	// above, wherever the 32 bits wrap.
	return s.una + uint64(int64(int32(seq-s.sndSeq(s.una))))
}

// tsNow is the timestamp clock: milliseconds and an offset of the connection's
// own (RFC 7323 §5.4 and 7.1).
func (s *sender) tsNow(now time.Duration) uint32 {
	return uint32(now/time.Millisecond) + s.tsOffset
}

// setMSS computes the effective send MSS (RFC 9293 §3.7.1; RFC 6691).
func (s *sender) setMSS(t *tcb) {
	mss := min(s.peerMSS, s.pathMSS)

	// While a black hole is suspected only what is known to pass counts (RFC 4821 §7.7).
	if t.lazy != nil && t.lazy.mtu.on {
		mss = min(mss, t.lazy.mtu.low)
	}

	if m := t.opt.MaxSeg; m != 0 {
		mss = min(mss, m)
	}

	// The MSS option does not count options: whoever sends them takes them off (RFC 6691 §2).
	s.mss = uint16(max(int(mss)-t.optionLen(), 8))
	if s.flight != nil {
		s.flight.cc.SetMSS(uint32(s.mss))
	}
}

// updateWindow takes SEG.WND if the segment is not older than the one that the
// window was last taken from (RFC 9293 §3.10.7.4, fifth check), and reports whether it
// did.
func (s *sender) updateWindow(seq, ack uint64, wnd uint32) bool {
	// SND.WL1 =< SEG.SEQ keeps old segments from bringing old windows. With the same numbers a
	// larger window is news, and so is none at all, which Linux believes too.
	if ack > s.una || seq > s.wl1 ||
		seq == s.wl1 && (wnd > s.wnd || wnd == 0) {
		s.wl1 = seq
		s.wnd = wnd

		// MAX.SND.WND of RFC 5961 §5.2, and Max(SND.WND) of RFC 9293 §3.8.6.2.1: the best guess
		// there is of the peer's buffer.
		s.maxWnd = max(s.maxWnd, wnd)
		return true
	}
	return false
}

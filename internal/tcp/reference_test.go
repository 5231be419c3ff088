package tcp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"usock/cc"
)

// A reference of loss detection: RFC 8985 §6.2, SetPipe of RFC 6675 §4, PRR of RFC 6937, as the texts
// have them, over an array with one element a segment that is searched as a whole for each
// acknowledgment. The core, which has cursors, queues and sums instead, is run beside it on a network
// that drops, delays, reorders and duplicates, and both must agree on every segment, on what the
// controller is told, on the window and on the reordering timer. What the reference leaves to the core
// is whether a reduction is undone; what follows from that it checks.

const refMSS = 1000

// refSegment is a segment of refMSS bytes.
type refSegment struct {
	at                  time.Duration // sent last
	n                   int           // transmissions
	sacked, lost, again bool          // again: sent again, and neither lost nor delivered since
}

// recorder is a controller that keeps what it is told.
type recorder struct {
	cwnd, ssthresh, prior, mss uint32
	acks                       []cc.Ack
	calls                      []string // other than Ack and Sent
	events                     []cc.Event
	sent                       []uint32 // inFlight and bytes of each Sent
	owns                       bool
	rate                       uint64
}

func (r *recorder) Name() string { return "recorder" }
func (r *recorder) Start(s cc.Start) {
	r.cwnd, r.ssthresh, r.mss = s.CWnd, cc.MaxWindow, s.MSS
}
func (r *recorder) Sent(now time.Duration, inFlight, bytes uint32) {
	r.sent = append(r.sent, inFlight, bytes)
}
func (r *recorder) Ack(a *cc.Ack) {
	r.acks = append(r.acks, *a)
	if a.State == cc.Open || a.State == cc.Loss {
		r.cwnd = min(r.cwnd+a.Acked, 40*r.mss)
	}
}
func (r *recorder) Congestion(e *cc.Event) {
	r.calls, r.events = append(r.calls, "congestion"), append(r.events, *e)
	r.prior, r.ssthresh = r.cwnd, max(r.cwnd/2, 2*r.mss)
	r.cwnd = r.ssthresh
}
func (r *recorder) Recovered(now time.Duration) { r.calls = append(r.calls, "recovered") }
func (r *recorder) Timeout(e *cc.Event) {
	r.calls, r.events = append(r.calls, "timeout"), append(r.events, *e)
	if !e.Repeated {
		r.prior, r.ssthresh = r.cwnd, max(r.cwnd/2, 2*r.mss)
	}
	r.cwnd = r.mss
}
func (r *recorder) Undo(now time.Duration) {
	r.calls = append(r.calls, "undo")
	r.cwnd = max(r.cwnd, r.prior)
}
func (r *recorder) Restart(now, idle, rto time.Duration) { r.calls = append(r.calls, "restart") }
func (r *recorder) SetMSS(mss uint32)                    { r.mss = mss }
func (r *recorder) CWnd() uint32                         { return r.cwnd }
func (r *recorder) SSThresh() uint32                     { return r.ssthresh }
func (r *recorder) PacingRate() uint64                   { return r.rate }
func (r *recorder) OwnsRecovery() bool                   { return r.owns }

// recorded has a script use a recorder.
func recorded(r *recorder) scriptOption {
	return func(s *script) {
		s.cfg.Controllers = map[string]func() cc.Controller{"recorder": func() cc.Controller { return r }}
		s.cfg.CC = "recorder"
	}
}

// onWire is a segment or an acknowledgment that is under way.
type onWire struct {
	at     time.Duration
	seg    int      // number of a segment; -1: an acknowledgment
	ack    int      // segments acknowledged
	blocks [][2]int // SACKed, newest first
	dsack  bool     // the first block is one
}

type refSender struct {
	*script
	ctl  *recorder
	rnd  *rand.Rand
	wire []onWire

	// The sender.
	segs      []refSegment
	una, fack int
	rackAt    time.Duration
	rackEnd   int
	rackRTT   time.Duration
	advanced  bool
	seen      bool
	degree    int
	steps     int
	persist   int
	dsackSeen bool
	stepAt    uint64 // delivered, when steps was last raised

	prior, prrDelivered, prrOut int // bytes; prior 0: no PRR
	probe                       int // behind the loss probe that is out; 0: none

	// The receiver.
	got    []bool
	rcvNxt int
	recent []int // segments received out of order, newest last
}

func (m *refSender) bad(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("at %v: %s", m.now, fmt.Sprintf(format, args...))
}

// pipe is SetPipe, in segments: neither SACKed nor lost, or sent again.
func (m *refSender) pipe() (n int) {
	for _, s := range m.segs[m.una:] {
		if !s.sacked && !s.lost {
			n++
		}
	}
	return n
}

// sentAfter is RACK_sent_after for RACK.segment and segment i.
func (m *refSender) sentAfter(i int) bool {
	s := &m.segs[i]
	return m.rackAt > s.at || m.rackAt == s.at && m.rackEnd > i+1
}

// rackUpdate is RACK_update for segment i.
func (m *refSender) rackUpdate(i int, minRTT time.Duration) {
	s := &m.segs[i]
	rtt := m.now - s.at
	if s.n > 1 && rtt < minRTT {
		return
	}
	m.advanced, m.rackRTT = true, rtt
	if s.at > m.rackAt || s.at == m.rackAt && i+1 > m.rackEnd {
		m.rackAt, m.rackEnd = s.at, i+1
	}
}

// detect is RACK_detect_loss; the state is the one it begins in.
func (m *refSender) detect(st cc.State) (lost int, wait time.Duration) {
	sacked := 0
	for _, s := range m.segs[m.una:] {
		if s.sacked {
			sacked++
		}
	}
	reo := min(m.c.rtt.least()/4*time.Duration(m.steps), m.c.rtt.smoothed())
	if !m.seen && (st >= cc.Recovery || sacked >= m.degree) {
		reo = 0
	}
	for i := m.una; i < len(m.segs); i++ {
		s := &m.segs[i]
		if s.sacked || s.lost || !m.sentAfter(i) {
			continue
		}
		left := s.at + m.rackRTT + reo - m.now
		if left <= 0 {
			s.lost, s.again = true, false
			lost++
		} else if wait == 0 || left < wait {
			wait = left
		}
	}
	return lost, wait
}

// prr is RFC 6937 §3 with the slow-start bound of RFC 9937, in bytes.
func (m *refSender) prr(delivered, acked, lost int) int {
	m.prrDelivered += delivered
	pipe, target := m.pipe()*refMSS, int(m.ctl.cwnd)
	n := 0
	if pipe > target {
		whole := (m.prrDelivered*target + m.prior*refMSS - 1) / (m.prior * refMSS) * refMSS // rounded up
		n = max(whole-m.prrOut, 0)
	} else {
		n = max(m.prrDelivered-m.prrOut, delivered)
		if acked > 0 && lost == 0 {
			n += refMSS
		}
		n = min(n, target-pipe)
	}
	if m.prrOut == 0 {
		n = max(n, refMSS)
	}
	return pipe + n
}

// wantReorderTimer says what the timer must be while wait is left until the next is lost.
func (m *refSender) wantReorderTimer(wait time.Duration) {
	m.t.Helper()
	at, kind := m.now+wait+2*time.Millisecond, rtxReorder
	if rto := max(m.segs[m.una].at+m.c.rtt.timeout(), m.now+time.Millisecond); rto < at {
		at, kind = rto, rtxRTO
	}
	if m.c.timer.rtx != at || m.c.timer.kind != kind {
		m.bad("timer %d in %v, want %d in %v", m.c.timer.kind, m.c.timer.rtx-m.now, kind, at-m.now)
	}
}

// undone counts the reductions taken back.
func (m *refSender) undone() uint64 {
	n := m.c.count()
	return n.TCPFullUndo + n.TCPPartialUndo + n.TCPDSACKUndo + n.TCPLossUndo
}

// news is what an acknowledgment brought, by the reference.
type news struct {
	st                            cc.State // before it
	undone, entered               uint64
	acks                          int // calls of the controller
	pipe, una, fack               int
	delivered, reord              int
	first, last, sackAt           time.Duration // sent; -1: none
	retransAck, dataSacked, dsack bool
	duplicate                     bool // RFC 5681 §2
}

// acked is the segments by which SND.UNA has advanced.
func (m *refSender) acked(n *news) int { return m.una - n.una }

// give gives the core an acknowledgment.
func (m *refSender) give(w *onWire) {
	g, _ := m.parse(fmt.Sprintf(". 1 ack %d", 1+w.ack*refMSS))
	for i, b := range w.blocks {
		g.Options.SACK[i].Left = m.p.ISS + 1 + uint32(b[0]*refMSS)
		g.Options.SACK[i].Right = m.p.ISS + 1 + uint32(b[1]*refMSS)
		g.Options.NSACK++
	}
	m.c.Segment(m.now, &g)
}

// take takes note of what has been delivered: SACK blocks first, then what is acknowledged.
func (m *refSender) take(w *onWire, n *news, minRTT time.Duration) {
	deliver := func(i int) {
		s := &m.segs[i]
		m.rackUpdate(i, minRTT)
		if s.n == 1 && i < m.fack {
			n.reord = min(n.reord, i)
		}
		s.lost, s.again = false, false
		n.delivered++
	}
	for i, b := range w.blocks {
		if i == 0 && w.dsack || b[0] < n.una || b[1] <= max(w.ack, n.una) {
			continue
		}
		for k := b[0]; k < b[1]; k++ {
			if s := &m.segs[k]; !s.sacked {
				deliver(k)
				s.sacked, n.dataSacked = true, true
				if s.n == 1 && (n.sackAt < 0 || s.at < n.sackAt) {
					n.sackAt = s.at
				}
				m.fack = max(m.fack, k+1)
			}
		}
	}
	for ; m.una < w.ack; m.una++ {
		s := &m.segs[m.una]
		n.retransAck = n.retransAck || s.n > 1
		if s.sacked {
			continue
		}
		if s.n == 1 {
			n.last = s.at
			if n.first < 0 {
				n.first = s.at
			}
		}
		deliver(m.una)
	}
	m.fack = max(m.fack, m.una)
	n.dsack = w.dsack && n.una <= w.blocks[0][0]+1<<16/refMSS // of the last window: RFC 2883 has no word on it
	n.duplicate = m.acked(n) == 0 && w.ack == m.una
}

// rtt is the sample: Karn's rule, and of which segment.
func (m *refSender) rtt(n *news) time.Duration {
	switch {
	case n.first >= 0 && !n.retransAck:
		return max(m.now-n.last, 1)
	case n.sackAt >= 0:
		return max(m.now-n.sackAt, 1)
	}
	return 0
}

// adapt is RACK's step 3 and the adaptation in step 4: reordering, and RACK.reo_wnd_mult.
func (m *refSender) adapt(w *onWire, n *news, rate *cc.Sample, began bool) {
	if n.reord < n.fack {
		m.seen = true
		m.degree = min(max(m.degree, m.fack-n.reord), m.cfg.MaxReordering)
	}
	m.dsackSeen = m.dsackSeen || n.dsack && !m.ofProbe(w)
	if rate.PriorDelivered < m.stepAt {
		m.dsackSeen = false
	}
	if m.dsackSeen {
		m.steps, m.persist, m.dsackSeen, m.stepAt = min(m.steps+1, 255), 16, false, rate.Total
	} else if m.persist == 0 {
		m.steps = 1
	}

	if m.undone() != n.undone {
		for i := range m.segs {
			m.segs[i].lost = false
		}
		m.seen = m.seen || n.st == cc.Recovery
	}
	if n.st == cc.Recovery && (m.lossState() != cc.Recovery || began) && m.persist > 0 {
		m.persist--
	}
}

// ack gives the core an acknowledgment and compares.
func (m *refSender) ack(w *onWire) {
	m.t.Helper()
	if m.una-w.ack > 60 {
		return // RFC 5961 §5.2: refused
	}
	l := &m.c.snd.flight.loss
	if l.tlpHigh == 0 {
		m.probe = 0
	}
	n := news{
		st: l.state, undone: m.undone(), entered: m.c.count().TCPSackRecovery, acks: len(m.ctl.acks),
		pipe: m.pipe(), una: m.una, fack: m.fack, reord: 1 << 30, first: -1, last: -1, sackAt: -1,
	}
	minRTT := m.c.rtt.least()
	m.give(w)
	m.take(w, &n, minRTT)

	if n.una == len(m.segs) {
		return // nothing was in flight
	}
	if m.acked(&n) == 0 && !n.dataSacked && !n.duplicate && !n.dsack {
		if len(m.ctl.acks) != n.acks {
			m.bad("no news, and the controller is told %+v", m.ctl.acks[n.acks])
		}
		return
	}
	if len(m.ctl.acks) != n.acks+1 {
		m.bad("the controller was called %d times for %+v", len(m.ctl.acks)-n.acks, w)
	}
	told := m.ctl.acks[n.acks]
	began := m.c.count().TCPSackRecovery != n.entered
	m.adapt(w, &n, &told.Rate, began)

	st := l.state // after the way out, before the way in
	if began {
		st = cc.Open
	}
	lost, wait := 0, time.Duration(0)
	quick := n.st == cc.Open && !n.duplicate && !n.dsack &&
		!slices.ContainsFunc(m.segs[m.una:], func(s refSegment) bool { return s.sacked || s.lost })
	if m.advanced && !l.preferNew && !quick {
		m.advanced = false
		lost, wait = m.detect(st)
	}
	m.check(&n, &told, lost, wait, began)
}

// check compares what an acknowledgment has led to.
func (m *refSender) check(n *news, told *cc.Ack, lost int, wait time.Duration, began bool) {
	m.t.Helper()
	l := &m.c.snd.flight.loss
	if int(l.steps) != m.steps || int(l.persist) != m.persist || l.rack.seen != m.seen || int(l.reordering) != m.degree {
		m.bad("reo_wnd_mult %d persist %d, reordering seen %v of %d; want %d %d, %v of %d",
			l.steps, l.persist, l.rack.seen, l.reordering, m.steps, m.persist, m.seen, m.degree)
	}
	want := cc.Ack{
		Now: m.now, RTT: m.rtt(n), SRTT: m.c.rtt.smoothed(), MinRTT: m.c.rtt.least(),
		Delivered: uint32(n.delivered * refMSS), Acked: uint32(m.acked(n) * refMSS), Lost: uint32(lost * refMSS),
		PriorInFlight: uint32(n.pipe * refMSS), InFlight: uint32(m.pipe() * refMSS),
		SndUna: origin + 1 + uint64(m.una*refMSS), SndNxt: origin + 1 + uint64(len(m.segs)*refMSS),
		State: l.state, CWndLimited: told.CWndLimited, CWndFull: told.CWndFull, Reordering: m.degree > m.cfg.Reordering, Rate: told.Rate,
	}
	if *told != want {
		m.bad("the controller is told\n     %+v\nwant %+v", *told, want)
	}
	m.compare()

	switch {
	case began:
		m.prior, m.prrDelivered, m.prrOut = int(m.ctl.prior), 0, 0
	case l.state != cc.Recovery:
		m.prior = 0
	}
	if m.prior != 0 {
		if w := m.prr(n.delivered*refMSS, m.acked(n), lost); int(m.c.snd.cwnd()) != w {
			m.bad("cwnd %d, by PRR %d", m.c.snd.cwnd(), w)
		}
	}
	if wait > 0 && m.una < len(m.segs) && !m.segs[m.una].sacked {
		m.wantReorderTimer(wait)
	}
}

// ofProbe reports that a DSACK answers the loss probe that is out, which is no sign of reordering (RFC
// 8985 §7.4.2).
func (m *refSender) ofProbe(w *onWire) bool {
	return m.probe != 0 && w.blocks[0][1] == m.probe
}

// compare compares the segments.
func (m *refSender) compare() {
	m.t.Helper()
	b := &m.c.snd.flight.scoreboard
	for i := m.una; i < len(m.segs); i++ {
		s := &m.segs[i]
		r := b.at(b.find(origin + 1 + uint64(i*refMSS)))
		sacked, lost, again := r.flags&segSacked != 0, r.flags&segLost != 0, r.flags&segRetrans != 0
		same := r.Sent == s.at && int(r.sent) == s.n
		if sacked && s.sacked {
			same = true // of what is SACKed nobody asks any more, and neighbours share an entry
		}
		if sacked != s.sacked || lost != s.lost || again != s.again || !same {
			m.bad("segment %d of %d to %d: sacked %v lost %v again %v, sent %d times, last at %v; want %v %v %v, %d, %v",
				i, m.una, len(m.segs), sacked, lost, again, r.sent, r.Sent, s.sacked, s.lost, s.again, s.n, s.at)
		}
	}
}

// expire lets the core's timer expire, and does the same.
func (m *refSender) expire() {
	m.t.Helper()
	kind, due := m.c.timer.kind, m.c.timer.rtx <= m.now
	entered := m.c.count().TCPSackRecovery
	var st cc.State
	if m.c.snd.flight != nil {
		st = m.c.snd.flight.loss.state
	}
	m.c.Expire(m.now)
	if !due {
		return
	}
	switch kind {
	case rtxRTO:
		m.prior = 0
		for i := m.una; i < len(m.segs); i++ {
			// RFC 8985 §6.3: all but what was sent less than a round trip ago; the first always.
			if s := &m.segs[i]; !s.sacked && !s.lost && (i == m.una || s.at+m.rackRTT <= m.now) {
				s.lost, s.again = true, false
			}
		}
		m.compare()
	case rtxReorder:
		lost, wait := m.detect(st)
		m.compare()
		if lost > 0 && st < cc.Recovery {
			if m.c.count().TCPSackRecovery != entered+1 {
				m.bad("recovery has not begun")
			}
			m.prior, m.prrDelivered, m.prrOut = int(m.ctl.prior), 0, 0
			if w := m.prr(0, 0, lost); int(m.c.snd.cwnd()) != w {
				m.bad("cwnd %d, by PRR %d", m.c.snd.cwnd(), w)
			}
		}
		if wait > 0 {
			m.wantReorderTimer(wait)
		}
	}
}

// leave takes what the core sends, and puts it on the wire.
func (m *refSender) leave() {
	m.t.Helper()
	probes := m.c.count().TCPLossProbes
	m.pump()
	probed := m.c.count().TCPLossProbes != probes
	for _, g := range m.out {
		i, n := int(g.Seq-m.p.ISS-1)/refMSS, len(g.data)
		if n != refMSS || int(g.Seq-m.p.ISS-1)%refMSS != 0 {
			m.bad("left: %s", m.format(&g))
		}
		switch {
		case i == len(m.segs):
			m.segs = append(m.segs, refSegment{at: m.now, n: 1})
		case m.segs[i].lost:
			// NextSeg, rule 1 of RFC 6675 §4: the first that is lost.
			for k := m.una; k < i; k++ {
				if m.segs[k].lost {
					m.bad("%d is sent again, %d is lost", i, k)
				}
			}
			m.segs[i].again = true
		case probed && i == len(m.segs)-1:
			m.segs[i].again, m.probe = true, i+1
		default:
			m.bad("%d is sent again and was not lost: %+v", i, m.segs[i])
		}
		if s := &m.segs[i]; s.again {
			s.at, s.lost = m.now, false
			s.n++
		}
		if m.prior != 0 {
			m.prrOut += refMSS
		}
		m.carry(&onWire{seg: i})
	}
	m.out = m.out[:0]
}

// carry puts something on the wire, or loses it.
func (m *refSender) carry(w *onWire) {
	loss, delay := 12, msec(20)
	if w.seg < 0 {
		loss, delay = 4, msec(15)
	}
	if m.rnd.IntN(100) < loss {
		return
	}
	w.at = m.now + delay + time.Duration(m.rnd.IntN(3000))*time.Microsecond
	if m.rnd.IntN(12) == 0 {
		w.at += time.Duration(m.rnd.IntN(60)) * time.Millisecond
	}
	m.wire = append(m.wire, *w)
	if m.rnd.IntN(60) == 0 {
		again := *w
		again.at += time.Duration(m.rnd.IntN(20)) * time.Millisecond
		m.wire = append(m.wire, again)
	}
}

// arrived is the peer: it acknowledges each segment, as RFC 2018 and RFC 2883 say.
func (m *refSender) arrived(i int) {
	for len(m.got) <= i {
		m.got = append(m.got, false)
	}
	a := onWire{seg: -1}
	if m.got[i] {
		a.dsack, a.blocks = true, append(a.blocks, [2]int{i, i + 1})
	}
	m.recent = append(m.recent, i)
	m.got[i] = true
	for m.rcvNxt < len(m.got) && m.got[m.rcvNxt] {
		m.rcvNxt++
	}
	a.ack = m.rcvNxt
	first := len(a.blocks) // behind the DSACK
	for k := len(m.recent) - 1; k >= 0 && len(a.blocks) < 4; k-- {
		from := m.recent[k]
		if from < m.rcvNxt {
			continue
		}
		to := from
		for ; from > 0 && m.got[from-1]; from-- {
		}
		for ; to < len(m.got) && m.got[to]; to++ {
		}
		b := [2]int{from, to}
		if !slices.Contains(a.blocks[first:], b) {
			a.blocks = append(a.blocks, b)
		}
	}
	m.carry(&a)
}

func TestLossAgainstReference(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ctl := &recorder{}
			m := &refSender{script: newScript(t, noTS, recorded(ctl)), ctl: ctl, rnd: rand.New(rand.NewPCG(uint64(seed), 3))}
			m.p.MSS, m.p.SndBuf = refMSS, 1<<21
			m.degree, m.steps = m.cfg.Reordering, 1
			m.connectIn(msec(40))
			const total = 250
			m.queue(total * refMSS)
			m.leave()
			for n := 0; m.una < total; n++ {
				if n > 20000 {
					m.bad("%d of %d", m.una, total)
				}
				k := -1
				for i := range m.wire {
					if k < 0 || m.wire[i].at < m.wire[k].at {
						k = i
					}
				}
				if at := m.c.Deadline(); k < 0 || at < m.wire[k].at {
					m.now = max(m.now, at)
					m.expire()
					m.leave()
					continue
				}
				w := m.wire[k]
				m.wire = slices.Delete(m.wire, k, k+1)
				m.now = max(m.now, w.at)
				if w.seg >= 0 {
					m.arrived(w.seg)
				} else {
					m.ack(&w)
					m.leave()
				}
			}
		})
	}
}

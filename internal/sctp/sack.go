package sctp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// sackResult is what a SACK came to.
type sackResult struct {
	invalid bool // acknowledges what was never sent: a protocol violation
	old     bool // was overtaken by a later one: nothing was done
	newly   bool // something was acknowledged that was not before; flow.acked says of which path
	room    bool // queued became less
}

// onSACK takes a SACK (RFC 9260, section 6.2.1).
func (s *sender) onSACK(now time.Duration, k *wire.Sack) sackResult { return s.onAck(now, k, true) }

// onCumTSN takes the Cumulative TSN Ack of a SHUTDOWN chunk: a SACK that tells nothing else. That it has
// no Gap Ack Blocks does not mean that the peer has dropped what they had acknowledged (section 3.3.8).
func (s *sender) onCumTSN(now time.Duration, tsn uint32) sackResult {
	return s.onAck(now, &wire.Sack{CumTSN: tsn, ARwnd: s.arwnd}, false)
}

// unsent reports whether an acknowledgment of tsn is one of what was never sent.
func (s *sender) unsent(tsn uint32) bool { return wide(s.una-1, tsn) >= s.nxt }

// onAck takes an acknowledgment, which tells of gaps or not.
func (s *sender) onAck(now time.Duration, k *wire.Sack, tells bool) (res sackResult) {
	cum := wide(s.una-1, k.CumTSN)
	if s.unsent(k.CumTSN) {
		return sackResult{invalid: true}
	}
	if cum < s.una-1 {
		return sackResult{old: true}
	}

	s.turn++
	if s.outgoing == nil {
		s.arwnd = k.ARwnd
		return res
	}
	for f := s.flows; f != nil; f = f.next {
		f.acked, f.before, f.htna, f.earliest = 0, f.flight, 0, false
	}
	advanced := cum >= s.una
	queued := s.queued
	s.acknowledge(now, cum)
	gaps := tells && s.takeGaps(now, cum, k)
	s.arwnd, s.widest = k.ARwnd, max(s.widest, k.ARwnd)
	s.reprobe()

	// Fast Recovery is over when all is acknowledged that was outstanding when it began (section
	// 7.2.4).
	if s.fastExit != 0 && cum >= s.fastExit {
		s.fastExit = 0
	}
	for f := s.flows; f != nil; f = f.next {
		if f.acked > 0 {
			res.newly = true
			f.grow(s.fastExit != 0)
		}
		s.rearm(now, f)
	}
	if gaps {
		s.countMisses(advanced)
	}
	s.advance()
	s.forward = s.ahead >= s.una

	res.room = s.queued < queued
	if s.una == s.nxt {
		s.chunks.release()
	}
	return res
}

// acknowledge takes the chunks up to cum off.
func (s *sender) acknowledge(now time.Duration, cum uint64) {
	for ; s.una <= cum; s.una++ {
		c := s.chunks.at(s.una)
		if c.state&chunkAcked == 0 {
			s.acked(now, s.una, c)
		}
		if c.msg.fate&fateAbandoned == 0 {
			s.queued -= c.n
			c.msg.left -= c.n
		}
		s.drop(c)
	}
	s.markFrom = max(s.markFrom, s.una)
	s.highGap = max(s.highGap, s.una-1)
	s.ahead = max(s.ahead, s.una-1)
}

// acked notes that the peer has a chunk, and did not have it before.
func (s *sender) acked(now time.Duration, tsn uint64, c *sentChunk) {
	f := c.flow
	switch {
	case c.state&chunkAbandoned != 0:
		return
	case c.state&chunkMarked != 0:
		s.unmark(c)
	default:
		if f.timed == tsn {
			f.sample(now-f.timedAt, s.rto)
		}
		s.settle(tsn, c)
		f.earliest = f.earliest || tsn == f.low
	}
	f.acked += c.n
	f.htna = max(f.htna, tsn)
}

// takeGaps takes the Gap Ack Blocks, and reports whether there are any. Blocks are in order, and lie
// apart: what is not so, or was never sent, is passed over.
func (s *sender) takeGaps(now time.Duration, cum uint64, k *wire.Sack) bool {
	high := cum
	for i := range k.Gaps() {
		g := k.Gap(i)
		start, end := max(cum+uint64(g.Start), high+1), min(cum+uint64(g.End), s.nxt-1)
		if start > end || g.Start == 0 {
			continue
		}
		s.renege(now, high+1, start)
		for t := s.chunks.seek(start, end+1, false); t <= end; t = s.chunks.seek(t+1, end+1, false) {
			s.acked(now, t, s.chunks.at(t))
			s.chunks.setAcked(t, true)
		}
		high = end
	}
	s.renege(now, high+1, s.highGap+1)
	s.highGap = high
	return high > cum
}

// renege takes back that the chunks of [from, to) were acknowledged by gap blocks, where they were: the
// peer has dropped them (section 6.2.1 D iii). They are outstanding again, and T3-rtx will have them
// sent again if the peer does not tell of them anew.
func (s *sender) renege(now time.Duration, from, to uint64) {
	for t := s.chunks.seek(from, to, true); t < to; t = s.chunks.seek(t+1, to, true) {
		c := s.chunks.at(t)
		s.chunks.setAcked(t, false)
		s.missFrom = min(s.missFrom, t)
		if c.state&chunkAbandoned != 0 {
			continue
		}
		f := c.flow
		if f.flight == 0 {
			f.low = t
		}
		f.low = min(f.low, t)
		f.flight += c.n
		s.inFlight += c.n
		if f.t3 == timer.Never {
			f.t3 = now + f.rto // rule R4 of section 6.3.2
		}
	}
}

// reprobe has the chunk that found the window shut be sent again once that has room for it: the peer says so as
// nothing else can tell that it was dropped, but T3-rtx.
func (s *sender) reprobe() {
	if s.probe < s.una {
		return
	}
	switch c := s.chunks.at(s.probe); {
	case !c.outstanding():
		s.probe = 0
	case c.n <= s.arwnd:
		s.mark(s.probe, c)
		s.probe = 0
	}
}

// rearm does to a path's T3-rtx what a SACK asks for.
func (s *sender) rearm(now time.Duration, f *flow) {
	switch {
	case f.flight == 0:
		// Rule R2 of section 6.3.2; but while FORWARD-TSN is not acknowledged its timer runs.
		if f.t3 != timer.Never && (f != s.retran || s.ahead < s.una) {
			f.t3 = timer.Never
		}
	case f.earliest:
		f.t3 = now + f.rto // rule R3
		s.seekLow(f)
	}
}

// seekLow moves f.low up to the earliest chunk that is outstanding there.
func (s *sender) seekLow(f *flow) {
	t := max(f.low, s.una)
	for ; t < s.nxt; t++ {
		if c := s.chunks.at(t); c.flow == f && c.outstanding() {
			break
		}
	}
	f.low = t
}

// fastMisses is how often a chunk is reported missing until it is sent again (section 7.2.4).
const fastMisses = 3

// countMisses counts who was reported missing, and marks who was so often enough (section 7.2.4).
func (s *sender) countMisses(advanced bool) {
	recovering, lost := s.fastExit != 0, false
	end := s.highGap
	if !recovering || !advanced {
		newest := uint64(0)
		for f := s.flows; f != nil; f = f.next {
			newest = max(newest, f.htna)
		}
		end = min(end, newest)
	}
	begin := max(s.missFrom, s.una)
	s.missFrom = max(begin, end)
	for t := begin; t < end; t++ {
		c := s.chunks.at(t)
		if !c.outstanding() || c.state&chunkFast != 0 {
			continue
		}
		s.missFrom = min(s.missFrom, t) // at least until it is lost

		// A chunk is missing for sure only where one that was sent later has come now (HTNA), by the
		// same path: another may simply take longer. In Fast Recovery what is acknowledged
		// cumulatively says it of all.
		f := c.flow
		if t >= f.htna && !(recovering && advanced) {
			continue
		}
		if c.miss++; c.miss < fastMisses {
			continue
		}

		// The window is reduced once for all that was outstanding (step 2), and who is sent again now
		// has to wait for T3-rtx the next time (step 4).
		if !recovering && f.reduced != s.turn {
			f.reduced = s.turn
			f.halve()
		}
		c.state |= chunkFast
		s.lose(t, c)
		if f.flight == 0 && s.ahead < s.una {
			f.t3 = timer.Never // sent again by another path, it runs there
		}
		lost = true
	}
	if lost {
		s.urgent = s.marked > 0 // the first packet goes whatever cwnd is (step 3)
		if !recovering {
			s.fastExit = s.nxt - 1
		}
	}
}

// lose has a chunk that was lost be sent again, or be given up if its message is not worth it.
func (s *sender) lose(tsn uint64, c *sentChunk) {
	if m := c.msg; m.policy == PRRtx && s.partial && uint32(c.sends) > m.value {
		s.abandon(m)
		return
	}
	s.mark(tsn, c)
}

// timeout does what follows from f's T3-rtx (section 6.3.3). The owner has chosen retran before.
func (s *sender) timeout(now time.Duration, f *flow) {
	s.turn++
	f.t3 = timer.Never
	f.backOff(s.rto) // E2
	if f.flight > 0 {
		f.collapse() // E1
		s.fastExit = 0
	}
	for t := s.una; t < s.nxt && f.flight > 0; t++ {
		if c := s.chunks.at(t); c.flow == f && c.outstanding() {
			c.miss = 0
			s.lose(t, c)
		}
	}

	// E3: as many as fit into one packet go at once, the others as cwnd allows.
	s.urgent = s.marked > 0
	s.advance()
	s.forward = s.ahead >= s.una
}

package sctp

import (
	"syscall"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// A message that is not worth sending any more is abandoned (RFC 3758): the peer is told by FORWARD-TSN
// to take its chunks for received. Of a message of which nothing was sent nobody is told. One that was
// begun and not sent whole takes a TSN without a chunk, so that there is something to pass over even
// where all that was sent of it has been acknowledged.

// outlived reports whether a message's time is over.
func (s *sender) outlived(now time.Duration, m *message) bool {
	if m.policy != PRTTL || now <= m.until {
		return false
	}
	return s.partial || !m.begun()
}

// givenUp counts messages that were abandoned, for SCTP_PR_ASSOC_STATUS and SCTP_PR_STREAM_STATUS (RFC 7496,
// sections 4.3 and 4.4).
type givenUp struct {
	all     prCounts
	streams map[uint16]*prCounts
}

// prCounts counts them by policy.
type prCounts [3]PRStatus

// PRStatus says how many messages were abandoned.
type PRStatus struct {
	Unsent uint64 // nothing of them was sent
	Sent   uint64
}

// status returns the count of a policy; PRNone: of all.
func (c *prCounts) status(p PRPolicy) (sum PRStatus) {
	for i, n := range c {
		if p == PRNone || i == int(p>>4)-1 {
			sum.Unsent += n.Unsent
			sum.Sent += n.Sent
		}
	}
	return sum
}

func (c *prCounts) add(m *message) {
	n := &c[m.policy>>4-1]
	if m.begun() {
		n.Sent++
	} else {
		n.Unsent++
	}
}

func (s *sender) countGivenUp(m *message) {
	if s.given == nil {
		s.given = &givenUp{streams: make(map[uint16]*prCounts)}
	}
	if s.given.streams[m.stream] == nil {
		s.given.streams[m.stream] = new(prCounts)
	}
	s.given.all.add(m)
	s.given.streams[m.stream].add(m)
}

// PRStatus returns how many messages were abandoned by a policy, by all for PRNone.
func (a *Assoc) PRStatus(p PRPolicy) (st PRStatus) {
	if o := a.snd.outgoing; o != nil && o.given != nil {
		st = o.given.all.status(p)
	}
	return st
}

// StreamPRStatus is PRStatus of a stream; EINVAL if there is no such stream.
func (a *Assoc) StreamPRStatus(stream uint16, p PRPolicy) (st PRStatus, errno syscall.Errno) {
	if stream >= a.out {
		return st, syscall.EINVAL
	}
	if o := a.snd.outgoing; o != nil && o.given != nil && o.given.streams[stream] != nil {
		st = o.given.streams[stream].status(p)
	}
	return st, 0
}

// abandon gives a message up whose chunks the peer is told of.
func (s *sender) abandon(m *message) {
	s.countGivenUp(m)
	if m.cut < m.n && m.begun() {
		c := s.chunks.push(s.una, s.nxt)
		*c = sentChunk{msg: m, flow: s.retran, off: m.cut, state: chunkAbandoned | chunkEnd}
		s.nxt++
		m.chunks++
		s.streams.at(m.stream).unacked++
	}
	s.giveUp(m)
}

// giveUp takes a message out of all that is to be sent, and of SO_SNDBUF. It is the owner's to tell of.
func (s *sender) giveUp(m *message) {
	m.fate |= fateAbandoned
	s.queued -= m.left
	s.held--
	m.left = 0
	if m.cut < m.n {
		s.waiting -= m.n - m.cut
		s.messages--
		st := s.streams.at(m.stream)
		st.remove(m)
		s.schedule.dropped(st)
	}

	for t, n := max(m.tsn, s.una), m.chunks; n > 0 && t < s.nxt; t++ {
		c := s.chunks.at(t)
		if c.msg != m {
			continue
		}
		n--
		switch {
		case c.outstanding():
			s.settle(t, c)
		case c.state&chunkMarked != 0:
			s.unmark(c)
		}
		c.state |= chunkAbandoned
	}

	// Nothing is outstanding there any more, unless FORWARD-TSN is.
	for f := s.flows; f != nil; f = f.next {
		if f.flight == 0 && s.ahead < s.una {
			f.t3 = timer.Never
		}
	}
	s.failed.add(m)
	s.turn++
}

// prune gives up messages of PRPrio that are worth less than one of the priority prio, the least worth
// first, until need bytes are free (RFC 7496, section 3.3), and returns how many are.
func (s *sender) prune(prio, need uint32) uint32 {
	before := s.queued
	for s.partial && before-s.queued < need {
		worst := s.leastWorth(prio)
		if worst == nil {
			break
		}
		s.abandon(worst)
		s.advance()
	}
	return before - s.queued
}

// leastWorth returns the message of the largest number above prio, the newest of them.
func (s *sender) leastWorth(prio uint32) (worst *message) {
	consider := func(m *message) {
		if m.policy != PRPrio || m.value <= prio || m.fate&fateAbandoned != 0 {
			return
		}
		if worst == nil || m.value > worst.value || m.value == worst.value && m.arrived > worst.arrived {
			worst = m
		}
	}
	for t := s.una; t < s.nxt; t++ {
		consider(s.chunks.at(t).msg)
	}
	s.eachStream(func(st *outStream) {
		for m := st.head; m != nil; m = m.next {
			consider(m)
		}
	})
	return worst
}

// advance moves Advanced.Peer.Ack.Point over what is abandoned (RFC 3758, section 3.5 C2).
func (s *sender) advance() {
	s.ahead = max(s.ahead, s.una-1)
	for s.ahead+1 < s.nxt && s.chunks.at(s.ahead+1).state&chunkAbandoned != 0 {
		s.ahead++
		s.forward = true
	}
}

// appendForward writes a FORWARD-TSN or I-FORWARD-TSN chunk of at most room bytes behind b, for a
// packet that leaves by f, if one is due.
func (s *sender) appendForward(now time.Duration, f *flow, b []byte, room int) []byte {
	if !s.forward {
		return b
	}

	entry := 4
	if s.interleaved {
		entry = 8
	}
	most := (room - 8) / entry
	if most < 1 {
		return b
	}
	skipped, cum := s.skipped[:0], s.una-1
	for t := s.una; t <= s.ahead; t++ {
		m := s.chunks.at(t).msg
		if k := (wire.Skipped{Stream: m.stream, Unordered: m.unordered, MID: uint32(m.id)}); !m.unordered || s.interleaved {
			if skipped = skip(skipped, k); len(skipped) > most {
				break // the rest is told when this is acknowledged (section 3.5 C4)
			}
		}
		cum = t
	}
	skipped = skipped[:min(len(skipped), most)]
	b = wire.AppendForwardTSN(b, s.interleaved, uint32(cum), skipped)
	s.skipped = skipped
	s.forward = false

	// C5: it is sent until it is acknowledged.
	if f.t3 == timer.Never {
		f.t3 = now + f.rto
	}
	return b
}

// skip notes in the list that a message was given up. Of a stream the last one counts.
func skip(list []wire.Skipped, k wire.Skipped) []wire.Skipped {
	for i := len(list) - 1; i >= 0; i-- {
		if o := &list[i]; o.Stream == k.Stream && o.Unordered == k.Unordered {
			o.MID = k.MID
			return list
		}
	}
	return append(list, k)
}

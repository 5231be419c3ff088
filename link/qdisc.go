package link

import (
	"math/rand/v2"
	"time"

	"usock/packet"
)

// qdisc is a queueing discipline: it holds the packets that wait for the rate, and says which of them leave, in which
// order, and which never. It is a state machine without lock and clock: it is called in the order of the times that it
// is given, and is asked for the next packet at the very time at which the rate has sent the one before.
//
//	admit ─► push ─► … ─► pop ─► the rate
//	  │        └──────────┴─► env.lost, of what waited
//	  └─► dropped by the caller
type qdisc interface {
	// admit says what is to become of p, which comes now.
	admit(p *Packet, now time.Duration) verdict

	// push takes over p, which was admitted, marked if it was to be.
	push(p *Packet, now time.Duration)

	// pop takes the packet that is sent next, nil if none waits.
	pop(now time.Duration) *Packet

	// take takes any packet that waits, and no rule is applied to it; nil if there is none.
	take() *Packet

	// waiting is how much waits.
	waiting() Amount
}

// verdict is why a packet is dropped as it comes, "": it is not; and whether it is to be marked.
type verdict struct {
	fate string
	mark bool
}

// queueing is what an impairment wants of its queue, with all defaults in place.
type queueing struct {
	Discipline
	limit, mark Amount
}

func (m *Impairment) queueing() queueing {
	return queueing{m.Queue.filled(), m.limit(), m.Mark}
}

// qdiscEnv is what a discipline works with. Its settings may change between two calls.
type qdiscEnv struct {
	queueing
	rnd    *rand.Rand
	seed   uint64                       // of the sorting into flows
	lost   func(p *Packet, fate string) // takes p over
	marked func()                       // a packet that waited was marked
}

func newQdisc(e *qdiscEnv) qdisc {
	switch e.Kind {
	case CoDel:
		return &codelQdisc{store: store{env: e}}
	case FQCoDel:
		return newFQCodel(e)
	case PIE:
		return newPie(e)
	}
	return &dropTail{env: e}
}

// fits reports whether a discipline that was made for others goes on with these settings.
func (q *queueing) fits(old *queueing) bool {
	return q.Kind == old.Kind && q.Flows == old.Flows || q.Kind.fifo() && old.Kind.fifo()
}

// signal marks p where the settings have that done in place of a drop, and reports whether p tells of congestion now.
func (e *qdiscEnv) signal(p *Packet) bool {
	if !e.ECN {
		return false
	}
	return e.markIt(p) || ecnOf(p) == ecnCE
}

func (e *qdiscEnv) markIt(p *Packet) bool {
	if !mark(p) {
		return false
	}
	e.marked()
	return true
}

// dropTail drops what comes when the queue is full. The packet that is being sent has its place in the queue until the
// next is asked for, as in a device's ring.
type dropTail struct {
	env     *qdiscEnv
	queue   packet.Queue
	sending Amount
}

func (q *dropTail) admit(p *Packet, _ time.Duration) verdict {
	packets, bytes := q.queue.Len()+q.sending.Packets, q.queue.Bytes()+q.sending.Bytes
	limit := q.env.limit

	// An empty queue takes any packet: one larger than the limit would else never pass.
	if packets > 0 && (limit.reached(packets, 0) || limit.reached(0, bytes+p.Len()-1)) {
		return verdict{fate: fateFull}
	}

	// Marked on the way in, by the queue that this packet makes: as a router does that marks what it would else have to
	// drop soon (RFC 3168).
	return verdict{mark: q.env.mark.reached(packets+1, bytes+p.Len())}
}

func (q *dropTail) push(p *Packet, _ time.Duration) { q.queue.Push(p) }

func (q *dropTail) pop(time.Duration) *Packet {
	p := q.queue.Pop()
	q.sending = Amount{}
	if p != nil {
		q.sending = Amount{1, p.Len()}
	}
	return p
}

func (q *dropTail) take() *Packet { return q.queue.Pop() }

func (q *dropTail) waiting() Amount { return Amount{q.queue.Len(), q.queue.Bytes()} }

// store holds the packets of a discipline, each with the time at which it came, in one fifo or in many.
type store struct {
	env     *qdiscEnv
	nodes   []stored // the first is none, so that a fifo's zero value is an empty one
	unused  int32    // the first of a list of them
	total   Amount
	largest int // packet so far, in bytes
}

type stored struct {
	p    *Packet
	at   time.Duration
	next int32
}

// fifo is some packets of a store, in the order in which they came.
type fifo struct {
	head, tail int32
	bytes      int
}

func (s *store) push(f *fifo, p *Packet, now time.Duration) {
	i := s.unused
	if i != 0 {
		s.unused = s.nodes[i].next
		s.nodes[i] = stored{p: p, at: now}
	} else {
		if s.nodes == nil {
			s.nodes = make([]stored, 1, 64)
		}
		i = int32(len(s.nodes))
		s.nodes = append(s.nodes, stored{p: p, at: now})
	}
	if f.head == 0 {
		f.head = i
	} else {
		s.nodes[f.tail].next = i
	}
	f.tail = i
	n := p.Len()
	f.bytes += n
	s.total.Packets++
	s.total.Bytes += n
	s.largest = max(s.largest, n)
}

// pop takes the first packet of f and the time at which it came, nil if there is none.
func (s *store) pop(f *fifo) (p *Packet, came time.Duration) {
	i := f.head
	if i == 0 {
		return nil, 0
	}
	k := &s.nodes[i]
	p, came, f.head = k.p, k.at, k.next
	*k = stored{next: s.unused}
	s.unused = i
	n := p.Len()
	f.bytes -= n
	s.total.Packets--
	s.total.Bytes -= n
	return p, came
}

// full reports whether there is no room for p. An empty store takes any packet.
func (s *store) full(p *Packet) bool {
	limit := s.env.limit
	return s.total.Packets > 0 && (limit.reached(s.total.Packets, 0) || limit.reached(0, s.total.Bytes+p.Len()-1))
}

// mtu is what stands for the link's MTU, which a discipline is not told: no queue of one packet is a long one.
func (s *store) mtu() int { return max(disciplineMTU, s.largest) }

func (s *store) waiting() Amount { return s.total }

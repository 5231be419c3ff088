package sctp

// outStream is an outgoing stream: the messages that wait in it, and the numbers of the next ones.
type outStream struct {
	head, tail *message
	number     uint16
	prio       uint16 // of SchedPriority: less is sooner; of SchedWeighted: the weight
	held       bool   // nothing leaves: the stream is about to begin anew
	unacked    uint32 // chunks that are not acknowledged cumulatively
	place      int32  // in the scheduler's heap, plus one; 0: nothing waits
	ssn        uint64 // Stream Sequence Number, or MID, of the next ordered message
	umid       uint64 // MID of the next unordered message
	key        uint64 // the scheduler's: less is sooner
	turn       uint64 // the scheduler's: decides where keys are equal
	served     uint64 // the scheduler's: bytes sent, by weight
}

func (st *outStream) push(m *message) {
	m.prev = st.tail
	if st.tail != nil {
		st.tail.next = m
	} else {
		st.head = m
	}
	st.tail = m
}

func (st *outStream) remove(m *message) {
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		st.head = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	} else {
		st.tail = m.prev
	}
	m.next, m.prev = nil, nil
}

// outStreams is the table of streams, by number. A page of it is made when one of its streams is first
// used: an association may have 65535 of them and use few.
type outStreams struct{ pages []*outPage }

type outPage [1 << outPageShift]outStream

const outPageShift = 2

// at returns the stream of the number, which is below that of the streams agreed.
func (o *outStreams) at(number uint16) *outStream {
	k := int(number >> outPageShift)
	if k >= len(o.pages) {
		pages := make([]*outPage, k+1, max(k+1, 2*k))
		copy(pages, o.pages)
		o.pages = pages
	}
	if o.pages[k] == nil {
		p := new(outPage)
		for i := range p {
			p[i].number = uint16(k<<outPageShift + i)
		}
		o.pages[k] = p
	}
	return &o.pages[k][number&(1<<outPageShift-1)]
}

// known returns the stream of the number if it was used, else nil.
func (o *outStreams) known(number uint16) *outStream {
	k := int(number >> outPageShift)
	if k >= len(o.pages) || o.pages[k] == nil {
		return nil
	}
	return &o.pages[k][number&(1<<outPageShift-1)]
}

// each calls f for every stream that was used.
func (o *outStreams) each(f func(*outStream)) {
	for _, p := range o.pages {
		if p != nil {
			for i := range p {
				f(&p[i])
			}
		}
	}
}

// setSchedule sets a stream's priority or weight (SCTP_STREAM_SCHEDULER_VALUE).
func (s *sender) setSchedule(number, value uint16) {
	s.makeOutgoing()
	st := s.streams.at(number)
	st.prio = value
	s.schedule.changed(st)
}

// setScheduler chooses the stream scheduler (SCTP_STREAM_SCHEDULER).
func (s *sender) setScheduler(k Sched) {
	if s.scheduler = k; s.outgoing != nil && s.schedule.kind != k {
		s.schedule.set(k)
	}
}

package sctp

// Stream reconfiguration (RFC 6525), as far as it concerns the halves: streams that begin anew or are
// added, and TSNs that do.

// streamEmpty says that nothing of an outgoing stream waits or is outstanding: it may begin anew.
func (s *sender) streamEmpty(number uint16) bool {
	st := s.known(number)
	return st == nil || st.head == nil && st.unacked == 0
}

// hold has nothing of an outgoing stream leave, while the peer is asked to have it begin anew (RFC
// 6525, section 5.1.2), or has it go on.
func (s *sender) hold(number uint16, held bool) {
	s.makeOutgoing()
	st := s.streams.at(number)
	st.held = held
	switch {
	case st.head == nil:
	case held:
		s.schedule.leave(st)
	default:
		s.schedule.join(st)
		s.turn++
	}
}

// resetStream has the next message of an outgoing stream be number 0.
func (s *sender) resetStream(number uint16) {
	if st := s.known(number); st != nil {
		st.ssn, st.umid = 0, 0
	}
}

// renumber begins the TSNs anew, with nothing outstanding (section 5.1.4).
func (s *sender) renumber(tsn uint32) {
	s.una = epoch + uint64(tsn)
	s.nxt = s.una
	if s.outgoing == nil {
		return
	}
	s.start()
	s.ecn.exit = 0
	for f := s.flows; f != nil; f = f.next {
		f.timed, f.low = 0, 0
	}
}

// answered says that the peer, which was asked to begin anew, has answered.
func (r *receiver) answered() {
	r.asked = false
	if r.incoming != nil {
		r.limit = 0
	}
}

// reached says that all up to a TSN has come: what a peer asks for once it has may be done.
func (r *receiver) reached(tsn uint32) bool { return wide(r.cum, tsn) <= r.cum }

// resetStreams has the next message of incoming streams be number 0 (section 5.2.2), of all if none is
// named. What is not whole is dropped.
func (r *receiver) resetStreams(numbers []uint16) {
	switch {
	case r.incoming == nil:
	case len(numbers) == 0:
		r.streams.each(r.resetStream)
	default:
		for _, n := range numbers {
			if st := r.streams.known(n); st != nil {
				r.resetStream(st)
			}
		}
	}
}

func (r *receiver) resetStream(st *inStream) {
	for x := st.ordered.first; x != nil; x = st.ordered.first {
		r.abort(x)
	}
	for x := st.unordered.first; x != nil; x = st.unordered.first {
		r.abort(x)
	}

	// The next number whose low bits, of a Stream Sequence Number or a MID, are 0.
	st.next = (st.next + 1<<32 - 1) &^ (1<<32 - 1)
	st.umid, st.unext = st.next, 0
}

// renumber begins the TSNs anew (section 5.2.4): what lies behind a gap is dropped.
func (r *receiver) renumber(tsn uint32) {
	r.abandon()
	r.cum = epoch + uint64(tsn) - 1
	r.high = r.cum
	r.lastKnow, r.lastEnd = true, true
	if r.incoming != nil {
		r.limit = 0
		r.dups, r.ecn = r.dups[:0], ecnReceiver{}
	}
}

package sctp

// A stream scheduler says which stream the next chunk is of (RFC 8260, section 3). All of them are one
// heap of the streams in which messages wait: they differ in the key that a stream gets, and in when it
// gets a new one.
//
//	                 key                             a new one
//	SchedFCFS        arrival of its first message    with each message
//	SchedRR          -                               turn: behind all others, after each chunk or message
//	SchedPackets     -                               turn: behind all others, after each packet
//	SchedPriority    its priority                    turn, as SchedRR
//	SchedFair        bytes that were sent of it      after each chunk
//	SchedWeighted    the same, divided by its weight after each chunk
//
// Without I-DATA a message's fragments have TSNs in a row, and a message that was begun goes on until it
// is over, whatever the keys say.

// Sched is a stream scheduler, with Linux's numbers where it has one.
type Sched uint8

// The schedulers (RFC 8260, section 4.3.2, has the names of the last three).
const (
	SchedFCFS     Sched = iota // first come, first served
	SchedPriority              // by priority; equal ones in turns
	SchedRR                    // in turns of a message, or with I-DATA of a chunk
	SchedFair                  // the same number of bytes of each
	SchedWeighted              // bytes in proportion to weights
	SchedPackets               // in turns of a packet, which holds chunks of one stream alone
	numScheds
)

// schedule is the heap.
type schedule struct {
	kind     Sched
	heap     []*outStream
	turn     uint64
	floor    uint64     // largest share of bytes that was ever first: who joins begins there
	current  *outStream // of the message that was begun and must go on; nil: any may be next
	packetOf *outStream // of SchedPackets: whose packet it is; nil: none is begun
}

func (q *schedule) less(a, b *outStream) bool {
	return a.key < b.key || a.key == b.key && a.turn < b.turn
}

// assign gives a stream its key.
func (q *schedule) assign(st *outStream) {
	switch q.kind {
	case SchedFCFS:
		st.key = st.head.arrived
	case SchedPriority:
		st.key = uint64(st.prio)
	case SchedFair, SchedWeighted:
		st.key = st.served
	default:
		st.key = 0
	}
}

// behind puts a stream behind those with the same key.
func (q *schedule) behind(st *outStream) {
	q.turn++
	st.turn = q.turn
}

// first returns the stream whose turn it is, nil if there is none.
func (q *schedule) first() *outStream {
	st := q.current
	if st == nil {
		if len(q.heap) == 0 {
			return nil
		}
		st = q.heap[0]
	}
	if q.packetOf != nil && q.packetOf != st {
		return nil
	}
	return st
}

// join takes a stream in which something waits now.
func (q *schedule) join(st *outStream) {
	if st.place != 0 {
		return
	}

	// Who was silent has saved up nothing: it would keep the others from sending until it has caught
	// up with them.
	st.served = max(st.served, q.floor)
	q.behind(st)
	q.assign(st)
	q.heap = append(q.heap, st)
	st.place = int32(len(q.heap))
	q.up(len(q.heap) - 1)
}

// leave takes a stream out in which nothing waits any more.
func (q *schedule) leave(st *outStream) {
	if q.current == st {
		q.current = nil
	}
	i := int(st.place) - 1
	if i < 0 {
		return
	}
	last := len(q.heap) - 1
	q.swap(i, last)
	q.heap[last] = nil
	q.heap = q.heap[:last]
	st.place = 0
	if i < last {
		q.fix(i)
	}
	if last == 0 && cap(q.heap) > 16 {
		q.heap = nil
	}
}

// sent notes that a chunk of n bytes left, which was the end of its message or not. interleaved says that
// another message may come between.
func (q *schedule) sent(st *outStream, n uint32, end, interleaved bool) {
	q.current = nil
	if !end && !interleaved {
		q.current = st
	}

	switch q.kind {
	case SchedPackets:
		q.packetOf = st
	case SchedFair:
		st.served += uint64(n) << weightShift
	case SchedWeighted:
		// Of a stream of weight w a byte counts a w-th.
		st.served += uint64(n) << weightShift / uint64(max(st.prio, 1))
	}
	if q.kind != SchedPackets && q.current == nil {
		q.behind(st)
	}

	if st.head == nil {
		q.leave(st)
		return
	}
	q.assign(st)
	q.fix(int(st.place) - 1)
	if q.kind == SchedFair || q.kind == SchedWeighted {
		q.floor = max(q.floor, q.heap[0].key)
	}
}

// weightShift has a byte that is divided by a weight keep a fraction.
const weightShift = 16

// packet says that another packet begins: with SchedPackets the next stream's.
func (q *schedule) packet() {
	if st := q.packetOf; st != nil {
		q.packetOf = nil
		if st.place != 0 {
			q.behind(st)
			q.fix(int(st.place) - 1)
		}
	}
}

// dropped says that the first message of a stream, or another, is gone without being sent.
func (q *schedule) dropped(st *outStream) {
	if st.head == nil {
		q.leave(st)
		return
	}
	if q.current == st && !st.head.begun() {
		q.current = nil
	}
	q.changed(st)
}

// set changes the scheduler.
func (q *schedule) set(k Sched) {
	q.kind, q.packetOf = k, nil
	for _, st := range q.heap {
		q.assign(st)
	}
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
}

// changed says that the key of a stream may be another.
func (q *schedule) changed(st *outStream) {
	if st.place != 0 {
		q.assign(st)
		q.fix(int(st.place) - 1)
	}
}

func (q *schedule) fix(i int) {
	if !q.down(i) {
		q.up(i)
	}
}

func (q *schedule) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !q.less(q.heap[i], q.heap[p]) {
			return
		}
		q.swap(i, p)
		i = p
	}
}

func (q *schedule) down(i int) (moved bool) {
	for {
		c := 2*i + 1
		if c >= len(q.heap) {
			return moved
		}
		if c+1 < len(q.heap) && q.less(q.heap[c+1], q.heap[c]) {
			c++
		}
		if !q.less(q.heap[c], q.heap[i]) {
			return moved
		}
		q.swap(i, c)
		i, moved = c, true
	}
}

func (q *schedule) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].place, q.heap[j].place = int32(i+1), int32(j+1)
}

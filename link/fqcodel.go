package link

import "time"

// fqCodel sorts packets by their flows into queues that take turns (RFC 8290), as Linux's fq_codel does:
//
//	first packet ─► fresh ─(has had its turn)─► old ─(turn after turn)─► old … ─(empty)─► none
//
// Each turn a queue may send a quantum of bytes. Flows that are new go first, so that those that send little never
// wait behind those that send much; a queue in which nothing is left goes behind the old ones once before it counts as
// new again, or it could starve them. Each queue has a CoDel of its own.
type fqCodel struct {
	store
	flows      []fqFlow
	fresh, old fqList
	memory     int // that the packets take, in bytes
}

type fqFlow struct {
	fifo
	codel   codel
	deficit int   // bytes that it may still send in this turn
	next    int32 // in its list
	listed  bool
}

// fqList is a list of flows by their numbers; -1: none.
type fqList struct{ head, tail int32 }

// packetMemory is what a packet takes beside its bytes: that of Linux's skb of an Ethernet frame, so that the default
// holds as many.
const packetMemory = 768

func newFQCodel(e *qdiscEnv) *fqCodel {
	q := &fqCodel{store: store{env: e}, flows: make([]fqFlow, e.Flows)}
	q.fresh, q.old = fqList{-1, -1}, fqList{-1, -1}
	return q
}

// admit admits every packet: where there is no room, it need not be this one that is dropped.
func (q *fqCodel) admit(*Packet, time.Duration) verdict { return verdict{} }

func (q *fqCodel) push(p *Packet, now time.Duration) {
	i := q.flowOf(p)
	f := &q.flows[i]
	q.store.push(&f.fifo, p, now)
	q.memory += p.Len() + packetMemory
	if !f.listed {
		f.deficit, f.listed = q.env.Quantum, true
		q.append(&q.fresh, i)
	}
	limit := q.env.limit
	n := q.total
	if n.Packets > 1 && (q.memory > q.env.MemoryLimit || limit.reached(n.Packets-1, 0) || limit.reached(0, n.Bytes-1)) {
		q.dropBatch()
	}
}

// flowOf returns the number of a packet's flow: by its addresses and ports, and by the addresses alone of fragments.
func (q *fqCodel) flowOf(p *Packet) int32 {
	return int32(share(mix(flowHash(p)^q.env.seed), len(q.flows)))
}

// dropBatch drops half of what the flow has that has most, but not more packets than a batch: the search for the flow is
// worth it then. Its CoDel is told, and drops more.
func (q *fqCodel) dropBatch() {
	fat := q.fattest()
	rest, n := fat.bytes-fat.bytes/2, 0
	for n == 0 || n < q.env.DropBatch && fat.bytes > rest {
		p, _ := q.popOf(fat)
		q.env.lost(p, fateFull)
		n++
	}
	fat.codel.count += uint32(n)
}

// fattest returns the flow in which most bytes wait. There is one: it is called when there are too many.
func (q *fqCodel) fattest() *fqFlow {
	most := &q.flows[max(q.fresh.head, q.old.head)]
	for _, l := range []*fqList{&q.fresh, &q.old} {
		for i := l.head; i >= 0; i = q.flows[i].next {
			if q.flows[i].bytes > most.bytes {
				most = &q.flows[i]
			}
		}
	}
	return most
}

func (q *fqCodel) pop(now time.Duration) *Packet {
	for {
		l := &q.fresh
		if l.head < 0 {
			l = &q.old
		}
		if l.head < 0 {
			return nil
		}
		i := l.head
		f := &q.flows[i]
		if f.deficit <= 0 {
			f.deficit += q.env.Quantum
			q.remove(l)
			q.append(&q.old, i)
			continue
		}
		before := q.total
		p := f.codel.pop(&q.store, &f.fifo, now)
		q.memory -= before.Bytes - q.total.Bytes + (before.Packets-q.total.Packets)*packetMemory
		if p != nil {
			f.deficit -= p.Len()
			return p
		}
		q.remove(l)
		if l == &q.fresh && q.old.head >= 0 {
			q.append(&q.old, i)
		} else {
			f.listed = false
		}
	}
}

// popOf takes the first packet of a flow.
func (q *fqCodel) popOf(f *fqFlow) (*Packet, time.Duration) {
	p, came := q.store.pop(&f.fifo)
	if p != nil {
		q.memory -= p.Len() + packetMemory
	}
	return p, came
}

func (q *fqCodel) take() *Packet {
	for _, l := range []*fqList{&q.fresh, &q.old} {
		for l.head >= 0 {
			f := &q.flows[l.head]
			if p, _ := q.popOf(f); p != nil {
				return p
			}
			q.remove(l)
			f.listed = false
		}
	}
	return nil
}

// append puts a flow that is in no list at the end of l.
func (q *fqCodel) append(l *fqList, i int32) {
	q.flows[i].next = -1
	if l.head < 0 {
		l.head = i
	} else {
		q.flows[l.tail].next = i
	}
	l.tail = i
}

// remove takes the first flow out of l.
func (q *fqCodel) remove(l *fqList) {
	l.head = q.flows[l.head].next
}

package link

import (
	"errors"
	"sync"

	"usock/packet"
)

// Queue is one of the ways in and out of a Queued link. Send and Recv are as those of Link: at most
// one goroutine sends and one receives by a queue at a time.
type Queue interface {
	Send(batch []*Packet) int
	Recv(batch []*Packet) (int, error)
}

// Queued is a Link that has several queues, by which packets pass side by side on as many
// processors. A host that takes such a link reads each queue by a goroutine of its own, and sends
// each packet by the queue that QueueOf names.
//
// Send and Recv of the link itself are for those who know nothing of queues, such as a wrapper: Send
// divides a batch among the queues, and Recv brings what comes by any of them, in order within a
// queue. Who uses them does not use the queues, and the other way round.
type Queued interface {
	Link

	// Queues returns the queues, always the same. They end with the link.
	Queues() []Queue

	// QueueOf returns the index of the queue by which p, a complete packet, is to leave. All
	// packets of a flow have the same, so that they stay in order. It may be called by several
	// goroutines at once, and leaves p as it is.
	QueueOf(p *Packet) int
}

// queuedLink is a link of several, each of which is a queue to the same place.
//
//	queue 0 ── Recv ──┐
//	queue 1 ── Recv ──┼── came ── Recv of the link
//	queue n ── Recv ──┘
//
// The goroutines that fill came begin with the first Recv and end with Close. They wait where came
// is full, so that the queues behind them fill up and drop, and not this.
type queuedLink struct {
	info   Info
	links  []Link
	queues []Queue // the same as links

	readers sync.WaitGroup

	mu      sync.Mutex
	arrived sync.Cond    // mu: came has packets, or there will be no more
	room    sync.Cond    // mu: came has room, or needs none
	came    packet.Queue // mu
	reading bool         // mu: the goroutines are there
	closed  bool         // mu
	err     error        // mu: the first with which a queue ended
}

// queuedBound is how many packets came holds before the readers wait.
const queuedBound = 256

// newQueued makes a link of queues, which it closes when it is closed.
func newQueued(info Info, links []Link) *queuedLink {
	q := &queuedLink{info: info, links: links}
	for _, l := range links {
		q.queues = append(q.queues, l)
	}
	q.arrived.L, q.room.L = &q.mu, &q.mu
	return q
}

// Info implements Link.
func (q *queuedLink) Info() Info { return q.info }

// Queues implements Queued.
func (q *queuedLink) Queues() []Queue { return q.queues }

// QueueOf implements Queued.
func (q *queuedLink) QueueOf(p *Packet) int { return share(flowHash(p), len(q.links)) }

// Send implements Link.
func (q *queuedLink) Send(batch []*Packet) int {
	sent := 0
	for len(batch) > 0 {
		to, n := q.QueueOf(batch[0]), 1
		for n < len(batch) && q.QueueOf(batch[n]) == to {
			n++
		}
		sent += q.links[to].Send(batch[:n])
		batch = batch[n:]
	}
	return sent
}

// Recv implements Link. When a queue fails, what has come by the others is handed over before the error.
func (q *queuedLink) Recv(batch []*Packet) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.reading && !q.closed {
		q.reading = true
		for _, l := range q.links {
			q.readers.Go(func() { q.read(l) })
		}
	}
	for q.came.Len() == 0 && q.err == nil && !q.closed {
		q.arrived.Wait()
	}
	switch {
	case q.closed:
		return 0, ErrClosed
	case q.came.Len() == 0:
		return 0, q.err
	}
	n := q.came.PopTo(batch)
	q.room.Broadcast()
	return n, nil
}

// read moves what comes by l into came.
func (q *queuedLink) read(l Link) {
	var batch [64]*Packet
	for {
		n, err := l.Recv(batch[:])
		q.mu.Lock()
		for q.came.Len() >= queuedBound && !q.closed {
			q.room.Wait()
		}
		for _, p := range batch[:n] {
			if q.closed {
				p.Free()
			} else {
				q.came.Push(p)
			}
		}
		if err != nil && q.err == nil {
			q.err = err
		}
		q.arrived.Signal()
		q.mu.Unlock()
		if err != nil {
			return
		}
		clear(batch[:n])
	}
}

// Close implements Link. The goroutines of Recv have ended when it returns.
func (q *queuedLink) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.came.Free()
	q.arrived.Broadcast()
	q.room.Broadcast()
	q.mu.Unlock()
	err := closeAll(q.links)
	q.readers.Wait()
	return err
}

func closeAll(links []Link) error {
	var errs []error
	for _, l := range links {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

package inet

import (
	"sync/atomic"

	"usock/internal/abi"
	"usock/internal/rank"
	"usock/internal/socket"
	"usock/packet"
)

// sctpAhead is copies of the small messages at the head of an endpoint's queue, which a receiver takes without entering
// SCTP's domain: the sender of each has that, more often than not.
//
//	core: m1 m2 m3 m4 m5 ──fetch──► m1 m2 m3 m4 ──RecvPrefetched──► program
//	core: m1 m2 ──settle──► released: the program has them
//
// The messages themselves stay in the core, which goes on to count them as not read, until the next entry that has to do with the queue
// settles that. It forgets the copies of those that the program has not taken. So nothing else knows of copies: what is in
// the queue once it is settled is what is to be read.
type sctpAhead struct {
	mu    rank.Leaf
	block packet.View // what the copies lie in
	ends  [maxAhead]uint16
	n     int // copies that there are
	taken int // of which the program has so many
	x     *sctpAssoc
	from  abi.Addr
	held  bool // calls are to enter the domain
	pause int  // for how many receives nothing is fetched, as the program has taken few of what was
}

const (
	maxAhead      = 32      // messages
	maxAheadBytes = 4 << 10 // what is copied twice is to be little
)

// aheadOf is an endpoint's sctpAhead; nil until it is worth while. It is set in the domain.
type aheadOf = atomic.Pointer[sctpAhead]

// fetch copies the messages at the head of the queue, which is settled, if there are several and the first has no more
// bytes than most.
func (e *sctpEndpoint) fetch(most int) bool {
	if e.sctpReading == nil || len(e.arrived)-e.read < minPrefetch || e.rest != nil || e.begun != nil || e.proto.Host.Tracing() {
		return false
	}
	x := e.next()
	if x == nil {
		return false
	}
	alike := 0 // entries of the queue that are x's
	for _, o := range e.arrived[e.read:min(len(e.arrived), e.read+maxAhead)] {
		if o != x {
			break
		}
		alike++
	}
	if alike < minPrefetch {
		return false
	}
	a := e.ahead.Load()
	if a == nil {
		a = new(sctpAhead)
		e.ahead.Store(a)
	}
	if a.pause > 0 {
		a.pause--
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b := packet.NewBlock(maxAheadBytes)
	src, n := x.core.Ahead(b.Bytes()[:maxAheadBytes], a.ends[:alike])
	if n < minPrefetch || int(a.ends[0]) > most {
		b.Release()
		return false
	}
	a.block, a.n, a.taken, a.x, a.held = b.View(0, int(a.ends[n-1])), n, 0, x, false
	a.from = e.show(src, x.peer)
	return true
}

// settle takes the messages out of the queue of which the program has had the copies.
func (e *sctpEndpoint) settle() {
	a := e.ahead.Load()
	if a == nil || a.n == 0 {
		return
	}
	a.mu.Lock()
	x, taken := a.x, a.taken
	if taken > 0 {
		e.rxBytes += uint64(a.ends[taken-1])
		e.proto.carried(x, int(a.ends[taken-1]), 0)
	}
	if taken < a.n/2 {
		a.pause = a.n
	}
	a.block.Release()
	a.block, a.n, a.taken, a.x = packet.View{}, 0, 0, nil
	a.mu.Unlock()
	if taken == 0 {
		return
	}
	x.core.Took(taken)
	for range taken {
		e.pop(x)
	}
	e.skip()
	e.hasRead(x)
}

// hasRead follows reads of x's.
func (e *sctpEndpoint) hasRead(x *sctpAssoc) {
	if x.unread == 0 || x.core.WindowDue() || x.core.Queued() != x.queued {
		e.proto.update(x, 0)
	}
}

// readable reports whether a message or notification is to be read.
func (e *sctpEndpoint) readable() bool {
	if a := e.ahead.Load(); a != nil && a.left() > 0 {
		return true
	}
	e.settle()
	return e.next() != nil
}

// left returns how many copies the program has not taken.
func (a *sctpAhead) left() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n - a.taken
}

// RecvPrefetched implements socket.Prefetcher. What does not fit stays for Recv.
func (t *sctpProto) RecvPrefetched(s *socket.Socket, m *socket.Msg) (int, bool) {
	a := sctpOf(s).ahead.Load()
	if a == nil || t.Host.Tracing() {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held || a.taken == a.n {
		return 0, false
	}
	begin, end := 0, int(a.ends[a.taken])
	if a.taken > 0 {
		begin = int(a.ends[a.taken-1])
	}
	if end-begin > m.Max {
		return 0, false
	}
	v := a.block.Slice(begin, end)
	v.Retain()
	m.Data = append(m.Data, v)
	m.Addr, m.Flags = a.from, abi.MSG_EOR
	a.taken++
	return end - begin, true
}

// Recall implements socket.Prefetcher.
func (t *sctpProto) Recall(s *socket.Socket) {
	if a := sctpOf(s).ahead.Load(); a != nil {
		a.mu.Lock()
		a.held = true
		a.mu.Unlock()
	}
}

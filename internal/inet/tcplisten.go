package inet

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/rank"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
	"usock/packet"
)

// listener is what a listening endpoint has besides: its two queues.
//
//	SYN ──► incomplete (SYN-RECEIVED, counted) ──► accept queue ──► accept(2)
//
// Both are bounded by the backlog, by Linux's rule: a queue of more than backlog
// is full. A SYN that finds the accept queue full is dropped, as is the ACK that
// would complete a handshake then; both are repeated by the peer.
//
// Connections come to it from their own domains, several at once: what they count is atomic, and the accept queue
// has a lock. The options of a listening socket change in the whole host only, so that they may be read in any
// domain. Those who wait for connections are told in the socket's domain.
type listener struct {
	e          *tcpEndpoint
	backlog    int32        // changed in the whole host
	incomplete atomic.Int32 // connections in SYN-RECEIVED
	length     atomic.Int32 // of the accept queue, with the places that are reserved
	held       atomic.Int32 // accepted, and counted all the same (socket.AcceptHolder)
	overflow   atomic.Int64 // when the incomplete queue was full last, a time.Duration; 0: never

	mu         rank.Leaf
	head, tail *tcpEndpoint    // the accept queue
	fast       int             // Fast Open children in SYN-RECEIVED, and those that resets has
	resets     []time.Duration // of Fast Open children that were reset: until when they count
}

func (l *listener) full() bool { return l.waiting() > int(l.backlog) }

// reserve takes a place in the accept queue, if there is one: several connections may complete their handshakes at one
// time, each in its own domain. The endpoint that it is for notes that (placed), and whoever has reserved it gives back
// what has not become a member (unreserve).
func (l *listener) reserve() bool {
	for {
		n := l.length.Load()
		if n+l.held.Load() > l.backlog {
			return false
		}
		if l.length.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unreserve gives back the place that e has not taken.
func (l *listener) unreserve(e *tcpEndpoint) {
	if e.placed {
		e.placed = false
		l.length.Add(-1)
	}
}

func (l *listener) waiting() int { return int(l.length.Load() + l.held.Load()) }

// Run implements host.Task: a connection has come.
func (l *listener) Run(*host.Lane, *packet.Packet) {
	if s := l.e.s; s != nil && l.e.listener == l {
		s.Notify(wait.In)
	}
}

// Hold implements socket.AcceptHolder.
func (t *tcpProto) Hold(s *socket.Socket, n int) {
	if l := endpointOf(s).listener; l != nil {
		l.held.Store(int32(n))
	}
}

// queued reports whether e waits to be accepted.
func (e *tcpEndpoint) queued() bool { return e.parent != nil && !e.counted }

// Listen implements socket.Proto.
func (t *tcpProto) Listen(s *socket.Socket, backlog int) error {
	e := endpointOf(s)
	// A backlog that is negative is as large as can be: it is unsigned on Linux.
	if backlog < 0 || backlog > abi.SOMAXCONN {
		backlog = abi.SOMAXCONN
	}
	if e.listener != nil {
		e.listener.backlog = int32(backlog)
		return nil
	}
	if e.conn.State() != tcp.Closed || e.phase != unconnected {
		return syscall.EINVAL
	}
	e.claim()
	e.listening = true
	if e.bucket == nil {
		if err := t.ports.bind(&e.binding, 0, 0, t.prf.random()); err != nil {
			e.listening = false
			return err
		}
		e.lport = e.bucket.port
		e.laddr = e.addr
	} else {
		if t.ports.conflict(&e.binding, e.lport) {
			e.listening = false
			return syscall.EADDRINUSE
		}
		e.bucket.noted(&e.binding)
	}
	if e.bucket.like == nil {
		e.bucket.like = new(alike)
	}
	e.listener = &listener{e: e, backlog: int32(backlog)}
	const unasked = tcp.FastOpenServer | tcp.FastOpenListeners
	if t.cfg.FastOpen&unasked == unasked && e.fastOpen().queue == 0 {
		e.ownFastOpen().queue = int32(backlog)
	}
	t.listeners[e.lport] = append(t.listeners[e.lport], e)
	t.portChanged(abi.IPPROTO_TCP, e.lport)
	return nil
}

// stopListening ends the listener: connections that nobody has accepted are reset,
// incomplete ones forgotten (Linux, inet_csk_listen_stop). The whole host is entered.
func (t *tcpProto) stopListening(e *tcpEndpoint) {
	l := t.listeners[e.lport]
	for i, o := range l {
		if o == e {
			l = append(l[:i], l[i+1:]...)
			break
		}
	}
	if len(l) == 0 {
		delete(t.listeners, e.lport)
	} else {
		t.listeners[e.lport] = l
	}
	t.portChanged(abi.IPPROTO_TCP, e.lport)
	q := e.listener
	var lost []*tcpEndpoint
	for c := q.head; c != nil; c = c.nextUp {
		lost = append(lost, c)
	}
	q.head, q.tail = nil, nil
	q.length.Store(0)
	for _, c := range lost {
		c.parent, c.nextUp = nil, nil
		c.conn.Abort(c.now())
		t.update(c, 0)
	}
	if q.incomplete.Load() > 0 {
		t.conns.each(func(o nodeOwner) {
			if c, ok := o.(*tcpEndpoint); ok && c.parent == e && c.counted {
				t.unhash(c)
				c.parent = nil
				c.release()
			}
		})
	}
	e.listener, e.listening = nil, false
	if !e.explicit {
		t.ports.remove(&e.binding)
	}
}

// Accept implements socket.Proto.
func (t *tcpProto) Accept(s *socket.Socket, flags int) (*socket.Socket, error) {
	e := endpointOf(s)
	l := e.listener
	if l == nil {
		return nil, syscall.EINVAL
	}
	if t.faults != nil && flags&socket.Ahead == 0 && t.Ready(s) != 0 {
		if err := t.acceptFault(e); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	c := l.head
	if c == nil {
		l.mu.Unlock()
		return nil, syscall.EAGAIN
	}
	l.head = c.nextUp
	if l.head == nil {
		l.tail = nil
	}
	c.nextUp, c.taken = nil, true
	l.mu.Unlock()
	l.length.Add(-1)
	n := t.NewSocketIn(c.dom, t, int(s.Domain), int(s.Type), int(s.Protocol))
	n.Opt = s.Opt
	n.Owner.Store(s.Owner.Load())
	n.PCB = c
	return n, nil
}

// Adopt implements socket.Adopter.
func (t *tcpProto) Adopt(n *socket.Socket) {
	c := endpointOf(n)
	if c.s != nil || n.Closed() {
		return
	}
	c.parent = nil
	c.s, c.phase = n, connected
	c.acts.Store(n)
	if c.conn.State() == tcp.Closed {
		c.path = nil
	}
	if t.faults != nil {
		t.acceptedFaults(c)
	}
}

// listenerFor finds the socket that listens for k: on the packet's own address
// before the wildcard, an IPv4 socket before a dual-stack one (Linux,
// compute_score); of several with SO_REUSEPORT the tuple's hash decides.
func (t *tcpProto) listenerFor(k *tuple, ifindex int) *tcpEndpoint {
	var found *tcpEndpoint
	best, same := 0, 0
	for _, e := range t.listeners[k.lport] {
		score := e.score(k.laddr, ifindex)
		switch {
		case score > best:
			best, same, found = score, 1, e
		case score == best && score > 0 && e.reuseport && found.reuseport:
			same++
			if hi, _ := t.prf.sum(labelPort, k); hi%uint64(same) == 0 {
				found = e
			}
		}
	}
	return found
}

// score says how well a binding fits a packet to addr that came in on the
// interface; 0: not at all. An address counts for more than an interface (Linux,
// inet_lookup_listener and udp4_lib_lookup: the wildcard is looked up last).
func (b *binding) score(addr netip.Addr, ifindex int) int {
	n := 1
	if b.device != 0 {
		if int(b.device) != ifindex {
			return 0
		}
		n += 4
	}
	switch {
	case b.addr == addr:
		return n + 8 + sameFamily
	case !b.addr.IsUnspecified():
		return 0
	case b.addr.Is4() == addr.Is4():
		return n + sameFamily
	case b.addr.Is4() || b.v6only:
		return 0
	}
	return n
}

const sameFamily = 1

// arrived takes a SYN to a listener, in the domain d.
func (t *tcpProto) arrived(l *tcpEndpoint, k *tuple, m *ip.Meta, seg *tcp.Segment, iss uint32, d *host.Domain) {
	q := l.listener
	if q.full() {
		inc(&t.Stats.ListenOverflows)
		inc(&t.Stats.ListenDrops)
		seg.Data.Release()
		return
	}
	if q.incomplete.Load() > q.backlog {
		t.sendCookie(l, k, m.Lane, seg, d)
		return
	}
	c := t.child(l, k, d)
	if c == nil {
		inc(&t.Stats.ListenDrops)
		seg.Data.Release()
		return
	}
	if iss == 0 {
		iss = t.isn(k)
	}
	p := t.childParams(l, c, iss)
	p.ServerFastOpen = t.offerFastOpen(l, c, seg)
	c.conn.Accept(c.now(), p, seg)
	seg.Data.Release()
	if p.ServerFastOpen.Data {
		// The program has the connection at once (RFC 7413, section 4.2.2).
		t.queueUp(c)
		c.fast, c.ownFastOpen().lis = true, q
	}
	t.update(c, 0)
}

// resetCounts is how long a Fast Open child that was reset in SYN-RECEIVED counts against its listener (Linux,
// reqsk_fastopen_remove).
const resetCounts = time.Minute

// settled ends the time in which a Fast Open child counts against its listener. One that the peer has reset
// counts on for a while: who sends SYNs in another's name, whose host answers the SYN-ACKs with resets, must
// not get room for more by them (RFC 7413, section 5.1). One that is not accepted yet counts in the accept
// queue.
func (e *tcpEndpoint) settled() {
	if !e.fast {
		return
	}
	q := e.few.lis
	e.fast, e.few.lis = false, nil
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.s != nil && e.conn.State() == tcp.Closed && e.conn.Err() == syscall.ECONNRESET {
		q.resets = append(q.resets, e.now()+resetCounts)
		return
	}
	q.fast--
}

// forgetReset makes room for a Fast Open child where one that was reset has counted for long enough. mu is held.
func (l *listener) forgetReset(now time.Duration) bool {
	if len(l.resets) == 0 || l.resets[0] > now {
		return false
	}
	l.resets = slices.Delete(l.resets, 0, 1)
	l.fast--
	return true
}

// child makes an endpoint of a listener for the connection k in the domain d; nil if there is no
// path to the peer, or somebody else has the connection by now.
func (t *tcpProto) child(l *tcpEndpoint, k *tuple, d *host.Domain) *tcpEndpoint {
	path, err := t.path(k.raddr, k.laddr, int(l.s.Opt.Device))
	if err != nil {
		return nil
	}
	c := &tcpEndpoint{proto: t, dom: d, parent: l, path: path}
	c.acts.Store(l.s)
	c.tuple, c.scope = *k, int32(path.Iface.Index())
	c.addr, c.reuse, c.reuseport, c.device = k.laddr, l.reuse, l.reuseport, l.device
	c.six, c.named, c.v6only = l.six, l.named, l.v6only
	c.ipState.inherit(&l.ipState)
	c.inq = l.inq
	c.conn.Init(t.cfg)
	c.timer.On = c
	c.rcvBuf, c.sndBuf = l.rcvBuf, l.sndBuf
	if !t.conns.add(&c.node, c) {
		c.conn.Release()
		return nil
	}
	c.counted = true
	l.listener.incomplete.Add(1)
	t.ports.join(l.bucket, &c.binding)
	return c
}

// childParams returns what a listener's connection starts from.
func (t *tcpProto) childParams(l, c *tcpEndpoint, iss uint32) *tcp.Params {
	p := t.params(c, iss)
	p.Options = l.conn.Options()
	return p
}

// queueUp moves a connection to the accept queue: its handshake is complete, or it
// came with a Fast Open cookie.
func (t *tcpProto) queueUp(e *tcpEndpoint) {
	p := e.parent
	l := p.listener
	e.counted = false
	l.incomplete.Add(-1)
	l.mu.Lock()
	if l.tail != nil {
		l.tail.nextUp = e
	} else {
		l.head = e
	}
	l.tail = e
	l.mu.Unlock()
	if !e.placed {
		l.length.Add(1)
	}
	e.placed = false
	e.dom.Lane().Post(p.dom, l, nil)
}

package inet

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
)

// listener is what a listening endpoint has besides: its two queues.
//
//	SYN ──► incomplete (SYN-RECEIVED, counted) ──► accept queue ──► accept(2)
//
// Both are bounded by the backlog, by Linux's rule: a queue of more than backlog
// is full. A SYN that finds the accept queue full is dropped, as is the ACK that
// would complete a handshake then; both are repeated by the peer.
type listener struct {
	backlog    int
	incomplete int          // connections in SYN-RECEIVED
	head, tail *tcpEndpoint // the accept queue
	length     int
	held       int             // accepted, and counted all the same (socket.AcceptHolder)
	fast       int             // Fast Open children in SYN-RECEIVED, and those that resets has
	resets     []time.Duration // of Fast Open children that were reset: until when they count
	overflow   time.Duration   // when the incomplete queue was full last; 0: never
}

func (l *listener) full() bool { return l.waiting() > l.backlog }

func (l *listener) waiting() int { return l.length + l.held }

// Hold implements socket.AcceptHolder.
func (t *tcpProto) Hold(s *socket.Socket, n int) {
	if l := endpointOf(s).listener; l != nil {
		l.held = n
	}
}

// queued reports whether e waits in its parent's accept queue.
func (e *tcpEndpoint) queued() bool {
	if e.parent == nil || e.parent.listener == nil {
		return false
	}
	l := e.parent.listener
	return e == l.tail || e.nextUp != nil
}

// Listen implements socket.Proto.
func (t *tcpProto) Listen(s *socket.Socket, backlog int) error {
	e := endpointOf(s)
	// A backlog that is negative is as large as can be: it is unsigned on Linux.
	if backlog < 0 || backlog > abi.SOMAXCONN {
		backlog = abi.SOMAXCONN
	}
	if e.listener != nil {
		e.listener.backlog = backlog
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
	e.listener = &listener{backlog: backlog}
	const unasked = tcp.FastOpenServer | tcp.FastOpenListeners
	if t.cfg.FastOpen&unasked == unasked && e.fastOpen().queue == 0 {
		e.ownFastOpen().queue = int32(backlog)
	}
	t.listeners[e.lport] = append(t.listeners[e.lport], e)
	t.portChanged(abi.IPPROTO_TCP, e.lport)
	return nil
}

// stopListening ends the listener: connections that nobody has accepted are reset,
// incomplete ones forgotten (Linux, inet_csk_listen_stop).
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
	q.head, q.tail, q.length = nil, nil, 0
	for _, c := range lost {
		c.parent, c.nextUp = nil, nil
		c.conn.Abort(t.Host.Now())
		t.update(c, 0)
	}
	if q.incomplete > 0 {
		t.conns.each(func(o nodeOwner) {
			if c, ok := o.(*tcpEndpoint); ok && c.parent == e {
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
func (t *tcpProto) Accept(s *socket.Socket, _ int) (*socket.Socket, error) {
	e := endpointOf(s)
	l := e.listener
	if l == nil {
		return nil, syscall.EINVAL
	}
	c := l.head
	if c == nil {
		return nil, syscall.EAGAIN
	}
	l.head = c.nextUp
	if l.head == nil {
		l.tail = nil
	}
	l.length--
	c.nextUp, c.parent = nil, nil
	n := t.NewSocket(t, int(s.Domain), int(s.Type), int(s.Protocol))
	n.Opt = s.Opt
	n.Owner = s.Owner
	n.PCB = c
	c.s, c.sid, c.pid, c.phase = n, n.ID, s.Owner, connected
	if c.conn.State() == tcp.Closed {
		c.path = nil
	}
	return n, nil
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

// arrived takes a segment that belongs to no connection to a listener, and reports
// whether there is one.
func (t *tcpProto) arrived(l *tcpEndpoint, k *tuple, seg *tcp.Segment, iss uint32) {
	q := l.listener
	if q.full() {
		t.Stats.ListenOverflows++
		t.Stats.ListenDrops++
		seg.Data.Release()
		return
	}
	if q.incomplete > q.backlog {
		t.sendCookie(l, k, seg)
		return
	}
	c := t.child(l, k)
	if c == nil {
		t.Stats.ListenDrops++
		seg.Data.Release()
		return
	}
	if iss == 0 {
		iss = t.isn(k)
	}
	p := t.childParams(l, c, iss)
	p.ServerFastOpen = t.offerFastOpen(l, k, seg)
	c.conn.Accept(t.Host.Now(), p, seg)
	seg.Data.Release()
	if p.ServerFastOpen.Data {
		// The program has the connection at once (RFC 7413, section 4.2.2).
		t.queueUp(c)
		c.fast, c.lis = true, q
		q.fast++
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
	q := e.lis
	e.fast, e.lis = false, nil
	if e.s != nil && e.conn.State() == tcp.Closed && e.conn.Err() == syscall.ECONNRESET {
		q.resets = append(q.resets, e.proto.Host.Now()+resetCounts)
		return
	}
	q.fast--
}

// forgetReset makes room for a Fast Open child where one that was reset has counted for long enough.
func (l *listener) forgetReset(now time.Duration) bool {
	if len(l.resets) == 0 || l.resets[0] > now {
		return false
	}
	l.resets = slices.Delete(l.resets, 0, 1)
	l.fast--
	return true
}

// child makes an endpoint of a listener for the connection k; nil if there is no
// path to the peer.
func (t *tcpProto) child(l *tcpEndpoint, k *tuple) *tcpEndpoint {
	path, err := t.path(k.raddr, k.laddr, int(l.s.Opt.Device))
	if err != nil {
		return nil
	}
	c := &tcpEndpoint{proto: t, parent: l, path: path, pid: l.s.Owner}
	c.tuple, c.scope = *k, int32(path.Iface.Index())
	c.addr, c.reuse, c.reuseport, c.device = k.laddr, l.reuse, l.reuseport, l.device
	c.six, c.named, c.v6only = l.six, l.named, l.v6only
	c.ipState.inherit(&l.ipState)
	c.inq = l.inq
	c.conn.Init(t.cfg)
	c.timer.On = c
	c.rcvBuf, c.sndBuf = l.rcvBuf, l.sndBuf
	c.counted = true
	l.listener.incomplete++
	t.conns.add(&c.node, c)
	t.ports.add(&c.binding, k.lport)
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
	l := e.parent.listener
	e.counted = false
	l.incomplete--
	if l.tail != nil {
		l.tail.nextUp = e
	} else {
		l.head = e
	}
	l.tail = e
	l.length++
	e.parent.s.Notify(wait.In)
}

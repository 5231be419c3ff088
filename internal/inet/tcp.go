package inet

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// tcpProto is the row of SOCK_STREAM: all TCP endpoints of a host. Tables have locks of their own, which are
// taken within a domain; who listens where changes only in the whole host.
type tcpProto struct {
	*Stack
	cfg          *tcp.Config
	conns        connTable
	listeners    map[uint16][]*tcpEndpoint
	taken        takenPorts
	silences     silences
	flows        int // that wait for an answer
	options      *socket.Options
	Stats        *tcp.Counters // of what is rare; the rest is in the lanes
	fastOpen     fastOpenServers
	fastOpenKeys fastOpenKeys // of listeners without their own

	_     [host.CacheLine]byte // what goes before is read for each segment, what follows changes with each connection
	ports portTable
	// portCounters are the increments of RFC 6056's double-hash port selection.
	portCounters [256]uint32 // guarded by the lock of ports
	timeWaits    atomic.Int32
}

func newTCP(s *Stack, cfg *tcp.Config) *tcpProto {
	t := &tcpProto{Stack: s, cfg: cfg, listeners: make(map[uint16][]*tcpEndpoint)}
	t.Stats = cfg.Counters
	t.fastOpen.of = make(map[netip.Addr]fastOpenServer)
	t.conns.init(len(s.lanes), s.prf.random(), s.prf.random())
	t.ports.init(true)
	t.ports.taken = &t.taken
	t.fastOpenKeys.derive(&s.prf)
	t.options = NewOptions(t.telling(ipRows), t.telling(ip6Rows), deviceRows(s, t), streamGroups(), t.telling(tcpRows(t)))
	return t
}

// phase is what connect(2) has done to a socket so far.
type phase uint8

const (
	unconnected phase = iota
	connecting        // the outcome is not reported yet
	connected
	disconnecting // shut down before the outcome was reported
)

// tcpEndpoint is a TCP control block: a connection, or a listener, or neither yet.
//
//	socket ──► tcpEndpoint ◄── connTable, by tuple
//	               │ conn: the protocol core
//	               │ binding: the claim to the local port
//	               └ listener: the queues of a listening socket
//
// A connection that a program has closed lives on without socket until the core is
// done. One that a listener has made has no socket until it is accepted. TIME-WAIT
// is a record of its own (timeWait).
type tcpEndpoint struct {
	node
	binding
	ipState
	timer timer.Entry
	proto *tcpProto
	dom   *host.Domain
	s     *socket.Socket // nil: not accepted yet, or closed
	path  *ip.Path       // nil until there is a peer
	conn  tcp.Conn

	listener *listener
	parent   *tcpEndpoint // the listener, until accepted
	nextUp   *tcpEndpoint // behind this one in the accept queue

	stamps *tcpStamps
	few    *fewHave // nil: nothing of it

	acts atomic.Pointer[socket.Socket] // for whom it acts, also when that is closed: the listener's until it is accepted. Read in any domain

	rcvBuf, sndBuf int32  // bytes asked for by SO_RCVBUF and SO_SNDBUF; 0: tuned
	scope          int32  // interface of link-local addresses
	label          uint32 // flow label by hash of the tuple; 0: not needed yet

	phase     phase
	counted   bool // in the listener's count of incomplete connections
	placed    bool // it has reserved a place in the accept queue
	released  bool
	fast      bool // in the listener's count of Fast Open children in SYN-RECEIVED
	asked     bool // the SYN asked for a Fast Open cookie
	inq       bool // TCP_INQ
	lingering bool // close(2) waits for the peer's acknowledgement
	deferred  bool // connect waits for the first send, which goes with the SYN
	taken     bool // out of the accept queue, for a socket that is not closed; s may not be set yet
}

// now returns the time. e's domain is entered.
func (e *tcpEndpoint) now() time.Duration { return e.dom.Now() }

// Home implements host.Homed.
func (e *tcpEndpoint) Home() *host.Domain { return e.dom }

// owner returns the process on whose behalf e acts.
func (e *tcpEndpoint) owner() int32 { return e.acts.Load().Owner.Load() }

// sid returns the number of that process's socket, which packets carry; 0: it is not accepted yet.
func (e *tcpEndpoint) sid() uint64 {
	if e.parent != nil {
		return 0
	}
	return e.acts.Load().ID
}

func (e *tcpEndpoint) tcpNode()    {}
func (e *tcpEndpoint) bound() bool { return e.bucket != nil }

func (e *tcpEndpoint) mtu() int {
	if e.path == nil {
		return 0
	}
	return e.path.MTU
}

func endpointOf(s *socket.Socket) *tcpEndpoint { return s.PCB.(*tcpEndpoint) }

// Attach implements socket.Proto.
func (t *tcpProto) Attach(s *socket.Socket) error {
	e := &tcpEndpoint{proto: t, dom: s.Host, s: s}
	e.six = s.Domain == abi.AF_INET6
	e.addr = e.wildcard()
	e.conn.Init(t.cfg)
	e.timer.On = e // once: an alarm that has gone off reads it in no domain
	e.acts.Store(s)
	s.PCB = e
	s.Opt.RcvBuf, s.Opt.SndBuf = int32(t.cfg.RMem[1]), int32(t.cfg.WMem[1])
	return nil
}

// tcpKind is the facts of TCP's row.
var tcpKind = kind{
	Kind: socket.Kind{
		Name: "tcp", Stream: true, Own: true, Level: abi.SOL_TCP, IntsFirst: true,
		NotInts: []int{abi.TCP_CONGESTION, abi.TCP_ULP, abi.TCP_FASTOPEN_KEY},
	},
	sum: 16, ports: true, group: true, single: true, other: syscall.EINVAL,
}

// Kind implements socket.Proto.
func (t *tcpProto) Kind() *socket.Kind { return &tcpKind.Kind }

// Options implements socket.Proto.
func (t *tcpProto) Options() *socket.Options { return t.options }

// claim fills in what the socket's options say of its binding. The table of ports is locked, or the whole host
// entered.
func (e *tcpEndpoint) claim() {
	e.proto.ports.alone(&e.binding)
	e.reuse = e.s.Opt.Has(socket.ReuseAddr)
	e.reuseport = e.s.Opt.Has(socket.ReusePort)
	e.device = e.s.Opt.Device
	e.v6only = e.s.Domain == abi.AF_INET6 && e.ip().v6only
	if e.bound() {
		e.proto.ports.changed(e.bucket.port)
	}
}

// Bind implements socket.Proto.
func (t *tcpProto) Bind(s *socket.Socket, a abi.Addr) error {
	e := endpointOf(s)
	st := e.conn.State()
	addr, err := t.bindAddr(s, &tcpKind, a, e.bound() || e.listener != nil || st != tcp.Closed && st != tcp.TimeWait)
	if err != nil {
		return err
	}
	only := bindsOnly6(s, addr)
	e.claim()
	e.addr, e.laddr = addr, addr
	noPort := a.Port == 0 && e.ip().bindNoPort
	if !noPort {
		if err := t.ports.bind(&e.binding, a.Port, 0, t.prf.random()); err != nil {
			e.addr, e.laddr = e.wildcard(), netip.Addr{}
			only(false)
			return err
		}
	}
	e.raddr, e.rport, e.lport, e.scope = netip.Addr{}, 0, 0, s.Opt.Device
	e.names(addr)
	if noPort {
		return nil
	}
	e.explicit = a.Port != 0
	e.lport = e.bucket.port
	return nil
}

// Name implements socket.Proto.
func (t *tcpProto) Name(s *socket.Socket) abi.Addr {
	e := endpointOf(s)
	addr := e.laddr
	if !addr.IsValid() {
		addr = e.addr
	}
	return addrOf(s, addr, e.lport, uint32(e.scope))
}

// Peer implements socket.Proto.
func (t *tcpProto) Peer(s *socket.Socket) (abi.Addr, error) {
	e := endpointOf(s)
	if !e.raddr.IsValid() {
		return abi.Addr{}, syscall.ENOTCONN
	}
	a := withFlow(addrOf(s, e.raddr, e.rport, uint32(e.scope)), e.ip())
	switch e.conn.State() {
	case tcp.Closed, tcp.SynSent, tcp.TimeWait:
		return a, syscall.ENOTCONN // accept tells the address all the same
	}
	return a, nil
}

// Ends implements socket.Ended.
func (t *tcpProto) Ends(s *socket.Socket) (local, peer netip.AddrPort) {
	e := endpointOf(s)
	addr := e.laddr
	if !addr.IsValid() {
		addr = e.addr
	}
	local = netip.AddrPortFrom(seenBy(s, addr), e.lport)
	if st := e.conn.State(); st != tcp.Closed && st != tcp.SynSent && st != tcp.TimeWait && e.raddr.IsValid() {
		peer = netip.AddrPortFrom(seenBy(s, e.raddr), e.rport)
	}
	return local, peer
}

// Ready implements socket.Proto.
func (t *tcpProto) Ready(s *socket.Socket) wait.Events {
	e := endpointOf(s)
	if e.listener != nil {
		l := e.listener
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.head != nil {
			return wait.In
		}
		return 0
	}
	ev := e.conn.Ready()
	if e.deferred {
		ev |= wait.Out
	}
	if e.faulty() != nil && e.faulty().stopped {
		ev &^= wait.In | wait.RdHup | wait.Pri
	}
	if s.Err() != 0 || e.stamps != nil && len(e.stamps.errors) > 0 {
		ev |= wait.Err
	}
	return ev
}

// takeErr returns the pending error and clears it: the socket's, kept from a call
// that was done in part, or the connection's.
func (e *tcpEndpoint) takeErr() error {
	if err := e.s.TakeErr(); err != nil {
		return err
	}
	return e.conn.TakeErr()
}

// Queued implements socket.Proto.
func (t *tcpProto) Queued(s *socket.Socket) (in, out int) {
	e := endpointOf(s)
	return e.conn.Buffered(), e.conn.Outstanding()
}

// Unsent implements socket.Sender.
func (t *tcpProto) Unsent(s *socket.Socket) int {
	if e := endpointOf(s); e.listener == nil {
		return e.conn.Unsent()
	}
	return -1
}

// Holds implements socket.Holder.
func (t *tcpProto) Holds(s *socket.Socket) (received, sent int, drops uint32) {
	received, sent = endpointOf(s).conn.Memory()
	return received, sent, 0
}

// AtMark implements socket.Marker.
func (t *tcpProto) AtMark(s *socket.Socket) bool { return endpointOf(s).conn.AtMark() }

// Send implements socket.Proto.
func (t *tcpProto) Send(s *socket.Socket, m *socket.Msg) (int, error) {
	e := endpointOf(s)
	if e.deferred || m.Flags&abi.MSG_FASTOPEN != 0 || m.Opening != 0 {
		return t.sendFastOpen(e, m)
	}
	if len(m.Control) > 0 {
		if err := t.checkControl(s, m.Control); err != nil {
			return 0, err
		}
	}
	st := e.conn.State()
	switch {
	case e.listener != nil:
		return 0, syscall.EPIPE
	case st == tcp.SynSent || st == tcp.SynRcvd && !e.fast:
		return 0, syscall.EAGAIN
	}
	if m.Before > 0 && (s.Err() != 0 || e.conn.Err() != nil) {
		return 0, syscall.EPIPE // the error stays for the next call (Linux, tcp_sendmsg_locked)
	}
	if err := e.takeErr(); err != nil {
		return 0, err
	}
	if st != tcp.Established && st != tcp.CloseWait && st != tcp.SynRcvd {
		return 0, syscall.EPIPE
	}
	if e.conn.SendSpace() <= 0 && !empty(m.Data) {
		return 0, syscall.EAGAIN
	}
	if s.Opt.Stamping() != 0 || len(m.Control) > 0 {
		var err error
		if m.Stamps, err = t.stampsOf(s, m.Control); err != nil {
			return 0, err
		}
	}
	m.Done = zeroCopies(s, m.Flags)
	n := t.write(e, m)
	t.update(e, 0)
	return n, nil
}

// checkControl checks control messages, of which a stream has no use.
func (s *Stack) checkControl(k *socket.Socket, b []byte) error {
	list, err := abi.ParseCmsgs(b)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Level == abi.SOL_SOCKET && m.Type != abi.SO_TIMESTAMPING {
			if err := s.socketControl(k, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// Shutdown implements socket.Proto (Linux, inet_shutdown). A direction can be ended
// before there is a connection: ENOTCONN, yet it is done.
func (t *tcpProto) Shutdown(s *socket.Socket, how int) error {
	e := endpointOf(s)
	if e.listener != nil {
		// The reading half of a listener is its listening.
		if how != abi.SHUT_WR {
			if !s.Host.InWhole() {
				return socket.ErrWhole
			}
			t.stopListening(e)
			s.Notify(wait.In | wait.Out | wait.Hup)
		}
		return nil
	}
	st := e.conn.State()
	if e.phase == connecting {
		e.phase = connected
		if st == tcp.SynRcvd || st == tcp.Closed || st == tcp.TimeWait {
			e.phase = disconnecting
		}
	}
	if st == tcp.SynSent {
		e.disconnect()
		s.Notify(wait.In | wait.Out | wait.Hup)
		return nil
	}
	now := e.now()
	ev := wait.Events(0)
	if how != abi.SHUT_WR {
		e.conn.ShutdownRead(now)
		ev |= wait.In | wait.RdHup
	}
	if how != abi.SHUT_RD {
		e.conn.ShutdownWrite(now)
		ev |= wait.Out
	}
	ev |= e.conn.Ready() & wait.Hup
	if st == tcp.Closed || st == tcp.TimeWait {
		s.Notify(ev)
		return syscall.ENOTCONN
	}
	t.update(e, ev)
	return nil
}

// Linger implements socket.Lingerer. Unread data makes the end a reset, for which
// nobody waits.
func (t *tcpProto) Linger(s *socket.Socket) bool {
	e := endpointOf(s)
	if e.conn.Buffered() > 0 {
		return false
	}
	st := e.conn.State()
	e.lingering = e.lingering || lingers(st) // it was shut down before
	if st == tcp.Established || st == tcp.CloseWait {
		e.lingering = true
		e.conn.ShutdownWrite(e.now())
		t.update(e, 0)
	}
	return e.lingering && lingers(e.conn.State())
}

// lingers reports whether data or the FIN is not acknowledged yet.
func lingers(st tcp.State) bool {
	return st == tcp.FinWait1 || st == tcp.Closing || st == tcp.LastAck
}

// Spans implements socket.Spanner: others look at listeners, and at leased flow labels.
func (t *tcpProto) Spans(s *socket.Socket) bool {
	e := endpointOf(s)
	return e.listener != nil || len(e.ip().leases) > 0
}

// Close implements socket.Proto.
func (t *tcpProto) Close(s *socket.Socket) {
	e := endpointOf(s)
	t.Forget(s)
	e.endFlows(t.Stack)
	if e.listener != nil {
		t.stopListening(e)
	}
	now := e.now()
	e.s, e.parent, e.taken = nil, nil, false // also where the socket is closed before it has adopted its connection
	e.acts.Store(s)
	switch st := e.conn.State(); {
	case st == tcp.Closed || st == tcp.SynSent:
		e.conn.Abort(now)
	case s.Opt.Linger == 0:
		if read, came := e.conn.Received(); read == came {
			inc(&t.Stats.TCPAbortOnData)
		} else {
			inc(&t.Stats.TCPAbortOnClose)
		}
		e.conn.Abort(now)
	default:
		e.conn.Close(now)
	}
	t.update(e, 0)
}

// close drops everything without a word to the peers. Locked.
func (t *tcpProto) close() {
	t.conns.each(func(o nodeOwner) {
		switch o := o.(type) {
		case *tcpEndpoint:
			t.unhash(o)
			o.release()
		case *timeWait:
			o.end(false)
		case *Flow:
			o.forget()
		}
	})
}

// disconnect ends the attempt or the connection and makes the socket fit for
// another one (Linux, tcp_disconnect). The error that was pending stays; a
// connection that it has reset leaves ECONNRESET. getsockname goes on to tell the
// port that connect had chosen, though it is given back.
func (e *tcpEndpoint) disconnect() {
	t := e.proto
	err, _ := e.conn.TakeErr().(syscall.Errno)
	idle := e.conn.State() == tcp.Closed
	switch st := e.conn.State(); {
	case st == tcp.Closed || st == tcp.TimeWait:
	case (st == tcp.Closing || st == tcp.LastAck) && e.conn.Unsent() == 0:
	default:
		err = syscall.ECONNRESET
	}
	if err != 0 && e.s != nil {
		e.s.KeepErr(err)
	}
	now := e.now()
	e.conn.Abort(now)
	for out := &t.lane(e.dom).out; e.conn.Poll(now, out); {
		t.transmit(e, out)
	}
	t.sign(e)
	t.unhash(e)
	opt := *e.conn.Options()
	e.conn.Release()
	e.conn = tcp.Conn{}
	e.conn.Init(t.cfg)
	*e.conn.Options() = opt
	e.raddr, e.rport, e.path = netip.Addr{}, 0, nil
	t.ports.mu.Lock()
	if !e.explicit && !idle {
		t.ports.remove(&e.binding)
		e.auto = false
	}
	e.unaddressed()
	t.ports.mu.Unlock()
	e.deferred = false
	e.setFaulty(nil)
	e.phase = unconnected
	t.relieve(e)
}

// unaddressed is unnamed for what getsockname tells as well. The table of ports is locked.
func (e *tcpEndpoint) unaddressed() {
	e.proto.ports.alone(&e.binding)
	e.unnamed()
	if e.laddr = e.addr; e.addr.IsUnspecified() {
		e.laddr = netip.Addr{}
	}
}

// unhash takes e out of the table of connections and stops its timer.
func (t *tcpProto) unhash(e *tcpEndpoint) {
	if t.conns.remove(&e.node) {
		t.vacated(&e.tuple)
		if t.ended != nil && !e.counted {
			t.tellEnd(e)
		}
	}
	e.dom.RemoveTimer(&e.timer)
	if e.faulty() != nil {
		e.faulty().end()
	}
	if e.counted {
		e.counted = false
		e.parent.listener.incomplete.Add(-1)
	}
	e.settled()
}

// vacated is told of a tuple that has left the table of connections.
func (t *tcpProto) vacated(k *tuple) {
	if t.taken.some.Load() {
		t.ports.mu.Lock()
		t.taken.gone(k)
		t.ports.mu.Unlock()
	}
}

// release frees what e holds; nothing refers to it any more.
func (e *tcpEndpoint) release() {
	if !e.released {
		e.released = true
		e.proto.ports.leave(&e.binding)
		e.conn.Release()
	}
}

// update follows every change to a connection: it sends what is to be sent,
// re-arms the timer, tells those who wait, and looks after the endpoint's life.
func (t *tcpProto) update(e *tcpEndpoint, ev wait.Events) {
	now := e.now()
	t.tells(e)
	for {
		for out := &t.lane(e.dom).out; e.conn.Poll(now, out); {
			t.transmit(e, out)
		}
		if e.faulty() == nil || !e.faulty().sent(&ev) {
			break
		}
	}
	if t.cfg.Trace != 0 {
		t.tells(e) // again, if a fault has struck
		e.conn.Tell(now)
		e.signAll()
	}
	if e.stamps != nil && len(e.stamps.sent) > 0 {
		ev |= e.stampSent()
	}
	switch st := e.conn.State(); st {
	case tcp.Closed:
		t.closed(e)
	case tcp.TimeWait:
		t.toTimeWait(e)
	default:
		if e.node.owner != nil {
			e.dom.SetTimer(&e.timer, e.conn.Deadline())
		}
		if st >= tcp.Established {
			if e.counted {
				t.queueUp(e)
			}
			e.settled()
			if e.asked {
				e.asked = false
				t.rememberFastOpen(e)
			}
		}
	}
	if e.lingering && !lingers(e.conn.State()) {
		ev |= wait.Out
	}
	if ev&wait.Pri != 0 {
		ev |= wait.In // what is before the urgent byte is all that a receive can get
	}
	if ev != 0 && e.s != nil {
		e.s.Notify(ev)
	}
	t.relieve(e)
}

// tells has the core write its events on the tape of the lane that is in its domain, if somebody listens.
func (t *tcpProto) tells(e *tcpEndpoint) {
	if t.cfg.Trace != 0 {
		e.conn.TellOn(e.dom.Lane().Tape())
	}
}

// sign completes the events of a core that no update follows.
func (t *tcpProto) sign(e *tcpEndpoint) {
	if t.cfg.Trace != 0 {
		t.tells(e)
		e.signAll()
	}
}

// signAll completes the events that the core has made.
func (e *tcpEndpoint) signAll() {
	told := e.conn.Events()
	for i := range told {
		e.sign(&told[i])
	}
}

// sign completes an event of the core's.
func (e *tcpEndpoint) sign(ev *trace.Event) {
	ev.Time, ev.Protocol, ev.Owner = e.now(), abi.IPPROTO_TCP, e.owner()
	ev.Local, ev.Peer = netip.AddrPortFrom(e.laddr, e.lport), netip.AddrPortFrom(e.raddr, e.rport)
	if e.s != nil {
		ev.Socket = e.s.ID
	}
}

// closed follows the core's way into CLOSED.
func (t *tcpProto) closed(e *tcpEndpoint) {
	t.unhash(e)
	switch {
	case e.s != nil:
		if !e.explicit {
			t.ports.leave(&e.binding)
		}
	case e.queued():
		// It waits to be accepted: the program shall see the reset.
		t.ports.leave(&e.binding)
	default:
		e.release()
	}
}

// Expired implements timer.Expirer.
func (e *tcpEndpoint) Expired(_ *timer.Entry, now time.Duration) {
	ev := e.conn.Expire(now)
	e.proto.update(e, ev)
}

// transmit sends one segment that the core has built, whose data it takes over.
func (t *tcpProto) transmit(e *tcpEndpoint, seg *tcp.Segment) {
	if e.path.Gen != t.IP.Generation() {
		if p, err := t.path(e.raddr, e.laddr, int(e.device)); err == nil {
			e.path = p
			e.conn.LowerPathMSS(e.now(), p.MTU-ipHeaderLen(e.raddr.Is4())-20)
		}
	}
	if t.sendsStraight(e, seg) {
		return
	}
	p := packet.New()
	p.Owner = packet.Owner{PID: e.owner(), Socket: e.sid()}
	if f := e.faulty(); f != nil && f.told != "" && seg.Flags&wire.RST != 0 {
		p.Note, f.told = f.told, ""
	}
	lane := t.lane(e.dom)
	o := &lane.ipOut
	t.out(e, o)
	lane.put(p, seg, &e.tuple, o)
	t.IP.In(e.dom).Output(p, e.path, o)
}

// out fills in what the headers of e's packets say, and where they go.
func (t *tcpProto) out(e *tcpEndpoint, o *ip.Out) {
	*o = ip.Out{}
	o.Src, o.Dst, o.Proto, o.Checksum = e.laddr, e.raddr, ip.ProtoTCP, tcpKind.sum
	opt := e.ip()
	opt.out(o, e.raddr)
	if o.Dst.Is6() {
		if o.Flow = opt.flow; o.Flow == 0 && !opt.noAutoFlow {
			if e.label == 0 {
				e.label = t.hashFlow(&e.tuple)
			}
			o.Flow = e.label
		}
	}
	if opt.discovery(e.raddr) != abi.PMTUDISC_DONT {
		// The core keeps to the path's MTU itself, but for probes of it.
		o.DontFragment, o.IgnorePathMTU = true, true
	}
}

// put puts a segment into p, which it leaves empty.
func (l *lane) put(p *packet.Packet, seg *tcp.Segment, k *tuple, o *ip.Out) {
	l.outSegs += seg.Segments() // while seg has its data
	seg.SrcPort, seg.DstPort = k.lport, k.rport
	seg.Data.MoveTo(&p.Payload)
	p.SegmentSize = seg.SegmentSize
	seg.TCP.Put(p.Prepend(seg.TCP.Len()))
	if seg.ECT {
		o.TOS |= 2
	}
}

// send sends a segment of no connection.
func (t *tcpProto) send(l *ip.Lane, seg *tcp.Segment, k *tuple, path *ip.Path) {
	lane := t.lanes[l.At().ID]
	o := &lane.ipOut
	*o = ip.Out{Src: k.laddr, Dst: k.raddr, Proto: ip.ProtoTCP, Checksum: tcpKind.sum, DontFragment: true}
	p := packet.New()
	lane.put(p, seg, k, o)
	l.Output(p, path, o)
}

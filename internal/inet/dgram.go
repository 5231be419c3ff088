package inet

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// dgram is an endpoint that keeps the bounds of what is sent: UDP, ping and raw
// sockets embed it. It has the addresses, the receive queue and the queue of
// errors.
type dgram struct {
	binding
	ipState
	stack *Stack
	s     *socket.Socket
	kind  *kind

	raddr        netip.Addr // valid if connected
	lport, rport uint16
	scope        int32    // interface of a link-local peer
	path         *ip.Path // to the peer, or to where was sent last
	pathDst      netip.Addr

	auto   *autoLabel // nil until an IPv6 datagram was sent
	txKey  uint32     // the next number of SOF_TIMESTAMPING_OPT_ID
	zeroID uint32     // and of MSG_ZEROCOPY
	sent   uint64     // bytes of programs'

	arrival        socket.Arrival // of the last that the program has
	errors         []queuedError
	shutRD, shutWR bool

	prefetched atomic.Pointer[prefetched] // nil until it is worth while

	// What is written for each datagram that comes is on other cache lines than what is read for each
	// that the program takes, which may be on another processor.
	_       [host.CacheLine]byte
	queue   dgramQueue
	bytes   int // what the queue costs, and what was fetched from it
	fetched int // bytes of prefetched's datagrams, to be given back
	drops   uint32
	came    uint64 // bytes of programs', in the queue or out of it
	run     run    // of UDP_GRO
	_       [host.CacheLine]byte
}

// datagram is one that has been received: two cache lines.
type datagram struct {
	one     [1]packet.View // its bytes, with a reference, unless they are in many
	many    *packet.Packet // whose payload has several views; nil: they are in one
	src     netip.Addr
	dst     netip.Addr
	at      int64  // wall clock in ns, if timestamps are asked for
	options []byte // IPv4 options
	cost    int32  // what it counts against the receive buffer
	ifindex int32
	drops   uint32
	flow    uint32 // IPv6 flow label
	sport   uint16
	segment uint16 // it is several of so many bytes each, the last one perhaps shorter; 0: one
	ttl     uint8
	tos     uint8
	peeked  bool // was seen by MSG_PEEK
}

// len returns how many bytes the datagram has.
func (g *datagram) len() int {
	if g.many != nil {
		return g.many.Payload.Len()
	}
	return g.one[0].Len()
}

// views are the datagram's bytes.
func (g *datagram) views() []packet.View {
	switch {
	case g.many != nil:
		return g.many.Payload.Views()
	case g.one[0].Len() == 0:
		return nil
	}
	return g.one[:]
}

// release gives the datagram's bytes back.
func (g *datagram) release() {
	packet.ReleaseAll(g.views())
	g.forget()
}

// forget is release for who has taken the references over.
func (g *datagram) forget() {
	if g.many != nil {
		g.many.Payload = packet.Vec{}
		g.many.Free()
	}
	g.one[0], g.many = packet.View{}, nil
}

// queuedError is an ICMP error kept for MSG_ERRQUEUE (ip(7), IP_RECVERR), or the time at
// which a datagram has left.
type queuedError struct {
	ip.Error
	dst   netip.Addr
	port  uint16
	quote []byte // the payload that the message quotes, or the packet

	origin uint8  // 0: an ICMP error; else nothing is wrong
	at     int64  // ns of wall clock
	key    uint32 // ee_data: which datagram it was, or the last send
}

// overhead is what a queued datagram costs besides its block.
const overhead = 256

func (d *dgram) attach(st *Stack, s *socket.Socket, k *kind) {
	d.stack, d.s, d.kind = st, s, k
	d.six = s.Domain == abi.AF_INET6
	d.addr = d.wildcard()
}

func (d *dgram) bound() bool { return d.bucket != nil }

func (d *dgram) mtu() int {
	if !d.raddr.IsValid() || d.path == nil {
		return 0
	}
	if d.path.Gen != d.stack.IP.Generation() {
		// Since the last send the path may have been found to be narrower.
		if p, err := d.stack.path(d.raddr, d.path.Src, d.sendDevice(d.raddr, int(d.scope))); err == nil {
			return p.MTU
		}
	}
	return d.path.MTU
}

// LastArrival implements socket.Receiver.
func (d *dgram) LastArrival() *socket.Arrival { return &d.arrival }

func (d *dgram) claim() {
	d.reuse = d.s.Opt.Has(socket.ReuseAddr)
	d.reuseport = d.s.Opt.Has(socket.ReusePort)
	d.device = d.s.Opt.Device
	d.v6only = d.s.Domain == abi.AF_INET6 && d.ip().v6only
}

// push puts a datagram into the receive queue, or drops it if that is full.
func (d *dgram) push(p *packet.Packet, m *ip.Meta, sport uint16) bool {
	cost := overhead
	for _, v := range p.Payload.Views() {
		cost += v.Cap()
	}
	g := d.place(m, sport, p.Len(), cost)
	if g == nil {
		p.Free()
		return false
	}
	g.segment = p.SegmentSize
	d.take(g, p)
	return true
}

// place makes place for a datagram of so many bytes in the receive queue, and says all of it but its bytes; nil: it is dropped, as
// the queue is full.
func (d *dgram) place(m *ip.Meta, sport uint16, size, cost int) *datagram {
	if !d.room(cost) {
		d.drops++
		d.s.Host.Yield()
		if d.s.Host.Tracing() {
			d.tellArrived(m, sport, size, trace.NoRoom)
		}
		return nil
	}
	d.came += uint64(size)
	g := d.queue.push()
	g.cost, g.src, g.dst, g.sport, g.ttl, g.tos = int32(cost), m.Src, m.Dst, sport, m.TTL, m.TOS
	g.ifindex, g.drops, g.flow = int32(m.Iface.Index()), d.drops, m.Flow
	if !m.V6 && len(m.Header) > wire.IPv4MinLen {
		g.options = arrivedOptions(m, d.s.Host.Wall())
	}
	if d.s.Opt.WantsArrival() {
		g.at = d.s.Host.Stamp()
	}
	d.bytes += cost
	d.queue.last.cost += cost
	if d.s.Host.Tracing() {
		d.tellArrived(m, sport, size, trace.NoReason)
	}
	d.s.Notify(wait.In)
	return g
}

// take puts the payload of p, which it takes over, into g, the last datagram of the queue.
func (d *dgram) take(g *datagram, p *packet.Packet) {
	views := p.Payload.Views()
	switch {
	case len(views) > 1:
		g.many = p
		return
	case len(views) == 0:
	case d.copies(views[0].Len()):
		g.one[0] = d.queue.last.copy(views[0].Bytes())
	default:
		g.one[0] = views[0]
		p.Payload = packet.Vec{}
	}
	p.Free()
}

// copies reports whether so many bytes of the last datagram are copied into the queue. Where others
// wait, too, the receiver is slower than the senders, or on another processor, and bytes that are few are.
func (d *dgram) copies(n int) bool { return d.queue.len() >= minPrefetch && n <= maxCopied }

// room reports whether the queue may hold cost more bytes. One datagram always fits.
func (d *dgram) room(cost int) bool {
	return d.bytes+cost <= int(d.s.Opt.RcvBuf) || d.queue.len() == 0
}

// charge changes what the last datagram of the queue costs.
func (d *dgram) charge(g *datagram, cost int) {
	d.bytes += cost - int(g.cost)
	d.queue.last.cost += cost - int(g.cost)
	g.cost = int32(cost)
}

// pop takes the first datagram out of the queue.
func (d *dgram) pop() datagram {
	g := d.queue.pop()
	d.bytes -= int(g.cost)
	if d.queue.len() == 0 {
		d.run = run{}
	}
	return g
}

// drain empties the queues.
func (d *dgram) drain() {
	for g, ok := d.first(); ok; g, ok = d.first() {
		g.release()
	}
	if a := d.prefetched.Load(); a != nil {
		a.mu.Lock()
		d.settle(a)
		a.mu.Unlock()
	}
	d.queue.free()
	d.errors = nil
}

// recv receives a datagram, or an error with MSG_ERRQUEUE.
func (d *dgram) recv(m *socket.Msg) (int, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&abi.MSG_ERRQUEUE != 0 {
		return d.recvError(m)
	}
	if err := d.s.TakeErr(); err != nil {
		return 0, err
	}
	var g datagram
	ok := false
	if flags&abi.MSG_PEEK == 0 {
		g, ok = d.first()
	} else if at, skip := d.peek(); at != nil {
		g, ok = *at, true
		for _, v := range g.views() {
			v.Retain()
		}
		at.peeked = true
		n := d.receive(m, &g, skip, flags)
		d.s.Received(&d.arrival, g.at)
		d.s.Opt.Peeked(n)
		return n, nil
	}
	switch {
	case ok:
		n := d.receive(m, &g, 0, flags)
		d.s.Received(&d.arrival, g.at)
		d.s.Opt.Taken(n)
		return n, nil
	case d.shutRD && flags&abi.MSG_DONTWAIT == 0:
		// Only a call that would wait learns of the end (Linux,
		// __skb_wait_for_more_packets); what arrives is queued all the same.
		return 0, nil
	}
	return 0, syscall.EAGAIN
}

// receive fills m in from the datagram, from the byte at skip on, and, unless it was
// peeked at, frees that.
func (d *dgram) receive(m *socket.Msg, g *datagram, skip, flags int) int {
	m.Len = g.len()
	m.Addr = addrOf(d.s, g.src, g.sport, uint32(g.ifindex))
	if m.Want {
		m.Control = d.control(m.Control[:0], g)
	}
	n := d.deliver(m, g.views(), skip)
	if m.Max < m.Len && m.Max <= m.Len-skip {
		m.Flags |= abi.MSG_TRUNC
	}
	if flags&abi.MSG_TRUNC != 0 {
		n = m.Len
	}
	if flags&abi.MSG_PEEK == 0 {
		g.forget()
	}
	return n
}

// peek returns the datagram that MSG_PEEK shows and at which byte it begins: the one
// behind the bytes of SO_PEEK_OFF (Linux, __skb_try_recv_from_queue).
func (d *dgram) peek() (g *datagram, skip int) {
	skip = int(d.s.Opt.PeekOff)
	if skip < 0 {
		return d.waiting(), 0
	}
	for g := range d.all() {
		n := g.len()
		if skip < n || skip == 0 && !g.peeked {
			return g, skip
		}
		skip -= n
	}
	return nil, 0
}

// deliver moves the views from the byte at skip on to m, as far as they
// fit, and returns how many bytes that are.
func (d *dgram) deliver(m *socket.Msg, views []packet.View, skip int) int {
	n := 0
	for _, v := range views {
		from := min(skip, v.Len())
		skip -= from
		k := min(v.Len()-from, m.Max-n)
		if k == 0 && v.Len() > 0 {
			v.Release()
			continue
		}
		m.Data = append(m.Data, v.Slice(from, from+k))
		n += k
	}
	return n
}

// ready is the poll mask of a datagram socket (Linux, datagram_poll).
func (d *dgram) ready() wait.Events {
	ev := wait.Out
	if d.s.Err() != 0 || len(d.errors) > 0 {
		ev |= wait.Err
	}
	if d.readable() {
		ev |= wait.In
	}
	if d.shutRD {
		ev |= wait.In | wait.RdHup
		if d.shutWR {
			ev |= wait.Hup
		}
	}
	return ev
}

// shutdown ends directions. A socket without peer is told ENOTCONN, yet it is done
// (Linux, inet_shutdown).
func (d *dgram) shutdown(how int) error {
	if how != abi.SHUT_WR {
		d.shutRD = true
	}
	if how != abi.SHUT_RD {
		d.shutWR = true
	}
	d.s.Notify(wait.In | wait.Out | wait.Hup | wait.RdHup)
	if !d.raddr.IsValid() {
		return syscall.ENOTCONN
	}
	return nil
}

// dissolve undoes connect. The address that bind has set stays.
func (d *dgram) dissolve() {
	d.raddr, d.rport, d.path = netip.Addr{}, 0, nil
	d.s.Opt.Device = 0 // Linux, __udp_disconnect
	d.unnamed()
	d.claim()
}

// source returns the address that a datagram to dst leaves from: what bind or an
// earlier connect has set, if dst is of its family.
func (d *dgram) source(dst netip.Addr) (netip.Addr, error) {
	src := d.addr
	switch {
	case src.IsMulticast() || d.stack.IP.IsBroadcast(src):
		return netip.Addr{}, nil
	case src.Is4() && dst.Is6() && d.s.Domain == abi.AF_INET6 && !dst.IsUnspecified():
		return src, syscall.EAFNOSUPPORT
	case src.Is4() != dst.Is4():
		return netip.Addr{}, nil
	}
	return src, nil
}

// name is the local address. The scope of one that needs it, and of a peer's, is the interface that
// the socket is tied to, by whatever call (Linux, inet6_getname).
func (d *dgram) name() abi.Addr {
	return addrOf(d.s, d.addr, d.lport, uint32(d.s.Opt.Device))
}

// peer is the foreign address.
func (d *dgram) peer() (abi.Addr, error) {
	if !d.raddr.IsValid() || d.rport == 0 {
		return abi.Addr{}, syscall.ENOTCONN
	}
	return withFlow(addrOf(d.s, d.raddr, d.rport, uint32(d.s.Opt.Device)), d.ip()), nil
}

// holds returns what the queue takes of memory and how many datagrams it had no room for.
func (d *dgram) holds() (bytes int, drops uint32) { return d.bytes, d.drops }

// queued returns the length of the next datagram; nothing waits to be sent.
func (d *dgram) queued() (in, out int) {
	g := d.waiting()
	if g == nil {
		return 0, 0
	}
	return g.len(), 0
}

// icmp takes an ICMP error about a datagram to dst that this socket sent.
func (d *dgram) icmp(x *ip.Error, port uint16, payload []byte) {
	errno, hard := x.Errno, x.Hard
	if x.MTU != 0 {
		if d.ip().discovery(x.Dst) == abi.PMTUDISC_DONT {
			return
		}
		d.stack.IP.LowerPathMTU(x.Dst, x.MTU)
		hard = true
	}
	if d.s.Host.Tracing() {
		d.tellError(x, port)
	}
	recverr := d.ip().recvErr
	if x.V6 {
		recverr = d.ip().recvErr6
	}
	if recverr {
		q := queuedError{Error: *x, dst: x.Dst, port: port, quote: append([]byte(nil), payload...)}
		if d.s.Opt.Tells() {
			q.at = d.s.Host.Stamp()
		}
		d.queueError(q)
	} else if !hard || !d.raddr.IsValid() {
		return
	}
	if errno != 0 {
		d.s.SetErr(errno)
	}
}

// queueError puts x into the queue of errors.
func (d *dgram) queueError(x queuedError) {
	if len(d.errors) < maxErrors {
		d.errors = append(d.errors, x)
		d.s.Notify(wait.Err)
	}
}

// maxErrors bounds the queue of errors.
const maxErrors = 64

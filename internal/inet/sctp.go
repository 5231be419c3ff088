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
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/packet"
)

// sctpProto is the rows of SOCK_STREAM and SOCK_SEQPACKET with IPPROTO_SCTP: all SCTP endpoints of a
// host, and their associations. All of them are in one lock domain, which guards what is here, the ports, too; others
// come with the whole host.
//
//	socket ──► sctpEndpoint ◄── listeners, by port
//	               │ ▲  binding: a claim to the port for each local address
//	               ▼ │
//	           sctpAssoc ◄── assocs, by local port, peer's address and peer's port: once for each path
//	                 core: the protocol
//
// An endpoint whose socket is closed lives until its last association is over, and keeps its port
// as long.
type sctpProto struct {
	*Stack
	dom       *host.Domain
	cfg       *sctp.Config
	ports     portTable
	listeners map[uint16][]*sctpEndpoint
	assocs    sctpTable
	byID      map[int32]*sctpAssoc
	lastID    int32
	options   *socket.Options
	initial   *sctp.Options              // of a socket that nobody has set any of
	faulty    map[*sctpAssoc]*sctpFaulty // those to which something is to happen
	lives     map[*sctpAssoc]*sctpLife   // those whose end is to be told
	encap     binding                    // of the UDP port that encapsulated packets have at this end
	encapPort atomic.Uint32              // that port; 0: none yet. For those who are in no lane

	// names guards what taker reads in no domain, against those who change it, who are in dom as well: assocs, listeners, and of
	// endpoints the socket, the associations and what of locals makes a score.
	names rank.Leaf

	in    sctp.In // a packet on its way in, and one out
	out   sctp.Out
	ipOut ip.Out
	at    sctp.Endpoint // of the call that is under way
	addrs []netip.Addr  // of a call: kept for its array
}

// sctpPeer is what an association is found by. One port of this end may have several with a peer,
// if endpoints with other addresses share it.
type sctpPeer struct {
	addr       netip.Addr
	port, peer uint16 // this end's, the peer's
}

func newSCTP(s *Stack, settings *sctp.Settings) *sctpProto {
	t := &sctpProto{
		Stack:     s,
		dom:       s.Host.NewDomainApart(),
		listeners: make(map[uint16][]*sctpEndpoint),
		byID:      make(map[int32]*sctpAssoc),
		lives:     make(map[*sctpAssoc]*sctpLife),
		lastID:    abi.SCTP_ALL_ASSOC,
		cfg: &sctp.Config{
			Settings: *settings, Counters: new(sctp.Counters), Rand: s.prf.fill,
		},
	}
	if s.Host.Alone() {
		t.dom = &s.Host.Domain
	}
	t.initial = t.cfg.DefaultOptions()
	t.initial.PDPoint, t.initial.IData = 0, false
	t.initial.Path.ExposePF = t.cfg.PFExpose == exposeTold
	t.assocs.init(s.prf.random(), s.prf.random())
	t.ports.init(true)
	t.options = NewOptions(ipRows, ip6Rows, deviceRows(s, t), streamGroups(), sctpRows(t))
	return t
}

// fill fills b with random bytes.
func (f *prf) fill(b []byte) {
	for len(b) > 0 {
		v := f.random()
		for range min(8, len(b)) {
			b[0], b, v = byte(v), b[1:], v>>8
		}
	}
}

// sctpKind is the facts of SCTP's rows.
var sctpKind = kind{
	Kind: socket.Kind{Name: "sctp", Own: true, Level: abi.SOL_SCTP},
	sum:  ip.CRC32c | 8, ports: true,
}

// sctpEndpoint is an SCTP control block: a socket's local addresses, options and associations.
type sctpEndpoint struct {
	ipState
	proto *sctpProto
	s     *socket.Socket // nil: closed, while associations end

	locals   []*binding // one for each address, all of one port
	first    binding    // one of these, if there are any
	name     netip.Addr // what getsockname tells: the address that was bound last
	lport    uint16
	stage    sctpStage
	six      bool
	many     bool // one-to-many style
	peeled   bool // of an association that was one of such a socket
	shutRD   bool
	shutWR   bool
	lingerer bool // close waits for its associations

	assocs  *sctpAssoc // a list; of one-to-one style it has one, or those to be accepted
	last    *sctpAssoc
	count   int32
	backlog int32
	trying  *sctpAssoc     // what connect waits for
	peer    netip.AddrPort // of getpeername: the address that connect, accept or peeloff gave

	*sctpReading     // nil until something has come
	ahead            aheadOf
	rxBytes, txBytes uint64 // that the program has read and sent
	wmem             int    // bytes of all associations that were sent and not acknowledged

	options *sctp.Options // of associations to come; shared: never changed, but replaced
	own     sctpOptions
}

// sctpReading is what a socket's programs are to read.
type sctpReading struct {
	arrived []*sctpAssoc // an entry for each message and notification, in the order in which they have come, whose association knows it
	read    int          // entries of arrived that were read
	rest    []byte       // of a notification of which a part was read
	begun   *sctpAssoc   // of its message at the head a part was read
}

// sctpDefaults are what the core does not know of an association: what is added to its messages that
// say nothing themselves, and what is told of its paths.
type sctpDefaults struct {
	flags      uint16 // SCTP_*: SCTP_DEFAULT_SNDINFO's, and the policy of SCTP_DEFAULT_PRINFO
	timeToLive uint32 // ms, or the policy's value
	exposePF   uint8  // SCTP_EXPOSE_POTENTIALLY_FAILED_STATE
}

// sctpOptions are the options that the core does not know.
type sctpOptions struct {
	sctpDefaults
	unmapped         bool // SCTP_I_WANT_MAPPED_V4_ADDR is off
	rcvinfo, nxtinfo bool // SCTP_RECVRCVINFO, SCTP_RECVNXTINFO
	reuse            bool // SCTP_REUSE_PORT
	autoAsconf       bool // SCTP_AUTO_ASCONF
}

// sctpStage is what Linux's sk_state says of a socket of SCTP.
type sctpStage uint8

const (
	sctpClosed      sctpStage = iota // one-to-many style: always, unless it listens
	sctpEstablished                  // one-to-one style: there is an association, or was one
	sctpClosing                      // one of both sides has shut it down
	sctpListening
)

func sctpOf(s *socket.Socket) *sctpEndpoint { return s.PCB.(*sctpEndpoint) }

// Attach implements socket.Proto.
func (t *sctpProto) Attach(s *socket.Socket) error {
	e := &sctpEndpoint{proto: t, s: s, six: s.Domain == abi.AF_INET6, many: s.Type == abi.SOCK_SEQPACKET}
	e.options, e.own.exposePF = t.initial, uint8(t.cfg.PFExpose)
	s.Opt.RcvBuf, s.Opt.SndBuf = int32(t.cfg.RcvBuf), int32(t.cfg.SndBuf)
	s.PCB = e
	return nil
}

// House implements socket.Housed.
func (t *sctpProto) House() *host.Domain { return t.dom }

// Spans implements socket.Spanner: others look at leased flow labels.
func (t *sctpProto) Spans(s *socket.Socket) bool { return len(sctpOf(s).ip().leases) > 0 }

// Kind implements socket.Proto.
func (t *sctpProto) Kind() *socket.Kind { return &sctpKind.Kind }

// Options implements socket.Proto.
func (t *sctpProto) Options() *socket.Options { return t.options }

func (e *sctpEndpoint) bound() bool { return e.lport != 0 }

func (e *sctpEndpoint) mtu() int {
	if x := e.only(); x != nil {
		if p, ok := x.core.Path(netip.Addr{}); ok {
			if q := x.path(p.Addr); q != nil && q.route != nil {
				return min(q.route.MTU, mostPacket(q.addr))
			}
		}
	}
	return 0
}

// to4 reports whether the socket has an IPv4 address alone: Linux has no rule for SCTP that asks.
func (e *sctpEndpoint) to4() bool { return false }

// claim fills in what the socket's options say of its bindings.
func (e *sctpEndpoint) claim() {
	e.proto.names.Lock()
	for _, b := range e.locals {
		e.claimFor(b)
	}
	e.proto.names.Unlock()
	if e.bound() {
		e.proto.ports.changed(e.lport)
	}
}

func (e *sctpEndpoint) claimFor(b *binding) {
	b.six = e.six
	b.reuse = e.s.Opt.Has(socket.ReuseAddr) || e.own.reuse
	b.reuseport = e.s.Opt.Has(socket.ReusePort)
	b.device = e.s.Opt.Device
	b.v6only = e.six && e.ip().v6only
	b.listening = e.stage == sctpListening
}

// spare returns a binding that is not bound.
func (e *sctpEndpoint) spare() *binding {
	if e.first.bucket == nil {
		return &e.first
	}
	return new(binding)
}

// has reports whether addr is one of the endpoint's own.
func (e *sctpEndpoint) has(addr netip.Addr) bool {
	return slices.ContainsFunc(e.locals, func(b *binding) bool { return b.score(addr, int(b.device)) > 0 })
}

// Bind implements socket.Proto.
func (t *sctpProto) Bind(s *socket.Socket, a abi.Addr) error {
	e := sctpOf(s)
	switch a.Family {
	case abi.AF_INET, abi.AF_INET6, abi.AF_UNSPEC:
	default:
		return syscall.EAFNOSUPPORT // inet_bind, not SCTP
	}
	if e.bound() {
		return syscall.EINVAL
	}
	return t.bind(e, a)
}

// bind gives e one more address (Linux, sctp_do_bind).
func (t *sctpProto) bind(e *sctpEndpoint, a abi.Addr) error {
	addr, err := e.family(a)
	if err != nil {
		return err
	}
	if err := t.bindable(e, addr, a.Scope); err != nil {
		return err
	}
	port := a.Port
	switch {
	case e.bound() && port == 0:
		port = e.lport
	case e.bound() && port != e.lport:
		return syscall.EINVAL
	}
	if port != 0 && port < unprivilegedStart && !t.capable(abi.CAP_NET_BIND_SERVICE) {
		return syscall.EACCES
	}
	if e.has(addr) || addr.IsUnspecified() && e.bound() {
		return syscall.EINVAL
	}
	b := e.spare()
	b.addr = addr
	e.claimFor(b)
	if err := t.ports.bind(b, port, 0, t.prf.random()); err != nil {
		return err
	}
	t.names.Lock()
	e.lport = b.bucket.port
	e.locals = append(e.locals, b)
	t.names.Unlock()
	e.name = addr
	return nil
}

// family returns the IP address that a means to the socket, unmapped; EINVAL if it is of a family
// that the socket has nothing to do with (Linux, sctp_sockaddr_af).
func (e *sctpEndpoint) family(a abi.Addr) (netip.Addr, error) {
	switch {
	case a.Family == abi.AF_INET && !e.six, a.Family == abi.AF_INET && !e.ip().v6only:
		return a.IP, nil
	case a.Family == abi.AF_INET6 && e.six:
		addr := a.IP.Unmap()
		if addr.Is4() && e.ip().v6only {
			return addr, syscall.EINVAL
		}
		return addr, nil
	}
	return netip.Addr{}, syscall.EINVAL
}

// bindable reports why addr is none that the endpoint can have (Linux, sctp_inet_bind_verify and
// sctp_inet6_bind_verify).
func (t *sctpProto) bindable(e *sctpEndpoint, addr netip.Addr, scope uint32) error {
	switch {
	case addr.IsUnspecified():
		return nil
	case addr.IsMulticast() || t.IP.IsBroadcast(addr):
		return syscall.EADDRNOTAVAIL
	case needsScope(addr) && scope == 0:
		return syscall.EADDRNOTAVAIL
	case !t.IP.IsLocal(addr) && !e.ip().freebind:
		return syscall.EADDRNOTAVAIL
	}
	if needsScope(addr) {
		if i := t.IP.Iface(int(scope)); i == nil || !has(i, addr) {
			return syscall.EADDRNOTAVAIL
		}
		e.s.Opt.Device = int32(scope)
	}
	return nil
}

// autobind gives e the wildcard address and a free port, if it has none.
func (t *sctpProto) autobind(e *sctpEndpoint) error {
	if e.bound() {
		return nil
	}
	wildcard := abi.Addr{Family: abi.AF_INET, IP: netip.IPv4Unspecified()}
	if e.six {
		wildcard = abi.Addr{Family: abi.AF_INET6, IP: netip.IPv6Unspecified()}
	}
	if t.bind(e, wildcard) != nil {
		return syscall.EAGAIN
	}
	return nil
}

// unbind takes an address from e.
func (t *sctpProto) unbind(e *sctpEndpoint, i int) {
	t.ports.remove(e.locals[i])
	t.names.Lock()
	e.locals = slices.Delete(e.locals, i, i+1)
	t.names.Unlock()
}

// local returns the addresses that an association of e has at this end: those that were bound, or
// all of the host that the wildcard stands for. Which of them a peer is told, the core decides.
func (e *sctpEndpoint) local() []netip.Addr { return e.appendLocal(nil) }

func (e *sctpEndpoint) appendLocal(out []netip.Addr) []netip.Addr {
	for _, b := range e.locals {
		if !b.addr.IsUnspecified() {
			out = append(out, b.addr)
			continue
		}
		for _, i := range e.proto.IP.Ifaces() {
			for _, p := range i.Addrs() {
				a := p.Addr()
				if b.score(a, i.Index()) > 0 && !slices.Contains(out, a) {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// show returns an address of e's as the program sees it.
func (e *sctpEndpoint) show(a netip.Addr, port uint16) abi.Addr {
	if e.six && e.own.unmapped && a.Is4() {
		return abi.Addr{Family: abi.AF_INET, IP: a, Port: port}
	}
	return addrOf(e.s, a, port, uint32(e.s.Opt.Device))
}

// Name implements socket.Proto.
func (t *sctpProto) Name(s *socket.Socket) abi.Addr {
	e := sctpOf(s)
	return e.show(e.name, e.lport)
}

// Peer implements socket.Proto.
func (t *sctpProto) Peer(s *socket.Socket) (abi.Addr, error) {
	e := sctpOf(s)
	if !e.peer.IsValid() {
		return abi.Addr{}, syscall.ENOTCONN
	}
	a := e.show(e.peer.Addr(), e.peer.Port())
	if e.stage == sctpClosed {
		return a, syscall.ENOTCONN // accept tells the address all the same
	}
	return a, nil
}

// Ready implements socket.Proto (Linux, sctp_poll).
func (t *sctpProto) Ready(s *socket.Socket) wait.Events {
	e := sctpOf(s)
	if e.one() && e.stage == sctpListening {
		if e.assocs != nil {
			return wait.In
		}
		return 0
	}
	ev := wait.Events(0)
	if s.Err() != 0 {
		ev |= wait.Err
	}
	if e.shutRD {
		ev |= wait.In | wait.RdHup
		if e.shutWR {
			ev |= wait.Hup
		}
	}
	if e.readable() {
		ev |= wait.In
	}
	if e.one() && e.stage == sctpClosed {
		return ev
	}
	if e.space() > 0 {
		ev |= wait.Out
	}
	return ev
}

// space returns how many bytes the send buffer has room for: the socket's, which its associations share.
func (e *sctpEndpoint) space() int { return int(e.s.Opt.SndBuf) - e.wmem }

// Holds implements socket.Holder.
func (t *sctpProto) Holds(s *socket.Socket) (received, sent int, drops uint32) {
	e := sctpOf(s)
	for x := e.assocs; x != nil; x = x.next {
		received += int(x.core.Status().Held)
	}
	return received, e.wmem, 0
}

// Queued implements socket.Proto.
func (t *sctpProto) Queued(s *socket.Socket) (in, out int) {
	e := sctpOf(s)
	e.settle()
	if x := e.next(); x != nil {
		views, r, ok := x.core.Peek(maxQueued, nil)
		for _, v := range views {
			in += v.Len()
		}
		packet.ReleaseAll(views)
		if ok && r.Notification != nil {
			in = len(x.notification(r.Notification))
		}
	}
	return in, e.wmem
}

// RefuseQueue implements socket.QueueRefuser (Linux, sctp_ioctl).
func (t *sctpProto) RefuseQueue(s *socket.Socket, out bool) error {
	if e := sctpOf(s); e.one() && e.stage == sctpListening {
		return syscall.ENOTCONN
	}
	if out {
		return syscall.ENOTTY
	}
	return nil
}

// maxQueued is more than any message has.
const maxQueued = 1 << 30

// Describe implements socket.Proto.
func (t *sctpProto) Describe(s *socket.Socket, in *socket.Info) { sctpOf(s).describe(in) }

func (e *sctpEndpoint) describe(in *socket.Info) {
	in.Local = addrPort(e.name, e.lport)
	if !e.name.IsValid() {
		in.Local = addrPort((&binding{six: e.six}).wildcard(), 0)
	}
	in.V6Only = e.six && e.ip().v6only
	in.SendQ = e.wmem
	in.RxBytes, in.TxBytes = e.rxBytes, e.txBytes
	switch e.stage {
	case sctpListening:
		in.State, in.RecvQ, in.SendQ = socket.Listening, 0, int(e.backlog)
		if !e.many { // there nothing waits to be accepted
			in.RecvQ = int(e.count)
		}
	case sctpEstablished:
		in.State = socket.Established
	case sctpClosing:
		in.State = "CLOSING"
	}
	if e.peer.IsValid() {
		in.Peer = addrPort(e.peer.Addr(), e.peer.Port())
	}
	if !in.Brief {
		in.Detail = e.detail()
	}
}

// Owner implements Protocol.
func (t *sctpProto) Owner(_ int, local, remote netip.AddrPort) int32 {
	if x := t.find(local.Port(), remote, local.Addr()); x != nil && x.e.s != nil {
		return x.e.s.Owner.Load()
	}
	if e := t.listenerFor(local, 0, tuple{}); e != nil {
		return e.s.Owner.Load()
	}
	return 0
}

// Shutdown implements socket.Proto (Linux, inet_shutdown and sctp_shutdown).
func (t *sctpProto) Shutdown(s *socket.Socket, how int) error {
	e := sctpOf(s)
	if e.stage == sctpListening {
		if how == abi.SHUT_WR {
			return nil
		}
		return syscall.EOPNOTSUPP // sctp_disconnect
	}
	var err error
	if e.stage == sctpClosed {
		err = syscall.ENOTCONN
	}
	e.shutRD = e.shutRD || how != abi.SHUT_WR
	e.shutWR = e.shutWR || how != abi.SHUT_RD
	if how != abi.SHUT_WR {
		for x := e.assocs; x != nil; x = x.next {
			x.core.Deafen()
		}
	}
	if x := e.only(); x != nil && e.one() && how != abi.SHUT_RD {
		e.stage = sctpClosing
		t.update(x, x.core.Shutdown(t.now()))
	}
	s.Notify(wait.In | wait.Out | wait.Hup | wait.RdHup)
	return err
}

func (t *sctpProto) now() time.Duration { return t.dom.Now() }

// Linger implements socket.Lingerer: of one-to-one style close waits until the association is over.
func (t *sctpProto) Linger(s *socket.Socket) bool {
	e := sctpOf(s)
	if !e.one() || e.stage == sctpListening {
		return false
	}
	if !e.lingerer {
		e.lingerer = true
		t.endAll(e)
	}
	return e.count > 0
}

// Close implements socket.Proto (Linux, sctp_close).
func (t *sctpProto) Close(s *socket.Socket) {
	e := sctpOf(s)
	t.Forget(s)
	e.endFlows(t.Stack)
	t.stopListening(e)
	t.outlives(e)
	t.endAll(e)
	t.names.Lock()
	e.s = nil
	t.names.Unlock()
	t.settle(e)
}

// endAll ends the associations of a socket that is closed: by SHUTDOWN, or by ABORT where something
// was not read, or SO_LINGER is set with no time.
func (t *sctpProto) endAll(e *sctpEndpoint) {
	unread := e.discard()
	for x := e.assocs; x != nil; {
		next := x.next
		switch {
		case x.core.State() == sctp.Closed:
			t.drop(x)
		case unread || x.core.Status().Pending > 0 || e.s.Opt.Linger == 0:
			t.update(x, x.core.Abort(t.now(), nil))
		default:
			t.update(x, x.core.Shutdown(t.now()))
		}
		x = next
	}
}

// settle frees what a closed endpoint holds once its last association is over.
func (t *sctpProto) settle(e *sctpEndpoint) {
	if e.s != nil || e.count > 0 {
		return
	}
	for len(e.locals) > 0 {
		t.unbind(e, 0)
	}
}

// close drops everything without a word to the peers.
func (t *sctpProto) close() {
	for _, x := range t.byID {
		t.drop(x)
	}
}

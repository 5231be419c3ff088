package rtnl

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
)

// Socket is what inet_diag tells of a socket.
type Socket struct {
	Family  uint8
	State   uint8 // TCP_*, as Linux numbers them; of other protocols established or close; of an association SCTP's own
	V6Only  bool
	Local   netip.AddrPort // an IPv4 address of an IPv6 socket stands as it is
	Peer    netip.AddrPort
	Link    uint32
	Cookie  uint64 // tells it from all others
	RecvQ   uint32 // bytes; of a listener connections
	SendQ   uint32
	RcvBuf  uint32
	SndBuf  uint32
	Drops   uint32
	UID     uint32
	Inode   uint32        // of the program's descriptor; 0: none
	Left    time.Duration // of TIME-WAIT
	Retrans uint8

	Congestion string
	Info       interface{ Put([]byte) int } // writes a struct tcp_info or sctp_info; nil: none
	ShutDown   uint8                        // 1: for reading, 2: for writing

	// SCTP: addresses, and the associations of a socket, which are without any.
	Locals, Peers []netip.AddrPort
	Assoc         bool
	Assocs        []Socket
}

// Messages and attributes of NETLINK_SOCK_DIAG (linux/sock_diag.h, inet_diag.h).
const (
	tcpDiagGetSock   = 18
	sockDiagByFamily = 20
	sockDestroy      = 21

	sizeDiagReq = 56  // struct inet_diag_req_v2
	sizeDiagOld = 60  // struct inet_diag_req
	sizeDiagID  = 48  // struct inet_diag_sockid
	sizeInfo    = 512 // more than a struct tcp_info or sctp_info has

	diagReqBytecode = 1
	diagReqProtocol = 3

	diagMeminfo   = 1
	diagInfo      = 2
	diagCong      = 4
	diagTOS       = 5
	diagTClass    = 6
	diagSkMeminfo = 7
	diagShutdown  = 8
	diagV6Only    = 11
	diagTimeWait  = 3 // idiag_timer
	protocolTCP   = 6
	protocolUDP   = 17
	protocolSCTP  = 132
	protocolRaw   = 255

	stateTimeWait = 6
	stateClose    = 7
	stateListen   = 10
)

// diagRequest says which sockets are asked for.
type diagRequest struct {
	family        uint8 // 0: both
	protocol, ext uint8
	states        uint32
	id            []byte // struct inet_diag_sockid
	code          bytecode
}

// diag answers a request of NETLINK_SOCK_DIAG (net/core/sock_diag.c, net/ipv4/inet_diag.c).
func (s *Session) diag(r *request) Errno {
	switch r.typ {
	case tcpDiagGetSock:
		return s.diagOld(r)
	case sockDiagByFamily:
	case sockDestroy:
		return EPERM
	default:
		return EINVAL
	}
	if len(r.body) < 2 || r.body[0] >= afMax {
		return EINVAL
	}
	if r.body[0] != afInet && r.body[0] != afInet6 {
		if s.Foreign != nil {
			s.foreign = s.Foreign(r.whole)
		}
		if s.foreign == nil {
			return ENOENT
		}
		return 0
	}
	if len(r.body) < sizeDiagReq {
		return EINVAL
	}
	q := diagRequest{
		family: r.body[0], ext: r.body[2],
		states: binary.NativeEndian.Uint32(r.body[4:]), id: r.body[8 : 8+sizeDiagID],
	}
	a, _ := parseAttrs(r.body[sizeDiagReq:])
	protocol := uint32(r.body[1])
	if p, ok := a.u32(diagReqProtocol); ok && p != 0 {
		protocol = p
	}
	return s.diagInet(r, &q, protocol, a)
}

// diagOld is a request with a struct inet_diag_req, which asks for TCP's of both families.
func (s *Session) diagOld(r *request) Errno {
	if len(r.body) < sizeDiagOld {
		return EINVAL
	}
	q := diagRequest{ext: r.body[3], id: r.body[4 : 4+sizeDiagID], states: binary.NativeEndian.Uint32(r.body[4+sizeDiagID:])}
	if r.flags&nlmDump == 0 {
		q.family = r.body[0]
	}
	a, _ := parseAttrs(r.body[sizeDiagOld:])
	return s.diagInet(r, &q, protocolTCP, a)
}

// diagInet answers about the sockets of an IP protocol.
func (s *Session) diagInet(r *request, q *diagRequest, protocol uint32, a attrs) Errno {
	switch protocol {
	case protocolTCP, protocolUDP, protocolSCTP, protocolRaw:
	default:
		if r.flags&nlmDump != 0 {
			return s.failList(r, ENOENT)
		}
		return ENOENT
	}
	if code, has := a[diagReqBytecode]; has && r.flags&nlmDump != 0 {
		if q.code = code; !q.code.sound() {
			return EINVAL
		}
	}
	q.protocol = uint8(protocol)
	next := s.Sockets(q.protocol)
	if r.flags&nlmDump == 0 {
		s.diagOne(r, q, next)
		return 0
	}
	var list []Socket
	typ := r.typ
	s.list(r, 0, func(i int) (answer, bool) {
		k := &list[i]
		if q.protocol != protocolSCTP && !q.wants(k) {
			return answer{}, false
		}
		return k.message(typ, q.protocol, q.ext), true
	})
	d := s.dump
	d.more = func() (more bool) {
		if list, more = next(); q.protocol == protocolSCTP {
			list = q.endpoints(list)
		}
		d.i, d.n = 0, len(list)
		return more
	}
	return 0
}

// wants reports whether a dump is to tell of a socket (inet_diag_dump_icsk).
func (q *diagRequest) wants(k *Socket) bool {
	return (q.family == 0 || k.Family == q.family) && q.states>>k.State&1 != 0 && q.hasPorts(k) &&
		(q.code == nil || q.code.run(k))
}

// hasPorts reports whether a socket has the ports that are asked for.
func (q *diagRequest) hasPorts(k *Socket) bool {
	sport, dport := binary.BigEndian.Uint16(q.id), binary.BigEndian.Uint16(q.id[2:])
	return (sport == 0 || sport == k.Local.Port()) && (dport == 0 || dport == k.Peer.Port())
}

// diagOne looks for the socket that the request names by its addresses, part by part, and
// answers then. A listener is found by its own address alone (inet_diag_find_one_icsk).
func (s *Session) diagOne(asked *request, q *diagRequest, next func() ([]Socket, bool)) {
	r, listener := *asked, Socket{}
	s.search = func() {
		list, more := next()
		for i := range list {
			k := &list[i]
			if q.protocol == protocolSCTP { // whose listeners have no table
				if a := q.assocOf(k); a != nil {
					s.found(&r, q, a)
					return
				}
				continue
			}
			if q.names(k) {
				s.found(&r, q, k)
				return
			}
			if listener.Family == 0 && !k.Peer.IsValid() && q.namesListener(k) {
				listener = *k
			}
		}
		switch {
		case more:
		case listener.Family != 0:
			s.found(&r, q, &listener)
		default:
			s.search = nil
			s.ack(&r, ENOENT)
		}
	}
}

// found ends a search.
func (s *Session) found(r *request, q *diagRequest, k *Socket) {
	s.search = nil
	const noCookie = 1<<64 - 1
	if c := binary.NativeEndian.Uint64(q.id[40:]); c != noCookie && c != k.Cookie {
		s.ack(r, ESTALE)
		return
	}
	s.reply(r, k.message(r.typ, q.protocol, q.ext))
	if r.flags&nlmAck != 0 {
		s.ack(r, 0)
	}
}

// names reports whether the request has the socket's ports and addresses.
func (q *diagRequest) names(k *Socket) bool {
	const end = 36 // of ports and addresses in a struct inet_diag_sockid
	return k.Family == q.family && string(k.id()[:end]) == string(q.id[:end])
}

// namesListener reports whether it has the listener's port, and its address or none.
func (q *diagRequest) namesListener(k *Socket) bool {
	id := k.id()
	return k.Family == q.family && string(id[:2]) == string(q.id[:2]) &&
		(zero(id[4:20]) || string(id[4:20]) == string(q.id[4:20]))
}

// id returns the socket's struct inet_diag_sockid.
func (k *Socket) id() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, sizeDiagID), k.Local.Port())
	b = binary.BigEndian.AppendUint16(b, k.Peer.Port())
	for _, a := range []netip.Addr{k.Local.Addr(), k.Peer.Addr()} {
		x := k.address(a)
		b = append(b, x[:]...)
	}
	b = binary.NativeEndian.AppendUint32(b, k.Link)
	return binary.NativeEndian.AppendUint64(b, k.Cookie)
}

// address returns an address in the four words of an inet_diag_sockid.
func (k *Socket) address(a netip.Addr) (x [16]byte) {
	switch {
	case !a.IsValid():
	case k.Family == afInet:
		if a = a.Unmap(); a.Is4() {
			v4 := a.As4()
			copy(x[:], v4[:])
		}
	default:
		x = a.As16()
	}
	return x
}

// message describes the socket (inet_sk_diag_fill, inet_twsk_diag_fill).
func (k *Socket) message(typ uint16, protocol, ext uint8) answer {
	timer, expires := uint8(0), uint32(0)
	if k.inTimeWait() {
		timer, expires = diagTimeWait, uint32(k.Left/time.Millisecond)
	}
	b := append([]byte{k.Family, k.State, timer, k.Retrans}, k.id()...)
	for _, v := range []uint32{expires, k.RecvQ, k.SendQ, k.UID, k.Inode} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	if k.inTimeWait() {
		return answer{typ, b}
	}
	asked := func(attr int) bool { return ext>>(attr-1)&1 != 0 }
	return answer{typ, withAttrs(b, func(e *netlink.AttributeEncoder) {
		e.Uint8(diagShutdown, k.ShutDown)
		if asked(diagTOS) {
			e.Uint8(diagTOS, 0)
		}
		if k.Family == afInet6 {
			if asked(diagTClass) {
				e.Uint8(diagTClass, 0)
			}
			if !k.Assoc && (k.State == stateListen || k.State == stateClose) {
				only := uint8(0)
				if k.V6Only {
					only = 1
				}
				e.Uint8(diagV6Only, only)
			}
		}
		recv, send := k.RecvQ, k.SendQ
		if k.State == stateListen && !k.Assoc {
			recv, send = 0, 0 // those count connections
		}
		if asked(diagMeminfo) && protocol != protocolSCTP {
			e.Bytes(diagMeminfo, words(recv, send, 0, send))
		}
		if asked(diagSkMeminfo) {
			e.Bytes(diagSkMeminfo, words(recv, k.RcvBuf, send, k.SndBuf, 0, send, 0, 0, k.Drops))
		}
		switch protocol {
		case protocolSCTP:
			k.putSCTP(e, asked(diagInfo), asked(diagCong))
			return
		case protocolTCP:
		default:
			return
		}
		if asked(diagInfo) {
			e.Bytes(diagInfo, k.tcpInfo())
		}
		if asked(diagCong) && k.Congestion != "" {
			e.String(diagCong, k.Congestion)
		}
	})}
}

// inTimeWait reports whether it is a connection in TIME-WAIT: an association has numbers of its own.
func (k *Socket) inTimeWait() bool { return k.State == stateTimeWait && !k.Assoc }

// infoBytes returns the struct that Info writes.
func (k *Socket) infoBytes() []byte {
	b := make([]byte, sizeInfo)
	return b[:k.Info.Put(b)]
}

// tcpInfo returns the socket's struct tcp_info. A listener's counts the connections that wait.
func (k *Socket) tcpInfo() []byte {
	if k.Info != nil {
		return k.infoBytes()
	}
	const size, unacked, sacked = 280, 24, 28
	b := make([]byte, size)
	b[0] = k.State
	if k.State == stateListen {
		binary.NativeEndian.PutUint32(b[unacked:], k.RecvQ)
		binary.NativeEndian.PutUint32(b[sacked:], k.SendQ)
	}
	return b
}

func words(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.NativeEndian.AppendUint32(b, x)
	}
	return b
}

// bytecode is a filter of sockets (INET_DIAG_REQ_BYTECODE): instructions of four bytes, code,
// yes and no, the latter two where to go on from here, with operands behind them.
type bytecode []byte

// Codes of instructions (INET_DIAG_BC_*).
const (
	bcNop = iota
	bcJump
	bcSportGE
	bcSportLE
	bcDportGE
	bcDportLE
	bcAuto
	bcSource
	bcDest
	bcDevice
	bcMark
	bcSportEQ
	bcDportEQ
	bcCgroup
)

const bcSize = 4

// operand returns how many bytes an instruction of a code has with its operand; 0 if there is
// no such code. What a condition on an address has depends on its family.
func (b bytecode) operand() int {
	switch b[0] {
	case bcNop, bcJump, bcAuto:
		return bcSize
	case bcSportGE, bcSportLE, bcDportGE, bcDportLE, bcSportEQ, bcDportEQ:
		return 2 * bcSize
	case bcDevice:
		return bcSize + 4
	case bcMark, bcCgroup:
		return bcSize + 8
	case bcSource, bcDest:
		if len(b) < bcSize+8 {
			return 0
		}
		size, bits := 0, int(b[5])
		switch b[4] {
		case afUnspec:
		case afInet:
			size = 4
		case afInet6:
			size = 16
		default:
			return 0
		}
		if bits > 8*size {
			return 0
		}
		return bcSize + 8 + size
	}
	return 0
}

// sound reports whether each instruction is right and leads on (inet_diag_bc_audit).
func (b bytecode) sound() bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < bcSize {
			return false
		}
		least := b.operand()
		yes, no := int(b[1]), int(binary.NativeEndian.Uint16(b[2:]))
		if least == 0 || least > len(b) || yes < least || yes > len(b)+4 || yes&3 != 0 {
			return false
		}
		if b[0] != bcNop && (no < least || no > len(b)+4 || no&3 != 0) {
			return false
		}
		if yes > len(b) {
			return false
		}
		b = b[yes:]
	}
	return true
}

// run reports whether the filter takes the socket (inet_diag_bc_run): it does by leaving at its
// end, and not by going beyond it.
func (b bytecode) run(k *Socket) bool {
	for len(b) >= bcSize {
		n := b.operand()
		if n == 0 || n > len(b) {
			return false
		}
		step := int(b[1])
		if !b.holds(k) {
			step = int(binary.NativeEndian.Uint16(b[2:]))
		}
		if step < bcSize || step > len(b) {
			return false
		}
		b = b[step:]
	}
	return len(b) == 0
}

// holds reports whether the first instruction's condition holds for the socket.
func (b bytecode) holds(k *Socket) bool {
	sport, dport := k.Local.Port(), k.Peer.Port()
	port := func() uint16 { return binary.NativeEndian.Uint16(b[bcSize+2:]) }
	switch b[0] {
	case bcJump, bcAuto, bcCgroup:
		return false
	case bcSportGE:
		return sport >= port()
	case bcSportLE:
		return sport <= port()
	case bcDportGE:
		return dport >= port()
	case bcDportLE:
		return dport <= port()
	case bcSportEQ:
		return sport == port()
	case bcDportEQ:
		return dport == port()
	case bcDevice:
		return binary.NativeEndian.Uint32(b[bcSize:]) == k.Link
	case bcMark:
		return binary.NativeEndian.Uint32(b[bcSize:]) == 0
	case bcSource:
		return b.hostHolds(k, k.Local)
	case bcDest:
		return b.hostHolds(k, k.Peer)
	}
	return true
}

// hostHolds compares with a struct inet_diag_hostcond: a family, bits, a port, and an address.
func (b bytecode) hostHolds(k *Socket, a netip.AddrPort) bool {
	family, bits := b[4], int(b[5])
	if port := int32(binary.NativeEndian.Uint32(b[8:])); port != -1 && port != int32(a.Port()) {
		return false
	}
	x := k.address(a.Addr())
	at := x[:]
	if family != afUnspec && family != k.Family {
		if k.Family != afInet6 || family != afInet || !netip.AddrFrom16(x).Is4In6() {
			return false
		}
		at = x[12:]
	}
	want := b[bcSize+8:]
	for i := range bits {
		if bit := byte(0x80 >> (i % 8)); (at[i/8]^want[i/8])&bit != 0 {
			return false
		}
	}
	return true
}

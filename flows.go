package usock

import (
	"errors"
	"net/netip"
	"syscall"

	"usock/internal/inet"
	"usock/internal/ip"
)

// FlowHandler is asked about what nobody of a host takes (Config.Flows): the way to build
// proxies, gateways and traps for a whole network. It is asked about
//
//   - what comes by a link for addresses that are not the host's own, if Config.StandIn is set:
//     the host answers in their place;
//   - what the host's sockets send to ports of 127.0.0.0/8 and ::1 on which no socket is.
//
// Its methods are called by the goroutine that brought the packet, with no lock held: they
// may use the host and its sockets. They should not take long, and may be called by several
// goroutines at one time.
type FlowHandler interface {
	// HandleTCP is asked about a connection, before the handshake is answered. One of the
	// flow's methods answers it, in the call or later.
	HandleTCP(*Flow)

	// HandleUDP is given a datagram. What it refers to is the handler's during the call.
	HandleUDP(*Datagram)

	// HandleEcho is given an ICMP or ICMPv6 echo request to an address that is not the
	// host's. What it refers to is the handler's during the call.
	HandleEcho(*Echo)
}

// Flow is a connection that was asked for and is not answered yet. At most 4096 of a host
// wait for that; further requests are dropped, so that they come again. Its methods may be
// called by any goroutine; the first of Accept, Refuse, Unreachable and Drop counts, and the
// others are without effect.
type Flow struct {
	f    *inet.Flow
	host *Host
}

// Local is the address and port that are asked for.
func (f *Flow) Local() netip.AddrPort { return f.f.Local }

// Remote is who asks.
func (f *Flow) Remote() netip.AddrPort { return f.f.Remote }

// TTL is the time to live, or hop limit, of the request.
func (f *Flow) TTL() uint8 { return f.f.TTL }

// TOS is the type of service, or traffic class, of the request.
func (f *Flow) TOS() uint8 { return f.f.TOS }

// Waiting reports whether the flow waits for an answer: it was not answered, nor given up by
// who asks. Who closes a socket that connects says nothing, as on Linux: such a flow is
// forgotten 130 seconds after it was last asked for.
func (f *Flow) Waiting() bool {
	f.host.h.Enter()
	defer f.host.h.Leave()
	return f.f.Waiting()
}

// Accept begins to answer and returns the connection's socket, which is non-blocking and
// becomes writable (POLLOUT) when the handshake is complete. Its local address is Local. It
// fails with ECONNABORTED if the flow does not wait any more.
func (f *Flow) Accept() (*Socket, error) {
	f.host.h.Enter()
	defer f.host.h.Leave()
	in, err := f.f.Accept()
	if err != nil {
		return nil, err
	}
	in.InitNonblock()
	return &Socket{in, f.host}, nil
}

// Refuse answers with a reset, as a host without a listener: ECONNREFUSED.
func (f *Flow) Refuse() { f.answer((*inet.Flow).Refuse) }

// Drop does not answer, as a host that is not there. If it is asked for again, the handler
// is asked again.
func (f *Flow) Drop() { f.answer((*inet.Flow).Drop) }

// Unreachable answers with an ICMP or ICMPv6 error of the type and code by the router from,
// or by Local's address where from is not valid.
func (f *Flow) Unreachable(from netip.Addr, typ, code uint8) {
	f.answer(func(in *inet.Flow) { in.Unreachable(from, typ, code) })
}

func (f *Flow) answer(how func(*inet.Flow)) {
	f.host.h.Enter()
	how(f.f)
	f.host.h.Leave()
}

// Datagram is a UDP datagram with what its IP header says of it.
type Datagram struct {
	Src, Dst     netip.AddrPort
	Data         [][]byte // in pieces
	SegmentSize  int      // not 0: several datagrams of so many bytes each, the last may be shorter
	TTL, TOS     uint8    // or hop limit and traffic class; TTL to be sent: 0 is the default
	DontFragment bool     // in IPv6: by who sends it
}

// Echo is an ICMP or ICMPv6 echo request or reply.
type Echo struct {
	Src, Dst netip.Addr
	ID, Seq  uint16   // identifier and sequence number (RFC 792)
	Data     [][]byte // in pieces
	TTL, TOS uint8    // or hop limit and traffic class; TTL to be sent: 0 is the default
}

// ICMPError is an ICMP or ICMPv6 error about a UDP datagram or an echo request.
type ICMPError struct {
	From       netip.Addr     // who complains; not valid: Dst
	Src, Dst   netip.AddrPort // of the packet; Src is told
	Proto      uint8          // of the packet
	TTL, TOS   uint8          // of the packet, as it came
	Type, Code uint8          // of the message: RFC 792, or RFC 4443 for IPv6
	Info       uint32         // the second word of the message: an MTU
	Data       [][]byte       // what followed the packet's UDP header, or its ICMP header; of SCTP, its header, too
	ID, Seq    uint16         // of an echo request
}

// SendDatagram sends a datagram without a socket, from any address and port: those of a
// stranger are for a host that stands in for him. Errors: EMSGSIZE, ENETUNREACH.
func (h *Host) SendDatagram(d *Datagram) error {
	return h.locked(func() error { return h.stack.SendDatagram((*inet.Datagram)(d)) })
}

// SendEchoReply answers an echo request from any address. Errors: ENETUNREACH.
func (h *Host) SendEchoReply(e *Echo) error {
	return h.locked(func() error { return h.stack.SendEchoReply((*inet.Echo)(e)) })
}

// SendICMPError tells e.Src, in the name of e.From, what became of its datagram or echo
// request. Proto is IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 or IPPROTO_SCTP, else EPROTONOSUPPORT.
func (h *Host) SendICMPError(e *ICMPError) error {
	return h.locked(func() error { return h.stack.SendError((*inet.Error)(e)) })
}

// FailConnect has the attempt of one of the host's sockets to connect from local to remote
// fail with err, for reasons that no packet tells. It reports whether there is one.
func (h *Host) FailConnect(local, remote netip.AddrPort, err syscall.Errno) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.FailConnect(local, remote, err)
}

// FailSend has the next call of the UDP socket at local, which has remote for its peer or,
// unless onlyPeer is set, none, fail with err. It reports whether there is such a socket.
func (h *Host) FailSend(local, remote netip.AddrPort, err syscall.Errno, onlyPeer bool) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.FailSend(local, remote, err, onlyPeer)
}

// Broadcasts reports whether the UDP socket at local, which has remote for its peer or none,
// may send to broadcast addresses (SO_BROADCAST): those of other networks, too, which the
// host does not know for what they are.
func (h *Host) Broadcasts(local, remote netip.AddrPort) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.Broadcasts(local, remote)
}

// Connects reports whether a socket of the host connects, or is connected, from local to
// remote.
func (h *Host) Connects(local, remote netip.AddrPort) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.Connects(local, remote)
}

// StreamSettings are the options of a TCP connection that are about the way to its peer. Who
// carries a flow on sets the same there.
type StreamSettings struct {
	KeepAlive   bool   // SO_KEEPALIVE
	KeepIdle    int    // TCP_KEEPIDLE, in seconds; 0: the host's
	KeepIntvl   int    // TCP_KEEPINTVL, in seconds; 0: the host's
	KeepCnt     int    // TCP_KEEPCNT; 0: the host's
	UserTimeout int    // TCP_USER_TIMEOUT, in milliseconds; 0: none
	TTL         uint8  // IP_TTL or IPV6_UNICAST_HOPS; 0: the host's
	TOS         uint8  // IP_TOS or IPV6_TCLASS
	Congestion  string // TCP_CONGESTION, by name; "": the host's
}

// StreamSettings returns those of the host's socket that is connected, or connects, from local
// to remote; false if there is none.
func (h *Host) StreamSettings(local, remote netip.AddrPort) (StreamSettings, bool) {
	h.h.Enter()
	defer h.h.Leave()
	s, ok := h.stack.Settings(local, remote)
	return StreamSettings(s), ok
}

// FailStream ends the connection of the host's socket from local to remote with err, for
// reasons that no packet tells: ETIMEDOUT, say. What the socket has received can still be
// read. It reports whether there is one.
func (h *Host) FailStream(local, remote netip.AddrPort, err syscall.Errno) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.FailStream(local, remote, err)
}

// Bound reports whether a socket of the protocol, IPPROTO_TCP or IPPROTO_UDP, has the local
// address and port, or all addresses' port.
func (h *Host) Bound(proto int, local netip.AddrPort) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.Bound(proto, local)
}

// Owner returns the process (SetOwner) that acts at local towards remote: by a connection or a
// listener (IPPROTO_TCP), a UDP socket, or one for echo requests whose identifier is local's
// port (IPPROTO_ICMP, IPPROTO_ICMPV6). 0: nobody that is known.
func (h *Host) Owner(proto int, local, remote netip.AddrPort) int {
	h.h.Enter()
	defer h.h.Leave()
	return int(h.stack.Owner(proto, local, remote))
}

// Listening returns the local addresses on which sockets listen on the port (IPPROTO_TCP),
// or of those that have taken it by bind (IPPROTO_UDP). A socket of both families that has
// the wildcard stands there as :: and as 0.0.0.0.
func (h *Host) Listening(proto int, port uint16) []netip.Addr {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.Listening(proto, port)
}

// Originate begins a TCP connection from an address and port that need not be free, nor the
// host's if it stands in for others (Config.StandIn). It returns its socket at once, which is
// non-blocking, holds no port, and becomes writable (POLLOUT) when there is an outcome for
// FinishConnect to tell. Errors: EADDRNOTAVAIL if there is a connection of these two already,
// ENETUNREACH, EINVAL if the addresses do not go together.
func (h *Host) Originate(from, to netip.AddrPort) (*Socket, error) {
	h.h.Enter()
	defer h.h.Leave()
	in, err := h.stack.Originate(from, to)
	if err != nil {
		return nil, err
	}
	in.InitNonblock()
	return &Socket{in, h}, nil
}

// AddAddr gives the host a further address on the interface of that name, "lo" or its link's.
// Errors: EEXIST if the host has it, EINVAL if it is none that a host can have, ENODEV if there is
// no such interface.
func (h *Host) AddAddr(iface string, a netip.Prefix) error {
	return h.withIface(iface, func(i *ip.Iface) error { return h.stack.IP.AddAddr(i, a) })
}

// RemoveAddr takes an address away. Connections from it find no way any more. EADDRNOTAVAIL
// if the interface does not have it, ENODEV if there is no such interface.
func (h *Host) RemoveAddr(iface string, a netip.Prefix) error {
	return h.withIface(iface, func(i *ip.Iface) error { return h.stack.IP.RemoveAddr(i, a) })
}

// AddRoute has a network reached through an interface. Errors: EEXIST if the route is there
// already, EINVAL if it makes no sense, such as a gateway that is the host itself or of the other
// family, ENETUNREACH if the gateway is on none of the interface's networks, ENODEV if there is no
// such interface.
func (h *Host) AddRoute(iface string, r Route) error {
	return h.withIface(iface, func(i *ip.Iface) error {
		return h.stack.IP.AddRoute(ip.Route{Dst: r.Dst, Via: r.Via, Iface: i})
	})
}

// RemoveRoute takes a route away. Errors: ESRCH if it is not there, ENODEV if there is no such
// interface.
func (h *Host) RemoveRoute(iface string, r Route) error {
	return h.withIface(iface, func(i *ip.Iface) error {
		return h.stack.IP.RemoveRoute(ip.Route{Dst: r.Dst, Via: r.Via, Iface: i})
	})
}

// withIface changes something of an interface.
func (h *Host) withIface(name string, f func(*ip.Iface) error) error {
	err := h.locked(func() error {
		i := h.stack.IP.IfaceByName(name)
		if i == nil {
			return syscall.ENODEV
		}
		return f(i)
	})
	if err == nil {
		h.tellChange()
	}
	return err
}

// locked calls f with the host entered.
func (h *Host) locked(f func() error) error {
	h.h.Enter()
	defer h.h.Leave()
	return f()
}

// handler returns f as the stack calls it; nil if f is nil.
func (h *Host) handler(f FlowHandler) inet.Handler {
	if f == nil {
		return nil
	}
	return &flows{f, h}
}

// flows is a FlowHandler as the stack calls it.
type flows struct {
	to   FlowHandler
	host *Host
}

func (f *flows) TCP(in *inet.Flow)    { f.to.HandleTCP(&Flow{in, f.host}) }
func (f *flows) UDP(d *inet.Datagram) { f.to.HandleUDP((*Datagram)(d)) }
func (f *flows) Echo(e *inet.Echo)    { f.to.HandleEcho((*Echo)(e)) }

var errStandIn = errors.New("usock: StandIn without Flows: nobody would answer")

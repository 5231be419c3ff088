package inet

import (
	"net/netip"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// ssStates are ss(8)'s names of the states.
var ssStates = [...]string{
	tcp.Closed: socket.Unconnected, tcp.Listen: socket.Listening, tcp.SynSent: "SYN-SENT", tcp.SynRcvd: "SYN-RECV",
	tcp.Established: socket.Established, tcp.FinWait1: "FIN-WAIT-1", tcp.FinWait2: "FIN-WAIT-2",
	tcp.CloseWait: "CLOSE-WAIT", tcp.Closing: "CLOSING", tcp.LastAck: "LAST-ACK", tcp.TimeWait: "TIME-WAIT",
}

// describe is Describe of the protocols whose control blocks have a dgram.
func (d *dgram) describe(in *socket.Info) {
	in.V6Only = in.Domain == abi.AF_INET6 && d.ip().v6only
	in.Local = addrPort(d.addr, d.lport)
	if d.raddr.IsValid() {
		in.Peer, in.State = addrPort(d.raddr, d.rport), socket.Established
	}
	in.RecvQ, in.Drops = d.bytes, uint64(d.drops)
	in.RxBytes, in.TxBytes = d.came, d.sent
}

// addrPort is the address of a socket in a list: what it is on the wire, not mapped.
func addrPort(a netip.Addr, port uint16) abi.Addr { return abi.AddrFrom(netip.AddrPortFrom(a, port)) }

// ListRest implements socket.Lister: the connections without socket, by the slots of their table.
func (t *tcpProto) ListRest(out []socket.Info, place, n int) ([]socket.Info, int) {
	next := t.conns.part(place, n, func(o nodeOwner) {
		if e, ok := o.(*tcpEndpoint); ok && (e.s != nil || e.taken) {
			return // that has a socket
		}
		out = append(out, t.describeConn(o))
	})
	return out, next
}

// describeConn tells of a connection without socket.
func (t *tcpProto) describeConn(o nodeOwner) (in socket.Info) {
	in = socket.Info{Kind: &tcpKind.Kind, Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_TCP}
	six := false
	switch o := o.(type) {
	case *tcpEndpoint:
		in.ID, in.Owner, six = o.sid(), o.owner(), o.six
		o.describe(&in)
	case *timeWait:
		in.State, six, in.Left = ssStates[tcp.TimeWait], o.six, max(o.state.Expires()-t.Host.Now(), 0)
		in.Local = addrPort(o.laddr, o.lport)
		in.Peer = addrPort(o.raddr, o.rport)
	}
	if in.Domain = in.Local.Family; six {
		in.Domain = abi.AF_INET6
	}
	return in
}

func valid(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// Describe implements socket.Proto.
func (t *tcpProto) Describe(s *socket.Socket, in *socket.Info) {
	in.V6Only = in.Domain == abi.AF_INET6 && v6only(s)
	endpointOf(s).describe(in)
}

func (e *tcpEndpoint) describe(in *socket.Info) {
	in.Local = addrPort(valid(e.laddr, e.addr), e.lport)
	if l := e.listener; l != nil {
		in.State, in.RecvQ, in.SendQ = socket.Listening, l.waiting(), int(l.backlog)
		return
	}
	in.State = ssStates[e.conn.State()]
	if !e.raddr.IsValid() {
		return
	}
	in.Peer = addrPort(e.raddr, e.rport)
	in.RecvQ, in.SendQ = e.conn.Buffered(), e.conn.Outstanding()
	in.Congestion, in.Age = e.conn.CC(), e.conn.Age(e.now())
	if !in.Brief {
		info := new(tcp.Info)
		e.info(info)
		in.Detail = info
		in.Waits = e.conn.WaitsFor(e.now())
	}
}

// tellEnd tells who wants to know that a connection has ended, while it has its addresses still.
func (t *tcpProto) tellEnd(e *tcpEndpoint) {
	in := socket.Info{
		Kind: &tcpKind.Kind, Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_TCP, Domain: abi.AF_INET, ID: e.sid(), Owner: e.owner(),
	}
	if e.six || e.laddr.Is6() {
		in.Domain = abi.AF_INET6
	}
	e.describe(&in)
	e.conn.Told()
	e.dom.After(func() { t.ended(in) })
}

// info fills in what TCP_INFO tells of e. The core, which knows no network layer,
// counts the headers of IPv4 in the path's MTU.
func (e *tcpEndpoint) info(in *tcp.Info) {
	e.conn.Info(e.now(), in)
	if in.PMTU != 0 && e.raddr.Is6() {
		in.PMTU += 20
	}
}

// Timers returns how many deadlines the host waits for. Locked.
func (s *Stack) Timers() int { return s.Host.Timers() }

package inet

import (
	"math"
	"net/netip"
	"sort"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// Info describes one socket, or a connection that has none any more or not yet.
type Info struct {
	ID                     uint64 // 0: without socket
	Domain, Type, Protocol int
	Owner                  int32
	Kind                   *socket.Kind
	State                  tcp.State      // without states: Established with a peer, else Closed, as on Linux
	Local, Peer            netip.AddrPort // of several addresses or associations, the first
	RecvQ, SendQ           int            // bytes; of a listener: connections waiting, and the backlog
	Drops                  uint64
	TCP                    *tcp.Info // connections only
	Congestion             string    // the name of a connection's congestion control
	V6Only                 bool
	RcvBuf, SndBuf         int           // bytes; 0: without socket
	Device                 int           // SO_BINDTODEVICE; 0: none
	Left                   time.Duration // of TIME-WAIT
}

// Sockets lists every socket of the Internet's families, connections without socket and TIME-WAITs, sorted by
// protocol and number. Locked.
func (s *Stack) Sockets() []Info {
	var out []Info
	for place, next := 0, 1; next != 0; place = next {
		out, next = s.SocketsFrom(out, place, math.MaxInt/4)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Protocol != b.Protocol {
			return a.Protocol < b.Protocol
		}
		return a.ID < b.ID
	})
	return out
}

// SocketsFrom appends what stands at n places from place on, and returns the next one; 0 after
// the last. Even places are of the list of sockets, odd ones of the table of connections. If
// that changes between two calls, some may be missing or listed twice. Locked.
func (s *Stack) SocketsFrom(out []Info, place, n int) ([]Info, int) {
	if place&1 == 0 {
		i, open := place/2, s.All()
		end := min(i+n, len(open))
		for ; i < end; i++ {
			if d, ok := open[i].Proto.(Describer); ok {
				out = append(out, describe(d, open[i]))
			}
		}
		if end < len(open) {
			return out, 2 * end
		}
		return out, 1
	}
	i := place / 2
	slots := s.tcp.conns.slots
	end := min(i+n, len(slots))
	for ; i < end; i++ {
		for k := slots[i]; k != nil; k = k.next {
			if in, ok := s.describeConn(k.owner); ok {
				out = append(out, in)
			}
		}
	}
	if end < len(slots) {
		return out, 2*end + 1
	}
	return out, 0
}

// Describer is a protocol that tells of its sockets.
type Describer interface {
	// Describe fills in what the socket's control block knows: addresses, state, queues and
	// what was dropped. Locked.
	Describe(*socket.Socket, *Info)
}

// describe tells of an open socket.
func describe(d Describer, k *socket.Socket) Info {
	in := Info{
		Kind: k.Proto.Kind(),
		ID:   k.ID, Domain: int(k.Domain), Type: int(k.Type), Protocol: int(k.Protocol), Owner: k.Owner,
		RcvBuf: int(k.Opt.RcvBuf), SndBuf: int(k.Opt.SndBuf), Device: int(k.Opt.Device),
	}
	d.Describe(k, &in)
	return in
}

// describe is Describe of the protocols whose control blocks have a dgram.
func (d *dgram) describe(in *Info) {
	in.V6Only = in.Domain == abi.AF_INET6 && d.ip().v6only
	in.Local = netip.AddrPortFrom(d.addr, d.lport)
	if d.raddr.IsValid() {
		in.Peer, in.State = netip.AddrPortFrom(d.raddr, d.rport), tcp.Established
	}
	in.RecvQ, in.Drops = d.bytes, uint64(d.drops)
}

// Describe implements Describer.
func (u *udpProto) Describe(s *socket.Socket, in *Info) { udpOf(s).describe(in) }

// Describe implements Describer.
func (p *pingProto) Describe(s *socket.Socket, in *Info) { pingOf(s).describe(in) }

// Describe implements Describer.
func (r *rawProto) Describe(s *socket.Socket, in *Info) { rawOf(s).describe(in) }

// describeConn tells of a connection, unless it has a socket.
func (s *Stack) describeConn(o nodeOwner) (in Info, ok bool) {
	in = Info{Kind: &tcpKind.Kind, Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_TCP}
	six := false
	switch o := o.(type) {
	case *tcpEndpoint:
		if o.s != nil {
			return in, false
		}
		in.ID, in.Owner, six = o.sid, o.pid, o.six
		o.describe(&in)
	case *timeWait:
		in.State, six, in.Left = tcp.TimeWait, o.six, max(o.timer.At()-s.Host.Now(), 0)
		in.Local = netip.AddrPortFrom(o.laddr, o.lport)
		in.Peer = netip.AddrPortFrom(o.raddr, o.rport)
	}
	if in.Domain = abi.FamilyOf(in.Local.Addr()); six {
		in.Domain = abi.AF_INET6
	}
	return in, true
}

func valid(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// Describe implements Describer.
func (t *tcpProto) Describe(s *socket.Socket, in *Info) {
	in.V6Only = in.Domain == abi.AF_INET6 && v6only(s)
	endpointOf(s).describe(in)
}

func (e *tcpEndpoint) describe(in *Info) {
	in.Local = netip.AddrPortFrom(valid(e.laddr, e.addr), e.lport)
	if l := e.listener; l != nil {
		in.State, in.RecvQ, in.SendQ = tcp.Listen, l.waiting(), l.backlog
		return
	}
	in.State = e.conn.State()
	if !e.raddr.IsValid() {
		return
	}
	in.Peer = netip.AddrPortFrom(e.raddr, e.rport)
	in.RecvQ, in.SendQ = e.conn.Buffered(), e.conn.Outstanding()
	in.TCP = new(tcp.Info)
	e.info(in.TCP)
	in.Congestion = e.conn.CC()
}

// info fills in what TCP_INFO tells of e. The core, which knows no network layer,
// counts the headers of IPv4 in the path's MTU.
func (e *tcpEndpoint) info(in *tcp.Info) {
	e.conn.Info(e.proto.Host.Now(), in)
	if in.PMTU != 0 && e.raddr.Is6() {
		in.PMTU += 20
	}
}

// Timers returns how many deadlines the host waits for. Locked.
func (s *Stack) Timers() int { return s.Host.Timers() }

package inet

import (
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
	State                  tcp.State // TCP only
	Local, Peer            netip.AddrPort
	RecvQ, SendQ           int // bytes; of a listener: connections waiting, and the backlog
	Drops                  uint64
	TCP                    *tcp.Info // connections only
	Congestion             string    // the name of a connection's congestion control
	V6Only                 bool
	RcvBuf, SndBuf         int           // bytes; 0: without socket
	Device                 int           // SO_BINDTODEVICE; 0: none
	Left                   time.Duration // of TIME-WAIT
}

// Sockets lists every socket, connections without socket and TIME-WAITs, sorted by
// protocol and number. Locked.
func (s *Stack) Sockets() []Info {
	var out []Info
	s.each(func(k *socket.Socket) {
		in := Info{
			ID: k.ID, Domain: int(k.Domain), Type: int(k.Type), Protocol: int(k.Protocol), Owner: k.Owner,
			RcvBuf: int(k.Opt.RcvBuf), SndBuf: int(k.Opt.SndBuf), Device: int(k.Opt.Device),
		}
		in.V6Only = in.Domain == abi.AF_INET6 && v6only(k)
		switch e := k.PCB.(type) {
		case *tcpEndpoint:
			s.tcp.describe(e, &in)
		case interface{ base() *dgram }:
			d := e.base()
			in.Local = netip.AddrPortFrom(d.addr, d.lport)
			if d.raddr.IsValid() {
				in.Peer = netip.AddrPortFrom(d.raddr, d.rport)
			}
			in.RecvQ, in.Drops = d.bytes, uint64(d.drops)
		}
		out = append(out, in)
	})
	s.tcp.conns.each(func(o nodeOwner) {
		in := Info{Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_TCP}
		six := false
		switch o := o.(type) {
		case *tcpEndpoint:
			if o.s != nil {
				return
			}
			in.ID, in.Owner, six = o.sid, o.pid, o.six
			s.tcp.describe(o, &in)
		case *timeWait:
			in.State, six, in.Left = tcp.TimeWait, o.six, max(o.timer.At()-s.Host.Now(), 0)
			in.Local = netip.AddrPortFrom(o.laddr, o.lport)
			in.Peer = netip.AddrPortFrom(o.raddr, o.rport)
		}
		if in.Domain = abi.FamilyOf(in.Local.Addr()); six {
			in.Domain = abi.AF_INET6
		}
		out = append(out, in)
	})
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Protocol != b.Protocol {
			return a.Protocol < b.Protocol
		}
		return a.ID < b.ID
	})
	return out
}

func valid(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

func (t *tcpProto) describe(e *tcpEndpoint, in *Info) {
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

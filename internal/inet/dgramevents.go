package inet

import (
	"net/netip"

	"usock/internal/ip"
	"usock/packet"
	"usock/trace"
)

// What UDP, ping and raw sockets tell those who listen to events (Host.Trace). All below is called only if
// Host.Tracing; locked. A datagram's length is that of what the program writes or reads: of a raw socket's, the
// headers that it sees count.

// tell logs an event of the socket's, which is about a datagram to or from remote.
func (d *dgram) tell(e trace.Event, local netip.Addr, remote netip.AddrPort) {
	s := d.s
	e.Socket, e.Owner, e.Protocol = s.ID, s.Owner.Load(), uint8(s.Protocol)
	e.Local, e.Peer = netip.AddrPortFrom(local, d.lport), remote
	e.Time = s.Host.Now()
	d.stack.tell(e)
}

// tell logs an event that says itself whose it is, and when it was.
func (s *Stack) tell(e trace.Event) {
	if log := s.Host.Log(); log != nil {
		log.Add(&e)
	}
}

// tellSent tells of n bytes that were handed to IP.
func (d *dgram) tellSent(path *ip.Path, port uint16, n int) {
	d.tell(trace.Event{Kind: trace.Sent, Len: uint32(n)}, path.Src, netip.AddrPortFrom(path.Dst, port))
}

// tellArrived tells of n bytes that were queued for the program, or why they were not.
func (d *dgram) tellArrived(m *ip.Meta, sport uint16, n int, why trace.Why) {
	kind := trace.Received
	if why != trace.NoReason {
		kind = trace.Dropped
	}
	d.tell(trace.Event{Kind: kind, Why: why, Len: uint32(n)}, m.Dst, netip.AddrPortFrom(m.Src, sport))
}

// tellError tells of an ICMP error about what was sent to a port.
func (d *dgram) tellError(x *ip.Error, port uint16) {
	e := trace.Event{Kind: trace.Refused}
	if x.Errno != 0 {
		e.Err = x.Errno.Error()
	}
	d.tell(e, x.Src, netip.AddrPortFrom(x.Dst, port))
}

// tellStray tells of a UDP packet that no socket gets. Its ports are taken as they are, or are 0 where it has none.
func (u *udpProto) tellStray(p *packet.Packet, m *ip.Meta, why trace.Why) {
	var sport, dport uint16
	h := p.Front()
	if len(h) >= 4 {
		sport, dport = be16(h), be16(h[2:])
	}
	u.tell(trace.Event{
		Time: m.Lane.At().Now(), Kind: trace.Dropped, Why: why, Len: uint32(max(p.Len()-udpHeader, 0)), Protocol: ip.ProtoUDP,
		Local: netip.AddrPortFrom(m.Dst, dport), Peer: netip.AddrPortFrom(m.Src, sport),
	})
}

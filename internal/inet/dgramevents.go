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

// tell tells of n bytes of the socket's, to or from remote.
func (d *dgram) tell(k trace.Kind, why trace.Why, n int, local netip.Addr, remote netip.AddrPort) *trace.Event {
	s := d.s
	e := s.Host.Tape().Next(k, why)
	e.Time, e.Len = s.Host.Now(), uint32(n)
	e.Socket, e.Owner, e.Protocol = s.ID, s.Owner.Load(), uint8(s.Protocol)
	e.Local, e.Peer = netip.AddrPortFrom(local, d.lport), remote
	return e
}

// tellSent tells of n bytes that were handed to IP.
func (d *dgram) tellSent(path *ip.Path, port uint16, n int) {
	d.tell(trace.Sent, trace.NoReason, n, path.Src, netip.AddrPortFrom(path.Dst, port))
}

// tellArrived tells of n bytes that were queued for the program, or why they were not.
func (d *dgram) tellArrived(m *ip.Meta, sport uint16, n int, why trace.Why) {
	kind := trace.Received
	if why != trace.NoReason {
		kind = trace.Dropped
	}
	d.tell(kind, why, n, m.Dst, netip.AddrPortFrom(m.Src, sport))
}

// tellError tells of an ICMP error about what was sent to a port.
func (d *dgram) tellError(x *ip.Error, port uint16) {
	e := d.tell(trace.Refused, trace.NoReason, 0, x.Src, netip.AddrPortFrom(x.Dst, port))
	if x.Errno != 0 {
		e.Err = x.Errno.Error()
	}
}

// tellStray tells of a UDP packet that no socket gets. Its ports are taken as they are, or are 0 where it has none.
func (u *udpProto) tellStray(p *packet.Packet, m *ip.Meta, why trace.Why) {
	var sport, dport uint16
	h := p.Front()
	if len(h) >= 4 {
		sport, dport = be16(h), be16(h[2:])
	}
	e := m.Lane.At().Tape().Next(trace.Dropped, why)
	e.Time, e.Len, e.Protocol = m.Lane.At().Now(), uint32(max(p.Len()-udpHeader, 0)), ip.ProtoUDP
	e.Local, e.Peer = netip.AddrPortFrom(m.Dst, dport), netip.AddrPortFrom(m.Src, sport)
}

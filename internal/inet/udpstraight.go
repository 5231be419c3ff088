package inet

import (
	"net/netip"

	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
)

// straight is a small datagram on its way to a socket of the same host that becomes no packet: its bytes go from the sender's
// message into the receiver's queue (ip.Lane.Straight).
//
//	sender's domain     Send ──► lane.straight
//	                                  │ Leave
//	receiver's domain                 ├──► arrive
//	                                  └──► a packet, for Output: the domain is busy, or the receiver looks at packets
//
// It lies in the lane while that is in the host, as what options have made of the datagram does (lane.ipOut).
type straight struct {
	from *udpEndpoint
	b    []byte
	path *ip.Path
	port uint16
}

// sendsStraight has the lane carry m to the port without a packet, and reports false where it must be one.
func (e *udpEndpoint) sendsStraight(lane *lane, m *socket.Msg, path *ip.Path, c *sendControl, port uint16) bool {
	if lane.straight.from != nil || e.s.Host.Tracing() || e.s.Opt.SendStamping(c.stamps >= 0, uint32(max(c.stamps, 0))) != 0 ||
		!e.stack.IP.In(e.s.Host).Straight(path, &lane.ipOut, udpHeader+len(m.Small)) || !e.s.Host.Lane().LoopFirst(&lane.straight) {
		return false
	}
	lane.straight = straight{e, m.Small, path, port}
	return true
}

// Run implements host.Task. Nothing that it reads of the sender changes while anybody is in a lane.
func (t *straight) Run(at *host.Lane, _ *packet.Packet) {
	u, o := t.from.stack.udp, &t.from.stack.lanes[at.ID].ipOut
	layer := u.IP.Lane(at)
	e := u.lookup(o.Dst, o.Src, t.port, t.from.lport, t.path.Iface.Index())
	if e != nil && at.Visit(e.s.Host) && e.takesStraight() {
		e.arrive(t.b, layer.GoStraight(t.path, o, udpHeader+len(t.b)), t.from.lport)
	} else {
		p := packet.New()
		p.Payload.Append(packet.Copy(t.b))
		t.from.header(p, t.port)
		layer.OutputInPlace(p, t.path, o)
	}
	*t = straight{}
}

// takesStraight reports whether e does not look at the packet that a datagram came in.
func (e *udpEndpoint) takesStraight() bool {
	return !e.gro && e.ip().filter == nil
}

// arrive queues a datagram of the bytes b, and counts it.
func (e *udpEndpoint) arrive(b []byte, m *ip.Meta, sport uint16) {
	if e.asked != nil {
		e.hears(netip.AddrPortFrom(m.Src, sport), b)
	}
	n := &e.stack.at(m).udp
	cost := overhead
	if len(b) > 0 {
		cost += maxCopied // what it costs in a block
	}
	g := e.place(m, sport, len(b), cost)
	switch {
	case g == nil:
		n.InErrors++
		n.RcvbufErrors++
		return
	case len(b) == 0:
	case e.copies(len(b)):
		g.one[0] = e.queue.last.copy(b)
	default:
		g.one[0] = packet.Copy(b)
	}
	n.InDatagrams++
}

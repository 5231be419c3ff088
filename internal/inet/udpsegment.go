package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
	"usock/trace"
)

// Datagrams in bulk (udp(7)). With UDP_SEGMENT, an option or a control message, one send
// becomes datagrams of that size. With UDP_GRO a receive gives several of one size and
// sender at once, and a control message the size.
//
//	send ─┬─ to this host, in memory: one packet, SegmentSize ─► deliver ─┬─ UDP_GRO: queued whole
//	      └─ by a link: cut here                                          └─ else: cut there
//	datagrams that a link brings in one go ─► coalesce ─► the last one queued, made longer

const (
	maxSegments = 128 // UDP_MAX_SEGMENTS
	// maxWhole is the longest IP packet that Linux's loopback interface carries uncut:
	// with an Ethernet header it stays below 64 KiB.
	maxWhole = 1<<16 - 14 - 1
	// maxCoalesced is how many datagrams a link's are put together to at most, and how many
	// bytes these have (UDP_GRO_CNT_MAX; GRO_LEGACY_MAX_SIZE).
	maxCoalesced      = 64
	maxCoalescedBytes = 1<<16 - 1 - udpHeader - 40
)

// segmentRows are UDP_SEGMENT and UDP_GRO.
func segmentRows() []socket.Option {
	return []socket.Option{
		socket.IntOption(abi.SOL_UDP, abi.UDP_SEGMENT,
			func(s *socket.Socket) int { return int(udpOf(s).segment) },
			func(s *socket.Socket, v int) error {
				if v < 0 || v > 1<<16-1 {
					return syscall.EINVAL
				}
				udpOf(s).segment = uint16(v)
				return nil
			}),
		socket.BoolOption(abi.SOL_UDP, abi.UDP_GRO,
			func(s *socket.Socket) bool { return udpOf(s).gro },
			func(s *socket.Socket, on bool) error { udpOf(s).gro = on; return nil }),
	}
}

// checkSegments checks a send of n bytes in datagrams of size along a path (Linux,
// udp_send_skb).
func (e *udpEndpoint) checkSegments(path *ip.Path, n, size int) error {
	mtu := path.MTU
	switch e.ip().discovery(path.Dst) {
	case abi.PMTUDISC_PROBE, abi.PMTUDISC_INTERFACE, abi.PMTUDISC_OMIT:
		mtu = path.Iface.MTU()
	}
	switch {
	case ipHeaderLen(path.Dst.Is4())+udpHeader+min(n, size) > mtu:
		return syscall.EMSGSIZE
	case n > size*maxSegments, e.s.Opt.Has(socket.NoCheck):
		return syscall.EINVAL
	}
	return nil
}

// sendSegments sends m's n bytes as datagrams of size.
func (u *udpProto) sendSegments(e *udpEndpoint, m *socket.Msg, path *ip.Path, port uint16, c *sendControl, n, size int) error {
	if err := e.checkSegments(path, n, size); err != nil {
		return err
	}
	if n <= size {
		return u.send(e, m, path, port, c, n, 0)
	}
	if path.InMemory() && ipHeaderLen(path.Dst.Is4())+udpHeader+n <= maxWhole {
		return u.send(e, m, path, port, c, n, uint16(size))
	}
	all := vecOf(m.Data)
	var err error
	for off := 0; off < n && err == nil; off += size {
		part := socket.Msg{Data: []packet.View{copyPart(&all, off, min(size, n-off))}}
		err = u.send(e, &part, path, port, c, min(size, n-off), 0)
	}
	if err == nil {
		packet.ReleaseAll(m.Data)
		m.Data = m.Data[:0]
	}
	return err
}

// copyPart copies n bytes from off on to a block of their own: a datagram must not hold the
// memory of all.
func copyPart(all *packet.Vec, off, n int) packet.View {
	b := packet.NewBlock(n)
	return b.View(0, all.CopyTo(b.Bytes()[:n], off))
}

// accept queues a datagram, which begins with its header, or the several that p holds.
func (e *udpEndpoint) accept(p *packet.Packet, m *ip.Meta, sport uint16) {
	size := int(p.SegmentSize)
	n := p.Len() - udpHeader
	if size == 0 || n <= size || e.gro {
		if n <= size {
			p.SegmentSize = 0
		}
		e.acceptOne(p, m, sport)
		return
	}
	header := [udpHeader]byte(p.Front())
	p.Consume(udpHeader)
	for off := 0; off < n; off += size {
		k := packet.New()
		part := min(size, n-off)
		h := k.Prepend(udpHeader)
		copy(h, header[:])
		binary.BigEndian.PutUint16(h[4:], uint16(udpHeader+part))
		k.Payload.Append(copyPart(&p.Payload, off, part))
		e.acceptOne(k, m, sport)
	}
	p.Free()
}

// acceptOne queues what passes the filter, and counts it.
func (e *udpEndpoint) acceptOne(p *packet.Packet, m *ip.Meta, sport uint16) {
	n := &e.stack.at(m).udp
	if !e.keep(p, m, 0, udpHeader) {
		n.InErrors++
		e.drops++
		if e.s.Host.Tracing() {
			e.tellArrived(m, sport, p.Len()-udpHeader, trace.ByFilter)
		}
		p.Free()
		return
	}
	p.Consume(udpHeader)
	if e.asked != nil {
		e.hears(netip.AddrPortFrom(m.Src, sport), p.Front())
	}
	size := p.Len()
	if e.gro && p.SegmentSize == 0 && e.coalesce(p, m, sport) {
		n.InDatagrams++
		e.came += uint64(size)
		if e.s.Host.Tracing() {
			e.tellArrived(m, sport, size, trace.NoReason)
		}
		return
	}
	if e.push(p, m, sport) {
		n.InDatagrams++
		return
	}
	n.InErrors++
	n.RcvbufErrors++
}

// run is datagrams that were put together: the last of the queue.
type run struct {
	block *packet.Block // theirs, with room behind them; nil: there is none
	at    time.Duration
	count int
}

// coalesce makes the last datagram of the queue longer by p, if that has come from the
// same sender in the same go and is no longer than the ones before, of which none is
// shorter than the first. It reports whether it has taken p over.
func (e *udpEndpoint) coalesce(p *packet.Packet, m *ip.Meta, sport uint16) bool {
	n := p.Len()
	r := &e.run
	now := e.s.Host.Now()
	if m.Iface.Flags()&ip.FlagLoopback != 0 || e.queue.len() == 0 || n == 0 {
		*r = run{at: now, count: 1}
		return false
	}
	g := e.queue.back()
	size, have := int(g.segment), g.len()
	if size == 0 {
		size = have
	}
	if r.at != now || g.peeked || r.count >= maxCoalesced || n > size || have%size != 0 || have+n > maxCoalescedBytes ||
		g.src != m.Src || g.dst != m.Dst || g.sport != sport || g.ttl != m.TTL || g.tos != m.TOS || g.flow != m.Flow || g.options != nil {
		*r = run{at: now, count: 1}
		return false
	}
	if r.block == nil {
		if !e.room(packet.MaxBlock) {
			return false
		}
		r.block = packet.NewBlock(packet.MaxBlock)
		at := 0
		for _, v := range g.views() {
			at += copy(r.block.Bytes()[at:], v.Bytes())
		}
		g.release()
		e.charge(g, packet.MaxBlock+overhead)
	} else {
		r.block.Retain() // the reference of the view that is replaced
		g.release()
	}
	p.Payload.CopyTo(r.block.Bytes()[have:have+n], 0)
	g.one[0] = r.block.View(0, have+n)
	g.segment = uint16(size)
	r.count++
	p.Free()
	return true
}

// segmentControl appends the control message of UDP_GRO.
func (d *dgram) segmentControl(b []byte, g *datagram) []byte {
	if g.segment == 0 {
		return b
	}
	if e, ok := d.s.PCB.(*udpEndpoint); !ok || !e.gro {
		return b
	}
	return abi.AppendCmsg(b, abi.SOL_UDP, abi.UDP_GRO, abi.AppendInt(nil, int(g.segment)))
}

// segmentSize reads the control message UDP_SEGMENT.
func segmentSize(m abi.Cmsg) (int, error) {
	if m.Type != abi.UDP_SEGMENT || len(m.Data) != 2 {
		return 0, syscall.EINVAL
	}
	return int(binary.NativeEndian.Uint16(m.Data)), nil
}

package inet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"syscall"

	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wire"
	"usock/packet"
)

// Datagram is a UDP datagram that a Handler is asked about, or sends.
type Datagram struct {
	Src, Dst     netip.AddrPort
	Data         [][]byte // in pieces; the handler's until it returns
	SegmentSize  int      // not 0: several datagrams of so many bytes each, the last may be shorter
	TTL, TOS     uint8    // TTL to be sent: 0 is the default
	DontFragment bool     // in IPv6: by who sends it
}

// Echo is an ICMP echo request that a Handler is asked about, or the reply that it sends.
type Echo struct {
	Src, Dst netip.Addr
	ID, Seq  uint16
	Data     [][]byte
	TTL, TOS uint8
}

// Error is an ICMP error that a Handler sends about a packet.
type Error struct {
	From       netip.Addr     // who complains; not valid: Dst
	Src, Dst   netip.AddrPort // of the packet; Src is told
	Proto      uint8          // of the packet
	TTL, TOS   uint8
	Type, Code uint8
	Info       uint32   // the second word of the message: an MTU
	Data       [][]byte // what followed the packet's UDP header, or its ICMP header
	ID, Seq    uint16   // of an echo request
}

// question is a packet that the handler is asked about once the host is left.
type question struct {
	d    Datagram
	e    Echo
	p    *packet.Packet
	data [4][]byte // of d or e, where that is enough
	to   Handler
	call func() // ask
}

var questions sync.Pool

func (s *Stack) question(p *packet.Packet) *question {
	q, _ := questions.Get().(*question)
	if q == nil {
		q = new(question)
		q.call = q.ask
	}
	q.p, q.to = p, s.handler
	s.Host.After(q.call)
	return q
}

// ask asks the handler and frees the packet.
func (q *question) ask() {
	data := pieces(q.p, q.data[:0])
	if q.e.Src.IsValid() {
		q.e.Data = data
		q.to.Echo(&q.e)
	} else {
		q.d.Data = data
		q.to.UDP(&q.d)
	}
	q.p.Free()
	*q = question{call: q.call}
	questions.Put(q)
}

// askUDP has the handler asked about a datagram, which it takes over.
func (u *udpProto) askUDP(p *packet.Packet, m *ip.Meta, h *wire.UDP) {
	q := u.question(p)
	q.d = Datagram{
		Src: netip.AddrPortFrom(m.Src, h.SrcPort), Dst: netip.AddrPortFrom(m.Dst, h.DstPort),
		TTL: m.TTL, TOS: m.TOS, DontFragment: m.DontFragment, SegmentSize: int(p.SegmentSize),
	}
	p.Consume(udpHeader)
}

// Echo is the ip.Table's: it has the handler asked about an echo request.
func (s *Stack) Echo(p *packet.Packet, m *ip.Meta, h wire.ICMP) bool {
	if !s.asks(m) || m.Dst.IsLoopback() {
		return false
	}
	q := s.question(p)
	q.e = Echo{Src: m.Src, Dst: m.Dst, ID: uint16(h.Info >> 16), Seq: uint16(h.Info), TTL: m.TTL, TOS: m.TOS}
	p.Consume(wire.ICMPLen)
	return true
}

// pieces appends what is left of a packet to out.
func pieces(p *packet.Packet, out [][]byte) [][]byte {
	if h := p.Head(); len(h) > 0 {
		out = append(out, h)
	}
	for _, v := range p.Payload.Views() {
		out = append(out, v.Bytes())
	}
	return out
}

// packetOf returns a packet with a copy of data, and how long that is.
func packetOf(data [][]byte) (*packet.Packet, int) {
	n := 0
	for _, b := range data {
		n += len(b)
	}
	p := packet.New()
	if n == 0 {
		return p, 0
	}
	b := packet.NewBlock(min(n, packet.MaxBlock))
	k := 0
	for _, d := range data {
		k += copy(b.Bytes()[k:], d)
	}
	p.Payload.Append(b.View(0, k))
	return p, k
}

// SendDatagram sends a datagram from an address that need not be the host's, nor the port a
// socket's. EMSGSIZE if it is too long. Locked.
func (s *Stack) SendDatagram(d *Datagram) error {
	path, err := s.path(d.Dst.Addr(), d.Src.Addr(), 0)
	if err != nil {
		return err
	}
	n := 0
	for _, b := range d.Data {
		n += len(b)
	}
	if n+udpHeader+ipHeaderLen(path.Dst.Is4()) > 65535 && path.Dst.Is4() || n+udpHeader > 65535 {
		return syscall.EMSGSIZE
	}
	if d.SegmentSize > 0 && n > d.SegmentSize && !path.InMemory() {
		return s.sendEach(d, path)
	}
	return s.sendOne(d, path, d.Data, d.SegmentSize)
}

// sendEach sends the datagrams that d stands for, one after the other.
func (s *Stack) sendEach(d *Datagram, path *ip.Path) error {
	all := bytes.Join(d.Data, nil)
	for len(all) > 0 {
		part := all[:min(d.SegmentSize, len(all))]
		all = all[len(part):]
		if err := s.sendOne(d, path, [][]byte{part}, 0); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) sendOne(d *Datagram, path *ip.Path, data [][]byte, size int) error {
	p, n := packetOf(data)
	if n > size {
		p.SegmentSize = uint16(size)
	}
	(&wire.UDP{SrcPort: d.Src.Port(), DstPort: d.Dst.Port(), Len: uint16(udpHeader + n)}).Put(p.Prepend(udpHeader))
	s.lanes[0].udp.OutDatagrams++
	return s.IP.Whole().Output(p, path, &ip.Out{
		Src: d.Src.Addr(), Dst: d.Dst.Addr(), Proto: ip.ProtoUDP, Checksum: udpKind.sum,
		TTL: d.TTL, TOS: d.TOS, DontFragment: d.DontFragment,
	})
}

// SendEchoReply sends the reply e, from e.Src to e.Dst. Locked.
func (s *Stack) SendEchoReply(e *Echo) error {
	path, err := s.path(e.Dst, e.Src, 0)
	if err != nil {
		return err
	}
	p, _ := packetOf(e.Data)
	typ, o := uint8(wire.ICMPv4EchoReply), ip.Out{Src: e.Src, Dst: e.Dst, Proto: ip.ProtoICMP, TTL: e.TTL, TOS: e.TOS}
	if e.Dst.Is6() {
		typ, o.Proto = wire.ICMPv6EchoReply, ip.ProtoICMPv6
	}
	s.putICMP(p, wire.ICMP{Type: typ, Info: echoInfo(e.ID, e.Seq)}, &o)
	return s.IP.Whole().Output(p, path, &o)
}

func echoInfo(id, seq uint16) uint32 { return uint32(id)<<16 | uint32(seq) }

// putICMP gives p its ICMP header. The checksum of ICMPv6's is left to the layer.
func (s *Stack) putICMP(p *packet.Packet, h wire.ICMP, o *ip.Out) {
	b := p.Prepend(wire.ICMPLen)
	h.Put(b)
	if o.Proto == ip.ProtoICMPv6 {
		o.Checksum = ip.ChecksumICMPv6
		return
	}
	var c wire.Checksum
	c.Add(p.Head())
	for _, v := range p.Payload.Views() {
		c.Add(v.Bytes())
	}
	binary.BigEndian.PutUint16(b[2:], c.Sum())
}

// SendError sends an ICMP error about a UDP datagram, an echo request or a packet of SCTP's. Locked.
func (s *Stack) SendError(e *Error) error {
	p, n := packetOf(e.Data)
	switch e.Proto {
	case ip.ProtoUDP:
		(&wire.UDP{SrcPort: e.Src.Port(), DstPort: e.Dst.Port(), Len: uint16(udpHeader + n)}).Put(p.Prepend(udpHeader))
	case ip.ProtoICMP:
		(&wire.ICMP{Type: wire.ICMPv4Echo, Info: echoInfo(e.ID, e.Seq)}).Put(p.Prepend(wire.ICMPLen))
	case ip.ProtoICMPv6:
		(&wire.ICMP{Type: wire.ICMPv6Echo, Info: echoInfo(e.ID, e.Seq)}).Put(p.Prepend(wire.ICMPLen))
	case ip.ProtoSCTP: // e.Data has its header
	default:
		p.Free()
		return syscall.EPROTONOSUPPORT
	}
	return s.sendError(e, p)
}

// How much of a packet an error message quotes at most (RFC 1812, section 4.3.2.3; RFC 4443,
// section 2.4(c)).
const (
	maxQuote4 = 576 - wire.IPv4MinLen - wire.ICMPLen
	maxQuote6 = 1280 - wire.IPv6Len - wire.ICMPLen
)

// sendError sends an ICMP error about the packet of e whose transport header and data are
// p's. It takes over p.
func (s *Stack) sendError(e *Error, p *packet.Packet) error {
	src, dst := e.Src.Addr(), e.Dst.Addr()
	o := ip.Out{Src: e.From, Dst: src, Proto: ip.ProtoICMP}
	if !o.Src.IsValid() || o.Src.Is4() != src.Is4() {
		o.Src = dst
	}
	n, room := p.Len(), maxQuote4
	if src.Is4() {
		h := wire.IPv4{Src: src, Dst: dst, TOS: e.TOS, TTL: e.TTL, Proto: e.Proto}
		h.TotalLen = uint16(min(h.Len()+n, 65535))
		h.Put(p.Prepend(h.Len()))
		o.TOS = e.TOS&0x1e | 0xc0 // internetwork control, as Linux sends it
	} else {
		h := wire.IPv6{Src: src, Dst: dst, TOS: e.TOS, HopLimit: e.TTL, Next: e.Proto, PayloadLen: uint16(min(n, 65535))}
		h.Put(p.Prepend(wire.IPv6Len))
		o.Proto, room = ip.ProtoICMPv6, maxQuote6
	}
	p.Truncate(min(p.Len(), room))
	path, err := s.path(src, o.Src, 0)
	if err != nil {
		p.Free()
		return err
	}
	s.putICMP(p, wire.ICMP{Type: e.Type, Code: e.Code, Info: e.Info}, &o)
	return s.IP.Whole().Output(p, path, &o)
}

// FailSend gives the UDP socket at local a pending error, if it has that peer or, unless
// onlyPeer is set, none, and reports whether there is such a socket. Locked.
func (s *Stack) FailSend(local, remote netip.AddrPort, err syscall.Errno, onlyPeer bool) bool {
	e := s.udp.lookup(local.Addr(), remote.Addr(), local.Port(), remote.Port(), 0)
	if e == nil || onlyPeer && !e.raddr.IsValid() {
		return false
	}
	e.s.SetErr(err)
	return true
}

// Broadcasts reports whether the UDP socket at local that receives from remote may send to
// broadcast addresses (SO_BROADCAST). Locked.
func (s *Stack) Broadcasts(local, remote netip.AddrPort) bool {
	e := s.udp.lookup(local.Addr(), remote.Addr(), local.Port(), remote.Port(), 0)
	return e != nil && e.s.Opt.Has(socket.Broadcast)
}

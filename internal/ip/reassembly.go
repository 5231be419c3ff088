package ip

import (
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// Bounds on fragments that wait for others, against peers that never send the
// rest.
const (
	reasmTime4  = 30 * time.Second // Linux; RFC 1122, section 3.3.2, allows 60 to 120
	reasmTime6  = 60 * time.Second // RFC 8200, section 4.5
	reasmBytes  = 4 << 20          // of memory held, for all datagrams together
	reasmPieces = 2048             // of one datagram: 32 bytes each would do

	// What is held beside the bytes of a fragment: its place in pieces, which grows by doubling,
	// and its block's head; and beside those of a datagram, with its place in the map, which is
	// half empty at worst.
	pieceCost   = int(2*unsafe.Sizeof(fragment{}) + 64)
	partialCost = int(unsafe.Sizeof(partial{}) + 2*(unsafe.Sizeof(fragKey{})+unsafe.Sizeof(uintptr(0))))
)

// fragKey names a datagram (RFC 791, section 3.2; RFC 8200, section 4.5).
type fragKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8 // IPv4 only
}

// fragment is a run of bytes that has arrived. It owns a reference for its view.
type fragment struct {
	off int
	v   packet.View
}

func (f *fragment) end() int { return f.off + f.v.Len() }

// partial is a datagram of which some bytes are missing.
type partial struct {
	key     fragKey
	iface   *Iface
	pieces  []fragment // by offset, without overlap
	have    int        // bytes in pieces
	total   int        // bytes of the whole; -1: the last fragment is missing
	cost    int        // memory held
	expires time.Duration
	serial  uint64 // of two datagrams the older one's is lower
	trusted bool
	owner   packet.Owner
	ecn     uint8 // bit 1<<codepoint for each ECN codepoint seen

	// Of the first fragment; header is nil while that is missing.
	header []byte
	meta   Meta

	next, prev *partial // in order of arrival, which is that of expiry
}

// reassembly is the datagrams that wait for fragments.
type reassembly struct {
	layer  *Layer
	all    map[fragKey]*partial
	v4, v6 partialList
	cost   int
	serial uint64
}

// partialList is a list from the oldest to the newest.
type partialList struct{ first, last *partial }

func (q *partialList) push(x *partial) {
	if x.prev = q.last; x.prev != nil {
		x.prev.next = x
	} else {
		q.first = x
	}
	q.last = x
}

func (q *partialList) remove(x *partial) {
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		q.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		q.last = x.prev
	}
}

func (r *reassembly) init(l *Layer) {
	r.layer = l
	r.all = make(map[fragKey]*partial)
}

func (r *reassembly) list(k *fragKey) *partialList {
	if k.src.Is4() {
		return &r.v4
	}
	return &r.v6
}

// drop gives up x and its fragments.
func (r *reassembly) drop(x *partial) {
	for _, f := range x.pieces {
		f.v.Release()
	}
	r.forget(x)
}

func (r *reassembly) forget(x *partial) {
	delete(r.all, x.key)
	r.list(&x.key).remove(x)
	r.cost -= x.cost
}

func (r *reassembly) fail(x *partial) {
	r.layer.Whole().Stats.ReasmFails++
	r.drop(x)
}

func (r *reassembly) clear() {
	for _, x := range r.all {
		r.drop(x)
	}
}

func (r *reassembly) removeIface(i *Iface) {
	for _, x := range r.all {
		if x.iface == i {
			r.fail(x)
		}
	}
}

// expire gives up what has waited too long, and says so to the sender if the first
// fragment is there.
func (r *reassembly) expire(now time.Duration) {
	next := timer.Never
	for _, q := range [...]*partialList{&r.v4, &r.v6} {
		for x := q.first; x != nil && x.expires <= now; x = q.first {
			r.layer.Whole().Stats.ReasmTimeout++
			r.timeExceeded(x)
			r.fail(x)
		}
		if q.first != nil {
			next = min(next, q.first.expires)
		}
	}
	r.layer.arm(next)
}

func (r *reassembly) timeExceeded(x *partial) {
	// Without the first fragment there is nothing to quote by which the sender could tell what
	// was lost (RFC 8200, section 4.5; RFC 792).
	if x.header == nil || x.iface.index == 0 {
		return
	}
	p := packet.New()
	f := x.pieces[0]
	f.v.Retain()
	p.Payload.Append(f.v)
	m := x.meta
	m.Header = x.header
	if m.V6 {
		r.layer.Whole().sendError6(p, &m, wire.ICMPv6TimeExceeded, wire.ICMPReassembly, 0)
	} else {
		r.layer.Whole().sendError4(p, &m, true, wire.ICMPv4TimeExceeded, wire.ICMPReassembly, 0)
	}
	p.Free()
}

// input4 takes over a fragment, whose header was consumed, and returns the whole
// datagram if that is complete now, else nil.
func (r *reassembly) input4(p *packet.Packet, m *Meta, h *wire.IPv4) *packet.Packet {
	n := p.Len()

	// A middle piece that does not end at a multiple of eight leaves a gap that nothing can
	// fill; one that ends beyond the largest datagram is the ping of death.
	if h.MoreFragments && n&7 != 0 || int(h.FragmentOff)+n+len(m.Header) > maxLen4 || n == 0 {
		r.layer.Whole().malformed(m.Iface, p)
		return nil
	}
	k := fragKey{h.Src, h.Dst, uint32(h.ID), h.Proto}
	return r.insert(p, m, k, int(h.FragmentOff), h.MoreFragments, reasmTime4)
}

// input6 takes over a fragment, whose headers were consumed up to and including
// the fragment header, which is at byte at of m.Header.
func (r *reassembly) input6(p *packet.Packet, m *Meta, f *wire.FragmentHeader, at int) *packet.Packet {
	n := p.Len()
	if f.Off == 0 && incomplete(f.Next, p) {
		r.layer.Whole().sendError6(p, m, wire.ICMPv6ParameterProblem, wire.ICMPv6Incomplete, 0)
		r.layer.Whole().malformed(m.Iface, p)
		return nil
	}
	problem := uint32(0)
	switch {
	case f.More && n&7 != 0:
		problem = 4 // payload length
	case int(f.Off)+n > maxLen4:
		problem = uint32(at + 2) // fragment offset
	}
	if problem != 0 {
		r.layer.Whole().sendError6(p, m, wire.ICMPv6ParameterProblem, wire.ICMPv6ErroneousField, problem)
	}
	if problem != 0 || n == 0 {
		r.layer.Whole().malformed(m.Iface, p)
		return nil
	}
	k := fragKey{m.Src, m.Dst, f.ID, 0}
	return r.insert(p, m, k, int(f.Off), f.More, reasmTime6)
}

// incomplete reports whether a first fragment ends before the transport's header does. A filter that
// has seen it could not tell what the datagram is (RFC 7112, section 5; RFC 8200, section 4.5).
func incomplete(next uint8, p *packet.Packet) bool {
	if !pullUp(p, p.Len()) {
		return true
	}
	b := p.Front()
	c := wire.WalkIPv6(next, b, false)
	if c.Fault != wire.NoFault {
		return c.Fault == wire.Truncated // others are answered when the datagram is whole
	}
	need := 1
	switch c.Next {
	case wire.IPv6NoNext:
		need = 0
	case ProtoTCP:
		need = wire.TCPMinLen
	case ProtoUDP, ProtoICMPv6, wire.IPv6Fragment:
		need = 8
	}
	return len(b)-c.Len < need
}

// insert stores the bytes of p from off on. Fragments that overlap are not of one
// mind, and the whole datagram is dropped (RFC 5722; Linux does so in IPv4 too);
// one that came twice is ignored.
func (r *reassembly) insert(p *packet.Packet, m *Meta, k fragKey, off int, more bool, wait time.Duration) *packet.Packet {
	defer p.Free()
	r.layer.Whole().Stats.ReasmReqds++
	x := r.all[k]
	if x == nil {
		x = &partial{
			key: k, iface: m.Iface, total: -1, trusted: true,
			expires: r.layer.host.Now() + wait, serial: r.serial, cost: partialCost,
		}
		r.cost += partialCost
		r.serial++
		r.all[k] = x
		r.list(&k).push(x)
		r.layer.arm(x.expires)
	}
	end := off + p.Len()

	// The last fragment says how long the whole is, and no other may say otherwise.
	switch {
	case x.total >= 0 && (end > x.total || !more && end != x.total),
		!more && len(x.pieces) > 0 && x.pieces[len(x.pieces)-1].end() > end:
		r.fail(x) // two ends
		return nil
	}

	// The network may deliver a fragment twice. Anything else that overlaps is an attempt to
	// show a filter other bytes than the host will see (RFC 5722).
	i, _ := slices.BinarySearchFunc(x.pieces, off, func(f fragment, off int) int { return f.off - off })
	if i < len(x.pieces) && x.pieces[i].off == off && x.pieces[i].end() == end {
		return nil // the same once more
	}
	if i > 0 && x.pieces[i-1].end() > off || i < len(x.pieces) && x.pieces[i].off < end ||
		len(x.pieces) >= reasmPieces {
		if len(x.pieces) < reasmPieces {
			r.layer.Whole().Stats.ReasmOverlaps++
		}
		r.fail(x)
		return nil
	}
	f := fragment{off, single(p)}
	x.pieces = slices.Insert(x.pieces, i, f)
	x.have += f.v.Len()
	cost := f.v.Cap() + pieceCost
	x.cost += cost
	r.cost += cost
	x.ecn |= 1 << (m.TOS & 3)

	// One fragment from outside, and the sum of the whole has to be verified.
	x.trusted = x.trusted && p.Trusted
	if !more {
		x.total = end
	}
	if off == 0 {
		x.meta, x.header, x.owner = *m, slices.Clone(m.Header), p.Owner
		x.cost += len(x.header)
		r.cost += len(x.header)
	}
	if x.have == x.total {
		return r.complete(x, m)
	}

	// The oldest has waited longest for a rest that does not come.
	for r.cost > reasmBytes {
		r.evict()
	}
	return nil
}

// evict gives up the oldest datagram.
func (r *reassembly) evict() {
	x := r.v4.first

	// The older of the two lists' oldest.
	if x == nil || r.v6.first != nil && r.v6.first.serial < x.serial {
		x = r.v6.first
	}
	r.fail(x)
}

// single returns all bytes of p in one view with a reference of its own. What would
// hold much more memory than it has bytes is copied.
func single(p *packet.Packet) packet.View {
	if v := p.Payload.Views(); len(p.Head()) == 0 && len(v) == 1 && v[0].Cap() <= 4*v[0].Len() {
		v[0].Retain()
		return v[0]
	}
	b := packet.NewBlock(p.Len())
	n := copy(b.Bytes(), p.Head())
	n += p.Payload.CopyTo(b.Bytes()[n:], 0)
	return b.View(0, n)
}

// complete puts x together and makes m what its header said.
func (r *reassembly) complete(x *partial, m *Meta) *packet.Packet {
	l := r.layer
	const notECT, ce = 1 << 0, 1 << 3
	if x.ecn&notECT != 0 && x.ecn&ce != 0 {
		r.fail(x) // RFC 3168, section 5.3
		return nil
	}
	b := packet.NewBlock(x.total)
	n := 0
	for _, f := range x.pieces {
		n += copy(b.Bytes()[n:], f.v.Bytes())
	}
	p := packet.New()
	p.Payload.Append(b.View(0, n))
	p.Trusted, p.Owner = x.trusted, x.owner
	proto := x.meta.Proto
	*m = x.meta
	m.Proto, m.Header = proto, x.header
	if x.ecn&ce != 0 {
		m.TOS |= 3
	}
	r.drop(x)
	l.Whole().Stats.ReasmOKs++
	return p
}

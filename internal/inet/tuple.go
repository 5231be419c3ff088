package inet

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"

	"usock/internal/rank"
)

// tuple is what identifies a connection (RFC 9293, section 3.1): addresses
// without zone, IPv4 ones never mapped.
type tuple struct {
	laddr, raddr netip.Addr
	lport, rport uint16
}

// is reports whether both are the same. The ports, which tell most tuples apart, come first.
func (k *tuple) is(o *tuple) bool {
	return k.lport == o.lport && k.rport == o.rport && k.raddr == o.raddr && k.laddr == o.laddr
}

// node is an entry of a connTable. It is embedded in what it stands for. The table guards it, but for owner:
// that changes under the lock of the table and of what the node stands for, either of which is enough to read it.
type node struct {
	tuple
	next  *node
	owner nodeOwner // nil while the node is in no table
}

// nodeOwner is a connection or what is left of one in TIME-WAIT.
type nodeOwner interface{ tcpNode() }

// connTable finds connections by their tuple: chained hashing under a key of its
// own, so that a peer cannot choose tuples that share a chain. It is cut into stripes with locks of their own,
// so that those who look for different connections seldom meet.
type connTable struct {
	stripes []connStripe
	key     [2]uint64
	alone   bool // there is one lane: who looks for a connection has the whole host, and needs no lock
}

type connStripe struct {
	mu    rank.Leaf
	slots []*node
	n     int

	_ [24]byte // a cache line has one
}

const (
	minSlots  = 64 // of all stripes together
	maxStripe = 64
)

// init makes the table for so many lanes.
func (t *connTable) init(lanes int, key0, key1 uint64) {
	n := maxStripe
	if t.alone = lanes == 1; t.alone {
		n = 1
	}
	t.stripes = make([]connStripe, n)
	for i := range t.stripes {
		t.stripes[i].slots = make([]*node, minSlots/n)
	}
	t.key = [2]uint64{key0 | 1, key1 | 1}
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (t *connTable) hash(k *tuple) uint64 {
	l, r := k.laddr.As16(), k.raddr.As16()
	h := mix(binary.LittleEndian.Uint64(l[8:])^t.key[0], binary.LittleEndian.Uint64(r[8:])^t.key[1])
	if !k.laddr.Is4() {
		h ^= mix(binary.LittleEndian.Uint64(l[:])^t.key[1], binary.LittleEndian.Uint64(r[:])^t.key[0])
	}
	return mix(h^(uint64(k.lport)<<16|uint64(k.rport)), t.key[0])
}

// stripe returns the part of the table with the hash h.
func (t *connTable) stripe(h uint64) *connStripe { return &t.stripes[h>>32&uint64(len(t.stripes)-1)] }

func (s *connStripe) slot(h uint64) **node { return &s.slots[h&uint64(len(s.slots)-1)] }

// find returns the owner of the connection k, nil if there is none.
func (t *connTable) find(k *tuple) nodeOwner {
	h := t.hash(k)
	s := t.stripe(h)
	if t.alone {
		return s.find(h, k)
	}
	s.mu.Lock()
	o := s.find(h, k)
	s.mu.Unlock()
	return o
}

func (s *connStripe) find(h uint64, k *tuple) nodeOwner {
	for n := *s.slot(h); n != nil; n = n.next {
		if n.tuple.is(k) {
			return n.owner
		}
	}
	return nil
}

// add enters n for o, and reports whether nobody had its tuple.
func (t *connTable) add(n *node, o nodeOwner) bool {
	h := t.hash(&n.tuple)
	s := t.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := *s.slot(h); x != nil; x = x.next {
		if x.tuple.is(&n.tuple) {
			return false
		}
	}
	if s.n >= len(s.slots) {
		t.resize(s, 2*len(s.slots))
	}
	p := s.slot(h)
	n.next, n.owner = *p, o
	*p = n
	s.n++
	return true
}

// remove takes n out, and reports whether it was in. What n stands for is locked.
func (t *connTable) remove(n *node) bool {
	if n.owner == nil {
		return false
	}
	h := t.hash(&n.tuple)
	s := t.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := s.slot(h); *p != nil; p = &(*p).next {
		if *p == n {
			*p = n.next
			n.next, n.owner = nil, nil
			s.n--
			break
		}
	}
	if len(s.slots) > minSlots/len(t.stripes) && s.n < len(s.slots)/8 {
		t.resize(s, len(s.slots)/2)
	}
	return true
}

// replace puts n in the place of old, which is in the table and has the same tuple.
func (t *connTable) replace(old, n *node, o nodeOwner) {
	h := t.hash(&n.tuple)
	s := t.stripe(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := s.slot(h); *p != nil; p = &(*p).next {
		if *p == old {
			*p = n
			n.next, n.owner = old.next, o
			old.next, old.owner = nil, nil
			return
		}
	}
}

func (t *connTable) resize(s *connStripe, size int) {
	old := s.slots
	s.slots = make([]*node, size)
	for _, n := range old {
		for n != nil {
			next := n.next
			p := s.slot(t.hash(&n.tuple))
			n.next = *p
			*p = n
			n = next
		}
	}
}

// len returns how many there are. The whole host is entered.
func (t *connTable) len() (n int) {
	for i := range t.stripes {
		n += t.stripes[i].n
	}
	return n
}

// part calls f with the owners at n places of the table from place on, and returns the next place, 0 after the last. f
// changes nothing. The whole host is entered.
func (t *connTable) part(place, n int, f func(nodeOwner)) (next int) {
	first := 0 // the place of the stripe's first slot
	for i := range t.stripes {
		slots := t.stripes[i].slots
		for at := max(place-first, 0); at < len(slots); at++ {
			if first+at >= place+n {
				return first + at
			}
			for x := slots[at]; x != nil; x = x.next {
				f(x.owner)
			}
		}
		first += len(slots)
	}
	return 0
}

// each calls f with every owner. f may remove the one that it is given. The whole host is entered.
func (t *connTable) each(f func(nodeOwner)) {
	var all []nodeOwner
	t.part(0, math.MaxInt/2, func(o nodeOwner) { all = append(all, o) })
	for _, o := range all {
		f(o)
	}
}

package inet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// tuple is what identifies a connection (RFC 9293, section 3.1): addresses
// without zone, IPv4 ones never mapped.
type tuple struct {
	laddr, raddr netip.Addr
	lport, rport uint16
}

// node is an entry of a connTable. It is embedded in what it stands for.
type node struct {
	tuple
	next  *node
	owner nodeOwner // nil while the node is in no table
}

// nodeOwner is a connection or what is left of one in TIME-WAIT.
type nodeOwner interface{ tcpNode() }

// connTable finds connections by their tuple: chained hashing under a key of its
// own, so that a peer cannot choose tuples that share a chain.
type connTable struct {
	slots []*node
	n     int
	key   [2]uint64
	taken *takenPorts // told of tuples that are gone; may be nil
}

const minSlots = 64

func (t *connTable) init(key0, key1 uint64) {
	t.slots = make([]*node, minSlots)
	t.key = [2]uint64{key0 | 1, key1 | 1}
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (t *connTable) slot(k *tuple) *(*node) {
	l, r := k.laddr.As16(), k.raddr.As16()
	h := mix(binary.LittleEndian.Uint64(l[8:])^t.key[0], binary.LittleEndian.Uint64(r[8:])^t.key[1])
	if !k.laddr.Is4() {
		h ^= mix(binary.LittleEndian.Uint64(l[:])^t.key[1], binary.LittleEndian.Uint64(r[:])^t.key[0])
	}
	h = mix(h^(uint64(k.lport)<<16|uint64(k.rport)), t.key[0])
	return &t.slots[h&uint64(len(t.slots)-1)]
}

// find returns the owner of the connection k, nil if there is none.
func (t *connTable) find(k *tuple) nodeOwner {
	for n := *t.slot(k); n != nil; n = n.next {
		if n.tuple == *k {
			return n.owner
		}
	}
	return nil
}

// add enters n for o. The tuple must not be in the table.
func (t *connTable) add(n *node, o nodeOwner) {
	if t.n >= len(t.slots) {
		t.resize(2 * len(t.slots))
	}
	p := t.slot(&n.tuple)
	n.next, n.owner = *p, o
	*p = n
	t.n++
}

// remove takes n out, if it is in.
func (t *connTable) remove(n *node) {
	if n.owner == nil {
		return
	}
	for p := t.slot(&n.tuple); *p != nil; p = &(*p).next {
		if *p == n {
			*p = n.next
			n.next, n.owner = nil, nil
			t.n--
			break
		}
	}
	if t.taken != nil {
		t.taken.gone(&n.tuple)
	}
	if len(t.slots) > minSlots && t.n < len(t.slots)/8 {
		t.resize(len(t.slots) / 2)
	}
}

func (t *connTable) resize(size int) {
	old := t.slots
	t.slots = make([]*node, size)
	for _, n := range old {
		for n != nil {
			next := n.next
			p := t.slot(&n.tuple)
			n.next = *p
			*p = n
			n = next
		}
	}
}

// each calls f with every owner. f may remove the one that it is given.
func (t *connTable) each(f func(nodeOwner)) {
	var all []nodeOwner
	for _, n := range t.slots {
		for ; n != nil; n = n.next {
			all = append(all, n.owner)
		}
	}
	for _, o := range all {
		f(o)
	}
}

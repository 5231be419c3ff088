package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"usock/internal/sctp"
)

// sctpTable finds the paths of associations: chained hashing under a key of its own, so that peers cannot
// choose a chain. Those with the same ports and address stand in a chain in the order of their coming, the last
// first.
type sctpTable struct {
	slots  []*sctpPath
	n      int
	secret [2]uint64
}

func (t *sctpTable) init(key0, key1 uint64) {
	t.slots = make([]*sctpPath, minSlots)
	t.secret = [2]uint64{key0 | 1, key1 | 1}
}

func (t *sctpTable) slot(k *sctpPeer) **sctpPath {
	a := k.addr.As16()
	h := mix(binary.LittleEndian.Uint64(a[8:])^t.secret[0], uint64(k.port)<<16|uint64(k.peer)^t.secret[1])
	h = mix(binary.LittleEndian.Uint64(a[:])^h, t.secret[0])
	return &t.slots[h&uint64(len(t.slots)-1)]
}

// first returns the first path with the key, nil if there is none. Others follow: of(k) of what is behind it.
func (t *sctpTable) first(k sctpPeer) *sctpPath { return (*t.slot(&k)).of(k) }

// of returns the first path with the key of the chain that p begins.
func (p *sctpPath) of(k sctpPeer) *sctpPath {
	for p != nil && p.key() != k {
		p = p.behind
	}
	return p
}

func (p *sctpPath) key() sctpPeer { return sctpPeer{p.addr, p.x.e.lport, p.x.peer} }

func (t *sctpTable) add(p *sctpPath) {
	if t.n == len(t.slots) {
		t.resize(2 * t.n)
	}
	k := p.key()
	at := t.slot(&k)
	p.behind, *at = *at, p
	t.n++
}

func (t *sctpTable) remove(p *sctpPath) {
	k := p.key()
	for at := t.slot(&k); *at != nil; at = &(*at).behind {
		if *at == p {
			*at, p.behind = p.behind, nil
			break
		}
	}
	t.n--
	if n := len(t.slots) / 8; t.n < n && n >= minSlots {
		t.resize(n)
	}
}

func (t *sctpTable) resize(size int) {
	old := t.slots
	t.slots = make([]*sctpPath, size)
	for _, p := range old {
		for p != nil {
			next := p.behind
			k := p.key()
			at := t.slot(&k)
			for *at != nil {
				at = &(*at).behind
			}
			p.behind, *at = nil, p
			p = next
		}
	}
}

// find returns the association of a port with the peer that has the address local at this end; nil:
// none. If local is not valid, any will do.
func (t *sctpProto) find(port uint16, peer netip.AddrPort, local netip.Addr) *sctpAssoc {
	k := sctpPeer{peer.Addr(), port, peer.Port()}
	for at := t.assocs.first(k); at != nil; at = at.behind.of(k) {
		if !local.IsValid() || at.x.e.has(local) {
			return at.x
		}
	}
	return nil
}

// concerned returns the association that a packet is of by its source; nil: none.
func (t *sctpProto) concerned(in *sctp.In) *sctpAssoc {
	k := sctpPeer{in.Src, in.DstPort, in.SrcPort}
	for at := t.assocs.first(k); at != nil; at = at.behind.of(k) {
		if at.x.e.has(in.Dst) && at.x.core.Concerns(t.now(), in) {
			return at.x
		}
	}
	return nil
}

// findNamed returns the association of one of the addresses that a packet names, whose source is of
// none (RFC 9260, section 5.1.2); nil: none.
func (t *sctpProto) findNamed(in *sctp.In) (x *sctpAssoc) {
	in.Addrs(func(a netip.Addr) bool {
		k := sctpPeer{a, in.DstPort, in.SrcPort}
		for at := t.assocs.first(k); at != nil && x == nil; at = at.behind.of(k) {
			if at.x.e.has(in.Dst) && at.x.core.Confirmed(a) {
				x = at.x
			}
		}
		return x == nil
	})
	return x
}

// findOf returns e's own association with the peer, of several the one that has shown the address to be
// its own; nil: none.
func (t *sctpProto) findOf(e *sctpEndpoint, peer netip.AddrPort) (x *sctpAssoc) {
	k := sctpPeer{peer.Addr(), e.lport, peer.Port()}
	for at := t.assocs.first(k); at != nil; at = at.behind.of(k) {
		if at.x.e == e && (x == nil || !x.core.Confirmed(peer.Addr())) {
			x = at.x
		}
	}
	return x
}

// listenerFor finds the socket that listens on a local address and port: on the address itself
// before the wildcard; of several with SO_REUSEPORT the tuple's hash decides.
func (t *sctpProto) listenerFor(local netip.AddrPort, ifindex int, k tuple) *sctpEndpoint {
	var found *sctpEndpoint
	best, same := 0, 0
	for _, e := range t.listeners[local.Port()] {
		score := 0
		for _, b := range e.locals {
			score = max(score, b.score(local.Addr(), ifindex))
		}
		switch {
		case score > best:
			best, same, found = score, 1, e
		case score == best && score > 0:
			same++
			if hi, _ := t.prf.sum(labelPort, &k); hi%uint64(same) == 0 {
				found = e
			}
		}
	}
	return found
}

// listens puts e among the listeners, or takes it out.
func (t *sctpProto) listens(e *sctpEndpoint, on bool) {
	t.names.Lock()
	defer t.names.Unlock()
	l := slices.DeleteFunc(t.listeners[e.lport], func(o *sctpEndpoint) bool { return o == e })
	if on {
		l = append(l, e)
	}
	if t.listeners[e.lport] = l; len(l) == 0 {
		delete(t.listeners, e.lport)
	}
}

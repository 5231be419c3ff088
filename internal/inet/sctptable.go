package inet

import (
	"net/netip"
	"slices"

	"usock/internal/sctp"
)

func (p *sctpPath) key() sctpPeer { return sctpPeer{p.addr, p.x.e.lport, p.x.peer} }

// hash enters a path into the table.
func (t *sctpProto) hash(p *sctpPath) {
	k := p.key()
	p.same = t.assocs[k]
	t.assocs[k] = p
}

// unhash undoes hash.
func (t *sctpProto) unhash(p *sctpPath) {
	k := p.key()
	head := t.assocs[k]
	for at := &head; *at != nil; at = &(*at).same {
		if *at == p {
			*at = p.same
			break
		}
	}
	if head == nil {
		delete(t.assocs, k)
	} else {
		t.assocs[k] = head
	}
}

// find returns the association of a port with the peer that has the address local at this end; nil:
// none. If local is not valid, any will do.
func (t *sctpProto) find(port uint16, peer netip.AddrPort, local netip.Addr) *sctpAssoc {
	for at := t.assocs[sctpPeer{peer.Addr(), port, peer.Port()}]; at != nil; at = at.same {
		if !local.IsValid() || at.x.e.has(local) {
			return at.x
		}
	}
	return nil
}

// concerned returns the association that a packet is of by its source; nil: none.
func (t *sctpProto) concerned(in *sctp.In) *sctpAssoc {
	for at := t.assocs[sctpPeer{in.Src, in.DstPort, in.SrcPort}]; at != nil; at = at.same {
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
		for at := t.assocs[sctpPeer{a, in.DstPort, in.SrcPort}]; at != nil && x == nil; at = at.same {
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
	for at := t.assocs[sctpPeer{peer.Addr(), e.lport, peer.Port()}]; at != nil; at = at.same {
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
	l := slices.DeleteFunc(t.listeners[e.lport], func(o *sctpEndpoint) bool { return o == e })
	if on {
		l = append(l, e)
	}
	if t.listeners[e.lport] = l; len(l) == 0 {
		delete(t.listeners, e.lport)
	}
}

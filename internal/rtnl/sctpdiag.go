package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
)

// SCTP's sockets and associations (Linux, net/sctp/sctp_diag.c). A socket is told before its associations, by
// whose inode ss(8) knows that they are its own. Linux tells listeners first, and those with associations once more.

const (
	diagLocals = 12
	diagPeers  = 13

	sizeStorage = 128 // struct sockaddr_storage

	onlyBound = 1<<stateListen | 1<<stateClose // states whose asking is not for associations
)

// endpoints returns what a dump is to tell of the sockets in list, with the associations among them.
func (q *diagRequest) endpoints(list []Socket) (out []Socket) {
	for i := range list {
		k := &list[i]
		if q.family != 0 && k.Family != q.family {
			continue
		}
		told := q.states>>stateListen&1 != 0 && k.State == stateListen && q.hasPorts(k)
		if told {
			out = append(out, *k)
		}
		if q.states&^onlyBound == 0 {
			continue
		}
		for j := range k.Assocs {
			a := &k.Assocs[j]
			if !q.hasPorts(a) {
				continue
			}
			if !told {
				out, told = append(out, *k), true
			}
			out = append(out, *a)
		}
	}
	return out
}

// assocOf returns the association of the socket that the request names by an address of each end; nil: none is.
func (q *diagRequest) assocOf(k *Socket) *Socket {
	if k.Family != q.family {
		return nil
	}
	named := func(list []netip.AddrPort, port, addr []byte) bool {
		for _, a := range list {
			x := k.address(a.Addr())
			if a.Port() == binary.BigEndian.Uint16(port) && string(x[:]) == string(addr) {
				return true
			}
		}
		return false
	}
	for i := range k.Assocs {
		if a := &k.Assocs[i]; named(a.Locals, q.id, q.id[4:20]) && named(a.Peers, q.id[2:], q.id[20:36]) {
			return a
		}
	}
	return nil
}

// putSCTP encodes what SCTP alone has.
func (k *Socket) putSCTP(e *netlink.AttributeEncoder, info, congestion bool) {
	if info && k.Info != nil {
		e.Bytes(diagInfo, k.infoBytes())
	}
	if congestion && k.Assoc {
		e.String(diagCong, "reno")
	}
	e.Bytes(diagLocals, storages(k.Locals))
	if k.Assoc {
		e.Bytes(diagPeers, storages(k.Peers))
	}
}

// storages returns addresses, each in a struct sockaddr_storage.
func storages(list []netip.AddrPort) []byte {
	b := make([]byte, len(list)*sizeStorage)
	for i, a := range list {
		p := b[i*sizeStorage:]
		binary.BigEndian.PutUint16(p[2:], a.Port())
		if a.Addr().Is4() {
			binary.NativeEndian.PutUint16(p, afInet)
			copy(p[4:], a.Addr().AsSlice())
		} else {
			binary.NativeEndian.PutUint16(p, afInet6)
			copy(p[8:], a.Addr().AsSlice())
		}
	}
	return b
}

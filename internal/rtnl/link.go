package rtnl

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
)

// getLink is RTM_GETLINK of one interface (net/core/rtnetlink.c, rtnl_getlink).
func (s *Session) getLink(r *request) Errno {
	if len(r.body) < sizeIfinfomsg {
		return EINVAL
	}
	a, whole := parseAttrs(r.body[sizeIfinfomsg:])
	if s.Strict && (!whole || !zero(r.body[1:4]) || !zero(r.body[8:16]) || !a.only(iflaIfname, iflaAltIfname, iflaExtMask)) {
		return EINVAL
	}
	v := s.View()
	var l *Link
	switch index := int32(binary.NativeEndian.Uint32(r.body[4:])); {
	case index > 0:
		l = v.Link(int(index))
	case a[iflaIfname] != nil:
		l = v.LinkByName(a.text(iflaIfname))
	case a[iflaAltIfname] != nil:
		l = v.LinkByName(a.text(iflaAltIfname))
	default:
		return EINVAL
	}
	if l == nil {
		return ENODEV
	}
	mask, _ := a.u32(iflaExtMask)
	s.reply(r, l.message(rtmNewLink, afUnspec, 0, mask))
	return 0
}

// dumpLinks is RTM_GETLINK of all (rtnl_dump_ifinfo).
func (s *Session) dumpLinks(r *request) Errno {
	size := sizeIfinfomsg
	if len(r.body) < size {
		if s.Strict {
			return s.failList(r, EINVAL)
		}
		size = min(align(sizeRtgenmsg), len(r.body)) // what old programs send
	}
	a, whole := parseAttrs(r.body[size:])
	if s.Strict && (!whole || !zero(r.body[1:sizeIfinfomsg]) || !a.only(iflaExtMask, iflaMaster, iflaLinkinfo)) {
		return s.failList(r, EINVAL)
	}
	family := uint8(afUnspec)
	if r.body[0] == afInet6 { // it lists interfaces itself (inet6_dump_ifinfo)
		family = afInet6
	}
	links := s.View().Links
	if master, _ := a.u32(iflaMaster); master != 0 || a[iflaLinkinfo] != nil {
		links = nil // none has a master, or is of a kind
	}
	mask, _ := a.u32(iflaExtMask)
	return s.list(r, len(links), func(i int) (answer, bool) {
		return links[i].message(rtmNewLink, family, 0, mask), true
	})
}

// message describes the link (rtnl_fill_ifinfo). change are the flags that have changed.
func (l *Link) message(typ uint16, family uint8, change, mask uint32) answer {
	b := []byte{family, 0}
	b = binary.NativeEndian.AppendUint16(b, l.Type())
	b = binary.NativeEndian.AppendUint32(b, uint32(l.Index))
	b = binary.NativeEndian.AppendUint32(b, l.Flags())
	b = binary.NativeEndian.AppendUint32(b, change)
	oper := uint8(operUp)
	if l.Loopback {
		oper = operUnknown
	}
	if family == afInet6 {
		return answer{typ, withAttrs(b, func(e *netlink.AttributeEncoder) {
			e.String(iflaIfname, l.Label())
			if l.Loopback {
				e.Bytes(iflaAddress, make([]byte, 6))
			}
			e.Uint32(iflaMTU, uint32(l.MTU))
			e.Uint8(iflaOperstate, oper)
		})}
	}
	return answer{typ, withAttrs(b, func(e *netlink.AttributeEncoder) {
		e.String(iflaIfname, l.Label())
		e.Uint32(iflaTxqlen, uint32(l.TxQueueLen()))
		e.Uint8(iflaOperstate, oper)
		e.Uint8(iflaLinkmode, 0)
		e.Uint32(iflaMTU, uint32(l.MTU))
		e.Uint32(iflaMinMTU, 0)
		e.Uint32(iflaMaxMTU, 0)
		e.Uint32(iflaGroup, 0)
		e.Uint32(iflaPromisc, 0)
		e.Uint32(iflaNumTxQ, 1)
		e.Uint32(iflaNumRxQ, 1)
		e.Uint8(iflaCarrier, 1)
		e.String(iflaQdisc, noQueue)
		e.Uint32(iflaCarrierCh, 0)
		e.Uint8(iflaProtoDown, 0)
		e.Bytes(iflaMap, make([]byte, sizeLinkMap))
		if l.Loopback { // it has an address of Ethernet's length; an IP link has none
			e.Bytes(iflaAddress, make([]byte, 6))
			e.Bytes(iflaBroadcast, make([]byte, 6))
		}
		if mask&extSkipStats == 0 {
			e.Bytes(iflaStats64, l.Stats.stats64())
			e.Bytes(iflaStats, l.Stats.stats())
		}
	})}
}

const (
	sizeLinkMap = 32 // struct rtnl_link_ifmap
	statsFields = 25 // of struct rtnl_link_stats64; of rtnl_link_stats the first 24
	sizeStats   = 24
)

// values are in the order of struct rtnl_link_stats64, whose rest is zero.
func (t *Stats) values() (v [statsFields]uint64) {
	copy(v[:], []uint64{
		t.RxPackets, t.TxPackets, t.RxBytes, t.TxBytes, t.RxErrors, t.TxErrors, t.RxDropped, t.TxDropped,
	})
	return v
}

func (t *Stats) stats64() (b []byte) {
	for _, x := range t.values() {
		b = binary.NativeEndian.AppendUint64(b, x)
	}
	return b
}

func (t *Stats) stats() (b []byte) {
	v := t.values()
	for _, x := range v[:sizeStats] {
		b = binary.NativeEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// zero reports whether all of b is zero.
func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

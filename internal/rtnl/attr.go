package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
)

// attrs are a request's attributes by their type. Of two with one type the last counts.
type attrs map[uint16][]byte

// parseAttrs reads attributes as far as they are right (lib/nlattr.c, nla_parse). It reports
// whether that was all.
func parseAttrs(b []byte) (a attrs, whole bool) {
	const size = 4
	for len(b) >= size {
		n := int(binary.NativeEndian.Uint16(b))
		if n < size || n > len(b) {
			break
		}
		if a == nil {
			a = make(attrs)
		}
		a[binary.NativeEndian.Uint16(b[2:])&iflaTypeMask] = b[size:n]
		b = b[min(align(n), len(b)):]
	}
	return a, len(b) == 0
}

// only reports whether a holds no other types than these.
func (a attrs) only(types ...uint16) bool {
next:
	for t := range a {
		for _, o := range types {
			if t == o {
				continue next
			}
		}
		return false
	}
	return true
}

// u32 returns a number; 0 if it is not there. It reports false if it is no number.
func (a attrs) u32(typ uint16) (uint32, bool) {
	b, has := a[typ]
	if !has {
		return 0, true
	}
	if len(b) < 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(b), true
}

// addr returns an address of a family; an invalid one if it is not there. It reports false if
// it is no address.
func (a attrs) addr(typ uint16, family uint8) (netip.Addr, bool) {
	b, has := a[typ]
	if !has {
		return netip.Addr{}, true
	}
	size := 4
	if family == afInet6 {
		size = 16
	}
	if len(b) < size {
		return netip.Addr{}, false
	}
	x, _ := netip.AddrFromSlice(b[:size])
	return x, true
}

// text returns a string, which may end with a zero byte.
func (a attrs) text(typ uint16) string {
	b := a[typ]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// withAttrs appends to a structure the attributes that put encodes. They are small: what
// is too large for an attribute would be left out with the others.
func withAttrs(b []byte, put func(*netlink.AttributeEncoder)) []byte {
	e := netlink.NewAttributeEncoder()
	put(e)
	more, err := e.Encode()
	if err != nil {
		return b
	}
	return append(b, more...)
}

// putAddr encodes an address, if it is one.
func putAddr(e *netlink.AttributeEncoder, typ uint16, a netip.Addr) {
	if a.IsValid() {
		e.Bytes(typ, a.AsSlice())
	}
}

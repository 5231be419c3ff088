package abi

import (
	"encoding/binary"
	"syscall"
)

// Layout is a structure of Linux's interface, which knows its members' order and sizes. Where
// they lie in memory follows from that, as a C compiler for a 64-bit machine has it.
type Layout interface{ layout(*coder) }

// Sizeof returns the size of the structure in bytes, without members of variable length at its end.
func Sizeof(v Layout) int {
	var c coder
	v.layout(&c)
	return c.end()
}

// AppendStruct appends the structure to b.
func AppendStruct(b []byte, v Layout) []byte {
	at := len(b)
	b = append(b, make([]byte, Sizeof(v))...)
	v.layout(&coder{b: b[at:], put: true})
	return b
}

// ParseStruct reads the structure from the front of b; EINVAL if b is shorter.
func ParseStruct(b []byte, v Layout) error {
	if len(b) < Sizeof(v) {
		return syscall.EINVAL
	}
	v.layout(&coder{b: b})
	return nil
}

// coder walks over the members of a structure and reads each, or writes it; with no bytes it only
// measures.
type coder struct {
	b      []byte
	at     int   // offset of the next member, before alignment
	align  int   // of the structure
	packed bool  // members lie side by side, and the structure is a multiple of 4 bytes
	put    bool  // write
	starts []int // of the members, if tests ask for them
	noted  bool
}

// next returns the bytes of the next member; nil if there are none to be read or written.
func (c *coder) next(size, align int) []byte {
	if c.packed {
		align = 1
	}
	c.align = max(c.align, align)
	c.at = (c.at + align - 1) &^ (align - 1)
	at := c.at
	c.at += size
	if c.noted {
		c.starts = append(c.starts, at)
	}
	if c.b == nil {
		return nil
	}
	return c.b[at:c.at]
}

// end returns the size of all.
func (c *coder) end() int {
	align := max(c.align, 1)
	if c.packed {
		align = 4
	}
	return (c.at + align - 1) &^ (align - 1)
}

func (c *coder) u8(v *uint8) {
	p := c.next(1, 1)
	switch {
	case p == nil:
	case c.put:
		p[0] = *v
	default:
		*v = p[0]
	}
}

func (c *coder) u16(v ...*uint16) {
	for _, v := range v {
		p := c.next(2, 2)
		switch {
		case p == nil:
		case c.put:
			binary.NativeEndian.PutUint16(p, *v)
		default:
			*v = binary.NativeEndian.Uint16(p)
		}
	}
}

// be16 is a member in network byte order.
func (c *coder) be16(v *uint16) {
	p := c.next(2, 2)
	switch {
	case p == nil:
	case c.put:
		binary.BigEndian.PutUint16(p, *v)
	default:
		*v = binary.BigEndian.Uint16(p)
	}
}

func (c *coder) u32(v ...*uint32) {
	for _, v := range v {
		p := c.next(4, 4)
		switch {
		case p == nil:
		case c.put:
			binary.NativeEndian.PutUint32(p, *v)
		default:
			*v = binary.NativeEndian.Uint32(p)
		}
	}
}

// be32 is be16 of 4 bytes.
func (c *coder) be32(v *uint32) {
	p := c.next(4, 4)
	switch {
	case p == nil:
	case c.put:
		binary.BigEndian.PutUint32(p, *v)
	default:
		*v = binary.BigEndian.Uint32(p)
	}
}

func (c *coder) i32(v ...*int32) {
	for _, v := range v {
		u := uint32(*v)
		c.u32(&u)
		*v = int32(u)
	}
}

func (c *coder) u64(v ...*uint64) {
	for _, v := range v {
		p := c.next(8, 8)
		switch {
		case p == nil:
		case c.put:
			binary.NativeEndian.PutUint64(p, *v)
		default:
			*v = binary.NativeEndian.Uint64(p)
		}
	}
}

// storage is a struct sockaddr_storage. Of a family other than AF_INET and AF_INET6 it holds the
// number alone.
func (c *coder) storage(v *Addr) {
	p := c.next(SizeofStorage, 8)
	switch {
	case p == nil:
	case c.put:
		clear(p[copy(p, AppendAddr(nil, *v)):])
	default:
		*v = Addr{Family: int(binary.NativeEndian.Uint16(p))}
		if v.Family == AF_INET || v.Family == AF_INET6 {
			*v, _ = ParseAddr(p) // of these two families it is long enough
		}
	}
}

// part is a structure that is a member of another one.
func (c *coder) part(v Layout) {
	inner := coder{}
	v.layout(&inner)
	align := max(inner.align, 1)
	if inner.packed {
		align = 4
	}
	if p := c.next(inner.end(), align); p != nil {
		v.layout(&coder{b: p, put: c.put})
	}
}

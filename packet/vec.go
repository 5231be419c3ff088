package packet

// VecCap is the number of views that a Vec holds.
const VecCap = 6

// Vec is the payload of one packet: up to VecCap views, in order. The zero Vec is
// empty. A Vec is a value; it owns a reference for each of its views where its
// holder says so.
type Vec struct {
	n     uint32
	first uint8
	last  uint8 // views are v[first:last]
	v     [VecCap]View
}

// Len returns the number of bytes.
func (x *Vec) Len() int { return int(x.n) }

// Views returns the views, in order. The slice is valid until the Vec changes.
func (x *Vec) Views() []View { return x.v[x.first:x.last] }

// Full reports whether no further view fits.
func (x *Vec) Full() bool { return int(x.last) == VecCap }

// Append adds a view and takes over the caller's reference. It reports false,
// and takes nothing, if the Vec is full. An empty view is released at once.
func (x *Vec) Append(v View) bool {
	if v.n == 0 {
		v.Release()
		return true
	}

	// Empty: the places that TrimFront has used up are free again.
	if x.first == x.last {
		x.first, x.last = 0, 0
	}
	if x.Full() {
		return false
	}
	x.v[x.last] = v
	x.last++
	x.n += v.n
	return true
}

// Room returns how many further views fit.
func (x *Vec) Room() int {
	if x.first == x.last {
		return VecCap
	}
	return VecCap - int(x.last)
}

// Join is Append, but that a view which the last one precedes becomes a part of that.
func (x *Vec) Join(v View) bool {
	if x.first < x.last && x.v[x.last-1].Join(v) {
		x.n += v.n
		v.Release()
		return true
	}
	return x.Append(v)
}

// Front returns the bytes of the first view, nil if there is none.
func (x *Vec) Front() []byte {
	if x.first == x.last {
		return nil
	}
	return x.v[x.first].Bytes()
}

// TrimFront drops the first n bytes and releases the views that become empty.
func (x *Vec) TrimFront(n int) {
	if n > int(x.n) {
		panic("packet: trim beyond the end")
	}
	x.n -= uint32(n)
	for n > 0 {
		v := &x.v[x.first]
		if n < int(v.n) {
			*v = v.Slice(n, int(v.n))
			return
		}

		n -= int(v.n)
		v.Release()
		*v = View{}
		x.first++
	}
}

// Truncate keeps the first n bytes and releases the views behind them.
func (x *Vec) Truncate(n int) {
	if n >= int(x.n) {
		return
	}
	x.n = uint32(n)
	i := x.first
	for ; n > 0; i++ {
		v := &x.v[i]
		if n < int(v.n) {
			*v = v.Slice(0, n)
		}
		n -= int(v.n)
	}
	for j := i; j < x.last; j++ {
		x.v[j].Release()
		x.v[j] = View{}
	}
	x.last = i
}

// Moved empties the Vec and releases nothing: the references have passed to somebody else.
func (x *Vec) Moved() {
	for i := x.first; i < x.last; i++ {
		x.v[i] = View{}
	}
	x.first, x.last, x.n = 0, 0, 0
}

// MoveTo empties the Vec into to, which is empty: the references go along.
func (x *Vec) MoveTo(to *Vec) {
	to.first, to.last, to.n = x.first, x.last, x.n
	for i := x.first; i < x.last; i++ {
		to.v[i], x.v[i] = x.v[i], View{}
	}
	x.first, x.last, x.n = 0, 0, 0
}

// Retain adds a reference to each view's block.
func (x *Vec) Retain() {
	for _, v := range x.Views() {
		v.Retain()
	}
}

// Release gives back a reference of each view and empties the Vec.
func (x *Vec) Release() {
	for i := x.first; i < x.last; i++ {
		x.v[i].Release()
		x.v[i] = View{}
	}
	x.first, x.last, x.n = 0, 0, 0
}

// CopyTo copies up to len(p) bytes, from byte off on, and returns how many.
func (x *Vec) CopyTo(p []byte, off int) int {
	n := 0
	for _, v := range x.Views() {
		b := v.Bytes()
		if off >= len(b) {
			off -= len(b)
			continue
		}
		n += copy(p[n:], b[off:])
		off = 0
		if n == len(p) {
			break
		}
	}
	return n
}

// AppendTo appends all bytes to p.
func (x *Vec) AppendTo(p []byte) []byte {
	for _, v := range x.Views() {
		p = append(p, v.Bytes()...)
	}
	return p
}

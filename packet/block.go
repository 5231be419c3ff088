package packet

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// MaxBlock is the capacity in bytes of the largest block.
const MaxBlock = 64 << 10

// classes are the capacities that blocks come in. The first holds a small
// request, the second an Ethernet frame with its headers.
var classes = [...]int{256, 2 << 10, 8 << 10, 16 << 10, 32 << 10, MaxBlock}

var pools [len(classes)]sync.Pool

// Block is an array of bytes with a reference count, which is atomic. It goes back to its
// pool when the count reaches zero.
//
// The holder that made a block may write to any byte that no view has been given
// out for; bytes that a view covers never change.
type Block struct {
	data  []byte
	refs  atomic.Int32
	class int8
}

var (
	tracking atomic.Bool
	live     atomic.Int64
)

// Track turns the count that [Live] reports on or off. It is meant for tests and
// must be set before the first block of interest is made.
func Track(on bool) { tracking.Store(on) }

// Live returns how many blocks made since Track(true) have not been released.
func Live() int64 { return live.Load() }

// NewBlock returns a block with one reference and room for at least n bytes, with
// 0 <= n <= MaxBlock. Its bytes are not cleared.
func NewBlock(n int) *Block {
	if n < 0 || n > MaxBlock {
		panic(fmt.Sprintf("packet: block of %d bytes", n))
	}
	class := 0
	for classes[class] < n {
		class++
	}

	// Not cleared: whoever makes a block fills what it gives out views of.
	b, _ := pools[class].Get().(*Block)
	if b == nil {
		b = &Block{data: make([]byte, classes[class]), class: int8(class)}
	}
	b.refs.Store(1)
	if tracking.Load() {
		live.Add(1)
	}
	return b
}

// Bytes returns the whole array.
func (b *Block) Bytes() []byte { return b.data }

// Cap returns the capacity in bytes.
func (b *Block) Cap() int { return len(b.data) }

// Retain adds a reference.
func (b *Block) Retain() { b.refs.Add(1) }

// RetainBy adds n references, for who gives out as many views and does not want to touch the
// count for each: others may give theirs back meanwhile.
func (b *Block) RetainBy(n int) { b.refs.Add(int32(n)) }

// Release gives a reference back; the last one frees the block.
func (b *Block) Release() { b.ReleaseBy(1) }

// ReleaseBy gives n references back.
func (b *Block) ReleaseBy(n int) {
	switch n := b.refs.Add(int32(-n)); {
	case n == 0:
		if tracking.Load() {
			live.Add(-1)
		}
		pools[b.class].Put(b)
	case n < 0:
		// Somebody else may have the block by now: to go on would mix two streams' bytes.
		panic("packet: block released twice")
	}
}

// View is a run of bytes inside a block. The zero View is empty. A View is a
// value: copying it copies no reference. Whoever keeps one beyond a call owns a
// reference to its block; functions say where they take one over.
type View struct {
	b      *Block
	off, n uint32
}

// View returns the bytes [i, j) of the block. It takes no reference.
func (b *Block) View(i, j int) View {
	if i < 0 || j < i || j > len(b.data) {
		panic("packet: view out of range")
	}
	return View{b, uint32(i), uint32(j - i)}
}

// Copy returns a view of a new block with the bytes of p, at most MaxBlock of
// them. The caller owns its reference.
func Copy(p []byte) View {
	b := NewBlock(len(p))
	return b.View(0, copy(b.data, p))
}

// Len returns the number of bytes.
func (v View) Len() int { return int(v.n) }

// Bytes returns the bytes, which must not be written to.
func (v View) Bytes() []byte {
	if v.b == nil {
		return nil
	}

	// Its capacity is cut: an append must not write behind the view.
	return v.b.data[v.off : v.off+v.n : v.off+v.n]
}

// Room returns the bytes for who has made the block and given no view of it out: they may be
// written to.
func (v View) Room() []byte { return v.Bytes() }

// Slice returns the bytes [i, j) of the view. It takes no reference.
func (v View) Slice(i, j int) View {
	if i < 0 || j < i || j > int(v.n) {
		panic("packet: slice out of range")
	}
	return View{v.b, v.off + uint32(i), uint32(j - i)}
}

// Cap returns the capacity of the block behind the view: what holding the view
// costs in memory. It is zero for the zero View.
func (v View) Cap() int {
	if v.b == nil {
		return 0
	}
	return len(v.b.data)
}

// Retain adds a reference to the block, if there is one.
func (v View) Retain() {
	if v.b != nil {
		v.b.Retain()
	}
}

// Release gives one reference back, if there is a block.
func (v View) Release() {
	if v.b != nil {
		v.b.Release()
	}
}

// Sole reports whether the block behind a view has one reference: who owns that may write to
// what no view covers.
func (v View) Sole() bool { return v.b.refs.Load() == 1 }

// Shares reports whether both views are of one block.
func (v View) Shares(o View) bool { return v.b == o.b }

// Precedes reports whether next begins in the same block where the view ends.
func (v View) Precedes(next View) bool { return v.b == next.b && v.off+v.n == next.off }

// Join grows the view by next and reports true if the view precedes it. It takes no reference.
func (v *View) Join(next View) bool {
	if !v.Precedes(next) {
		return false
	}
	v.n += next.n
	return true
}

// Extend grows the view in place by the bytes of p where the block has room
// behind it. The caller must be the one that made the block's last view.
func (v *View) Extend(p []byte) bool {
	end := int(v.off + v.n)
	if v.b == nil || len(p) > len(v.b.data)-end {
		return false
	}

	// Behind the last view nobody reads: this changes no byte that was given out.
	copy(v.b.data[end:], p)
	v.n += uint32(len(p))
	return true
}

// ReleaseAll gives back a reference of each view.
func ReleaseAll(views []View) {
	for _, v := range views {
		v.Release()
	}
}

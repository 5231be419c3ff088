package control

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrCut is what Capture returns where the recording has no end: statistics, by which a run says what it has left out.
var ErrCut = errors.New("the recording ends in the midst: the run was killed, or has not waited for its reader; what there is can be read")

// blocks writes pcapng, which a run writes in little-endian order, and follows its blocks.
type blocks struct {
	w    io.Writer
	head [8]byte // of the block: its type and length
	n    int     // bytes of head that there are
	left int64   // bytes of the block behind head

	interfaces bool   // there was one
	last       uint32 // the type of the last block
}

// Types of blocks (draft-ietf-opsawg-pcapng, section 11.1).
const (
	interfaceBlock  = 1
	statisticsBlock = 5
)

// Write implements io.Writer.
func (b *blocks) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	for p = p[:n]; len(p) > 0; {
		if b.left > 0 {
			skip := min(b.left, int64(len(p)))
			b.left -= skip
			p = p[skip:]
			continue
		}
		if b.n == len(b.head) {
			b.n = 0
		}
		k := copy(b.head[b.n:], p)
		b.n += k
		p = p[k:]
		if b.n == len(b.head) {
			b.last = binary.LittleEndian.Uint32(b.head[:])
			b.interfaces = b.interfaces || b.last == interfaceBlock
			b.left = max(int64(binary.LittleEndian.Uint32(b.head[4:]))-int64(len(b.head)), 0)
		}
	}
	return n, err
}

// complete reports whether there are statistics at the end, unless there are no interfaces that they would be of.
func (b *blocks) complete() bool {
	return b.left == 0 && b.n == len(b.head) && (b.last == statisticsBlock || !b.interfaces)
}

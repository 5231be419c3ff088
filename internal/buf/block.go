package buf

import "usock/packet"

// Blocks and views are what packets are made of, and public for those who bring a link.
type (
	// Block is packet.Block.
	Block = packet.Block
	// View is packet.View.
	View = packet.View
	// Vec is packet.Vec.
	Vec = packet.Vec
)

// The bounds of blocks and of a Vec.
const (
	MaxBlock = packet.MaxBlock
	VecCap   = packet.VecCap
)

// New is packet.NewBlock.
func New(n int) *Block { return packet.NewBlock(n) }

// Copy is packet.Copy.
func Copy(p []byte) View { return packet.Copy(p) }

// ReleaseAll releases views.
func ReleaseAll(views []View) {
	for _, v := range views {
		v.Release()
	}
}

// Track is packet.Track.
func Track(on bool) { packet.Track(on) }

// Live is packet.Live.
func Live() int64 { return packet.Live() }

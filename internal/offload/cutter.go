package offload

import (
	"usock/internal/wire"
	"usock/packet"
)

// Cutter is the way to a place that takes no large TCP segments, which it cuts. It is made by setting the exported fields, and sent to by
// one goroutine at a time, as a relay does.
//
// So segments are cut by whoever carries them, and not by whoever makes them: the pieces do not go from one processor's cache
// to another's, and the few packets that they are in are used again at once.
type Cutter struct {
	To interface {
		Send(batch []*packet.Packet) int
	}
	Checksum bool // the place completes checksums

	batch [64]*packet.Packet
	n     int // of batch
	lost  int // that the place had no room for, of this call
}

// Send implements relay.Sender. Each piece that the place does not accept is one packet less, so that the result may be below zero.
func (c *Cutter) Send(batch []*packet.Packet) int {
	c.lost = 0
	for _, p := range batch {
		size := int(p.SegmentSize)
		if size == 0 {
			c.put(p)
			continue
		}

		// The pieces of one go together where they can: they are one run for who receives them.
		if c.n+(p.Len()+size-1)/size > len(c.batch) {
			c.flush()
		}
		if !cut(p, size, c.Checksum, c.put) {
			c.lost++
		}
	}
	c.flush()
	return len(batch) - c.lost
}

func (c *Cutter) put(p *packet.Packet) {
	if c.n == len(c.batch) {
		c.flush()
	}
	c.batch[c.n] = p
	c.n++
}

func (c *Cutter) flush() {
	batch := c.batch[:c.n]
	if c.n = 0; len(batch) == 0 {
		return
	}
	c.lost += len(batch) - c.To.Send(batch)
	clear(batch)
}

// Pieces returns how many packets a Cutter makes of p, and the bytes that they have together.
func Pieces(p *packet.Packet) (packets, bytes int) {
	size := int(p.SegmentSize)
	if size == 0 {
		return 1, p.Len()
	}
	net, tcp, ok := headers(p.Front())
	if !ok {
		var b [wire.IPv4MaxLen + wire.TCPMaxLen]byte
		n := copy(b[:], p.Head())
		if net, tcp, ok = headers(b[:n+p.Payload.CopyTo(b[n:], 0)]); !ok {
			return 1, p.Len() // it is lost
		}
	}
	packets = max((p.Len()-net-tcp+size-1)/size, 1)
	return packets, p.Len() + (packets-1)*(net+tcp)
}

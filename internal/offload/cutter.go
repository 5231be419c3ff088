package offload

import "usock/packet"

// Cutter is a way to a place that takes no large TCP segments: it cuts those that it is sent. It is made by setting the fields, and
// sent to by one goroutine at a time.
//
// Pieces are made by who carries them, a segment at a time, and not by who sends: so they go from one processor to
// another only where the place has them do so, and the few packets that they take are used again at once.
type Cutter struct {
	To interface {
		Send(batch []*packet.Packet) int
	}
	Checksum bool // the place completes checksums

	batch [64]*packet.Packet
	n     int // of batch
	lost  int // pieces of the present batch that the place had no room for
}

// Send implements relay.Sender. A segment is accepted if all its pieces are.
func (c *Cutter) Send(batch []*packet.Packet) int {
	c.lost = 0
	for i, p := range batch {
		switch size := int(p.SegmentSize); {
		case size == 0:
			c.put(p)
			continue
		case c.n > 0 && c.n+(p.Len()+size-1)/size > len(c.batch):
			c.flush() // pieces of one segment go together, so that they come as one run
		}
		_ = i
		if c.Checksum {
			Cut(p, c.put)
		} else {
			Segment(p, c.put)
		}
	}
	c.flush()
	return max(len(batch)-c.lost, 0)
}

func (c *Cutter) put(p *packet.Packet) {
	if c.n == len(c.batch) {
		c.flush()
	}
	c.batch[c.n] = p
	c.n++
}

// flush sends what was cut.
func (c *Cutter) flush() {
	if c.n == 0 {
		return
	}
	n := c.n
	c.n = 0
	batch := c.batch[:n]
	c.lost += n - c.To.Send(batch)
	clear(batch)
}

// Pieces returns how many packets are cut out of p, and how many bytes those have. p has a size, and its headers stand in its head.
func Pieces(p *packet.Packet) (packets, bytes int) {
	net, tcp, ok := headers(p.Head())
	if !ok {
		return 1, p.Len()
	}
	size := int(p.SegmentSize)
	n := max((p.Len()-net-tcp+size-1)/size, 1)
	return n, p.Len() + (n-1)*(net+tcp)
}

package link

import (
	"errors"

	"usock/clock"
	"usock/packet"
)

// Packet is one packet on its way between a host and a link. It is defined in package packet,
// which both stand on: go doc usock/packet.Packet shows its fields and methods.
//
// Its bytes are those of Head and then the views of Payload. Front and Consume read headers,
// Prepend makes room for one, AppendTo copies all bytes, Clone shares them, and its owner's last
// call is Free. ChecksumStart, ChecksumOffset, CRC32c and SegmentSize say what is left to be done when it
// leaves memory.
type Packet = packet.Packet

// ErrClosed is returned by Recv of a link that was closed.
var ErrClosed = errors.New("link: closed")

// Medium says what a link's packets begin with.
type Medium uint8

// The media.
const (
	IP       Medium = iota // an IPv4 or IPv6 header
	Ethernet               // an Ethernet header
)

// Info describes a link. It does not change during the link's life.
type Info struct {
	Name   string // as Linux names an interface: at most 15 bytes
	MTU    int    // bytes of the largest IP packet
	Medium Medium

	// Address is the link's own hardware address; Ethernet only.
	Address [6]byte

	// Checksum says that the link takes packets whose transport checksum is not
	// filled in: it completes it, or the packets never leave memory.
	Checksum bool

	// CRC32c says the same of packets whose checksum is a CRC32c (Packet.CRC32c).
	CRC32c bool

	// Segments says that the link takes TCP segments larger than the MTU, which
	// it cuts itself or carries whole (Packet.SegmentSize).
	Segments bool

	// Loopback says that the link delivers what it is sent to the sender itself.
	Loopback bool
}

// Link carries packets between a host and something else: another host, a device
// of the kernel, the host itself. A wrapper such as Pcap or Impair is a Link over
// a Link.
type Link interface {
	// Info describes the link.
	Info() Info

	// Send takes over every packet of the batch and carries off as many as it
	// can, in order; the rest is dropped. It returns how many it accepted. It
	// never blocks, and must not be called from two goroutines at once.
	Send(batch []*Packet) int

	// Recv waits for packets and stores them into batch, whose owner the caller
	// becomes. It returns how many; ErrClosed after Close.
	Recv(batch []*Packet) (int, error)

	// Close ends the link and frees what it holds. A Recv that waits returns
	// ErrClosed.
	Close() error
}

// Direct is a Link that can hand its packets over on the goroutine that brought
// them, which saves a switch between goroutines for each batch.
type Direct interface {
	Link

	// Deliver has f called with every batch of packets that arrives, in place of
	// Recv. f takes over the packets, not the slice. The link calls f with no lock
	// held, and never from two goroutines at once. Deliver is called before the
	// first packet.
	Deliver(f func(batch []*Packet))
}

// Parallel is a Direct link through which packets of different flows pass at once, on as many processors. Who
// uses SendFlow or DeliverFlows does not use Send, Recv or Deliver of the same end.
type Parallel interface {
	Direct

	// Flow returns a number that is the same for all packets of a flow, so that they stay in order. It may be
	// called by several goroutines at once, and leaves p, a complete packet, as it is.
	Flow(p *Packet) uint64

	// SendFlow is Send for several goroutines at once. Those of a flow are sent by one at a time.
	SendFlow(batch []*Packet) int

	// DeliverFlows is Deliver for an f that may be called by several goroutines at once.
	DeliverFlows(f func(batch []*Packet))
}

// Timed is a Link that keeps time, or wraps one that may: it delays packets, stamps them,
// or waits for answers.
type Timed interface {
	Link

	// UseClock has the link take its time from c, and hands c on to what it wraps. A
	// link whose configuration names a clock keeps that one, and so does one that has
	// carried packets already. A host calls it with its own clock when it takes the
	// link, before it sends and receives.
	UseClock(c clock.Clock)
}

// UseClock hands a clock on to a link that keeps time, or to the one that it wraps (Wrapper).
func UseClock(l Link, c clock.Clock) {
	for {
		if t, ok := l.(Timed); ok {
			t.UseClock(c)
			return
		}
		w, ok := l.(Wrapper)
		if !ok {
			return
		}
		l = w.Unwrap()
	}
}

// NewPacket returns a packet that holds a copy of b, an IP packet of at most 64 KiB
// with complete checksums: what a Link of one's own hands over in Recv.
// Packet.AppendTo gives the bytes of a packet that a Link was sent.
func NewPacket(b []byte) *Packet { return packet.FromBytes(b) }

package link

import (
	"crypto/rand"
	"errors"
	"fmt"

	"usock/packet"
)

// FrameSocketConfig describes this end of a socket that carries Ethernet frames.
type FrameSocketConfig struct {
	// Name is the link's name, as Linux names an interface; "": frames0.
	Name string

	// MTU is the size in bytes of the largest IP packet, between 68 and 65,000, which is for
	// both ends to agree on; 0: 1500. Larger frames are dropped, either way.
	MTU int

	// Address is the Ethernet address that Info tells. Zero: a random one.
	Address [6]byte
}

// The MTU of a frame socket, which a block holds with the Ethernet header and one byte more.
const (
	defaultFrameMTU = 1500
	minFrameMTU     = 68 // RFC 791
	maxFrameMTU     = 65000
)

var _ [packet.MaxBlock - maxFrameMTU - ethernetLen - 1]byte

// ErrPeerClosed is returned by Recv of a link over a socket whose other end was closed, be it
// because the program behind it has died.
var ErrPeerClosed = errors.New("link: the peer has closed its end")

// info returns what the configuration makes of a link.
func (c *FrameSocketConfig) info() (Info, error) {
	i := Info{Name: c.Name, MTU: c.MTU, Medium: Ethernet, Address: c.Address, CRC32c: true}
	if i.Name == "" {
		i.Name = "frames0"
	}
	if len(i.Name) > maxName {
		return i, fmt.Errorf("%s: a link's name has at most %d bytes", i.Name, maxName)
	}
	if i.MTU == 0 {
		i.MTU = defaultFrameMTU
	}
	if i.MTU < minFrameMTU || i.MTU > maxFrameMTU {
		return i, fmt.Errorf("link %s: MTU %d is not between %d and %d", i.Name, i.MTU, minFrameMTU, maxFrameMTU)
	}
	switch {
	case i.Address == (hardware{}):
		i.Address = randomAddress()
	case i.Address[0]&1 != 0:
		return i, fmt.Errorf("link %s: % x is the Ethernet address of a group", i.Name, i.Address)
	}
	return i, nil
}

// randomAddress returns an Ethernet address of one station that no maker of devices gives out
// (IEEE 802: locally administered).
func randomAddress() (h hardware) {
	rand.Read(h[:])
	h[0] = h[0]&^1 | 2
	return h
}

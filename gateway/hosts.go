package gateway

import (
	"fmt"
	"net/netip"

	"usock/internal/target"
)

// Host is a name that a run knows, and one of its addresses.
type Host struct {
	Name string // as hosts(5) has it; with a dot at its end it is not asked for with a suffix
	Addr netip.Addr
}

// Check reports what is wrong with the name or the address.
func (h Host) Check() error {
	if err := target.CheckName(h.Name); err != nil {
		return err
	}
	if !h.Addr.IsValid() || h.Addr.Zone() != "" {
		return fmt.Errorf("the address of %q is none that a name server can tell: give an IPv4 or IPv6 address without a zone", h.Name)
	}
	return nil
}

// maxAddrs bounds the addresses of a name, and the names of an address, so that all fit into
// one message.
const maxAddrs = 200

// localhost returns the loopback address of a family.
func localhost(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

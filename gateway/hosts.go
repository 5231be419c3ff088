package gateway

import (
	"fmt"
	"net/netip"
	"strings"
)

// Host is a name that a run knows, and one of its addresses.
type Host struct {
	Name string // as hosts(5) has it; with a dot at its end it is not asked for with a suffix
	Addr netip.Addr
}

// Check reports what is wrong with the name or the address.
func (h Host) Check() error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	if !h.Addr.IsValid() || h.Addr.Zone() != "" {
		return fmt.Errorf("the address of %q is none that a name server can tell: give an IPv4 or IPv6 address without a zone", h.Name)
	}
	return nil
}

// What a name may have (RFC 1035, section 2.3.4).
const (
	maxName  = 253 // bytes, without the dot at its end
	maxLabel = 63
)

// maxAddrs bounds the addresses of a name, and the names of an address, so that all fit into
// one message.
const maxAddrs = 200

func checkName(name string) error {
	relative := strings.TrimSuffix(name, ".")
	switch {
	case relative == "":
		return fmt.Errorf("%q is no name", name)
	case len(relative) > maxName:
		return fmt.Errorf("the name has %d bytes, of which RFC 1035 allows %d", len(relative), maxName)
	}
	if _, err := netip.ParseAddr(relative); err == nil {
		return fmt.Errorf("%q is an address, which programs do not ask name servers for", name)
	}
	for label := range strings.SplitSeq(relative, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%q has an empty part between its dots", name)
		case len(label) > maxLabel:
			return fmt.Errorf("%q has a part of %d bytes, of which RFC 1035 allows %d", name, len(label), maxLabel)
		}
		for _, c := range []byte(label) {
			if !inName(c) {
				return fmt.Errorf("%q has the character %q; a name has letters, digits, '-' and '_' (others in the form that begins with xn--)", name, c)
			}
		}
	}
	return nil
}

func inName(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// lower returns a name as it is compared (RFC 4343): ASCII letters have no case.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, name)
}

// localhost returns the loopback address of a family.
func localhost(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

package target

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// What a name may have (RFC 1035, section 2.3.4).
const (
	MaxName  = 253 // bytes, without the dot at its end
	maxLabel = 63
)

// CheckName reports what is wrong with a name of a host.
func CheckName(name string) error {
	relative := strings.TrimSuffix(name, ".")
	switch {
	case relative == "":
		return fmt.Errorf("%q is no name", name)
	case len(relative) > MaxName:
		return fmt.Errorf("the name has %d bytes, of which RFC 1035 allows %d", len(relative), MaxName)
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
		for _, c := range label {
			if !inName(c) {
				return fmt.Errorf("%q has the character %q; a name has letters, digits, '-' and '_' (others in the form that begins with xn--)", name, c)
			}
		}
	}
	return nil
}

func inName(c rune) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// Lower returns a name as it is compared (RFC 4343): ASCII letters have no case.
func Lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, name)
}

// Bare returns a name as targets have it: in lower case, without a dot at its end.
func Bare(name string) string { return Lower(strings.TrimSuffix(name, ".")) }

// Hosts returns the addresses and names of a hosts(5) file, in its order.
func Hosts(text string) iter.Seq2[netip.Addr, string] {
	return func(yield func(netip.Addr, string) bool) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			f := strings.Fields(line)
			if len(f) == 0 {
				continue
			}
			a, err := netip.ParseAddr(f[0])
			if err != nil || a.Zone() != "" {
				continue
			}
			for _, name := range f[1:] {
				if !yield(a, name) {
					return
				}
			}
		}
	}
}

package socket

import (
	"slices"

	"usock/internal/abi"
)

// Kind is what this package and those who list sockets know of a protocol: the facts of its
// row that are not calls. It never changes.
type Kind struct {
	Name   string // as ss(8) has it: "tcp"
	Stream bool   // bytes, which Send may take in part; else records
	Parted bool   // SO_SNDTIMEO is for each part of a send by itself
	Level  int    // of the options of its own (SOL_TCP); SOL_SOCKET: it has none
	Own    bool   // calls have the socket's lock domain; else the whole host
	Small  int    // Send takes a record of up to so many bytes as Msg.Small, at most MaxSmall; 0: as Data

	// IntsFirst says that setsockopt at Level looks at the value, an int, before the name
	// (Linux, do_tcp_setsockopt and udp_lib_setsockopt), but for the options in NotInts.
	IntsFirst bool
	NotInts   []int
}

// wantsInt reports whether setsockopt looks at the value, an int, before the name.
func (k *Kind) wantsInt(level, name int) bool {
	if level == abi.SOL_SOCKET {
		return name != abi.SO_BINDTODEVICE
	}
	return level == k.Level && k.IntsFirst && !slices.Contains(k.NotInts, name)
}

package inet

import (
	"encoding/binary"
	"slices"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/wire"
)

// The options of an IPv4 datagram, for IP_RECVOPTS and IP_RETOPTS.

// IPv4 options that a host has a part in (RFC 791, section 3.1). Their third byte
// points, from 1, at what is to be filled in next.
const (
	optRecordRoute = 7
	optTimestamp   = 68
)

// arrivedOptions returns the options of a datagram that has reached this host, which has
// added itself to the routes and times that they record (RFC 1122, section 3.2.1.8).
func arrivedOptions(m *ip.Meta, wall time.Time) []byte {
	all := slices.Clone(m.Header[wire.IPv4MinLen:])
	for o := range eachOption(all) {
		switch {
		case o[0] == optRecordRoute && int(o[2])+3 <= len(o):
			a := m.Dst.As4()
			copy(o[o[2]-1:], a[:])
			o[2] += 4
		case o[0] == optTimestamp && len(o) > 3:
			stampOption(o, m, wall)
		}
	}
	return all
}

// eachOption yields the options of b that are recorded into. b was checked when the packet came.
func eachOption(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 && b[0] != wire.IPv4OptEnd {
			n := 1
			if b[0] != wire.IPv4OptNOP {
				if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
					return
				}
				n = int(b[1])
			}
			if n > 2 && b[2] >= 4 && !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// stampOption fills the time of arrival, and the address, in an Internet Timestamp option.
func stampOption(o []byte, m *ip.Meta, wall time.Time) {
	const timeOnly, withAddr, prespecified = 0, 1, 3
	at := int(o[2]) - 1
	kind, size := o[3]&15, 8
	if kind == timeOnly {
		size = 4
	}
	switch {
	case at >= len(o):
		if o[3] < 0xf0 {
			o[3] += 0x10 // one more that had no room
		}
		return
	case at+size > len(o) || kind != timeOnly && kind != withAddr && kind != prespecified:
		return
	}
	a := m.Dst.As4()
	switch kind {
	case withAddr:
		copy(o[at:], a[:])
	case prespecified:
		if [4]byte(o[at:]) != a {
			return
		}
	}
	t := wall.UTC()
	midnight := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	binary.BigEndian.PutUint32(o[at+size-4:], uint32(t.Sub(midnight)/time.Millisecond))
	o[2] += byte(size)
}

// returnedOptions are the options for an answer: those that record, which go on recording
// (Linux, __ip_options_echo).
func returnedOptions(b []byte) []byte {
	var out []byte
	for _, kind := range [...]byte{optRecordRoute, optTimestamp} {
		for o := range eachOption(b) {
			if o[0] != kind {
				continue
			}
			out = append(out, o...)
		}
	}
	for len(out)%4 != 0 {
		out = append(out, wire.IPv4OptEnd)
	}
	return out
}

// optionControl appends the control messages of IP_RECVOPTS and IP_RETOPTS.
func optionControl(b []byte, o *ipOptions, g *datagram) []byte {
	if len(g.options) == 0 {
		return b
	}
	if o.recvOpts {
		b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_RECVOPTS, g.options)
	}
	if o.retOpts {
		b = abi.AppendCmsg(b, abi.SOL_IP, abi.IP_RETOPTS, returnedOptions(g.options))
	}
	return b
}

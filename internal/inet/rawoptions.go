package inet

import (
	"encoding/binary"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// ICMP_FILTER and ICMP6_FILTER (include/uapi/linux/icmp.h, icmpv6.h).
const icmpFilter = 1

// rawRows are the options of raw sockets. The two families share protocol numbers as
// levels: each row says whose it is.
var rawRows = []socket.Option{
	ipFlag(abi.SOL_IP, abi.IP_HDRINCL, func(o *ipOptions) *bool { return &o.hdrincl }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_HDRINCL, func(o *ipOptions) *bool { return &o.hdrincl }),
	{Level: abi.SOL_RAW, Name: icmpFilter, Get: getFilter4, Set: setFilter4},
	{Level: abi.SOL_ICMPV6, Name: icmpFilter, Get: getFilter6, Set: setFilter6},
	checksumRow(abi.SOL_IPV6),
	checksumRow(abi.SOL_RAW),
}

func getFilter4(s *socket.Socket, b []byte) ([]byte, error) {
	switch {
	case s.Domain == abi.AF_INET6:
		return nil, syscall.ENOPROTOOPT
	case s.Protocol != abi.IPPROTO_ICMP:
		return nil, syscall.EOPNOTSUPP
	}
	return binary.NativeEndian.AppendUint32(b, rawOf(s).filter[0]), nil
}

func setFilter4(s *socket.Socket, v []byte) error {
	switch {
	case s.Domain == abi.AF_INET6 && len(v) < 4:
		return syscall.EINVAL
	case s.Domain == abi.AF_INET6:
		return syscall.ENOPROTOOPT
	case s.Protocol != abi.IPPROTO_ICMP:
		return syscall.EOPNOTSUPP
	}
	rawOf(s).setFilter(1, v)
	return nil
}

// setFilter overwrites as much of the filter's first words as v has bytes for.
func (e *rawEndpoint) setFilter(words int, v []byte) {
	for i := range min(4*words, len(v)) {
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], e.filter[i/4])
		b[i%4] = v[i]
		e.filter[i/4] = binary.NativeEndian.Uint32(b[:])
	}
}

func getFilter6(s *socket.Socket, b []byte) ([]byte, error) {
	if s.Domain == abi.AF_INET || s.Protocol != abi.IPPROTO_ICMPV6 {
		return nil, syscall.EOPNOTSUPP
	}
	for _, w := range rawOf(s).filter {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b, nil
}

func setFilter6(s *socket.Socket, v []byte) error {
	switch {
	case s.Domain == abi.AF_INET:
		return syscall.ENOPROTOOPT // of ip(7)'s: there is no such level
	case s.Protocol != abi.IPPROTO_ICMPV6:
		return syscall.EOPNOTSUPP
	}
	rawOf(s).setFilter(len(rawOf(s).filter), v)
	return nil
}

// checksumRow is IPV6_CHECKSUM (RFC 3542, section 3.1), which ICMPv6 does not let be
// changed but by the level of raw sockets (Linux, do_rawv6_setsockopt).
func checksumRow(level int) socket.Option {
	row := socket.IntOption(level, abi.IPV6_CHECKSUM,
		func(s *socket.Socket) int { return int(rawOf(s).checksum) },
		func(s *socket.Socket, v int) error {
			if level == abi.SOL_IPV6 && s.Protocol == abi.IPPROTO_ICMPV6 || v > 0 && v&1 != 0 {
				return syscall.EINVAL
			}
			rawOf(s).checksum = int32(max(v, -1))
			return nil
		})
	get, set := row.Get, row.Set
	row.Get = func(s *socket.Socket, b []byte) ([]byte, error) {
		if s.Domain == abi.AF_INET {
			return nil, syscall.ENOPROTOOPT
		}
		return get(s, b)
	}
	row.Set = func(s *socket.Socket, v []byte) error {
		if s.Domain == abi.AF_INET {
			return syscall.ENOPROTOOPT
		}
		return set(s, v)
	}
	return row
}

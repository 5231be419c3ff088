package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/bpf"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wire"
	"usock/packet"
)

// Filters of sockets (socket(7), SO_ATTACH_FILTER): a classic BPF program sees each packet
// that is for the socket from its transport header on, or from the IPv4 header on where
// the socket receives that, and says how many bytes of it are kept.

// Interface types (include/uapi/linux/if_arp.h), and EtherTypes.
const (
	arphrdLoopback = 772
	arphrdNone     = 0xfffe
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
)

// Packet types (include/uapi/linux/if_packet.h).
const (
	packetHost      = 0
	packetBroadcast = 1
	packetMulticast = 2
)

// filterRows are the options about filters. The value of SO_ATTACH_FILTER is the program
// itself, structs sock_filter in a row, and not a struct sock_fprog that points to it:
// SO_GET_FILTER, which has the same number, stores it so.
func filterRows() []socket.Option {
	change := func(s *socket.Socket, f *bpf.Program) error {
		if ipOptionsOf(s).filterLocked {
			return syscall.EPERM
		}
		if f == nil && ipOptionsOf(s).filter == nil {
			return syscall.ENOENT
		}
		ownIPOptionsOf(s).filter = f
		return nil
	}
	return []socket.Option{
		{
			Level: abi.SOL_SOCKET, Name: abi.SO_ATTACH_FILTER,
			Set: func(s *socket.Socket, v []byte) error {
				if ipOptionsOf(s).filterLocked {
					return syscall.EPERM
				}
				f, err := bpf.Parse(v)
				if err != nil {
					return err
				}
				return change(s, f)
			},
			Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
				f := ipOptionsOf(s).filter
				if f == nil {
					return nil, nil
				}
				b := f.Append(nil)
				if len(v) < len(b) {
					return nil, syscall.EINVAL
				}
				return b, nil
			},
		},
		socket.IntOption(abi.SOL_SOCKET, abi.SO_DETACH_FILTER, nil,
			func(s *socket.Socket, _ int) error { return change(s, nil) }),
		socket.BoolOption(abi.SOL_SOCKET, abi.SO_LOCK_FILTER,
			func(s *socket.Socket) bool { return ipOptionsOf(s).filterLocked },
			func(s *socket.Socket, on bool) error {
				if !on && ipOptionsOf(s).filterLocked {
					return syscall.EPERM
				}
				ownIPOptionsOf(s).filterLocked = on
				return nil
			}),
		// A descriptor of an eBPF program, of which a host has none.
		{Level: abi.SOL_SOCKET, Name: abi.SO_ATTACH_BPF, Set: func(s *socket.Socket, v []byte) error {
			switch {
			case len(v) != 4:
				return syscall.EINVAL
			case ipOptionsOf(s).filterLocked:
				return syscall.EPERM
			}
			return syscall.EBADF
		}},
	}
}

// keep asks the filter, if there is one, how much of p is kept, cuts off the rest beyond
// the first least bytes, and reports whether anything is. p begins where the filter's
// data do: with the last header bytes of the network header.
func (x *ipState) keep(p *packet.Packet, m *ip.Meta, header, least int) bool {
	if x.opts == nil || x.opts.filter == nil {
		return true
	}
	k := bpf.Packet{Net: m.Header[:len(m.Header)-header], Protocol: etherIPv4, LinkType: arphrdNone, Ifindex: uint32(m.Iface.Index())}
	whole := p.Front()
	if m.V6 {
		k.Protocol = etherIPv6
	}
	if x.opts.filter.Random() {
		k.Random = uint32(m.Iface.Random())
	}
	switch {
	case m.Broadcast:
		k.Type = packetBroadcast
	case m.Dst.IsMulticast():
		k.Type = packetMulticast
	}
	if m.Iface.Flags()&ip.FlagLoopback != 0 {
		k.LinkType, k.Type = arphrdLoopback, packetHost
		k.Link = loopbackHeader4[:]
		if m.V6 {
			k.Link = loopbackHeader6[:]
		}
	}
	k.Add(p.Head())
	for _, v := range p.Payload.Views() {
		k.Add(v.Bytes())
	}
	k.PayOffset = uint32(header + payloadAt(m.Proto, whole[min(header, len(whole)):]))
	n := x.opts.filter.Run(&k)
	if n == 0 {
		return false
	}
	if n := max(int(min(n, 1<<20)), least); n < p.Len() {
		p.Truncate(n)
	}
	return true
}

// rawLeast is what a filter leaves at least of the packet of a raw or ping socket.
const rawLeast = 1

// The Ethernet headers of the loopback interface.
var (
	loopbackHeader4 = [14]byte{12: etherIPv4 >> 8, 13: etherIPv4 & 0xff}
	loopbackHeader6 = [14]byte{12: etherIPv6 >> 8, 13: etherIPv6 & 0xff}
)

// payloadAt returns how long the transport header at the start of b is.
func payloadAt(proto uint8, b []byte) int {
	switch {
	case proto == ip.ProtoTCP && len(b) > 12:
		return max(int(b[12]>>4)*4, wire.TCPMinLen)
	case proto == ip.ProtoUDP, proto == ip.ProtoICMP, proto == ip.ProtoICMPv6:
		return 8
	}
	return 0
}

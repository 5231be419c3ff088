package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/bpf"
	"usock/internal/ip"
	"usock/internal/socket"
)

// ipOptions are a socket's options at SOL_IP and SOL_IPV6.
type ipOptions struct {
	ttl, hops           int16 // IP_TTL, IPV6_UNICAST_HOPS; -1: the host's
	mcastTTL, mcastHops int16 // IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS
	tos, tclass         uint8
	pmtu, pmtu6         uint8 // PMTUDISC_*
	minTTL              uint8
	mcastIf, mcastIf6   int32 // interface indices; 0: chosen by the route
	mcastAddr           netip.Addr
	unicastIf           int32
	unicastIf6          int32
	fragSize6           uint32 // IPV6_MTU; 0: none
	flow                uint32 // IPv6 flow label of the peer; 0: none
	leases              []*flowLease

	v6only, freebind, bindNoPort                    bool
	mcastLoop, mcastAll, mcastLoop6, mcastAll6      bool
	recvErr, recvErr6                               bool
	recvTTL, recvTOS, pktinfo, recvOrigDst          bool
	recvPktinfo6, recvHops6, recvTClass6, dontFrag6 bool
	recvOpts, retOpts, recvOrigDst6                 bool
	recvFlow6, sendFlow6, noAutoFlow                bool
	hdrincl, filterLocked                           bool
	filter                                          *bpf.Program // SO_ATTACH_FILTER
	groups                                          []membership
}

// membership is one group that a socket has joined.
type membership struct {
	group netip.Addr
	iface *ip.Iface
	ip.Filter
	room int // sources that its memory is charged for
}

var defaultIPOptions = ipOptions{
	ttl: -1, hops: -1, mcastTTL: 1, mcastHops: 1, pmtu: abi.PMTUDISC_WANT, pmtu6: abi.PMTUDISC_WANT,
	mcastLoop: true, mcastAll: true, mcastLoop6: true, mcastAll6: true,
}

// discovery returns how the path MTU to dst is found, of PMTUDISC_*.
func (o *ipOptions) discovery(dst netip.Addr) uint8 {
	if dst.Is4() {
		return o.pmtu
	}
	return o.pmtu6
}

// ipState is the IP options of an endpoint, which embeds it. Until one is set, it
// costs a pointer.
type ipState struct{ opts *ipOptions }

// ip returns the options, to be read.
func (x *ipState) ip() *ipOptions {
	if x.opts == nil {
		return &defaultIPOptions
	}
	return x.opts
}

// own returns the options, to be changed.
func (x *ipState) own() *ipOptions {
	if x.opts == nil {
		o := defaultIPOptions
		x.opts = &o
	}
	return x.opts
}

func (x *ipState) state() *ipState { return x }

// inherit takes over a listener's options. Groups stay with their socket.
func (x *ipState) inherit(from *ipState) {
	if from.opts != nil {
		o := *from.opts
		o.groups, o.leases, o.flow = nil, nil, 0
		x.opts = &o
	}
}

// ipHolder is an endpoint: a control block with IP options.
type ipHolder interface{ state() *ipState }

func ipOptionsOf(s *socket.Socket) *ipOptions    { return s.PCB.(ipHolder).state().ip() }
func ownIPOptionsOf(s *socket.Socket) *ipOptions { return s.PCB.(ipHolder).state().own() }

// out fills in what the options say of a packet to dst.
func (o *ipOptions) out(x *ip.Out, dst netip.Addr) {
	ttl, loop := o.ttl, o.mcastLoop
	if !dst.Is4() {
		ttl, loop = o.hops, o.mcastLoop6
	}
	if dst.IsMulticast() {
		ttl = o.mcastTTL
		if !dst.Is4() {
			ttl = o.mcastHops
		}
		x.NoLoop = !loop
	}
	if ttl > 0 {
		x.TTL = uint8(ttl)
	}
	if dst.Is4() {
		x.TOS = o.tos
	} else {
		x.TOS = o.tclass
	}
	switch o.discovery(dst) {
	case abi.PMTUDISC_WANT:
		x.Discover = true
	case abi.PMTUDISC_DO:
		x.DontFragment = true
	case abi.PMTUDISC_PROBE:
		x.DontFragment, x.IgnorePathMTU = true, true
	case abi.PMTUDISC_INTERFACE, abi.PMTUDISC_OMIT:
		x.IgnorePathMTU = true
	}
	if o.dontFrag6 && !dst.Is4() {
		x.DontFragment = true
	}
}

// NewOptions returns the option table of an Internet protocol: socket.NewOptions with the
// rules about levels that all of them share.
func NewOptions(tables ...[]socket.Option) *socket.Options {
	t := socket.NewOptions(tables...)
	t.Lacks = func(s *socket.Socket, level int) bool {
		return s.Domain == abi.AF_INET && level == abi.SOL_IPV6
	}
	t.Missing = func(s *socket.Socket, level int, set bool) error {
		known := level == abi.SOL_SOCKET || level == abi.SOL_IP || level == s.Proto.Kind().Level
		if s.Domain == abi.AF_INET && !set && !known {
			return syscall.EOPNOTSUPP // Linux, do_ip_getsockopt
		}
		return syscall.ENOPROTOOPT
	}
	return t
}

// ipFlag returns the row of a flag of ipOptions.
func ipFlag(level, name int, field func(*ipOptions) *bool) socket.Option {
	o := socket.BoolOption(level, name,
		func(s *socket.Socket) bool { return *field(ipOptionsOf(s)) }, nil)
	o.Byte = level == abi.SOL_IP
	o.Set = func(s *socket.Socket, v []byte) error {
		i, err := ipInt(level, v)
		if err == nil {
			*field(ownIPOptionsOf(s)) = i != 0
		}
		return err
	}
	return o
}

// strict is the row o, whose value must not be empty, and must be below limit if
// that is not 0.
func strict(o socket.Option, limit int) socket.Option {
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		i, err := ipInt(o.Level, v)
		if err == nil && (len(v) == 0 || limit != 0 && (i < 0 || i >= limit)) {
			err = syscall.EINVAL
		}
		if err != nil {
			return err
		}
		return set(s, v)
	}
	return o
}

// shortIsZero is the row o of an int, of which Linux takes what is too short for 0.
func shortIsZero(o socket.Option) socket.Option {
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		if len(v) < 4 {
			v = make([]byte, 4)
		}
		return set(s, v)
	}
	return o
}

// ipInt reads an option value: at SOL_IP a single byte will do (ip(7)).
func ipInt(level int, v []byte) (int, error) {
	if level == abi.SOL_IP {
		return abi.ParseIntOrByte(v)
	}
	return abi.ParseInt(v)
}

// ipNumber returns the row of an int option that check confines.
func ipNumber(level, name int, get func(*socket.Socket, *ipOptions) int, set func(*ipOptions, int) error) socket.Option {
	o := socket.IntOption(level, name, func(s *socket.Socket) int { return get(s, ipOptionsOf(s)) }, nil)
	o.Byte = level == abi.SOL_IP
	o.Set = func(s *socket.Socket, v []byte) error {
		i, err := ipInt(level, v)
		if err != nil {
			return err
		}
		trial := *ipOptionsOf(s)
		if err := set(&trial, i); err != nil {
			return err
		}
		return set(ownIPOptionsOf(s), i)
	}
	return o
}

// within stores v in an int16 if it is in [lo, hi], where -1 stands for def.
func within(p *int16, v, lo, hi, def int) error {
	if v == -1 {
		v = def
	} else if v < lo || v > hi {
		return syscall.EINVAL
	}
	*p = int16(v)
	return nil
}

// setTOS stores a type of service or traffic class. The ECN bits are a stream's own, whatever its
// protocol (Linux, __ip_sock_set_tos).
func setTOS(s *socket.Socket, p *uint8, v int) {
	t := uint8(v)
	if s.Type == abi.SOCK_STREAM {
		t = t&^3 | *p&3
	}
	*p = t
}

// tosPriority is the priority that goes with a type of service (Linux,
// rt_tos2priority).
var tosPriority = [16]int32{4: 2, 5: 2, 6: 2, 7: 2, 8: 6, 9: 6, 10: 6, 11: 6, 12: 4, 13: 4, 14: 4, 15: 4}

// ipTOS is IP_TOS.
func ipTOS(s *socket.Socket, v []byte) error {
	i, err := ipInt(abi.SOL_IP, v)
	if err != nil {
		return err
	}
	old := ipOptionsOf(s).tos
	o := ownIPOptionsOf(s)
	if setTOS(s, &o.tos, i); o.tos != old {
		s.Priority = tosPriority[o.tos&0x1e>>1]
	}
	return nil
}

func setPMTU(p *uint8, v int) error {
	if v < abi.PMTUDISC_DONT || v > abi.PMTUDISC_OMIT {
		return syscall.EINVAL
	}
	*p = uint8(v)
	return nil
}

const defaultTTL = 64

func shown(v int16) int {
	if v < 0 {
		return defaultTTL
	}
	return int(v)
}

// ipRows are the options at SOL_IP that every Internet socket has (ip(7)).
var ipRows = []socket.Option{
	{
		// Only a raw socket's own row sets it.
		Level: abi.SOL_IP, Name: abi.IP_HDRINCL, Byte: true,
		Get: func(_ *socket.Socket, b []byte) ([]byte, error) { return abi.AppendInt(b, 0), nil },
	},
	ipNumber(abi.SOL_IP, abi.IP_TTL,
		func(_ *socket.Socket, o *ipOptions) int { return shown(o.ttl) },
		func(o *ipOptions, v int) error { return within(&o.ttl, v, 1, 255, -1) }),
	{
		Level: abi.SOL_IP, Name: abi.IP_TOS, Byte: true, Set: ipTOS,
		Get: func(s *socket.Socket, b []byte) ([]byte, error) {
			return abi.AppendInt(b, int(ipOptionsOf(s).tos)), nil
		},
	},
	ipNumber(abi.SOL_IP, abi.IP_MTU_DISCOVER,
		func(_ *socket.Socket, o *ipOptions) int { return int(o.pmtu) },
		func(o *ipOptions, v int) error { return setPMTU(&o.pmtu, v) }),
	strict(ipNumber(abi.SOL_IP, abi.IP_MULTICAST_TTL,
		func(_ *socket.Socket, o *ipOptions) int { return int(o.mcastTTL) },
		func(o *ipOptions, v int) error { return within(&o.mcastTTL, v, 0, 255, 1) }), 0),
	strict(ipNumber(abi.SOL_IP, abi.IP_MINTTL,
		func(_ *socket.Socket, o *ipOptions) int { return int(o.minTTL) },
		func(o *ipOptions, v int) error { o.minTTL = uint8(v); return nil }), 256),
	strict(ipFlag(abi.SOL_IP, abi.IP_MULTICAST_LOOP, func(o *ipOptions) *bool { return &o.mcastLoop }), 0),
	strict(ipFlag(abi.SOL_IP, abi.IP_MULTICAST_ALL, func(o *ipOptions) *bool { return &o.mcastAll }), 2),
	strict(ipFlag(abi.SOL_IP, abi.IP_FREEBIND, func(o *ipOptions) *bool { return &o.freebind }), 0),
	ipFlag(abi.SOL_IP, abi.IP_BIND_NO_PORT, func(o *ipOptions) *bool { return &o.bindNoPort }),
	ipFlag(abi.SOL_IP, abi.IP_RECVERR, func(o *ipOptions) *bool { return &o.recvErr }),
	ipFlag(abi.SOL_IP, abi.IP_RECVTTL, func(o *ipOptions) *bool { return &o.recvTTL }),
	ipFlag(abi.SOL_IP, abi.IP_RECVTOS, func(o *ipOptions) *bool { return &o.recvTOS }),
	ipFlag(abi.SOL_IP, abi.IP_PKTINFO, func(o *ipOptions) *bool { return &o.pktinfo }),
	ipFlag(abi.SOL_IP, abi.IP_RECVORIGDSTADDR, func(o *ipOptions) *bool { return &o.recvOrigDst }),
	ipFlag(abi.SOL_IP, abi.IP_RECVOPTS, func(o *ipOptions) *bool { return &o.recvOpts }),
	ipFlag(abi.SOL_IP, abi.IP_RETOPTS, func(o *ipOptions) *bool { return &o.retOpts }),
	{Level: abi.SOL_IP, Name: abi.IP_MTU, Byte: true, Get: getMTU},
	{Level: abi.SOL_IP, Name: abi.IP_OPTIONS, Get: func(*socket.Socket, []byte) ([]byte, error) { return nil, nil }},
}

// ip6Rows are the options at SOL_IPV6 (ipv6(7)); AF_INET sockets do not have them.
var ip6Rows = []socket.Option{
	ipNumber(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS,
		func(_ *socket.Socket, o *ipOptions) int { return shown(o.hops) },
		func(o *ipOptions, v int) error { return within(&o.hops, v, 0, 255, -1) }),
	ipNumber(abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS,
		func(_ *socket.Socket, o *ipOptions) int { return int(o.mcastHops) },
		func(o *ipOptions, v int) error { return within(&o.mcastHops, v, 0, 255, 1) }),
	socket.IntOption(abi.SOL_IPV6, abi.IPV6_TCLASS,
		func(s *socket.Socket) int { return int(ipOptionsOf(s).tclass) },
		func(s *socket.Socket, v int) error {
			if v < -1 || v > 255 {
				return syscall.EINVAL
			}
			setTOS(s, &ownIPOptionsOf(s).tclass, max(v, 0))
			return nil
		}),
	ipNumber(abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER,
		func(_ *socket.Socket, o *ipOptions) int { return int(o.pmtu6) },
		func(o *ipOptions, v int) error { return setPMTU(&o.pmtu6, v) }),
	strict(ipFlag(abi.SOL_IPV6, abi.IPV6_MULTICAST_LOOP, func(o *ipOptions) *bool { return &o.mcastLoop6 }), 2),
	ipFlag(abi.SOL_IPV6, abi.IPV6_MULTICAST_ALL, func(o *ipOptions) *bool { return &o.mcastAll6 }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_RECVERR, func(o *ipOptions) *bool { return &o.recvErr6 }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_RECVPKTINFO, func(o *ipOptions) *bool { return &o.recvPktinfo6 }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT, func(o *ipOptions) *bool { return &o.recvHops6 }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_RECVTCLASS, func(o *ipOptions) *bool { return &o.recvTClass6 }),
	shortIsZero(ipFlag(abi.SOL_IPV6, abi.IPV6_DONTFRAG, func(o *ipOptions) *bool { return &o.dontFrag6 })),
	ipFlag(abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, func(o *ipOptions) *bool { return &o.recvOrigDst6 }),
	ipFlag(abi.SOL_IPV6, abi.IPV6_FREEBIND, func(o *ipOptions) *bool { return &o.freebind }),
	{Level: abi.SOL_IPV6, Name: abi.IPV6_MTU, Get: getMTU, Set: setFragSize},
	{
		Level: abi.SOL_IPV6, Name: abi.IPV6_V6ONLY,
		Get: func(s *socket.Socket, b []byte) ([]byte, error) {
			return abi.AppendInt(b, toInt(ipOptionsOf(s).v6only)), nil
		},
		Set: func(s *socket.Socket, v []byte) error {
			i, err := abi.ParseInt(v)
			if err != nil {
				return err
			}
			if s.PCB.(interface{ bound() bool }).bound() {
				return syscall.EINVAL
			}
			ownIPOptionsOf(s).v6only = i != 0
			return nil
		},
	},
}

// getMTU returns the path's MTU; ENOTCONN without a peer.
func getMTU(s *socket.Socket, b []byte) ([]byte, error) {
	mtu := s.PCB.(interface{ mtu() int }).mtu()
	if mtu == 0 {
		return nil, syscall.ENOTCONN
	}
	return abi.AppendInt(b, mtu), nil
}

// setFragSize bounds what leaves unfragmented; getMTU does not tell it (Linux, ipv6_pinfo.frag_size).
func setFragSize(s *socket.Socket, v []byte) error {
	i, err := abi.ParseInt(v)
	if err != nil {
		return err
	}
	if i != 0 && i < ip.MinPMTU6 {
		return syscall.EINVAL
	}
	ownIPOptionsOf(s).fragSize6 = uint32(i)
	return nil
}

// deviceRows are SO_BINDTODEVICE and SO_BINDTOIFINDEX. A program without
// CAP_NET_RAW may tie a socket to an interface, not change that again. With them are the other rows that all
// protocols have.
func deviceRows(st *Stack, p socket.Holder) []socket.Option {
	tie := func(s *socket.Socket, index int) error {
		if s.Opt.Device != 0 && !st.may(s, abi.CAP_NET_RAW) {
			return syscall.EPERM
		}
		s.Opt.Device = int32(index)
		if b, ok := s.PCB.(interface{ claim() }); ok {
			b.claim()
		}
		if d, ok := s.PCB.(interface{ base() *dgram }); ok {
			d.base().pathDst = netip.Addr{}
		}
		return nil
	}
	rows := append(socket.UnseenOptions(st.may), st.flowRows()...)
	rows = append(rows, filterRows()...)
	rows = append(rows, socket.StampingOption(0, func(s *socket.Socket, _ uint32) error {
		holder(s).txKey = 0
		return nil
	}))
	return append(rows, []socket.Option{
		socket.MemInfo(p),
		{
			Level: abi.SOL_SOCKET, Name: abi.SO_PEERCRED, // nobody: process 0, user and group -1
			Get: func(_ *socket.Socket, b []byte) ([]byte, error) {
				return abi.AppendInt(abi.AppendInt(abi.AppendInt(b, 0), -1), -1), nil
			},
		},
		{
			Level: abi.SOL_SOCKET, Name: abi.SO_ZEROCOPY,
			Get: func(_ *socket.Socket, b []byte) ([]byte, error) { return abi.AppendInt(b, 0), nil },
			Set: func(*socket.Socket, []byte) error { return syscall.EOPNOTSUPP },
		},
		st.unicastRow(abi.SOL_IP, abi.IP_UNICAST_IF, func(o *ipOptions) *int32 { return &o.unicastIf }),
		st.unicastRow(abi.SOL_IPV6, abi.IPV6_UNICAST_IF, func(o *ipOptions) *int32 { return &o.unicastIf6 }),
		{
			Level: abi.SOL_SOCKET, Name: abi.SO_BINDTODEVICE, Room: 16,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				i := st.IP.Iface(int(s.Opt.Device))
				if s.Opt.Device == 0 || i == nil {
					return b, nil
				}
				return append(append(b, i.Name()...), 0), nil
			},
			Set: func(s *socket.Socket, v []byte) error {
				for k, c := range v {
					if c == 0 {
						v = v[:k]
						break
					}
				}
				if len(v) == 0 {
					return tie(s, 0)
				}
				i := st.IP.IfaceByName(string(v[:min(len(v), 15)]))
				if i == nil {
					return syscall.ENODEV
				}
				return tie(s, i.Index())
			},
		},
		socket.IntOption(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX,
			func(s *socket.Socket) int { return int(s.Opt.Device) },
			func(s *socket.Socket, v int) error {
				if s.Opt.Device != 0 && !st.may(s, abi.CAP_NET_RAW) {
					return syscall.EPERM
				}
				if v < 0 {
					return syscall.EINVAL
				}
				return tie(s, v)
			}),
		sharing(abi.SO_REUSEADDR, socket.ReuseAddr),
		sharing(abi.SO_REUSEPORT, socket.ReusePort),
		socket.PriorityOption(st.may),
		socket.ForceOption(abi.SO_RCVBUFFORCE, st.may, func(s *socket.Socket, v int) {
			s.Opt.RcvBuf = socket.Force(v, socket.MinRcvBuf)
		}),
		socket.ForceOption(abi.SO_SNDBUFFORCE, st.may, func(s *socket.Socket, v int) {
			s.Opt.SndBuf = socket.Force(v, socket.MinSndBuf)
			s.RoomMade()
		}),
	}...)
}

// unicastRow is IP_UNICAST_IF or IPV6_UNICAST_IF: the index of an interface, in network
// byte order. It does not go with a device that the socket is bound to.
func (s *Stack) unicastRow(level, name int, field func(*ipOptions) *int32) socket.Option {
	return socket.Option{
		Level: level, Name: name, Byte: level == abi.SOL_IP,
		Get: func(k *socket.Socket, b []byte) ([]byte, error) {
			return binary.BigEndian.AppendUint32(b, uint32(*field(ipOptionsOf(k)))), nil
		},
		Set: func(k *socket.Socket, v []byte) error {
			if len(v) != 4 {
				return syscall.EINVAL
			}
			index := int(int32(binary.BigEndian.Uint32(v)))
			if index != 0 && s.IP.Iface(index) == nil {
				return syscall.EADDRNOTAVAIL
			}
			if index != 0 && k.Opt.Device != 0 {
				return syscall.EINVAL
			}
			*field(ownIPOptionsOf(k)) = int32(index)
			if d, ok := k.PCB.(interface{ base() *dgram }); ok {
				d.base().rerouted()
			}
			return nil
		},
	}
}

// sharing is an option that says whether a port can be shared. It counts for the
// binds to come of other sockets even if this one is bound.
func sharing(name int, flag uint32) socket.Option {
	return socket.BoolOption(abi.SOL_SOCKET, name,
		func(s *socket.Socket) bool { return s.Opt.Has(flag) },
		func(s *socket.Socket, on bool) error {
			s.Opt.Set(flag, on)
			if b, ok := s.PCB.(interface{ claim() }); ok {
				b.claim()
			}
			return nil
		})
}

// may is socket.May.
func (s *Stack) may(_ *socket.Socket, oneOf ...int) bool {
	return slices.ContainsFunc(oneOf, s.capable)
}

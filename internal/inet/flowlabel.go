package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Flow labels (RFC 6437). A packet carries the label that its socket was given with the
// address to connect or send to (IPV6_FLOWINFO_SEND) or, unless IPV6_AUTOFLOWLABEL is
// off, a keyed hash of addresses and ports.
//
// Labels can be leased (IPV6_FLOWLABEL_MGR). As soon as anyone has leased one for
// himself, nobody may send with a label that he has not leased (Linux,
// net/ipv6/ip6_flowlabel.c).

const labelMask = 0xfffff

// flowLease is a leased label. It exists while a socket holds it.
type flowLease struct {
	label           uint32
	dst             netip.Addr
	share           uint8
	owner           int32 // process, of a label that is shared within one
	expires, linger uint16
	holders         int
}

// Values of a struct in6_flowlabel_req (include/uapi/linux/in6.h).
const (
	flowGet   = 0
	flowPut   = 1
	flowRenew = 2

	flowCreate    = 1
	flowExclusive = 2 // only a label that is not leased yet
	flowReflect   = 4
	flowRemote    = 8

	shareExclusive = 1
	shareProcess   = 2
	shareUser      = 3
	shareAny       = 255

	flowReqLen = 32

	minLinger = 6   // s
	maxLinger = 150 // s, without CAP_NET_ADMIN
)

// flowReq is a struct in6_flowlabel_req.
type flowReq struct {
	dst             netip.Addr
	label           uint32
	action, share   uint8
	flags           uint16
	expires, linger uint16
}

func parseFlowReq(b []byte) (r flowReq, err error) {
	if len(b) < flowReqLen {
		return r, syscall.EINVAL
	}
	return flowReq{
		dst:     netip.AddrFrom16([16]byte(b)),
		label:   binary.BigEndian.Uint32(b[16:]),
		action:  b[20],
		share:   b[21],
		flags:   binary.NativeEndian.Uint16(b[22:]),
		expires: binary.NativeEndian.Uint16(b[24:]),
		linger:  binary.NativeEndian.Uint16(b[26:]),
	}, nil
}

// append appends what getsockopt tells of a lease.
func (l *flowLease) append(b []byte) []byte {
	a := l.dst.As16()
	b = append(b, a[:]...)
	b = binary.BigEndian.AppendUint32(b, l.label)
	b = append(b, 0, l.share, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, l.expires)
	b = binary.NativeEndian.AppendUint16(b, l.linger)
	return append(b, 0, 0, 0, 0)
}

// flowRow is IPV6_FLOWLABEL_MGR. A label that was chosen is written into the value that
// was given, as setsockopt(2) does.
func (s *Stack) flowRow() socket.Option {
	return socket.Option{
		Level: abi.SOL_IPV6, Name: abi.IPV6_FLOWLABEL_MGR,
		Set: func(k *socket.Socket, v []byte) error {
			r, err := parseFlowReq(v)
			if err != nil {
				return err
			}
			switch r.action {
			case flowGet:
				l, err := s.leaseFlow(k, &r)
				if err == nil && r.label == 0 {
					binary.BigEndian.PutUint32(v[16:], l.label)
				}
				return err
			case flowPut:
				return s.putFlow(k, r.label)
			case flowRenew:
				for _, l := range ipOptionsOf(k).leases {
					if l.label == r.label {
						return s.renew(l, &r)
					}
				}
				return syscall.ESRCH
			}
			return syscall.EINVAL
		},
		Ask: func(k *socket.Socket, v []byte) ([]byte, error) {
			r, err := parseFlowReq(v)
			if err == nil && r.action != flowGet {
				err = syscall.EINVAL
			}
			if err != nil {
				return nil, err
			}
			if r.flags&flowRemote != 0 {
				return make([]byte, flowReqLen), nil // kept for connections that reflect, which none may
			}
			o := ipOptionsOf(k)
			for _, l := range o.leases {
				if l.label == o.flow {
					return l.append(nil), nil
				}
			}
			return nil, syscall.ENOENT
		},
	}
}

// leaseFlow gives a socket a lease: of a label that is there, or, if asked, of a new one.
func (s *Stack) leaseFlow(k *socket.Socket, r *flowReq) (*flowLease, error) {
	switch {
	case r.flags&flowReflect != 0:
		return nil, syscall.EPERM // net.ipv6.flowlabel_consistency
	case r.label&^labelMask != 0:
		return nil, syscall.EINVAL
	}
	fresh := &flowLease{label: r.label, dst: r.dst, share: r.share, owner: k.Owner.Load()}
	if err := s.renew(fresh, r); err != nil {
		return nil, err
	}
	if r.dst.Is4In6() || r.dst.IsUnspecified() {
		return nil, syscall.EINVAL
	}
	switch r.share {
	case shareAny:
	case shareExclusive, shareUser, shareProcess:
		s.flowsOwned = true // whether or not there is a lease in the end
	default:
		return nil, syscall.EINVAL
	}
	l := s.flows[r.label]
	switch {
	case l == nil:
	case r.flags&flowExclusive != 0:
		return nil, syscall.EEXIST
	case l.share == shareExclusive || l.share != r.share, l.share == shareProcess && l.owner != k.Owner.Load():
		return nil, syscall.EPERM
	}
	if l == nil {
		if r.flags&flowCreate == 0 {
			return nil, syscall.ENOENT
		}
		if !s.roomForFlow(len(ipOptionsOf(k).leases)) {
			return nil, syscall.ENOBUFS
		}
		if l = fresh; l.label == 0 {
			for l.label == 0 || s.flows[l.label] != nil {
				l.label = uint32(s.prf.random()) & labelMask
			}
		}
		if s.flows == nil {
			s.flows = make(map[uint32]*flowLease)
		}
		s.flows[l.label] = l
	}
	l.expires, l.linger = max(l.expires, fresh.expires), max(l.linger, fresh.linger)
	l.holders++
	o := ownIPOptionsOf(k)
	o.leases = append(o.leases, l)
	return l, nil
}

// How many labels are leased at once, by all and by a socket (Linux, ip6_flowlabel.c,
// mem_check).
const (
	maxFlows   = 4096
	maxFlowsOf = 32
)

// roomForFlow reports whether a socket that holds some labels may have a new one. Who has
// CAP_NET_ADMIN may have them all.
func (s *Stack) roomForFlow(holds int) bool {
	room := maxFlows - len(s.flows)
	switch {
	case room <= 0:
		return false
	case room > maxFlows-maxFlowsOf || s.capable(abi.CAP_NET_ADMIN):
		return true
	}
	return holds < maxFlowsOf && (holds == 0 || room >= maxFlows/2) && room >= maxFlows/4
}

// renew sets how long a label is kept. Time plays no part besides: a label whose last
// holder is gone can be leased anew.
func (s *Stack) renew(l *flowLease, r *flowReq) error {
	if (r.linger > maxLinger || r.expires > maxLinger) && !s.capable(abi.CAP_NET_ADMIN) {
		return syscall.EPERM
	}
	l.linger = max(l.linger, r.linger, minLinger)
	l.expires = max(l.expires, r.expires, l.linger)
	return nil
}

// putFlow gives one of a socket's leases back.
func (s *Stack) putFlow(k *socket.Socket, label uint32) error {
	o := ownIPOptionsOf(k)
	for i, l := range o.leases {
		if l.label == label {
			o.leases = append(o.leases[:i:i], o.leases[i+1:]...)
			if o.flow == label {
				o.flow = 0
			}
			s.dropFlow(l)
			return nil
		}
	}
	return syscall.ESRCH
}

func (s *Stack) dropFlow(l *flowLease) {
	if l.holders--; l.holders == 0 {
		delete(s.flows, l.label)
	}
}

// endFlows gives back all leases of an endpoint.
func (x *ipState) endFlows(s *Stack) {
	if x.opts == nil {
		return
	}
	for _, l := range x.opts.leases {
		s.dropFlow(l)
	}
	x.opts.leases = nil
}

// givenFlow returns the label that an address brings along to a socket.
func (x *ipState) givenFlow(s *Stack, a abi.Addr) (uint32, error) {
	if !x.ip().sendFlow6 {
		return 0, nil
	}
	return x.leasedFlow(s, a.Flow)
}

// leasedFlow returns the label of a flow information; EINVAL if it must be leased and is
// not.
func (x *ipState) leasedFlow(s *Stack, info uint32) (uint32, error) {
	label := info & labelMask
	if label == 0 || !s.flowsOwned {
		return label, nil
	}
	for _, l := range x.ip().leases {
		if l.label == label {
			return label, nil
		}
	}
	return 0, syscall.EINVAL
}

// setFlow keeps the label of a peer.
func (x *ipState) setFlow(label uint32) {
	if label != x.ip().flow {
		x.own().flow = label
	}
}

// hashFlow is the label of a flow that has none of its own, never 0 (RFC 6437, section 3).
func (s *Stack) hashFlow(k *tuple) uint32 {
	hi, _ := s.prf.sum(labelFlow, k)
	return max(uint32(hi)&labelMask, 1)
}

// autoLabel is the label that hashFlow has given to the flow k.
type autoLabel struct {
	k     tuple
	label uint32
}

// labelFor is hashFlow, remembered for the datagrams to come.
func (d *dgram) labelFor(k tuple) uint32 {
	if d.auto == nil {
		d.auto = new(autoLabel)
	}
	if d.auto.k != k {
		*d.auto = autoLabel{k, d.stack.hashFlow(&k)}
	}
	return d.auto.label
}

// chooseFlow settles the flow label of a datagram: that of a control message, or of the
// address that it goes to, or of the peer.
func (d *dgram) chooseFlow(m *socket.Msg, c *sendControl, addressed bool) (err error) {
	switch {
	case d.s.Domain != abi.AF_INET6:
	case c.flow != 0:
		c.flow, err = d.leasedFlow(d.stack, c.flow)
	case addressed:
		c.flow, err = d.givenFlow(d.stack, m.Addr)
	default:
		c.flow = d.ip().flow
	}
	return err
}

// withFlow adds the flow label to a peer's address, where sends look at it.
func withFlow(a abi.Addr, o *ipOptions) abi.Addr {
	if o.sendFlow6 && a.Family == abi.AF_INET6 {
		a.Flow = o.flow
	}
	return a
}

// flowRows are the options about flow labels.
func (s *Stack) flowRows() []socket.Option {
	return []socket.Option{
		s.flowRow(),
		shortIsZero(socket.BoolOption(abi.SOL_IPV6, abi.IPV6_AUTOFLOWLABEL,
			func(k *socket.Socket) bool { return !ipOptionsOf(k).noAutoFlow },
			func(k *socket.Socket, on bool) error { ownIPOptionsOf(k).noAutoFlow = !on; return nil })),
		ipFlag(abi.SOL_IPV6, abi.IPV6_FLOWINFO, func(o *ipOptions) *bool { return &o.recvFlow6 }),
		ipFlag(abi.SOL_IPV6, abi.IPV6_FLOWINFO_SEND, func(o *ipOptions) *bool { return &o.sendFlow6 }),
	}
}

package inet

import (
	"math"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// pathRows are the parameters of paths: of one, of all of an association, or of those to come.
func (t *sctpProto) pathRows() []socket.Option {
	params := structRow(abi.SCTP_PEER_ADDR_PARAMS, (*sctpEndpoint).getPathParams, (*sctpEndpoint).setPathParams)
	ask, set := params.Ask, params.Set
	params.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
		n := abi.Sizeof(&abi.SCTPPaddrparams{})
		switch {
		case len(b) >= n:
			return ask(s, b)
		case len(b) < abi.SizeofSCTPPaddrparamsOld:
			return nil, syscall.EINVAL
		}
		v, err := ask(s, append(b[:len(b):len(b)], make([]byte, n-len(b))...))
		return v[:min(len(v), abi.SizeofSCTPPaddrparamsOld)], err
	}
	params.Set = func(s *socket.Socket, b []byte) error {
		if len(b) != abi.SizeofSCTPPaddrparamsOld {
			return set(s, b)
		}
		var v abi.SCTPPaddrparams
		abi.ParseStruct(append(b[:len(b):len(b)], 0, 0, 0, 0), &v)
		if v.Flags&(abi.SPP_IPV6_FLOWLABEL|abi.SPP_DSCP) != 0 {
			return syscall.EINVAL
		}
		return sctpOf(s).setPathParams(&v)
	}
	thresholds := abi.Sizeof(&abi.SCTPPaddrthldsV2{})
	return []socket.Option{
		params,
		structRow(abi.SCTP_PRIMARY_ADDR,
			func(e *sctpEndpoint, v *abi.SCTPPrim) error {
				x := e.assoc(v.AssocID)
				if x == nil {
					return syscall.EINVAL
				}
				p, ok := x.core.Path(netip.Addr{})
				if !ok {
					return syscall.ENOTCONN
				}
				v.Addr = e.show(p.Addr, x.peer)
				return nil
			},
			func(e *sctpEndpoint, v *abi.SCTPPrim) error {
				x, addr, err := e.path(v.AssocID, v.Addr)
				if err != nil {
					return err
				}
				errno := x.core.SetPrimary(x.now(), addr)
				e.proto.update(x, 0)
				return orNil(errno)
			}),
		structRow(abi.SCTP_GET_PEER_ADDR_INFO, func(e *sctpEndpoint, v *abi.SCTPPaddrinfo) error {
			x, addr, err := e.path(v.AssocID, v.Address)
			if err != nil {
				return err
			}
			p, _ := x.core.Path(addr)
			if p.State == sctp.PathPF && x.exposePF == exposeNever {
				return syscall.EACCES
			}
			*v = x.pathInfo(&p)
			return nil
		}, nil),
		probeRow,
		valueRow(abi.SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, false,
			func(e *sctpEndpoint, x *sctpAssoc, _ *sctp.Options) uint32 { return uint32(e.defaultsFor(x).exposePF) },
			(*sctpEndpoint).setExposePF),
		encapRow(),
		// What is read is the longer structure in either case: the shorter one has room for it.
		longer(thresholds, structRow(abi.SCTP_PEER_ADDR_THLDS, (*sctpEndpoint).getThresholds,
			func(e *sctpEndpoint, v *abi.SCTPPaddrthldsV2) error { return e.setThresholds(&v.SCTPPaddrthlds, nil) })),
		longer(thresholds, structRow(abi.SCTP_PEER_ADDR_THLDS_V2, (*sctpEndpoint).getThresholds,
			func(e *sctpEndpoint, v *abi.SCTPPaddrthldsV2) error {
				if v.Pathpfthld > v.Pathcpthld {
					return syscall.EINVAL
				}
				return e.setThresholds(&v.SCTPPaddrthlds, &v.Pathcpthld)
			})),
	}
}

// probeRow is the interval of probes of the path MTU (RFC 8899).
var probeRow = structRow(abi.SCTP_PLPMTUD_PROBE_INTERVAL,
	func(e *sctpEndpoint, v *abi.SCTPProbeinterval) error {
		_, _, p, err := e.paths(v.AssocID, v.Address)
		if err == nil {
			v.Interval = millis(p.ProbeIntvl)
		}
		return err
	},
	func(e *sctpEndpoint, v *abi.SCTPProbeinterval) error {
		if v.Interval != 0 && v.Interval < leastProbeInterval {
			return syscall.EINVAL
		}
		x, addr, _, err := e.paths(v.AssocID, v.Address)
		if err != nil {
			return err
		}
		return e.setPaths(x, addr, func(p *sctp.PathOptions) { p.ProbeIntvl = ofMillis(v.Interval) })
	})

// leastProbeInterval is the least time between probes of a path's MTU in ms (Linux, SCTP_PROBE_TIMER_MIN).
const leastProbeInterval = 5000

// Values of SCTP_EXPOSE_POTENTIALLY_FAILED_STATE (Linux, SCTP_PF_EXPOSE_*).
const (
	exposeUnset = iota // paths are asked about
	exposeNever
	exposeTold // and notifications tell of them
)

func (e *sctpEndpoint) setExposePF(v *abi.SCTPAssocValue) error {
	if v.Value > exposeTold {
		return syscall.EINVAL
	}
	x, err := e.future(v.AssocID)
	if err != nil {
		return err
	}
	e.defaultsFor(x).exposePF = uint8(v.Value)
	return e.setPaths(x, netip.Addr{}, func(p *sctp.PathOptions) { p.ExposePF = v.Value == exposeTold })
}

// longer is the row o of a structure of n bytes, which takes more than those.
func longer(n int, o socket.Option) socket.Option {
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error { return set(s, v[:min(len(v), n)]) }
	return o
}

// anyAddr reports whether an address is none in particular.
func anyAddr(a abi.Addr) bool { return !a.IP.IsValid() || a.IP.Unmap().IsUnspecified() }

// path returns the association that a program names together with one of its peer's addresses (Linux,
// sctp_addr_id2transport).
func (e *sctpEndpoint) path(id int32, a abi.Addr) (*sctpAssoc, netip.Addr, error) {
	addr, err := e.family(a)
	if err != nil {
		return nil, addr, err
	}
	x := e.findPeer(netip.AddrPortFrom(addr, a.Port))
	if y := e.assoc(id); x == nil || y != nil && y != x {
		return nil, addr, syscall.EINVAL
	}
	return x, addr, nil
}

// findPeer returns e's association with the peer's address and port.
func (e *sctpEndpoint) findPeer(peer netip.AddrPort) *sctpAssoc {
	for x := e.assocs; x != nil && !e.many; x = x.next {
		if _, ok := x.core.Path(peer.Addr()); ok && x.peer == peer.Port() {
			return x
		}
	}
	return e.proto.findOf(e, peer)
}

// paths returns what the parameters of paths are read from: a path's, or those that new ones begin with.
func (e *sctpEndpoint) paths(id int32, a abi.Addr) (*sctpAssoc, netip.Addr, *sctp.PathOptions, error) {
	if !anyAddr(a) {
		x, addr, err := e.path(id, a)
		if err != nil {
			return nil, addr, nil, err
		}
		p, _ := x.core.Path(addr)
		return x, addr, &p.Options, nil
	}
	x, err := e.future(id)
	if err != nil {
		return nil, netip.Addr{}, nil, err
	}
	return x, netip.Addr{}, &e.optionsFor(x).Path, nil
}

// setPaths changes the parameters of a path, of all paths, or of those to come.
func (e *sctpEndpoint) setPaths(x *sctpAssoc, addr netip.Addr, f func(*sctp.PathOptions)) error {
	if x == nil {
		f(&e.change().Path)
		return nil
	}
	addrs := []netip.Addr{addr}
	if !addr.IsValid() {
		f(&x.core.Change().Path)
		addrs = x.core.Peers(nil)
	}
	for _, a := range addrs {
		p, ok := x.core.Path(a)
		if !ok {
			continue
		}
		f(&p.Options)
		if errno := x.core.SetPath(x.now(), a, &p.Options); errno != 0 {
			return errno
		}
	}
	x.changed()
	return nil
}

func (e *sctpEndpoint) getPathParams(v *abi.SCTPPaddrparams) error {
	x, addr, p, err := e.paths(v.AssocID, v.Address)
	if err != nil {
		return err
	}
	o := e.optionsFor(x)
	if addr.IsValid() {
		v.Address = e.show(addr, x.peer)
	}
	*v = abi.SCTPPaddrparams{
		AssocID: v.AssocID, Address: v.Address, Hbinterval: millis(p.HBInterval), Pathmaxrxt: p.MaxRetrans,
		Pathmtu: p.PathMTU, Sackdelay: millis(o.SackDelay),
		Flags: abi.SPP_HB_ENABLE | abi.SPP_PMTUD_ENABLE | abi.SPP_SACKDELAY_ENABLE,
	}
	if x != nil {
		v.Pathmtu = x.mtu(addr)
	}
	if p.NoHB {
		v.Flags ^= abi.SPP_HB_ENABLE | abi.SPP_HB_DISABLE
	}
	if p.NoPMTUD {
		v.Flags ^= abi.SPP_PMTUD_ENABLE | abi.SPP_PMTUD_DISABLE
	}
	if o.SackFreq == 1 {
		v.Flags ^= abi.SPP_SACKDELAY_ENABLE | abi.SPP_SACKDELAY_DISABLE
	}
	if info, ok := e.pathOf(x, addr); p.HasFlow && (!ok || info.Addr.Is6()) {
		v.Flags |= abi.SPP_IPV6_FLOWLABEL
		v.Ipv6Flowlabel = p.FlowLabel
	}
	if p.HasDSCP {
		v.Flags |= abi.SPP_DSCP
		v.Dscp = p.DSCP
	}
	return nil
}

// mtu returns the MTU of the path to addr, the least of all where addr is not valid.
func (x *sctpAssoc) mtu(addr netip.Addr) uint32 {
	least := math.MaxInt32
	for _, a := range x.core.Peers(nil) {
		if p, ok := x.core.Path(a); ok && (!addr.IsValid() || a == addr) {
			least = min(least, p.MTU)
		}
	}
	return uint32(least)
}

// pathOf returns what is known of the path to addr, or of the primary one.
func (e *sctpEndpoint) pathOf(x *sctpAssoc, addr netip.Addr) (info sctp.PathInfo, ok bool) {
	if x != nil {
		info, ok = x.core.Path(addr)
	}
	return info, ok
}

// setPathParams is SCTP_PEER_ADDR_PARAMS (Linux, sctp_setsockopt_peer_addr_params).
func (e *sctpEndpoint) setPathParams(v *abi.SCTPPaddrparams) error {
	const (
		hb    = abi.SPP_HB_ENABLE | abi.SPP_HB_DISABLE
		pmtud = abi.SPP_PMTUD_ENABLE | abi.SPP_PMTUD_DISABLE
		sack  = abi.SPP_SACKDELAY_ENABLE | abi.SPP_SACKDELAY_DISABLE
	)
	on := func(f uint32) bool { return v.Flags&f != 0 }
	switch {
	case v.Flags&hb == hb, v.Flags&pmtud == pmtud, v.Flags&sack == sack, v.Sackdelay > maxSackDelay,
		v.Pathmtu != 0 && v.Pathmtu < sctpMinPacket:
		return syscall.EINVAL
	}
	x, addr, _, err := e.paths(v.AssocID, v.Address)
	switch {
	case err != nil:
		return err
	case on(abi.SPP_HB_DEMAND) && x == nil:
		return syscall.EINVAL
	case on(abi.SPP_HB_DEMAND) && addr.IsValid():
		if errno := x.core.Heartbeat(x.now(), addr); errno != 0 {
			return errno
		}
	}
	o := e.changeFor(x)
	switch {
	case on(abi.SPP_SACKDELAY_DISABLE):
		o.SackFreq = 1
	case on(abi.SPP_SACKDELAY_ENABLE):
		if o.SackFreq = max(o.SackFreq, 2); v.Sackdelay != 0 {
			o.SackDelay = ofMillis(v.Sackdelay)
		}
	}
	return e.setPaths(x, addr, func(p *sctp.PathOptions) {
		if on(abi.SPP_HB_ENABLE) && (v.Hbinterval != 0 || on(abi.SPP_HB_TIME_IS_ZERO)) {
			p.HBInterval = ofMillis(v.Hbinterval)
		}
		if on(hb) {
			p.NoHB = on(abi.SPP_HB_DISABLE)
		}
		if on(abi.SPP_PMTUD_DISABLE) && v.Pathmtu != 0 {
			p.PathMTU = v.Pathmtu
		}
		if on(pmtud) {
			p.NoPMTUD = on(abi.SPP_PMTUD_DISABLE)
		}
		if v.Pathmaxrxt != 0 {
			p.MaxRetrans = v.Pathmaxrxt
		}
		if on(abi.SPP_IPV6_FLOWLABEL) && e.six {
			p.FlowLabel, p.HasFlow = v.Ipv6Flowlabel&0xfffff, true
		}
		if on(abi.SPP_DSCP) {
			p.DSCP, p.HasDSCP = v.Dscp&0xfc, true
		}
	})
}

func (e *sctpEndpoint) getThresholds(v *abi.SCTPPaddrthldsV2) error {
	_, _, p, err := e.thresholds(v.AssocID, v.Address)
	if err == nil {
		v.Pathmaxrxt, v.Pathpfthld, v.Pathcpthld = p.MaxRetrans, p.PFRetrans, p.PSRetrans
	}
	return err
}

// setThresholds is SCTP_PEER_ADDR_THLDS, or SCTP_PEER_ADDR_THLDS_V2, which has a threshold for the switch
// of the primary path.
func (e *sctpEndpoint) setThresholds(v *abi.SCTPPaddrthlds, cp *uint16) error {
	x, addr, _, err := e.thresholds(v.AssocID, v.Address)
	if err != nil {
		return err
	}
	return e.setPaths(x, addr, func(p *sctp.PathOptions) {
		if v.Pathmaxrxt != 0 {
			p.MaxRetrans = v.Pathmaxrxt
		}
		p.PFRetrans = v.Pathpfthld
		if cp != nil {
			p.PSRetrans = *cp
		}
	})
}

// thresholds is paths, with the errno that these options have for an address that is none of the peer's.
func (e *sctpEndpoint) thresholds(id int32, a abi.Addr) (*sctpAssoc, netip.Addr, *sctp.PathOptions, error) {
	x, addr, p, err := e.paths(id, a)
	if err != nil && !anyAddr(a) {
		err = syscall.ENOENT
	}
	return x, addr, p, err
}

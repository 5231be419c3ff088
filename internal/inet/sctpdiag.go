package inet

import (
	"net/netip"
	"slices"
	"time"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// SCTPDetail is what there is to tell of a socket of SCTP's alone (Linux, sctp_diag).
type SCTPDetail struct {
	Locals []netip.Addr // that were bound; the wildcard is one
	Info   []byte       // struct sctp_info, with what it has of sockets
	Assocs []SCTPAssocDetail
}

// SCTPAssocDetail is an association.
type SCTPAssocDetail struct {
	State         int            // Linux's own number of it (enum sctp_state): one less than SCTP_STATUS's
	Local, Peer   netip.AddrPort // Peer is the primary address
	Locals, Peers []netip.Addr
	Interface     int // by which packets leave to Peer; 0: there is no route
	RecvQ, SendQ  int // bytes
	Info          []byte

	Made       bool // it was established
	Unanswered bool // the peer did not answer any more, or not at all
	SRTT       time.Duration
	Retrans    uint64 // chunks of DATA that were sent again

	// What the program has read and sent, and how long ago the association began, where somebody wants to know of its end.
	RxBytes, TxBytes uint64
	Age              time.Duration
}

// detail is what a list that is not brief tells of e.
func (e *sctpEndpoint) detail() *SCTPDetail {
	o := e.options
	info := abi.SCTPInfo{
		SAutoclose: uint32(o.AutoClose / time.Second), SAdaptationInd: o.Adaptation, SPdPoint: o.PDPoint,
		SNodelay: uint8(toInt(o.NoDelay)), SDisableFragments: uint8(toInt(o.NoFragment)),
		SV4mapped: uint8(toInt(!e.own.unmapped)), SFragInterleave: uint8(toInt(o.Interleave != 0)), SType: e.style(),
	}
	d := &SCTPDetail{Info: abi.AppendStruct(nil, &info)}
	for _, b := range e.locals {
		d.Locals = append(d.Locals, b.addr)
	}
	for x := e.assocs; x != nil; x = x.next {
		d.Assocs = append(d.Assocs, x.detail())
	}
	return d
}

// style is Linux's number of it (enum sctp_socket_type).
func (e *sctpEndpoint) style() uint32 {
	const (
		udp = iota
		udpHighBandwidth
		tcp
	)
	switch {
	case e.many:
		return udp
	case e.peeled:
		return udpHighBandwidth
	}
	return tcp
}

func (x *sctpAssoc) detail() SCTPAssocDetail {
	st := x.core.Status()
	port, peer := x.core.Ports()
	d := SCTPAssocDetail{
		State: int(st.State), Locals: slices.Clone(x.core.Local()), Peers: x.core.Addrs(nil),
		RecvQ: int(st.Held), SendQ: x.wmem, Info: x.linuxInfo(&st),
	}
	d.Made, d.Unanswered, d.Retrans = x.made, x.late, x.core.Counts().RtxChunks
	if p, ok := x.core.Path(st.Primary); ok {
		d.SRTT = p.SRTT
	}
	if l := x.proto.lives[x]; l != nil {
		d.RxBytes, d.TxBytes, d.Age = l.rx, l.tx, x.now()-l.began
	}
	d.Peer = netip.AddrPortFrom(st.Primary, peer)
	if len(d.Locals) == 0 {
		d.Locals = x.e.local()
	}
	for _, a := range d.Locals { // the first that can be its source
		if !d.Local.IsValid() || a.Is4() == st.Primary.Is4() {
			d.Local = netip.AddrPortFrom(a, port)
		}
		if a.Is4() == st.Primary.Is4() {
			break
		}
	}
	if p := x.path(st.Primary); p != nil && p.route != nil {
		d.Interface = p.route.Iface.Index()
	}
	return d
}

// linuxInfo is struct sctp_info of an association (Linux, sctp_get_sctp_info).
func (x *sctpAssoc) linuxInfo(st *sctp.Status) []byte {
	const generation = 2 // of sctpi_peer_sack: Linux's is always 1
	o := x.core.Options()
	tag, peerTag := x.core.Tags()
	v := abi.SCTPInfo{
		Tag: tag, State: uint32(st.State), Rwnd: st.Advertised, Unackdata: uint16(st.Unacked), Penddata: uint16(st.Missing),
		Instrms: st.InStreams, Outstrms: st.OutStreams, Outqueue: uint32(st.Waiting), OverallError: uint32(st.Errors),
		MaxBurst: o.MaxBurst, Maxseg: uint32(st.FragmentPoint), PeerRwnd: st.RWnd, PeerTag: peerTag,
		PeerCapable: x.capable(), PeerSack: generation, SCTPAssocCounts: assocCounts(x.core.Counts()),
	}
	if st.AckDue {
		v.PeerSack |= 4
	}
	if p, ok := x.core.Path(st.Primary); ok {
		v.PAddress = abi.AddrFrom(netip.AddrPortFrom(p.Addr, x.peer))
		v.PState, v.PCwnd, v.PSrtt, v.PRto = int32(p.State), uint32(p.Cwnd), millis(p.SRTT), millis(p.RTO)
		v.PHbinterval, v.PPathmaxrxt = millis(p.Options.HBInterval), uint32(p.Options.MaxRetrans)
		v.PSackdelay, v.PSackfreq = millis(o.SackDelay), o.SackFreq
		v.PSsthresh, v.PPartialBytesAcked, v.PFlightSize, v.PError = p.SSThresh, p.PartialAcked, p.InFlight, p.Errors
	}
	return abi.AppendStruct(nil, &v)
}

// capable is sctpi_peer_capable: what both ends can do.
func (x *sctpAssoc) capable() (bits uint8) {
	c := x.core.Agreed()
	six := slices.ContainsFunc(x.core.Addrs(nil), netip.Addr.Is6)
	for _, can := range []bool{c.IData, c.ECN, !x.e.six || !x.e.ip().v6only, six, c.ReConf, c.Asconf, c.PR, c.Auth} {
		bits = bits<<1 | uint8(toInt(can))
	}
	return bits
}

// ListRest implements socket.Lister: the endpoints whose sockets are closed, by the slots of the table of associations.
func (t *sctpProto) ListRest(out []socket.Info, place, n int) ([]socket.Info, int) {
	end := min(place+n, len(t.assocs.slots))
	for _, p := range t.assocs.slots[min(place, end):end] {
		for ; p != nil; p = p.behind {
			e := p.x.e
			if e.s != nil || p.x != e.assocs || p != p.x.paths {
				continue // listed as a socket, or by another path or association
			}
			in := socket.Info{Kind: &sctpKind.Kind, State: socket.Unconnected, Domain: abi.AF_INET, Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_SCTP}
			if e.six {
				in.Domain = abi.AF_INET6
			}
			if e.many {
				in.Type = abi.SOCK_SEQPACKET
			}
			e.describe(&in)
			out = append(out, in)
		}
	}
	if end == len(t.assocs.slots) {
		end = 0
	}
	return out, end
}

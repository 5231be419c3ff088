package abi

// SCTPEventSubscribe is struct sctp_event_subscribe: SCTP_EVENTS. The n-th byte is about the n-th
// notification from SCTP_DATA_IO_EVENT on.
type SCTPEventSubscribe [SCTP_SN_TYPE_MAX - SCTP_SN_TYPE_BASE + 1]uint8

func (x *SCTPEventSubscribe) layout(c *coder) {
	for i := range x {
		c.u8(&x[i])
	}
}

// SCTPRtoinfo is struct sctp_rtoinfo. Times are in ms.
type SCTPRtoinfo struct {
	AssocID           int32
	Initial, Max, Min uint32
}

func (x *SCTPRtoinfo) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.Initial, &x.Max, &x.Min)
}

// SCTPAssocparams is struct sctp_assocparams: SCTP_ASSOCINFO.
type SCTPAssocparams struct {
	AssocID                int32
	Asocmaxrxt             uint16
	NumberPeerDestinations uint16
	PeerRwnd, LocalRwnd    uint32 // bytes
	CookieLife             uint32 // ms
}

func (x *SCTPAssocparams) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Asocmaxrxt, &x.NumberPeerDestinations)
	c.u32(&x.PeerRwnd, &x.LocalRwnd, &x.CookieLife)
}

// SCTPPrim is struct sctp_prim, and struct sctp_setpeerprim.
type SCTPPrim struct {
	AssocID int32
	Addr    Addr
}

func (x *SCTPPrim) layout(c *coder) {
	c.packed = true
	c.i32(&x.AssocID)
	c.storage(&x.Addr)
}

// SCTPSetadaptation is struct sctp_setadaptation.
type SCTPSetadaptation struct{ AdaptationInd uint32 }

func (x *SCTPSetadaptation) layout(c *coder) { c.u32(&x.AdaptationInd) }

// SCTPPaddrparams is struct sctp_paddrparams: SCTP_PEER_ADDR_PARAMS.
type SCTPPaddrparams struct {
	AssocID       int32
	Address       Addr
	Hbinterval    uint32 // ms
	Pathmaxrxt    uint16
	Pathmtu       uint32 // bytes
	Sackdelay     uint32 // ms
	Flags         uint32 // SPP_*
	Ipv6Flowlabel uint32
	Dscp          uint8
}

func (x *SCTPPaddrparams) layout(c *coder) {
	c.packed = true
	c.i32(&x.AssocID)
	c.storage(&x.Address)
	c.u32(&x.Hbinterval)
	c.u16(&x.Pathmaxrxt)
	c.u32(&x.Pathmtu, &x.Sackdelay, &x.Flags, &x.Ipv6Flowlabel)
	c.u8(&x.Dscp)
}

// SizeofSCTPPaddrparamsOld is the size of struct sctp_paddrparams before it had a flow label and a
// DSCP, which Linux takes, too.
const SizeofSCTPPaddrparamsOld = 152

// SCTPAuthchunk is struct sctp_authchunk.
type SCTPAuthchunk struct{ Chunk uint8 }

func (x *SCTPAuthchunk) layout(c *coder) { c.u8(&x.Chunk) }

// SCTPHmacalgo is struct sctp_hmacalgo. Behind it lie the identifiers, 16 bits each.
type SCTPHmacalgo struct{ NumIdents uint32 }

func (x *SCTPHmacalgo) layout(c *coder) { c.u32(&x.NumIdents) }

// SCTPAuthkey is struct sctp_authkey. Behind it lies the key.
type SCTPAuthkey struct {
	AssocID              int32
	Keynumber, Keylength uint16
}

func (x *SCTPAuthkey) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Keynumber, &x.Keylength)
}

// SCTPAuthkeyid is struct sctp_authkeyid.
type SCTPAuthkeyid struct {
	AssocID   int32
	Keynumber uint16
}

func (x *SCTPAuthkeyid) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Keynumber)
}

// SCTPSackInfo is struct sctp_sack_info: SCTP_DELAYED_SACK.
type SCTPSackInfo struct {
	AssocID int32
	Delay   uint32 // ms
	Freq    uint32 // packets
}

func (x *SCTPSackInfo) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.Delay, &x.Freq)
}

// SCTPAssocValue is struct sctp_assoc_value.
type SCTPAssocValue struct {
	AssocID int32
	Value   uint32
}

func (x *SCTPAssocValue) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.Value)
}

// SCTPStreamValue is struct sctp_stream_value: SCTP_STREAM_SCHEDULER_VALUE.
type SCTPStreamValue struct {
	AssocID               int32
	StreamID, StreamValue uint16
}

func (x *SCTPStreamValue) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.StreamID, &x.StreamValue)
}

// SCTPPaddrinfo is struct sctp_paddrinfo: SCTP_GET_PEER_ADDR_INFO.
type SCTPPaddrinfo struct {
	AssocID   int32
	Address   Addr
	State     int32
	Cwnd      uint32 // bytes
	Srtt, Rto uint32 // ms
	Mtu       uint32 // bytes
}

func (x *SCTPPaddrinfo) layout(c *coder) {
	c.packed = true
	c.i32(&x.AssocID)
	c.storage(&x.Address)
	c.i32(&x.State)
	c.u32(&x.Cwnd, &x.Srtt, &x.Rto, &x.Mtu)
}

// SCTPStatus is struct sctp_status.
type SCTPStatus struct {
	AssocID, State     int32
	Rwnd               uint32 // bytes
	Unackdata          uint16 // chunks
	Penddata           uint16 // chunks
	Instrms, Outstrms  uint16
	FragmentationPoint uint32 // bytes
	Primary            SCTPPaddrinfo
}

func (x *SCTPStatus) layout(c *coder) {
	c.i32(&x.AssocID, &x.State)
	c.u32(&x.Rwnd)
	c.u16(&x.Unackdata, &x.Penddata, &x.Instrms, &x.Outstrms)
	c.u32(&x.FragmentationPoint)
	c.part(&x.Primary)
}

// SCTPAuthchunks is struct sctp_authchunks. Behind it lie the chunks' types, a byte each.
type SCTPAuthchunks struct {
	AssocID        int32
	NumberOfChunks uint32
}

func (x *SCTPAuthchunks) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.NumberOfChunks)
}

// SCTPAssocIDs is struct sctp_assoc_ids. Behind it lie the numbers, 32 bits each.
type SCTPAssocIDs struct{ NumberOfIDs uint32 }

func (x *SCTPAssocIDs) layout(c *coder) { c.u32(&x.NumberOfIDs) }

// SCTPGetaddrs is struct sctp_getaddrs: SCTP_GET_PEER_ADDRS and SCTP_GET_LOCAL_ADDRS. Behind it lie
// the addresses, each as long as its family's are.
type SCTPGetaddrs struct {
	AssocID int32
	AddrNum uint32
}

func (x *SCTPGetaddrs) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.AddrNum)
}

// SCTPAssocCounts are the counts that struct sctp_assoc_stats and struct sctp_info share.
type SCTPAssocCounts struct {
	Isacks, Osacks, Opackets, Ipackets           uint64
	Rtxchunks, Outofseqtsns, Idupchunks, Gapcnt  uint64
	Ouodchunks, Iuodchunks, Oodchunks, Iodchunks uint64
	Octrlchunks, Ictrlchunks                     uint64
}

func (x *SCTPAssocCounts) layout(c *coder) {
	c.u64(&x.Isacks, &x.Osacks, &x.Opackets, &x.Ipackets)
	c.u64(&x.Rtxchunks, &x.Outofseqtsns, &x.Idupchunks, &x.Gapcnt)
	c.u64(&x.Ouodchunks, &x.Iuodchunks, &x.Oodchunks, &x.Iodchunks)
	c.u64(&x.Octrlchunks, &x.Ictrlchunks)
}

// SCTPAssocStats is struct sctp_assoc_stats: SCTP_GET_ASSOC_STATS.
type SCTPAssocStats struct {
	AssocID      int32
	ObsRtoIPAddr Addr
	Maxrto       uint64 // ms
	SCTPAssocCounts
}

func (x *SCTPAssocStats) layout(c *coder) {
	c.i32(&x.AssocID)
	c.storage(&x.ObsRtoIPAddr)
	c.u64(&x.Maxrto)
	x.SCTPAssocCounts.layout(c)
}

// SCTPPeeloff is sctp_peeloff_arg_t: SCTP_SOCKOPT_PEELOFF.
type SCTPPeeloff struct{ AssocID, SD int32 }

func (x *SCTPPeeloff) layout(c *coder) { c.i32(&x.AssocID, &x.SD) }

// SCTPPeeloffFlags is sctp_peeloff_flags_arg_t: SCTP_SOCKOPT_PEELOFF_FLAGS.
type SCTPPeeloffFlags struct {
	SCTPPeeloff
	Flags uint32 // SOCK_NONBLOCK, SOCK_CLOEXEC
}

func (x *SCTPPeeloffFlags) layout(c *coder) {
	c.part(&x.SCTPPeeloff)
	c.u32(&x.Flags)
}

// SCTPPaddrthlds is struct sctp_paddrthlds: SCTP_PEER_ADDR_THLDS.
type SCTPPaddrthlds struct {
	AssocID                int32
	Address                Addr
	Pathmaxrxt, Pathpfthld uint16
}

func (x *SCTPPaddrthlds) layout(c *coder) {
	c.i32(&x.AssocID)
	c.storage(&x.Address)
	c.u16(&x.Pathmaxrxt, &x.Pathpfthld)
}

// SCTPPaddrthldsV2 is struct sctp_paddrthlds_v2: SCTP_PEER_ADDR_THLDS_V2.
type SCTPPaddrthldsV2 struct {
	SCTPPaddrthlds
	Pathcpthld uint16
}

func (x *SCTPPaddrthldsV2) layout(c *coder) {
	x.SCTPPaddrthlds.layout(c)
	c.u16(&x.Pathcpthld)
}

// SCTPPrstatus is struct sctp_prstatus: SCTP_PR_ASSOC_STATUS and SCTP_PR_STREAM_STATUS.
type SCTPPrstatus struct {
	AssocID                        int32
	SID, Policy                    uint16
	AbandonedUnsent, AbandonedSent uint64
}

func (x *SCTPPrstatus) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.SID, &x.Policy)
	c.u64(&x.AbandonedUnsent, &x.AbandonedSent)
}

// SCTPDefaultPrinfo is struct sctp_default_prinfo.
type SCTPDefaultPrinfo struct {
	AssocID int32
	Value   uint32
	Policy  uint16
}

func (x *SCTPDefaultPrinfo) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u32(&x.Value)
	c.u16(&x.Policy)
}

// SCTPInfo is struct sctp_info, which sock_diag tells.
type SCTPInfo struct {
	Tag, State, Rwnd                       uint32
	Unackdata, Penddata, Instrms, Outstrms uint16
	FragmentationPoint                     uint32
	Inqueue, Outqueue, OverallError        uint32
	MaxBurst, Maxseg, PeerRwnd, PeerTag    uint32
	PeerCapable, PeerSack                  uint8
	reserved1                              uint16

	SCTPAssocCounts

	PAddress                                   Addr
	PState                                     int32
	PCwnd, PSrtt, PRto, PHbinterval            uint32
	PPathmaxrxt, PSackdelay, PSackfreq         uint32
	PSsthresh, PPartialBytesAcked, PFlightSize uint32
	PError, reserved2                          uint16

	SAutoclose, SAdaptationInd, SPdPoint                    uint32
	SNodelay, SDisableFragments, SV4mapped, SFragInterleave uint8
	SType, reserved3                                        uint32
}

func (x *SCTPInfo) layout(c *coder) {
	c.u32(&x.Tag, &x.State, &x.Rwnd)
	c.u16(&x.Unackdata, &x.Penddata, &x.Instrms, &x.Outstrms)
	c.u32(&x.FragmentationPoint, &x.Inqueue, &x.Outqueue, &x.OverallError)
	c.u32(&x.MaxBurst, &x.Maxseg, &x.PeerRwnd, &x.PeerTag)
	c.u8(&x.PeerCapable)
	c.u8(&x.PeerSack)
	c.u16(&x.reserved1)
	x.SCTPAssocCounts.layout(c)
	c.storage(&x.PAddress)
	c.i32(&x.PState)
	c.u32(&x.PCwnd, &x.PSrtt, &x.PRto, &x.PHbinterval)
	c.u32(&x.PPathmaxrxt, &x.PSackdelay, &x.PSackfreq)
	c.u32(&x.PSsthresh, &x.PPartialBytesAcked, &x.PFlightSize)
	c.u16(&x.PError, &x.reserved2)
	c.u32(&x.SAutoclose, &x.SAdaptationInd, &x.SPdPoint)
	for _, v := range [...]*uint8{&x.SNodelay, &x.SDisableFragments, &x.SV4mapped, &x.SFragInterleave} {
		c.u8(v)
	}
	c.u32(&x.SType, &x.reserved3)
}

// SCTPResetStreams is struct sctp_reset_streams. Behind it lie the streams, 16 bits each.
type SCTPResetStreams struct {
	AssocID       int32
	Flags         uint16 // SCTP_STREAM_RESET_*
	NumberStreams uint16 // 0: all
}

func (x *SCTPResetStreams) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Flags, &x.NumberStreams)
}

// SCTPAddStreams is struct sctp_add_streams.
type SCTPAddStreams struct {
	AssocID           int32
	Instrms, Outstrms uint16
}

func (x *SCTPAddStreams) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Instrms, &x.Outstrms)
}

// SCTPEvent is struct sctp_event: SCTP_EVENT.
type SCTPEvent struct {
	AssocID int32
	Type    uint16
	On      uint8
}

func (x *SCTPEvent) layout(c *coder) {
	c.i32(&x.AssocID)
	c.u16(&x.Type)
	c.u8(&x.On)
}

// SCTPUdpencaps is struct sctp_udpencaps: SCTP_REMOTE_UDP_ENCAPS_PORT.
type SCTPUdpencaps struct {
	AssocID int32
	Address Addr
	Port    uint16 // in network byte order
}

func (x *SCTPUdpencaps) layout(c *coder) {
	c.i32(&x.AssocID)
	c.storage(&x.Address)
	c.be16(&x.Port)
}

// SCTPProbeinterval is struct sctp_probeinterval: SCTP_PLPMTUD_PROBE_INTERVAL.
type SCTPProbeinterval struct {
	AssocID  int32
	Address  Addr
	Interval uint32 // ms
}

func (x *SCTPProbeinterval) layout(c *coder) {
	c.i32(&x.AssocID)
	c.storage(&x.Address)
	c.u32(&x.Interval)
}

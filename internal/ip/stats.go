package ip

import (
	"usock/internal/host"
	"usock/internal/wire"
)

// LayerStats is what the layer has counted of both families, by Linux's names in the Ip line of
// /proc/net/snmp and the IpExt line of /proc/net/netstat. usock.IPStats has the same fields,
// and says what each is. What interfaces count stands there only for those that are gone.
type LayerStats struct {
	InReceives, InOctets     uint64
	InHdrErrors              uint64
	InTruncatedPkts          uint64
	InCsumErrors             uint64
	InMartians               uint64
	InAddrErrors             uint64
	InNoRoutes               uint64
	InUnknownProtos          uint64
	InDelivers               uint64
	ForwDatagrams            uint64
	OutRequests, OutNoRoutes uint64
	OutTransmits, OutOctets  uint64

	ReasmReqds, ReasmOKs, ReasmFails uint64
	ReasmTimeout, ReasmOverlaps      uint64
	FragOKs, FragFails, FragCreates  uint64
}

// ICMPStats is what the layer has counted of ICMP and ICMPv6, by Linux's names in the lines Icmp
// of /proc/net/snmp and Icmp6 of /proc/net/snmp6.
type ICMPStats struct {
	InMsgs, InErrors, InCsumErrors            uint64
	InDestUnreachs, InPktTooBigs, InTimeExcds uint64
	InParmProbs, InRedirects                  uint64
	InEchos, InEchoReps                       uint64
	InGroupMembQueries, InGroupMembResponses  uint64
	InGroupMembReductions, InMLDv2Reports     uint64

	OutMsgs                                       uint64
	OutDestUnreachs, OutPktTooBigs, OutTimeExcds  uint64
	OutParmProbs                                  uint64
	OutEchos, OutEchoReps                         uint64
	OutGroupMembResponses, OutGroupMembReductions uint64
	OutMLDv2Reports                               uint64
	OutRateLimitHost, OutRateLimitGlobal          uint64
}

// Counters returns what the layer has counted, with what its interfaces have carried. The whole host must
// be entered.
func (l *Layer) Counters() LayerStats {
	out := LayerStats{OutNoRoutes: l.noRoutes.Load()}
	for _, lane := range l.lanes {
		host.AddCounters(&out, &lane.Stats)
	}
	for _, i := range l.ifaces {
		if i != nil {
			carried := i.carried()
			out.add(&carried)
		}
	}
	return out
}

// ICMPCounters returns what the layer has counted of ICMP. The whole host must be entered.
func (l *Layer) ICMPCounters() (out ICMPStats) {
	for _, lane := range l.lanes {
		host.AddCounters(&out, &lane.ICMP)
	}
	return out
}

func (s *LayerStats) add(i *IfaceStats) {
	s.InReceives += i.RxPackets
	s.InOctets += i.RxBytes
	s.OutTransmits += i.TxPackets
	s.OutOctets += i.TxBytes
}

// countIn counts a message that has come, by its type.
func (s *ICMPStats) countIn(v6 bool, typ uint8) {
	if in, _ := s.of(v6, typ); in != nil {
		*in++
	}
}

// CountOut counts a message that leaves, by its type.
func (s *ICMPStats) CountOut(v6 bool, typ uint8) {
	s.OutMsgs++
	if _, out := s.of(v6, typ); out != nil {
		*out++
	}
}

// of returns the counters of a type of message, each nil if there is none.
func (s *ICMPStats) of(v6 bool, typ uint8) (in, out *uint64) {
	switch {
	case v6 && typ == wire.ICMPv6Unreachable, !v6 && typ == wire.ICMPv4Unreachable:
		return &s.InDestUnreachs, &s.OutDestUnreachs
	case v6 && typ == wire.ICMPv6PacketTooBig:
		return &s.InPktTooBigs, &s.OutPktTooBigs
	case v6 && typ == wire.ICMPv6TimeExceeded, !v6 && typ == wire.ICMPv4TimeExceeded:
		return &s.InTimeExcds, &s.OutTimeExcds
	case v6 && typ == wire.ICMPv6ParameterProblem, !v6 && typ == wire.ICMPv4ParameterProblem:
		return &s.InParmProbs, &s.OutParmProbs
	case v6 && typ == wire.ICMPv6Redirect, !v6 && typ == wire.ICMPv4Redirect:
		return &s.InRedirects, nil
	case v6 && typ == wire.ICMPv6Echo, !v6 && typ == wire.ICMPv4Echo:
		return &s.InEchos, &s.OutEchos
	case v6 && typ == wire.ICMPv6EchoReply, !v6 && typ == wire.ICMPv4EchoReply:
		return &s.InEchoReps, &s.OutEchoReps
	case v6 && typ == wire.MLDQuery:
		return &s.InGroupMembQueries, nil
	case v6 && typ == wire.MLDv1Report:
		return &s.InGroupMembResponses, &s.OutGroupMembResponses
	case v6 && typ == wire.MLDDone:
		return &s.InGroupMembReductions, &s.OutGroupMembReductions
	case v6 && typ == wire.MLDv2Report:
		return &s.InMLDv2Reports, &s.OutMLDv2Reports
	}
	return nil, nil
}

// NoRoute counts a packet, or a connection, for which there was no way.
func (l *Layer) NoRoute() { l.noRoutes.Add(1) }

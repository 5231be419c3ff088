package usock

import "usock/internal/sctp"

// Stats is what a host has counted since it was made. A counter that Linux has, too, has its
// name in /proc/net/snmp and /proc/net/netstat, and counts packets of both families. What an
// interface counts is in InterfaceInfo.Stats, what a connection counts in TCPInfo, and the
// datagrams that one socket had no room for in SocketInfo.Drops.
type Stats struct {
	IP      IPStats
	ICMP    ICMPStats
	TCP     TCPStats
	UDP     UDPStats
	SCTP    SCTPStats
	Sockets SocketCounts
}

// IPStats counts the packets of a host's IP layer.
type IPStats struct {
	InReceives, InOctets uint64 // packets, and their bytes, that interfaces have received

	InHdrErrors     uint64 // headers that make no sense, wrong header checksums, and hop counts that have run out
	InTruncatedPkts uint64 // shorter than their headers say
	InCsumErrors    uint64 // wrong checksums of IPv4 headers; in InHdrErrors, too
	InMartians      uint64 // addresses that cannot be on the link; not Linux's
	InAddrErrors    uint64 // for somebody else, and not passed on
	InNoRoutes      uint64 // to be passed on, and no route leads there
	InUnknownProtos uint64 // for no transport protocol that the host has, nor for a raw socket
	InDelivers      uint64 // handed to transport protocols and raw sockets
	ForwDatagrams   uint64 // passed on between links

	OutRequests             uint64 // that the host itself has to send, before they are cut into fragments
	OutNoRoutes             uint64 // attempts of sockets to send where no route leads
	OutTransmits, OutOctets uint64 // packets, and their bytes, that interfaces have sent

	ReasmReqds    uint64 // fragments received
	ReasmOKs      uint64 // datagrams put together from them
	ReasmFails    uint64 // datagrams given up: too late, overlapping, too many
	ReasmTimeout  uint64 // those of ReasmFails that came too late
	ReasmOverlaps uint64 // those of ReasmFails whose fragments overlap
	FragOKs       uint64 // datagrams sent in fragments
	FragFails     uint64 // datagrams that were to be passed on, too large, and not to be cut
	FragCreates   uint64 // fragments made
}

// ICMPStats counts the messages of ICMP and ICMPv6. Those of neighbour discovery are the link's
// (link.Frames) and not counted.
type ICMPStats struct {
	InMsgs, InErrors, InCsumErrors uint64 // all; those that make no sense; those with a wrong checksum, in both

	InDestUnreachs, InPktTooBigs, InTimeExcds uint64
	InParmProbs, InRedirects                  uint64
	InEchos, InEchoReps                       uint64
	InGroupMembQueries, InGroupMembResponses  uint64 // of MLD: queries, reports of its first version,
	InGroupMembReductions, InMLDv2Reports     uint64 // leaves, reports

	OutMsgs                                       uint64
	OutDestUnreachs, OutPktTooBigs, OutTimeExcds  uint64
	OutParmProbs                                  uint64
	OutEchos, OutEchoReps                         uint64
	OutGroupMembResponses, OutGroupMembReductions uint64
	OutMLDv2Reports                               uint64
	OutRateLimitHost                              uint64 // error messages withheld by a destination's rate limit
	OutRateLimitGlobal                            uint64 // and by the host's
}

// TCPStats counts the segments and connections of TCP.
type TCPStats struct {
	ActiveOpens, PassiveOpens uint64 // connections begun by connect, and made by listeners
	AttemptFails              uint64 // attempts that failed: refused, reset or timed out before the connection was there
	EstabResets               uint64 // connections that ended in ESTABLISHED or CLOSE-WAIT: by a reset, time or Abort
	InSegs, OutSegs           uint64 // OutSegs: as the link cuts them, and without those sent again, but for SYN-ACKs
	RetransSegs               uint64 // sent again
	InErrs, InCsumErrors      uint64 // segments that make no sense; those with a wrong checksum, in both
	OutRsts                   uint64

	SyncookiesSent, SyncookiesRecv, SyncookiesFailed uint64

	TW                          uint64 // connections that have ended in TIME-WAIT, when its time was over
	PAWSActive, PAWSEstab       uint64 // SYN-ACKs with an echo of no SYN; segments with an old timestamp (RFC 7323)
	DelayedACKs, DelayedACKLost uint64 // ACKs that the timer has sent; data that came again, as an ACK was lost
	ListenOverflows             uint64 // connections that found the queue of their listener full
	ListenDrops                 uint64 // SYNs that a listener has dropped, for whatever reason

	TCPRenoRecovery, TCPSackRecovery                       uint64 // fast recoveries begun
	TCPSACKReneging                                        uint64 // peers that dropped what they had SACKed
	TCPSACKReorder                                         uint64 // times that reordering was found
	TCPFullUndo, TCPPartialUndo, TCPDSACKUndo, TCPLossUndo uint64 // reductions taken back: at the end of a recovery, amid it, for DSACKs, after a timeout
	TCPLostRetransmit                                      uint64 // retransmissions that were lost again
	TCPFastRetrans, TCPSlowStartRetrans                    uint64 // retransmissions in recovery, and after a timeout
	TCPTimeouts, TCPSpuriousRTOs                           uint64 // retransmission timeouts; those that F-RTO found needless
	TCPLossProbes, TCPLossProbeRecovery                    uint64 // tail loss probes; those that repaired a loss
	TCPDSACKOldSent, TCPDSACKOfoSent                       uint64 // DSACKs sent: for data read already, and for data that waits behind a gap
	TCPDSACKRecv, TCPDSACKOfoRecv, TCPDSACKRecvSegs        uint64 // DSACKs received, alike, and the segments that they tell of
	TCPAbortOnData, TCPAbortOnClose                        uint64 // resets: by SO_LINGER 0 or for data that nobody reads; with data unread
	TCPAbortOnTimeout, TCPAbortOnLinger                    uint64 // connections given up; FIN-WAIT-2 left out (TCP_LINGER2)
	TCPMinTTLDrop                                          uint64 // segments below IP_MINTTL
	TCPDeferAcceptDrop                                     uint64 // ACKs that TCP_DEFER_ACCEPT has ignored
	TCPTimeWaitOverflow                                    uint64 // connections without TIME-WAIT, as there were too many
	TCPReqQFullDoCookies                                   uint64 // SYNs that found too many before them, and were answered with a cookie
	TCPOFOQueue                                            uint64 // segments that came out of order
	TCPChallengeACK, TCPSYNChallenge                       uint64 // challenge ACKs sent, and SYNs that asked for one (RFC 5961)
	TCPACKSkippedSynRecv, TCPACKSkippedPAWS                uint64 // answers that tcp_invalid_ratelimit has left out, by what was to be answered
	TCPACKSkippedSeq, TCPACKSkippedChallenge               uint64
	TCPFastOpenActive, TCPFastOpenActiveFail               uint64 // SYNs whose data was acknowledged with them, and was not (RFC 7413)
	TCPFastOpenPassive, TCPFastOpenPassiveFail             uint64 // SYNs whose data was taken; those with a wrong cookie
	TCPFastOpenPassiveAltKey                               uint64 // SYNs whose cookie was made with the key before (TCP_FASTOPEN_KEY)
	TCPFastOpenListenOverflow                              uint64 // SYNs with data beyond TCP_FASTOPEN's queue
	TCPFastOpenCookieReqd                                  uint64 // SYNs that ask for a cookie
	TCPSynRetrans                                          uint64 // SYNs and SYN-ACKs sent again
	TCPWinProbe, TCPKeepAlive                              uint64 // probes of a closed window, and of a silent peer
	TCPMTUPFail, TCPMTUPSuccess                            uint64 // probes of the path's MTU (RFC 4821)
	TCPMemoryPressures                                     uint64 // times that memory became scarce (TCPConfig.Mem)
	TCPAbortOnMemory                                       uint64 // orphans reset, as there were too many (TCPConfig.MaxOrphans) or too little memory
	PruneCalled, RcvPruned, OfoPruned                      uint64 // segments that found no memory; those beyond their receive buffer, too; out-of-order data dropped for them
	TCPRcvQDrop, TCPOFODrop                                uint64 // segments dropped for want of memory, in order and out of it

	FlowDrops uint64 // SYNs beyond what may wait for a FlowHandler; not Linux's
}

// UDPStats counts the datagrams of UDP.
type UDPStats struct {
	InDatagrams  uint64 // put into the queue of a socket; Linux counts them when they are received from it
	OutDatagrams uint64
	NoPorts      uint64 // for a port without socket
	InErrors     uint64 // that make no sense, did not pass SO_ATTACH_FILTER, or are in one of the next two
	InCsumErrors uint64
	RcvbufErrors uint64 // that found a receive buffer full
	IgnoredMulti uint64 // to a group or to all, and for no socket
}

// SCTPStats counts the packets and associations of SCTP by the names of /proc/net/sctp/snmp.
type SCTPStats struct {
	CurrEstab                                             uint64 // associations that are established or shutting down
	ActiveEstabs, PassiveEstabs                           uint64 // that were established, from this end and from the other
	Aborteds, Shutdowns                                   uint64 // that ended by ABORT or time, and by SHUTDOWN
	OutOfBlues, ChecksumErrors                            uint64 // packets of no association, and with a wrong checksum
	OutCtrlChunks, OutOrderChunks, OutUnorderChunks       uint64
	InCtrlChunks, InOrderChunks, InUnorderChunks          uint64
	OutPackets, InPackets                                 uint64
	T1InitExpireds, T1CookieExpireds, T2ShutdownExpireds  uint64 // timers that have expired
	T3RtxExpireds, T4RtoExpireds, T5ShutdownGuardExpireds uint64
	DelaySackExpireds, AutocloseExpireds                  uint64
	PmtudRetransmits                                      uint64 // chunks sent again as the path's MTU is less
	InPktDiscards                                         uint64 // packets that make no sense
}

// sctpStats are the core's, with how many associations there are.
func sctpStats(c sctp.Counters, estab int) SCTPStats {
	return SCTPStats{
		CurrEstab: uint64(estab), ActiveEstabs: c.ActiveEstabs, PassiveEstabs: c.PassiveEstabs,
		Aborteds: c.Aborteds, Shutdowns: c.Shutdowns, OutOfBlues: c.OutOfBlues, ChecksumErrors: c.ChecksumErrors,
		OutCtrlChunks: c.OutCtrlChunks, OutOrderChunks: c.OutOrderChunks, OutUnorderChunks: c.OutUnorderChunks,
		InCtrlChunks: c.InCtrlChunks, InOrderChunks: c.InOrderChunks, InUnorderChunks: c.InUnorderChunks,
		OutPackets: c.OutPackets, InPackets: c.InPackets,
		T1InitExpireds: c.T1InitExpireds, T1CookieExpireds: c.T1CookieExpireds, T2ShutdownExpireds: c.T2ShutdownExpireds,
		T3RtxExpireds: c.T3RtxExpireds, T4RtoExpireds: c.T4RtoExpireds, T5ShutdownGuardExpireds: c.T5ShutdownGuardExpireds,
		DelaySackExpireds: c.DelaySackExpireds, AutocloseExpireds: c.AutocloseExpireds,
		PmtudRetransmits: c.PmtudRetransmits, InPktDiscards: c.InPktDiscards,
	}
}

// SocketCounts says how many sockets there are, as /proc/net/sockstat does.
type SocketCounts struct {
	Used        int // sockets of all domains
	TCP         int // TCP sockets, connections to be accepted included
	TCPOrphan   int // connections that outlive their sockets
	TCPTimeWait int
	TCPMem      int // bytes that the queues of TCP hold; Linux counts pages
	UDP         int
	SCTP        int // SCTP sockets of both styles
	Ping        int // sockets of ICMP echo requests
	Raw         int
	Unix        int
}

// Stats returns the counters. It waits for the host's lock alone, and counts sockets piece by
// piece: those that come, go or move meanwhile may be missed or counted twice.
func (h *Host) Stats() Stats {
	out := h.counters()
	mem := out.Sockets.TCPMem
	out.Sockets = h.countSockets()
	out.Sockets.TCPMem = mem
	return out
}

func (h *Host) counters() Stats {
	h.h.Enter()
	defer h.h.Leave()
	t, u := h.stack.Stats()
	return Stats{
		IP: IPStats(h.stack.IP.Counters()), ICMP: ICMPStats(h.stack.IP.ICMPCounters()), TCP: TCPStats(t), UDP: UDPStats(u),
		SCTP:    sctpStats(h.stack.SCTPStats()),
		Sockets: SocketCounts{TCPMem: h.stack.TCPMemory()},
	}
}

// countSockets holds the host's lock for a few sockets at a time.
func (h *Host) countSockets() SocketCounts {
	const part = 256
	var n SocketCounts
	for list := range h.SocketPages(part) {
		for i := range list {
			n.count(&list[i])
		}
	}
	return n
}

func (n *SocketCounts) count(s *SocketInfo) {
	open := s.RcvBuf != 0 // it has a socket
	switch {
	case s.State == "TIME-WAIT":
		n.TCPTimeWait++
	case s.Proto == "tcp" && !open && s.ID != 0:
		n.TCPOrphan++
	case s.Proto == "tcp":
		n.TCP++
	case s.Proto == "udp":
		n.UDP++
	case s.Proto == "sctp":
		n.SCTP++
	case s.Proto == "icmp":
		n.Ping++
	case s.Proto == "unix":
		n.Unix++
	default:
		n.Raw++
	}
	if open {
		n.Used++
	}
}

package usock

// Stats is what a host has counted since it was made. A counter that Linux has, too, has its
// name in /proc/net/snmp and /proc/net/netstat, and counts packets of both families. What an
// interface counts is in InterfaceInfo.Stats, what a connection counts in TCPInfo, and the
// datagrams that one socket had no room for in SocketInfo.Drops.
type Stats struct {
	IP      IPStats
	ICMP    ICMPStats
	TCP     TCPStats
	UDP     UDPStats
	Sockets SocketCounts
}

// IPStats counts the packets of a host's IP layer.
type IPStats struct {
	InReceives      uint64 // received by the interfaces that the host has
	InHdrErrors     uint64 // headers or lengths that make no sense, ICMP's included
	InCsumErrors    uint64 // wrong checksums of IPv4, ICMP and ICMPv6
	InMartians      uint64 // addresses that cannot be on the link (part of Linux's InAddrErrors)
	InAddrErrors    uint64 // for somebody else, and not passed on
	InUnknownProtos uint64 // for no transport protocol that the host has
	ForwDatagrams   uint64 // passed on between links
	OutTransmits    uint64 // sent by the interfaces that the host has
	ReasmOKs        uint64 // datagrams put together from fragments
	ReasmFails      uint64 // fragments given up: too late, overlapping, too many
	FragOKs         uint64 // datagrams sent in fragments
}

// ICMPStats counts the messages of ICMP and ICMPv6.
type ICMPStats struct {
	OutErrors    uint64 // error messages sent
	OutRateLimit uint64 // error messages withheld by the rate limit (Linux: OutRateLimitHost)
}

// TCPStats counts the segments and connections of TCP.
type TCPStats struct {
	ActiveOpens, PassiveOpens uint64 // connections begun by connect, and by a listener
	InSegs, OutSegs           uint64
	InErrs                    uint64 // segments that make no sense, or with a wrong checksum
	OutRsts                   uint64

	ListenOverflows     uint64 // connections that found the queue of their listener full
	ListenDrops         uint64 // SYNs that a listener has dropped, for whatever reason
	TCPTimeWaitOverflow uint64 // connections without TIME-WAIT, as there were too many
	FlowDrops           uint64 // SYNs beyond what may wait for a FlowHandler; not Linux's

	SyncookiesSent, SyncookiesRecv, SyncookiesFailed uint64
}

// UDPStats counts the datagrams of UDP.
type UDPStats struct {
	InDatagrams, OutDatagrams uint64
	NoPorts                   uint64 // for a port without socket
	InErrors                  uint64 // headers that make no sense, or wrong checksums
	RcvbufErrors              uint64 // that found a receive buffer full
}

// SocketCounts says how many sockets there are, as /proc/net/sockstat does.
type SocketCounts struct {
	Used        int // sockets of all domains
	TCP         int // TCP sockets, connections to be accepted included
	TCPOrphan   int // connections that outlive their sockets
	TCPTimeWait int
	UDP         int
	Ping        int // sockets of ICMP echo requests
	Raw         int
	Unix        int
}

// Stats returns the counters. It waits for the host's lock alone, and counts sockets piece by
// piece: those that come, go or move meanwhile may be missed or counted twice.
func (h *Host) Stats() Stats {
	out := h.counters()
	out.Sockets = h.countSockets()
	return out
}

func (h *Host) counters() Stats {
	h.h.Enter()
	defer h.h.Leave()
	l := &h.stack.IP.Stats
	t, u := h.stack.Stats()
	out := Stats{
		IP: IPStats{
			InHdrErrors: l.Malformed, InCsumErrors: l.BadChecksum, InMartians: l.Martian,
			InAddrErrors: l.NotLocal, InUnknownProtos: l.NoProto, ForwDatagrams: l.Forwarded,
			ReasmOKs: l.ReasmOKs, ReasmFails: l.ReasmFails, FragOKs: l.Fragmented,
		},
		ICMP: ICMPStats{OutErrors: l.ICMPOut, OutRateLimit: l.ICMPLimited},
		TCP: TCPStats{
			ActiveOpens: t.ActiveOpens, PassiveOpens: t.PassiveOpens, InSegs: t.InSegs, OutSegs: t.OutSegs,
			InErrs: t.InErrs, OutRsts: t.OutRsts, ListenOverflows: t.ListenOverflows, ListenDrops: t.ListenDrops,
			TCPTimeWaitOverflow: t.TimeWaitOverflows, FlowDrops: t.FlowDrops, SyncookiesSent: t.CookiesSent,
			SyncookiesRecv: t.CookiesReceived, SyncookiesFailed: t.CookiesFailed,
		},
		UDP: UDPStats{
			InDatagrams: u.In, OutDatagrams: u.Out, NoPorts: u.NoPorts, InErrors: u.InErrors, RcvbufErrors: u.RcvbufErrors,
		},
	}
	for _, i := range h.stack.IP.Ifaces() {
		s := i.Stats()
		out.IP.InReceives += s.RxPackets
		out.IP.OutTransmits += s.TxPackets
	}
	return out
}

// countSockets holds the host's lock for a few sockets at a time.
func (h *Host) countSockets() SocketCounts {
	const part = 256
	var n SocketCounts
	for at := 0; ; {
		list, next := h.SocketsFrom(at, part)
		for i := range list {
			n.count(&list[i])
		}
		if next == 0 {
			break
		}
		at = next
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

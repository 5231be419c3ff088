package usock

import "usock/internal/tcp"

// TCPInfo is what is known of a connection: Linux's struct tcp_info (tcp(7), TCP_INFO), in
// the order of the structure. Segments are counted in units of SndMSS.
type TCPInfo struct {
	State       uint8 // TCP_ESTABLISHED is 1 (include/net/tcp_states.h); SocketInfo.State has its name
	CAState     uint8 // of congestion avoidance: 0 Open, 1 Disorder, 2 CWR, 3 Recovery, 4 Loss
	Retransmits uint8 // timeouts in a row without an acknowledgement
	Probes      uint8 // window probes without an answer
	Backoff     uint8 // how often RTO was doubled
	Options     uint8 // what the handshake has agreed on: TCPI_OPT_*

	SndWScale, RcvWScale uint8 // window scale shifts (RFC 7323)
	AppLimited           bool  // DeliveryRate is what the program sent, not what the path takes
	FastOpenFail         uint8 // 0: none

	RTO, ATO       uint32 // µs: retransmission timeout, delay of acknowledgements
	SndMSS, RcvMSS uint32 // bytes

	Unacked, Sacked, Lost, Retrans uint32 // segments in flight, by what is known of them

	LastDataSent uint32 // ms ago
	LastDataRecv uint32 // ms ago
	LastAckRecv  uint32 // ms ago

	PMTU          uint32 // bytes of the largest packet
	RcvSSThresh   uint32 // bytes
	RTT, RTTVar   uint32 // µs: smoothed round trip and its variation (RFC 6298)
	SndSSThresh   uint32 // segments
	SndCwnd       uint32 // segments: congestion window
	AdvMSS        uint32 // bytes: the MSS that was advertised
	Reordering    uint32 // segments
	RcvRTT        uint32 // µs: round trip as the receiver sees it
	RcvSpace      uint32 // bytes read in one RcvRTT
	TotalRetrans  uint32 // segments sent again
	PacingRate    uint64 // bytes/s
	MaxPacingRate uint64 // bytes/s: SO_MAX_PACING_RATE
	BytesAcked    uint64
	BytesReceived uint64

	SegsOut, SegsIn         uint32
	NotSentBytes            uint32
	MinRTT                  uint32 // µs
	DataSegsIn, DataSegsOut uint32
	DeliveryRate            uint64 // bytes/s: newest sample

	// µs in which there was something to send, and of those in which the peer's window or
	// the send buffer was what held it back.
	BusyTime, RwndLimited, SndbufLimited uint64

	Delivered, DeliveredCE       uint32 // segments; those whose ACK echoed an ECN mark
	BytesSent, BytesRetrans      uint64
	DSACKDups                    uint32 // duplicates that DSACK reported (RFC 2883)
	ReordSeen                    uint32 // times that reordering was found
	RcvOOOPack                   uint32 // segments received out of order
	SndWnd, RcvWnd               uint32 // bytes: the peer's window, and the one offered
	Rehash                       uint32
	TotalRTO, TotalRTORecoveries uint16 // timeouts, and recoveries that they began
	TotalRTOTime                 uint32 // ms
	ReceivedCE                   uint32
	ECNMode                      uint8 // 0: off, 1: RFC 3168

	// µs of BusyTime in which the congestion window or Nagle's rule was what held data back;
	// not Linux's, so that Put leaves them out.
	CwndLimited, NagleLimited uint64
}

// The flags of TCPInfo.Options (include/uapi/linux/tcp.h).
const (
	TCPI_OPT_TIMESTAMPS = tcp.InfoTimestamps
	TCPI_OPT_SACK       = tcp.InfoSACK
	TCPI_OPT_WSCALE     = tcp.InfoWScale
	TCPI_OPT_ECN        = tcp.InfoECN     // agreed on
	TCPI_OPT_ECN_SEEN   = tcp.InfoECNSeen // a packet with ECT has come
	TCPI_OPT_SYN_DATA   = tcp.InfoSYNData // data of the SYN was acknowledged (Fast Open)
)

// Put writes Linux's structure into b in the machine's byte order, as TCP_INFO gives it, cut
// to len(b) bytes, and returns how many bytes it wrote.
func (in *TCPInfo) Put(b []byte) int { return (*tcp.Info)(in).Put(b) }

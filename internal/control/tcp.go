package control

// TCP is what is known of a connection: usock.TCPInfo, whose comments say what each field is,
// with the names of Linux's struct tcp_info. What is 0 is left out.
type TCP struct {
	State              uint8  `json:"state,omitempty"`
	CAState            uint8  `json:"ca_state,omitempty"`
	Retransmits        uint8  `json:"retransmits,omitempty"`
	Probes             uint8  `json:"probes,omitempty"`
	Backoff            uint8  `json:"backoff,omitempty"`
	Options            uint8  `json:"options,omitempty"`
	SndWScale          uint8  `json:"snd_wscale,omitempty"`
	RcvWScale          uint8  `json:"rcv_wscale,omitempty"`
	AppLimited         bool   `json:"delivery_rate_app_limited,omitempty"`
	FastOpenFail       uint8  `json:"fastopen_client_fail,omitempty"`
	RTO                uint32 `json:"rto,omitempty"`
	ATO                uint32 `json:"ato,omitempty"`
	SndMSS             uint32 `json:"snd_mss,omitempty"`
	RcvMSS             uint32 `json:"rcv_mss,omitempty"`
	Unacked            uint32 `json:"unacked,omitempty"`
	Sacked             uint32 `json:"sacked,omitempty"`
	Lost               uint32 `json:"lost,omitempty"`
	Retrans            uint32 `json:"retrans,omitempty"`
	LastDataSent       uint32 `json:"last_data_sent,omitempty"`
	LastDataRecv       uint32 `json:"last_data_recv,omitempty"`
	LastAckRecv        uint32 `json:"last_ack_recv,omitempty"`
	PMTU               uint32 `json:"pmtu,omitempty"`
	RcvSSThresh        uint32 `json:"rcv_ssthresh,omitempty"`
	RTT                uint32 `json:"rtt,omitempty"`
	RTTVar             uint32 `json:"rttvar,omitempty"`
	SndSSThresh        uint32 `json:"snd_ssthresh,omitempty"`
	SndCwnd            uint32 `json:"snd_cwnd,omitempty"`
	AdvMSS             uint32 `json:"advmss,omitempty"`
	Reordering         uint32 `json:"reordering,omitempty"`
	RcvRTT             uint32 `json:"rcv_rtt,omitempty"`
	RcvSpace           uint32 `json:"rcv_space,omitempty"`
	TotalRetrans       uint32 `json:"total_retrans,omitempty"`
	PacingRate         uint64 `json:"pacing_rate,omitempty"`
	MaxPacingRate      uint64 `json:"max_pacing_rate,omitempty"`
	BytesAcked         uint64 `json:"bytes_acked,omitempty"`
	BytesReceived      uint64 `json:"bytes_received,omitempty"`
	SegsOut            uint32 `json:"segs_out,omitempty"`
	SegsIn             uint32 `json:"segs_in,omitempty"`
	NotSentBytes       uint32 `json:"notsent_bytes,omitempty"`
	MinRTT             uint32 `json:"min_rtt,omitempty"`
	DataSegsIn         uint32 `json:"data_segs_in,omitempty"`
	DataSegsOut        uint32 `json:"data_segs_out,omitempty"`
	DeliveryRate       uint64 `json:"delivery_rate,omitempty"`
	BusyTime           uint64 `json:"busy_time,omitempty"`
	RwndLimited        uint64 `json:"rwnd_limited,omitempty"`
	SndbufLimited      uint64 `json:"sndbuf_limited,omitempty"`
	Delivered          uint32 `json:"delivered,omitempty"`
	DeliveredCE        uint32 `json:"delivered_ce,omitempty"`
	BytesSent          uint64 `json:"bytes_sent,omitempty"`
	BytesRetrans       uint64 `json:"bytes_retrans,omitempty"`
	DSACKDups          uint32 `json:"dsack_dups,omitempty"`
	ReordSeen          uint32 `json:"reord_seen,omitempty"`
	RcvOOOPack         uint32 `json:"rcv_ooopack,omitempty"`
	SndWnd             uint32 `json:"snd_wnd,omitempty"`
	RcvWnd             uint32 `json:"rcv_wnd,omitempty"`
	Rehash             uint32 `json:"rehash,omitempty"`
	TotalRTO           uint16 `json:"total_rto,omitempty"`
	TotalRTORecoveries uint16 `json:"total_rto_recoveries,omitempty"`
	TotalRTOTime       uint32 `json:"total_rto_time,omitempty"`
	ReceivedCE         uint32 `json:"received_ce,omitempty"`
	ECNMode            uint8  `json:"ecn_mode,omitempty"`
}

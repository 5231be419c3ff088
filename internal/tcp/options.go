package tcp

// Options are a connection's settings. They may be set before the connection is
// opened, and a listener hands its own on to what it accepts.
type Options struct {
	maxPacing    uint64 // bytes/s, plus 1; 0: no bound
	RcvLowat     int32  // bytes; at least 1
	UserTimeout  uint32 // ms; 0: Retries2 decides
	WindowClamp  uint32 // bytes; 0: none
	NotSentLowat uint32 // bytes; 0: the host's
	Linger2      int32  // s that FIN-WAIT-2 lasts; 0: the host's; negative: none
	MaxSeg       uint16 // bytes; 0: none
	KeepIdle     uint16 // s; 0: the host's
	KeepIntvl    uint16 // s; 0: the host's
	KeepCnt      uint8  // 0: the host's
	SynCnt       uint8  // 0: the host's
	DeferAccept  uint8  // retransmissions of the SYN-ACK that data is waited for
	NoDelay      bool
	Cork         bool
	KeepAlive    bool
	ThinLinear   bool
	OOBInline    bool
	CC           string // ""; the host's
}

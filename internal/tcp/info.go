package tcp

import (
	"encoding/binary"
	"time"

	"usock/cc"
	"usock/internal/congestion"
)

// InfoLen is the length of struct tcp_info of Linux 6.18.
const InfoLen = 280

// Info is Linux's struct tcp_info (TCP_INFO), in the order of the structure.
type Info struct {
	State, CAState, Retransmits, Probes, Backoff uint8
	Options                                      uint8 // the Info flags
	SndWScale, RcvWScale                         uint8
	AppLimited                                   bool
	FastOpenFail                                 uint8

	RTO, ATO                             uint32 // µs
	SndMSS, RcvMSS                       uint32
	Unacked, Sacked, Lost, Retrans       uint32 // segments
	LastDataSent, LastDataRecv           uint32 // ms ago
	LastAckRecv                          uint32 // ms ago
	PMTU                                 uint32
	RcvSSThresh                          uint32
	RTT, RTTVar                          uint32 // µs
	SndSSThresh, SndCwnd                 uint32 // segments
	AdvMSS, Reordering                   uint32
	RcvRTT                               uint32 // µs
	RcvSpace                             uint32
	TotalRetrans                         uint32
	PacingRate, MaxPacingRate            uint64 // bytes/s
	BytesAcked, BytesReceived            uint64
	SegsOut, SegsIn                      uint32
	NotSentBytes                         uint32
	MinRTT                               uint32 // µs
	DataSegsIn, DataSegsOut              uint32
	DeliveryRate                         uint64 // bytes/s
	BusyTime, RwndLimited, SndbufLimited uint64 // µs
	Delivered, DeliveredCE               uint32 // segments
	BytesSent, BytesRetrans              uint64
	DSACKDups, ReordSeen, RcvOOOPack     uint32
	SndWnd, RcvWnd                       uint32
	Rehash                               uint32
	TotalRTO, TotalRTORecoveries         uint16
	TotalRTOTime                         uint32 // ms
	ReceivedCE                           uint32
	ECNMode                              uint8 // 0: off, 1: RFC 3168

	CwndLimited, NagleLimited uint64 // µs; not Linux's
}

// The flags of Info.Options.
const (
	InfoTimestamps = 1 << iota
	InfoSACK
	InfoWScale
	InfoECN
	InfoECNSeen
	InfoSYNData
)

// noSSThresh is what Linux tells where there is no threshold yet.
const noSSThresh = 0x7fffffff

// Info fills in what TCP_INFO tells.
func (c *Conn) Info(now time.Duration, in *Info) {
	cfg := c.cfg
	if cfg == nil {
		cfg = DefaultConfig() // not made ready yet
	}
	*in = Info{
		State: c.state.Linux(), Retransmits: c.snd.retrans, Probes: c.snd.probes,
		Backoff: c.rtt.backoff, SndWScale: c.snd.wscale, RcvWScale: c.rcv.wscale,
		RTO: c.rtt.rto, ATO: uint32(c.rcv.ack.ato / time.Microsecond),
		SndMSS: uint32(c.snd.mss), RcvMSS: uint32(c.rcv.mss),
		PMTU: uint32(c.snd.pathMSS) + 40, RcvSSThresh: c.rcv.ssthresh,
		RTT: c.rtt.srtt >> 3, RTTVar: c.rtt.mdev >> 2, MinRTT: c.rtt.min,
		AdvMSS: uint32(c.rcv.advMSS), RcvRTT: c.rcv.rtt >> 3, RcvSpace: c.rcv.drsSpace,
		TotalRetrans: c.stats.retransSegs, MaxPacingRate: c.MaxPacing(),
		BytesAcked: c.stats.bytesAcked, SegsOut: c.stats.segsOut, SegsIn: c.stats.segsIn,
		NotSentBytes: uint32(c.Unsent()), DataSegsIn: c.stats.dataIn, DataSegsOut: c.stats.dataOut,
		BytesSent: c.stats.bytesSent, BytesRetrans: c.stats.retransBytes,
		DSACKDups: c.stats.dsackDups, ReordSeen: c.stats.reordSeen, RcvOOOPack: c.stats.oooPackets,
		SndWnd: c.snd.wnd, RcvWnd: c.rcv.window(), TotalRTO: c.stats.totalRTO,
		TotalRTORecoveries: c.stats.rtoRecoveries,
		SndSSThresh:        noSSThresh, SndCwnd: uint32(cfg.InitialCwnd), Reordering: uint32(cfg.Reordering),
	}
	if c.snd.mss == 0 {
		in.SndMSS = 536
	}
	if c.rcv.nxt > origin {
		in.BytesReceived = c.rcv.q.End() - (origin + 1)
	}
	if c.state.synchronized() {
		in.LastDataSent = ms(now - c.snd.lastData)
		in.LastDataRecv = ms(now - c.rcv.ack.lastRcv)
		in.LastAckRecv = ms(now - c.timer.heard)
		in.Delivered = 1 // the SYN, as Linux counts it
	}
	c.infoOptions(in)
	c.snd.infoFlight(&c.tcb, now, in)
}

// Age returns how long ago the handshake began, modulo 2^32 ms.
func (c *Conn) Age(now time.Duration) time.Duration {
	return time.Duration(clockMS(now)-c.stats.born) * time.Millisecond
}

func clockMS(now time.Duration) uint32 { return uint32(now / time.Millisecond) }

func ms(d time.Duration) uint32 { return uint32(max(d, 0) / time.Millisecond) }

// infoOptions fills in what the handshake has agreed on.
func (c *Conn) infoOptions(in *Info) {
	for _, o := range [...]struct {
		on   flags
		flag uint8
	}{
		{useTS, InfoTimestamps}, {useSACK, InfoSACK}, {useWScale, InfoWScale},
		{useECN, InfoECN}, {ecnSeen, InfoECNSeen},
	} {
		if c.flags&o.on != 0 {
			in.Options |= o.flag
		}
	}
	if c.flags&useECN != 0 {
		in.ECNMode = 1
	}
	if c.SYNDataAcked() {
		in.Options |= InfoSYNData
	}
}

// infoFlight fills in what is known once data was sent.
func (s *sender) infoFlight(t *tcb, now time.Duration, in *Info) {
	f := s.flight
	if f == nil {
		return
	}
	l := &f.loss
	mss := uint32(max(s.mss, 1))
	segs := func(bytes uint32) uint32 { return (bytes + mss - 1) / mss }
	in.Unacked = segs(uint32(s.nxt - s.una))
	in.Sacked, in.Lost, in.Retrans = segs(l.sacked+l.reno), segs(l.lost+l.retrans), segs(l.retrans)
	switch l.state {
	case cc.Open:
		if l.sacked+l.reno > 0 {
			in.CAState = 1
		}
	default:
		in.CAState = uint8(l.state) + 1
	}
	in.SndCwnd = max(s.cwnd()/mss, 1)
	if ssthresh := f.cc.SSThresh(); ssthresh < cc.MaxWindow {
		in.SndSSThresh = ssthresh / mss
	}
	in.Reordering = uint32(l.reordering)
	in.PacingRate = f.cc.PacingRate()
	if in.PacingRate == 0 {
		in.PacingRate = congestion.WindowRate(f.cc, t.rtt.smoothed())
	}
	in.PacingRate = min(in.PacingRate, in.MaxPacingRate)
	in.DeliveryRate, in.AppLimited = f.delivery, f.deliveryLimited
	in.Delivered += uint32((f.rate.Delivered() + uint64(mss) - 1) / uint64(mss))
	in.DeliveredCE = f.deliveredCE
	f.chrono.put(now, in)
}

// AppendCCInfo appends what the congestion control tells of itself, in the layout that
// Linux has for its name; nothing where it tells nothing (TCP_CC_INFO).
func (c *Conn) AppendCCInfo(b []byte) []byte {
	var ctl cc.Controller
	if c.snd.flight != nil {
		ctl = c.snd.flight.cc
	} else {
		ctl, _ = c.cfg.controller(c.CC())
	}
	if i, ok := ctl.(cc.Informer); ok {
		return i.AppendInfo(b)
	}
	return b
}

// Put writes the structure in Linux's layout into b, cut to len(b) bytes, and
// returns how many bytes it wrote.
func (in *Info) Put(b []byte) int {
	var p [InfoLen]byte
	copy(p[:], []byte{
		in.State, in.CAState, in.Retransmits, in.Probes, in.Backoff, in.Options,
		in.SndWScale | in.RcvWScale<<4, in.FastOpenFail << 1 & 6,
	})
	if in.AppLimited {
		p[7] |= 1
	}
	at := 8
	put32 := func(v ...uint32) {
		for _, x := range v {
			binary.NativeEndian.PutUint32(p[at:], x)
			at += 4
		}
	}
	put64 := func(v ...uint64) {
		for _, x := range v {
			binary.NativeEndian.PutUint64(p[at:], x)
			at += 8
		}
	}
	// tcpi_fackets and tcpi_last_ack_sent are zero on Linux too.
	put32(in.RTO, in.ATO, in.SndMSS, in.RcvMSS, in.Unacked, in.Sacked, in.Lost, in.Retrans, 0)
	put32(in.LastDataSent, 0, in.LastDataRecv, in.LastAckRecv, in.PMTU, in.RcvSSThresh, in.RTT,
		in.RTTVar, in.SndSSThresh, in.SndCwnd, in.AdvMSS, in.Reordering, in.RcvRTT, in.RcvSpace,
		in.TotalRetrans)
	put64(in.PacingRate, in.MaxPacingRate, in.BytesAcked, in.BytesReceived)
	put32(in.SegsOut, in.SegsIn, in.NotSentBytes, in.MinRTT, in.DataSegsIn, in.DataSegsOut)
	put64(in.DeliveryRate, in.BusyTime, in.RwndLimited, in.SndbufLimited)
	put32(in.Delivered, in.DeliveredCE)
	put64(in.BytesSent, in.BytesRetrans)
	put32(in.DSACKDups, in.ReordSeen, in.RcvOOOPack, in.SndWnd, in.RcvWnd, in.Rehash)
	binary.NativeEndian.PutUint16(p[at:], in.TotalRTO)
	binary.NativeEndian.PutUint16(p[at+2:], in.TotalRTORecoveries)
	at += 4
	put32(in.TotalRTOTime, in.ReceivedCE)
	p[InfoLen-4] = in.ECNMode
	return copy(b, p[:])
}

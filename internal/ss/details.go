package ss

import (
	"fmt"
	"time"

	"usock/internal/control"
)

// Bits of tcp_info's options.
const (
	optTimestamps = 1 << iota
	optSACK
	optWScale
	optECN
)

// Details are ss's words for a connection and its congestion control. What is 0 is left out.
func Details(in *control.TCP, congestion string) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	count := func(name string, n uint64) {
		if n != 0 {
			add("%s:%d", name, n)
		}
	}
	if in.Options&optTimestamps != 0 {
		add("ts")
	}
	if in.Options&optSACK != 0 {
		add("sack")
	}
	if in.Options&optECN != 0 {
		add("ecn")
	}
	if congestion != "" {
		add("%s", congestion)
	}
	if in.Options&optWScale != 0 {
		add("wscale:%d,%d", in.SndWScale, in.RcvWScale)
	}
	add("rto:%s", ms(in.RTO))
	if in.RTT != 0 {
		add("rtt:%s/%s", ms(in.RTT), ms(in.RTTVar))
	}
	count("mss", uint64(in.SndMSS))
	count("pmtu", uint64(in.PMTU))
	count("cwnd", uint64(in.SndCwnd))
	if in.SndSSThresh < 0x7fffffff {
		count("ssthresh", uint64(in.SndSSThresh))
	}
	count("bytes_sent", in.BytesSent)
	count("bytes_retrans", in.BytesRetrans)
	count("bytes_acked", in.BytesAcked)
	count("bytes_received", in.BytesReceived)
	count("segs_out", uint64(in.SegsOut))
	count("segs_in", uint64(in.SegsIn))
	if in.RTT != 0 {
		add("send %s", Rate(uint64(in.SndCwnd)*uint64(in.SndMSS)*1e6/uint64(in.RTT)))
	}
	if in.DeliveryRate != 0 {
		add("delivery_rate %s", Rate(in.DeliveryRate))
	}
	count("unacked", uint64(in.Unacked))
	add("retrans:%d/%d", in.Retrans, in.TotalRetrans)
	count("lost", uint64(in.Lost))
	count("sacked", uint64(in.Sacked))
	count("reord_seen", uint64(in.ReordSeen))
	count("rcv_space", uint64(in.RcvSpace))
	if in.MinRTT != 0 && in.MinRTT != ^uint32(0) {
		add("minrtt:%s", ms(in.MinRTT))
	}
	return out
}

// ms writes microseconds as ss writes times: in milliseconds, no digit in vain.
func ms(us uint32) string {
	return fmt.Sprintf("%.4g", float64(us)*float64(time.Microsecond)/float64(time.Millisecond))
}

// Rate writes bytes a second as ss does: in bits, with about three digits.
func Rate(bytes uint64) string {
	bits := float64(bytes) * 8
	unit := 0
	units := []string{"bps", "kbps", "Mbps", "Gbps"}
	for ; bits >= 1000 && unit < len(units)-1; unit++ {
		bits /= 1000
	}
	if bits >= 100 {
		return fmt.Sprintf("%.0f%s", bits, units[unit])
	}
	return fmt.Sprintf("%.3g%s", bits, units[unit])
}

package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"usock"
)

// printSockets writes a table of sockets in the manner of "ss -ti": under each
// connection a line of what its TCP knows. It shows what is not zero.
func printSockets(w io.Writer, title string, list []usock.SocketInfo) error {
	// Details are no cells: they would make the first column as wide as they are.
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tState\tRecv-Q\tSend-Q\tLocal Address:Port\tPeer Address:Port\n", title)
	for _, s := range list {
		local, peer := address(s.Local), address(s.Peer)
		if s.Domain == usock.AF_UNIX {
			local, peer = s.Path, s.PeerPath
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", s.Proto, s.State, s.RecvQ, s.SendQ, local, peer)
	}
	t.Flush()
	lines := strings.SplitAfter(table.String(), "\n")
	var out strings.Builder
	for i, line := range lines {
		out.WriteString(line)
		if i == 0 || i > len(list) || list[i-1].TCP == nil {
			continue
		}
		fmt.Fprintf(&out, "\t %s\n", strings.Join(details(&list[i-1]), " "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return "*:*"
	}
	return a.String()
}

// Bits of tcp_info's options.
const (
	optTimestamps = 1 << iota
	optSACK
	optWScale
	optECN
)

// details are ss's words for a connection.
func details(s *usock.SocketInfo) []string {
	in := s.TCP
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
	if s.Congestion != "" {
		add("%s", s.Congestion)
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
		add("send %s", rate(uint64(in.SndCwnd)*uint64(in.SndMSS)*1e6/uint64(in.RTT)))
	}
	if in.DeliveryRate != 0 {
		add("delivery_rate %s", rate(in.DeliveryRate))
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

// rate writes bytes a second as ss does: in bits, with about three digits.
func rate(bytes uint64) string {
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

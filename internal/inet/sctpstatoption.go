package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// countRows tell what an association has counted.
func (t *sctpProto) countRows() []socket.Option {
	stats := structRow(abi.SCTP_GET_ASSOC_STATS, (*sctpEndpoint).getStats, nil)
	ask, whole := stats.Ask, abi.Sizeof(&abi.SCTPAssocStats{})
	stats.Ask = func(s *socket.Socket, b []byte) ([]byte, error) {
		n := len(b) // a program may know fewer counts than there are
		if n < 4 {
			return nil, syscall.EINVAL
		}
		v, err := ask(s, append(b[:n:n], make([]byte, max(whole-n, 0))...))
		return v[:min(len(v), n)], err
	}
	return []socket.Option{
		stats,
		structRow(abi.SCTP_PR_ASSOC_STATUS, func(e *sctpEndpoint, v *abi.SCTPPrstatus) error {
			return e.getPRStatus(v, func(x *sctpAssoc, p sctp.PRPolicy) (sctp.PRStatus, syscall.Errno) {
				return x.core.PRStatus(p), 0
			})
		}, nil),
		structRow(abi.SCTP_PR_STREAM_STATUS, func(e *sctpEndpoint, v *abi.SCTPPrstatus) error {
			return e.getPRStatus(v, func(x *sctpAssoc, p sctp.PRPolicy) (sctp.PRStatus, syscall.Errno) {
				return x.core.StreamPRStatus(v.SID, p)
			})
		}, nil),
	}
}

func (e *sctpEndpoint) getStats(v *abi.SCTPAssocStats) error {
	x := e.assoc(v.AssocID)
	if x == nil {
		return syscall.EINVAL
	}
	n, rto, addr := x.core.Stats()
	*v = abi.SCTPAssocStats{
		AssocID: v.AssocID, ObsRtoIPAddr: e.show(addr, x.peer), Maxrto: uint64(millis(rto)), SCTPAssocCounts: assocCounts(n),
	}
	return nil
}

func assocCounts(n sctp.Stats) abi.SCTPAssocCounts {
	return abi.SCTPAssocCounts{
		Isacks: n.InSacks, Osacks: n.OutSacks, Opackets: n.OutPackets, Ipackets: n.InPackets,
		Rtxchunks: n.RtxChunks, Outofseqtsns: n.OutOfSeqTSNs, Idupchunks: n.InDupChunks, Gapcnt: n.GapAcks,
		Ouodchunks: n.OutUnorderChunks, Iuodchunks: n.InUnorderChunks, Oodchunks: n.OutOrder, Iodchunks: n.InOrder,
		Octrlchunks: n.OutCtrlChunks, Ictrlchunks: n.InCtrlChunks,
	}
}

// getPRStatus is SCTP_PR_ASSOC_STATUS and SCTP_PR_STREAM_STATUS: of one policy, or of all.
func (e *sctpEndpoint) getPRStatus(v *abi.SCTPPrstatus, f func(*sctpAssoc, sctp.PRPolicy) (sctp.PRStatus, syscall.Errno)) error {
	all := v.Policy&abi.SCTP_PR_SCTP_ALL != 0
	policy := v.Policy & abi.SCTP_PR_SCTP_MASK
	x := e.assoc(v.AssocID)
	if v.Policy&^(abi.SCTP_PR_SCTP_ALL|abi.SCTP_PR_SCTP_MASK) != 0 || all == (policy != 0) || x == nil {
		return syscall.EINVAL
	}
	st, errno := f(x, sctp.PRPolicy(policy))
	v.AbandonedUnsent, v.AbandonedSent = st.Unsent, st.Sent
	return orNil(errno)
}

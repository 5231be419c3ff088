package tcp

import "sync/atomic"

// Counters is what all TCP of a host has counted, by Linux's names: the Tcp line of
// /proc/net/snmp and the TcpExt line of /proc/net/netstat. A counter counts when Linux's does.
// usock.TCPStats has the same fields, and says what each is.
//
// The core counts what is rare. What every segment would count, its owner counts: InSegs,
// OutSegs, InErrs, and all that is about listeners. Several connections count at the same time.
type Counters struct {
	ActiveOpens, PassiveOpens uint64
	AttemptFails              uint64
	EstabResets               uint64
	InSegs, OutSegs           uint64
	RetransSegs               uint64
	InErrs, InCsumErrors      uint64
	OutRsts                   uint64

	SyncookiesSent, SyncookiesRecv, SyncookiesFailed uint64
	TW                                               uint64
	PAWSActive, PAWSEstab                            uint64
	DelayedACKs, DelayedACKLost                      uint64
	ListenOverflows, ListenDrops                     uint64

	TCPRenoRecovery, TCPSackRecovery                       uint64
	TCPSACKReneging                                        uint64
	TCPSACKReorder                                         uint64
	TCPFullUndo, TCPPartialUndo, TCPDSACKUndo, TCPLossUndo uint64
	TCPLostRetransmit                                      uint64
	TCPFastRetrans, TCPSlowStartRetrans                    uint64
	TCPTimeouts, TCPSpuriousRTOs                           uint64
	TCPLossProbes, TCPLossProbeRecovery                    uint64
	TCPDSACKOldSent, TCPDSACKOfoSent                       uint64
	TCPDSACKRecv, TCPDSACKOfoRecv, TCPDSACKRecvSegs        uint64
	TCPAbortOnData, TCPAbortOnClose                        uint64
	TCPAbortOnTimeout, TCPAbortOnLinger                    uint64
	TCPMinTTLDrop                                          uint64
	TCPDeferAcceptDrop                                     uint64
	TCPTimeWaitOverflow                                    uint64
	TCPReqQFullDoCookies                                   uint64
	TCPOFOQueue                                            uint64
	TCPChallengeACK, TCPSYNChallenge                       uint64
	TCPACKSkippedSynRecv, TCPACKSkippedPAWS                uint64
	TCPACKSkippedSeq, TCPACKSkippedChallenge               uint64
	TCPFastOpenActive, TCPFastOpenActiveFail               uint64
	TCPFastOpenPassive, TCPFastOpenPassiveFail             uint64
	TCPFastOpenPassiveAltKey                               uint64
	TCPFastOpenListenOverflow                              uint64
	TCPFastOpenCookieReqd                                  uint64
	TCPSynRetrans                                          uint64
	TCPWinProbe, TCPKeepAlive                              uint64
	TCPMTUPFail, TCPMTUPSuccess                            uint64
	TCPMemoryPressures, TCPAbortOnMemory                   uint64
	PruneCalled, RcvPruned, OfoPruned                      uint64
	TCPRcvQDrop, TCPOFODrop                                uint64

	FlowDrops uint64
}

// count returns the counters of the host.
func (t *tcb) count() *Counters { return t.cfg.Counters }

// inc counts one more.
func inc(n *uint64) { atomic.AddUint64(n, 1) }

// add counts so many more.
func add(n *uint64, more uint64) { atomic.AddUint64(n, more) }

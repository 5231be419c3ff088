package main

import (
	"sync/atomic"
	"time"

	"usock/cc"
)

// acked is what all controllers were told to be delivered, in bytes.
var acked atomic.Int64

// fixed is a congestion control whose window is 64 segments, whatever happens.
type fixed struct{ mss uint32 }

func newFixed() cc.Controller { return new(fixed) }

func (*fixed) Name() string                                        { return "fixed" }
func (f *fixed) Start(s cc.Start)                                  { f.mss = s.MSS }
func (*fixed) Sent(time.Duration, uint32, uint32)                  {}
func (*fixed) Ack(a *cc.Ack)                                       { acked.Add(int64(a.Delivered)) }
func (*fixed) Congestion(*cc.Event)                                {}
func (*fixed) Recovered(time.Duration)                             {}
func (*fixed) Timeout(*cc.Event)                                   {}
func (*fixed) Undo(time.Duration)                                  {}
func (*fixed) Restart(time.Duration, time.Duration, time.Duration) {}
func (f *fixed) SetMSS(mss uint32)                                 { f.mss = mss }
func (f *fixed) CWnd() uint32                                      { return 64 * f.mss }
func (*fixed) SSThresh() uint32                                    { return cc.MaxWindow }
func (*fixed) PacingRate() uint64                                  { return 0 }
func (*fixed) OwnsRecovery() bool                                  { return true }

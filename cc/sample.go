package cc

import "time"

// Sample is one delivery-rate sample: Delivered bytes in Interval.
type Sample struct {
	Delivered      uint64        // bytes delivered over the interval
	Interval       time.Duration // 0: no sample
	PriorDelivered uint64        // C.delivered when the newest segment acknowledged was sent
	Total          uint64        // C.delivered now
	Lost           uint64        // bytes lost over the interval
	InFlight       uint32        // bytes in flight when that segment was sent, itself included
	AppLimited     bool          // the sender had run out of data
	Retransmitted  bool          // that segment had been sent before
}

// BytesPerSecond is the sample's rate, 0 if there is none.
func (s *Sample) BytesPerSecond() uint64 {
	if s.Interval <= 0 {
		return 0
	}
	// Delivered stays below MaxWindow for one flight, so that this fits.
	return s.Delivered * uint64(time.Second) / uint64(s.Interval)
}

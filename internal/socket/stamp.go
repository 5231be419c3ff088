package socket

import (
	"syscall"
	"time"
)

// Arrival is when a datagram has arrived that was handed to the program, in ns of the wall clock.
type Arrival int64

const (
	none      Arrival = 0  // nothing was received
	unstamped Arrival = -1 // something was, when arrivals were not stamped
)

// Receiver is a control block that receives datagrams.
type Receiver interface {
	// LastArrival is what Received notes and Stamp tells. Locked.
	LastArrival() *Arrival
}

// Received notes in last when a datagram that is handed to the program has arrived; 0: not
// known. Where a control message tells it, it is not noted (Linux, __sock_recv_cmsgs). Locked.
func (s *Socket) Received(last *Arrival, at int64) {
	switch {
	case s.Opt.Flags&(Timestamp|TimestampNS) != 0, s.Opt.Tells():
	case at != 0 && s.Opt.Has(StampAsked):
		*last = Arrival(at)
	case *last == none:
		*last = unstamped
	}
}

// Stamp is SIOCGSTAMP and SIOCGSTAMPNS: when the datagram that was received last has
// arrived. ENOENT if none was received. Times are noted from the first call on; of a
// datagram before it the time of the call is told.
func (s *Socket) Stamp() (t time.Time, err error) {
	err = s.locked(func() error {
		s.Opt.Set(StampAsked, true)
		s.recall()
		r, ok := s.PCB.(Receiver)
		if !ok || *r.LastArrival() == none {
			return syscall.ENOENT
		}
		last := r.LastArrival()
		if *last == unstamped {
			*last = Arrival(s.Host.Stamp())
		}
		t = time.Unix(0, int64(*last))
		return nil
	})
	return t, err
}

// AcceptHolder is a Proto whose listeners count connections that were accepted.
type AcceptHolder interface {
	// Hold has n count as if they waited in the accept queue. Locked.
	Hold(s *Socket, n int)
}

// Hold has n connections that were accepted count against the backlog.
func (s *Socket) Hold(n int) {
	if p, ok := s.Proto.(AcceptHolder); ok {
		s.locked(func() error { p.Hold(s, n); return nil })
	}
}

// Sender is a Proto that holds what it could not send yet.
type Sender interface {
	// Unsent returns the bytes that were never sent; negative for a listener. Locked.
	Unsent(*Socket) int
}

// Unsent is SIOCOUTQNSD; ENOTTY where everything is sent at once.
func (s *Socket) Unsent() (n int, err error) {
	p, ok := s.Proto.(Sender)
	if !ok {
		return 0, syscall.ENOTTY
	}
	err = s.locked(func() error {
		if n = p.Unsent(s); n < 0 {
			return syscall.EINVAL
		}
		return nil
	})
	return n, err
}

package socket

import (
	"syscall"
	"time"
)

// What Opt.stamp is without a time.
const (
	noStamp   = 0  // nothing was received
	unstamped = -1 // something was, when arrivals were not stamped
)

// Received keeps when a datagram that is handed to the program has arrived, in ns of the
// wall clock; 0: not noted. Where a control message tells it, it is not kept (Linux,
// __sock_recv_cmsgs). Locked.
func (s *Socket) Received(at int64) {
	switch {
	case s.Opt.Flags&(Timestamp|TimestampNS) != 0, s.Opt.Tells():
	case at != 0 && s.Opt.Has(StampAsked):
		s.Opt.stamp = at
	case s.Opt.stamp == noStamp:
		s.Opt.stamp = unstamped
	}
}

// Stamp is SIOCGSTAMP and SIOCGSTAMPNS: when the datagram that was received last has
// arrived. ENOENT if none was received. Times are noted from the first call on; of a
// datagram before it the time of the call is told.
func (s *Socket) Stamp() (t time.Time, err error) {
	err = s.locked(func() error {
		s.Opt.Set(StampAsked, true)
		s.recall()
		switch s.Opt.stamp {
		case noStamp:
			return syscall.ENOENT
		case unstamped:
			s.Opt.stamp = s.Host.Stamp()
		}
		t = time.Unix(0, s.Opt.stamp)
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

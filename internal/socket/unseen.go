package socket

import (
	"encoding/binary"
	"syscall"
	"time"

	"usock/internal/abi"
)

// rare are the values of options that few sockets set. Never changed: accepted sockets share
// their listener's.
type rare struct {
	rcvTimeo time.Duration // 0: none; negative: no waiting at all
	sndTimeo time.Duration
	rcvLowat int32  // 0: 1
	stamping uint32 // SO_TIMESTAMPING

	unseen
}

// unseen are the values of options about what usock does not have: a routing policy by
// marks, drivers that are polled, processors of their own for packets, times at which a
// network card sends. No program can see an effect of them on Linux either, on a network
// like the host's, but reads back what it has set.
type unseen struct {
	mark       uint32
	busyPoll   int32 // µs
	budget     int32 // packets
	preferBusy bool
	cpu        int32 // plus 1; 0: none
	clock      int32 // SO_TXTIME
	txFlags    uint32
	txTime     bool
	maxPacing  uint64 // SO_MAX_PACING_RATE, plus 1; 0: none
}

// rare returns the values.
func (s *Socket) rare() rare {
	if s.Opt.rare == nil {
		return rare{}
	}
	return *s.Opt.rare
}

// setRare changes values by f.
func (s *Socket) setRare(f func(*rare)) error {
	v := s.rare()
	f(&v)
	s.Opt.rare = &v
	return nil
}

// SetTimeo sets SO_RCVTIMEO and SO_SNDTIMEO. 0: none; negative: no waiting at all. Locked.
func (s *Socket) SetTimeo(rcv, snd time.Duration) {
	s.setRare(func(r *rare) { r.rcvTimeo, r.sndTimeo = rcv, snd })
}

// RcvLowat returns SO_RCVLOWAT, at least 1.
func (o *Opt) RcvLowat() int32 {
	if o.rare == nil {
		return 1
	}
	return max(o.rare.rcvLowat, 1)
}

// SetRcvLowat sets SO_RCVLOWAT. Locked.
func (s *Socket) SetRcvLowat(n int) {
	s.setRare(func(r *rare) { r.rcvLowat = int32(n) })
}

// Stamping returns SO_TIMESTAMPING, SOF_TIMESTAMPING_*.
func (o *Opt) Stamping() uint32 {
	if o.rare == nil {
		return 0
	}
	return o.rare.stamping
}

// setStamping sets SO_TIMESTAMPING. Locked.
func (s *Socket) setStamping(flags uint32) {
	s.setRare(func(r *rare) { r.stamping = flags })
}

// UnseenOptions returns the rows of the options that have no effect a program could
// see. Some take a capability (Linux, sk_setsockopt).
func UnseenOptions(may May) []Option {
	return []Option{
		IntOption(abi.SOL_SOCKET, abi.SO_MARK,
			func(s *Socket) int { return int(int32(s.rare().mark)) },
			func(s *Socket, v int) error {
				if !may(s, abi.CAP_NET_RAW, abi.CAP_NET_ADMIN) {
					return syscall.EPERM
				}
				return s.setRare(func(u *rare) { u.mark = uint32(v) })
			}),
		IntOption(abi.SOL_SOCKET, abi.SO_BUSY_POLL,
			func(s *Socket) int { return int(s.rare().busyPoll) },
			func(s *Socket, v int) error {
				if v < 0 {
					return syscall.EINVAL
				}
				return s.setRare(func(u *rare) { u.busyPoll = int32(v) })
			}),
		BoolOption(abi.SOL_SOCKET, abi.SO_DEBUG,
			func(s *Socket) bool { return s.Opt.Has(Debug) },
			func(s *Socket, on bool) error {
				if on && !may(s, abi.CAP_NET_ADMIN) {
					return syscall.EACCES
				}
				s.Opt.Set(Debug, on)
				return nil
			}),
		BoolOption(abi.SOL_SOCKET, abi.SO_PREFER_BUSY_POLL,
			func(s *Socket) bool { return s.rare().preferBusy },
			func(s *Socket, on bool) error {
				if on && !may(s, abi.CAP_NET_ADMIN) {
					return syscall.EPERM
				}
				return s.setRare(func(u *rare) { u.preferBusy = on })
			}),
		IntOption(abi.SOL_SOCKET, abi.SO_BUSY_POLL_BUDGET, nil,
			func(s *Socket, v int) error {
				switch {
				case int32(v) > s.rare().budget && !may(s, abi.CAP_NET_ADMIN):
					return syscall.EPERM
				case v < 0 || v > 0xffff:
					return syscall.EINVAL
				}
				return s.setRare(func(u *rare) { u.budget = int32(v) })
			}),
		IntOption(abi.SOL_SOCKET, abi.SO_INCOMING_CPU,
			func(s *Socket) int { return int(s.rare().cpu) - 1 },
			func(s *Socket, v int) error {
				return s.setRare(func(u *rare) { u.cpu = int32(v) + 1 })
			}),
		PacingOption(
			func(s *Socket) uint64 { return s.rare().maxPacing - 1 },
			func(s *Socket, rate uint64) { s.setRare(func(u *rare) { u.maxPacing = rate + 1 }) }),
		readOnly(abi.SO_INCOMING_NAPI_ID, func(*Socket) int { return 0 }),
		{
			Level: abi.SOL_SOCKET, Name: abi.SO_TXTIME,
			Get: func(s *Socket, b []byte) ([]byte, error) {
				u := s.rare()
				return abi.AppendInt(abi.AppendInt(b, int(u.clock)), int(u.txFlags)), nil
			},
			Set: func(s *Socket, v []byte) error { return s.setTxTime(v, may) },
		},
	}
}

// PacingOption returns the row of SO_MAX_PACING_RATE: bytes a second, all ones for no
// bound. A queueing discipline paces datagrams by it, TCP itself.
func PacingOption(get func(*Socket) uint64, set func(*Socket, uint64)) Option {
	const none32 = 1<<32 - 1
	return Option{
		Level: abi.SOL_SOCKET, Name: abi.SO_MAX_PACING_RATE,
		Ask: func(s *Socket, v []byte) ([]byte, error) {
			if rate := get(s); len(v) >= 8 {
				return binary.NativeEndian.AppendUint64(nil, rate), nil
			} else {
				return binary.NativeEndian.AppendUint32(nil, uint32(min(rate, none32))), nil
			}
		},
		Set: func(s *Socket, v []byte) error {
			rate := uint64(binary.NativeEndian.Uint32(v))
			if len(v) == 8 {
				rate = binary.NativeEndian.Uint64(v)
			} else if rate == none32 {
				rate = ^uint64(0)
			}
			set(s, rate)
			return nil
		},
	}
}

// setTxTime is SO_TXTIME: struct sock_txtime, a clock and flags.
func (s *Socket) setTxTime(v []byte, may May) error {
	const (
		flags                    = 3
		realtime, monotonic, tai = 0, 1, 11
	)
	if len(v) != 8 {
		return syscall.EINVAL
	}
	clock := int32(binary.NativeEndian.Uint32(v))
	f := binary.NativeEndian.Uint32(v[4:])
	switch {
	case f&^flags != 0:
		return syscall.EINVAL
	case clock != monotonic && !may(s, abi.CAP_NET_ADMIN):
		return syscall.EPERM
	case clock != realtime && clock != monotonic && clock != tai:
		return syscall.EINVAL
	}
	return s.setRare(func(u *rare) { u.clock, u.txFlags, u.txTime = clock, f, true })
}

// TxTime reports whether sends may say when they are to leave (SCM_TXTIME).
func (s *Socket) TxTime() bool { return s.rare().txTime }

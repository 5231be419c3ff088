package socket

import (
	"syscall"
	"time"

	"usock/internal/abi"
)

// Option is one row of an option table. A nil Get or Set is an option that can
// only be set or read: ENOPROTOOPT.
type Option struct {
	Level, Name int
	// Get appends the value to b, in Linux's layout.
	Get func(s *Socket, b []byte) ([]byte, error)
	// Set takes a value of any length; too short a one is EINVAL.
	Set func(s *Socket, v []byte) error
}

// Options is an option table, for look-up.
type Options struct {
	rows map[[2]int]*Option

	// Missing, if not nil, says how a call for an option that is in no table
	// fails; else it is ENOPROTOOPT.
	Missing func(level int) error
}

// NewOptions returns a table of the rows; a later one replaces an earlier one of
// the same level and name.
func NewOptions(tables ...[]Option) *Options {
	t := &Options{rows: make(map[[2]int]*Option)}
	for _, rows := range tables {
		for i := range rows {
			t.rows[[2]int{rows[i].Level, rows[i].Name}] = &rows[i]
		}
	}
	return t
}

func (t *Options) find(level, name int) *Option {
	if t == nil {
		return nil
	}
	return t.rows[[2]int{level, name}]
}

func (s *Socket) option(level, name int) *Option {
	if o := s.Proto.Options().find(level, name); o != nil {
		return o
	}
	return common.find(level, name)
}

func (s *Socket) noOption(level int) error {
	if t := s.Proto.Options(); t != nil && t.Missing != nil {
		return t.Missing(level)
	}
	return syscall.ENOPROTOOPT
}

// SetOpt sets an option (setsockopt(2)). ENOPROTOOPT for one that the socket does
// not have.
func (s *Socket) SetOpt(level, name int, v []byte) error {
	return s.locked(func() error { return s.set(level, name, v) })
}

// Setting is an option and its value.
type Setting struct {
	Level, Name int
	Value       []byte
}

// SetOpts sets several options at once, up to the first that fails.
func (s *Socket) SetOpts(list []Setting) error {
	return s.locked(func() error {
		for _, o := range list {
			if err := s.set(o.Level, o.Name, o.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Socket) set(level, name int, v []byte) error {
	o := s.option(level, name)
	if o == nil || o.Set == nil {
		return s.noOption(level)
	}
	return o.Set(s, v)
}

// GetOpt stores an option's value, cut to len(v), and returns how many bytes it
// stored (getsockopt(2)).
func (s *Socket) GetOpt(level, name int, v []byte) (n int, err error) {
	err = s.locked(func() error {
		o := s.option(level, name)
		if o == nil || o.Get == nil {
			return s.noOption(level)
		}
		b, err := o.Get(s, nil)
		n = copy(v, b)
		return err
	})
	return n, err
}

// IntOption returns the row of an int option.
func IntOption(level, name int, get func(*Socket) int, set func(*Socket, int) error) Option {
	o := Option{Level: level, Name: name}
	if get != nil {
		o.Get = func(s *Socket, b []byte) ([]byte, error) { return abi.AppendInt(b, get(s)), nil }
	}
	if set != nil {
		o.Set = func(s *Socket, v []byte) error {
			i, err := abi.ParseInt(v)
			if err != nil {
				return err
			}
			return set(s, i)
		}
	}
	return o
}

// BoolOption returns the row of an int option that is 0 or 1.
func BoolOption(level, name int, get func(*Socket) bool, set func(*Socket, bool) error) Option {
	var setInt func(*Socket, int) error
	if set != nil {
		setInt = func(s *Socket, v int) error { return set(s, v != 0) }
	}
	return IntOption(level, name, func(s *Socket) int {
		if get(s) {
			return 1
		}
		return 0
	}, setInt)
}

func flagOption(name int, flag uint32) Option {
	return BoolOption(abi.SOL_SOCKET, name,
		func(s *Socket) bool { return s.Opt.Has(flag) },
		func(s *Socket, on bool) error { s.Opt.Set(flag, on); return nil })
}

func readOnly(name int, get func(*Socket) int) Option {
	return IntOption(abi.SOL_SOCKET, name, get, nil)
}

// Bounds of buffer sizes (net.core.rmem_max, SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF).
const (
	maxBuf    = 212992
	minRcvBuf = 2304
	minSndBuf = 4608
)

// SetRcvBuf applies SO_RCVBUF's rule: at most rmem_max, doubled for bookkeeping,
// no less than the minimum.
func (s *Socket) SetRcvBuf(v int) {
	s.Opt.RcvBuf = int32(max(minRcvBuf, 2*min(max(v, 0), maxBuf)))
}

// SetSndBuf applies SO_SNDBUF's rule.
func (s *Socket) SetSndBuf(v int) {
	s.Opt.SndBuf = int32(max(minSndBuf, 2*min(max(v, 0), maxBuf)))
}

func timeoOption(name int, field func(*Socket) *time.Duration) Option {
	return Option{
		Level: abi.SOL_SOCKET, Name: name,
		Get: func(s *Socket, b []byte) ([]byte, error) { return abi.AppendTimeval(b, *field(s)), nil },
		Set: func(s *Socket, v []byte) error {
			d, err := abi.ParseTimeval(v)
			if err == nil {
				*field(s) = d
			}
			return err
		},
	}
}

// common are the rows that every socket has, at SOL_SOCKET (socket(7)).
var common = NewOptions([]Option{
	flagOption(abi.SO_DEBUG, Debug),
	flagOption(abi.SO_REUSEADDR, ReuseAddr),
	flagOption(abi.SO_REUSEPORT, ReusePort),
	flagOption(abi.SO_KEEPALIVE, KeepAlive),
	flagOption(abi.SO_BROADCAST, Broadcast),
	flagOption(abi.SO_OOBINLINE, OOBInline),
	flagOption(abi.SO_DONTROUTE, DontRoute),
	flagOption(abi.SO_NO_CHECK, NoCheck),
	flagOption(abi.SO_RXQ_OVFL, RxqOvfl),
	flagOption(abi.SO_TIMESTAMP, Timestamp),
	flagOption(abi.SO_TIMESTAMPNS, TimestampNS),
	readOnly(abi.SO_TYPE, func(s *Socket) int { return int(s.Type) }),
	readOnly(abi.SO_DOMAIN, func(s *Socket) int { return int(s.Domain) }),
	readOnly(abi.SO_PROTOCOL, func(s *Socket) int { return int(s.Protocol) }),
	readOnly(abi.SO_ACCEPTCONN, func(s *Socket) int { return 0 }),
	readOnly(abi.SO_SNDLOWAT, func(s *Socket) int { return 1 }),
	readOnly(abi.SO_ERROR, func(s *Socket) int { e := s.Err; s.Err = 0; return int(e) }),
	IntOption(abi.SOL_SOCKET, abi.SO_RCVBUF,
		func(s *Socket) int { return int(s.Opt.RcvBuf) },
		func(s *Socket, v int) error { s.SetRcvBuf(v); return nil }),
	IntOption(abi.SOL_SOCKET, abi.SO_SNDBUF,
		func(s *Socket) int { return int(s.Opt.SndBuf) },
		func(s *Socket, v int) error { s.SetSndBuf(v); return nil }),
	IntOption(abi.SOL_SOCKET, abi.SO_RCVLOWAT,
		func(s *Socket) int { return int(s.Opt.RcvLowat) },
		func(s *Socket, v int) error {
			if v < 0 {
				v = int(^uint32(0) >> 1)
			}
			s.Opt.RcvLowat = int32(max(v, 1))
			return nil
		}),
	IntOption(abi.SOL_SOCKET, abi.SO_PRIORITY,
		func(s *Socket) int { return int(s.Opt.Priority) },
		func(s *Socket, v int) error {
			if v < 0 || v > 6 {
				return syscall.EPERM
			}
			s.Opt.Priority = int32(v)
			return nil
		}),
	timeoOption(abi.SO_RCVTIMEO, func(s *Socket) *time.Duration { return &s.Opt.RcvTimeo }),
	timeoOption(abi.SO_SNDTIMEO, func(s *Socket) *time.Duration { return &s.Opt.SndTimeo }),
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_LINGER,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			return abi.AppendLinger(b, abi.Linger{On: s.Opt.Linger >= 0, Seconds: int(max(s.Opt.Linger, 0))}), nil
		},
		Set: func(s *Socket, v []byte) error {
			l, err := abi.ParseLinger(v)
			if err != nil {
				return err
			}
			s.Opt.Linger = -1
			if l.On {
				s.Opt.Linger = int32(max(l.Seconds, 0))
			}
			return nil
		},
	},
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_COOKIE,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			b = abi.AppendInt(b, int(int32(uint32(s.ID))))
			return abi.AppendInt(b, int(int32(uint32(s.ID>>32)))), nil
		},
	},
})

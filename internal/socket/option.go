package socket

import (
	"context"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
)

// Option is one row of an option table. A nil Get or Set is an option that can
// only be set or read: ENOPROTOOPT.
type Option struct {
	Level, Name int
	// Get appends the value to b, in Linux's layout.
	Get func(s *Socket, b []byte) ([]byte, error)
	// Ask stands in place of Get where the value depends on what the caller's buffer
	// holds, or how long that is.
	Ask func(s *Socket, v []byte) ([]byte, error)
	// Set takes a value of any length; too short a one is EINVAL.
	Set func(s *Socket, v []byte) error
	// Room is the least length that getsockopt must offer, other than 0 where there
	// is nothing to store; less is EINVAL.
	Room int
	// Byte says that getsockopt stores an int below 256 as one byte, if the caller's
	// buffer is shorter than an int (Linux, do_ip_getsockopt).
	Byte bool
	// Uncounted is how many bytes getsockopt stores and does not tell of.
	Uncounted int
	// Connects says that Set begins to connect, and the call goes on as connect(2) does.
	Connects bool
}

// Options is an option table, for look-up.
type Options struct {
	rows map[[2]int]*Option

	// Lacks, if not nil, reports that a socket has no option of the level, though other
	// sockets of the table have.
	Lacks func(s *Socket, level int) bool

	// Missing, if not nil, says how getsockopt or, with set, setsockopt fails for an
	// option that the socket does not have; else it is ENOPROTOOPT.
	Missing func(s *Socket, level int, set bool) error
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
	t := s.Proto.Options()
	if t != nil && t.Lacks != nil && t.Lacks(s, level) {
		return nil
	}
	if o := t.find(level, name); o != nil {
		return o
	}
	return common.find(level, name)
}

// noOption is how a call fails for an option that s does not have.
func (s *Socket) noOption(level int, set bool) error {
	if t := s.Proto.Options(); t != nil && t.Missing != nil {
		return t.Missing(s, level, set)
	}
	return syscall.ENOPROTOOPT
}

// SetOpt sets an option (setsockopt(2)). ENOPROTOOPT for one that the socket does
// not have.
func (s *Socket) SetOpt(level, name int, v []byte) error {
	return s.SetOptContext(context.Background(), level, name, v)
}

// SetOptContext is SetOpt, of an option that connects given up when ctx ends.
func (s *Socket) SetOptContext(ctx context.Context, level, name int, v []byte) error {
	set := func() error { return s.set(level, name, v) }
	if o := s.option(level, name); o != nil && o.Connects {
		return s.connect(ctx, set, nil)
	}
	return s.locked(set)
}

// Setting is an option and its value.
type Setting struct {
	Level, Name int
	Value       []byte
}

// SetOpts sets several options at once, up to the first that fails.
func (s *Socket) SetOpts(list []Setting) error {
	return s.locked(func() error { return s.setAll(&list) })
}

// setAll sets the options, and takes those that are set off the list: after ErrWhole it goes on from where it stopped. Locked.
func (s *Socket) setAll(list *[]Setting) error {
	for ; len(*list) > 0; *list = (*list)[1:] {
		o := &(*list)[0]
		if err := s.set(o.Level, o.Name, o.Value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Socket) set(level, name int, v []byte) error {
	if len(v) < 4 && s.Proto.Kind().wantsInt(level, name) {
		return syscall.EINVAL
	}
	o := s.option(level, name)
	if o == nil || o.Set == nil {
		return s.noOption(level, true)
	}
	if !s.Host.InWhole() && (!s.own(level, name) || s.spans()) {
		return ErrWhole
	}
	return o.Set(s, v)
}

// own reports whether an option is about the socket alone. Others are about groups, addresses, ports and
// labels, which are the host's.
func (s *Socket) own(level, name int) bool {
	switch level {
	case abi.SOL_SOCKET:
		return name != abi.SO_BINDTODEVICE && name != abi.SO_BINDTOIFINDEX
	case s.Proto.Kind().Level:
		return s.Proto.Kind().Own
	}
	return false
}

// GetOpt stores an option's value, cut to len(v), and returns how many bytes it
// stored (getsockopt(2)), but for those that Linux does not count.
func (s *Socket) GetOpt(level, name int, v []byte) (n int, err error) {
	err = s.locked(func() error {
		o := s.option(level, name)
		if o == nil || o.Get == nil && o.Ask == nil {
			return s.noOption(level, false)
		}
		b, err := o.value(s, v)
		if err != nil {
			return err
		}
		if len(v) < o.Room && len(b) > 0 {
			return syscall.EINVAL
		}
		if o.Byte && len(b) == 4 && len(v) > 0 && len(v) < 4 {
			if i, _ := abi.ParseInt(b); i >= 0 && i <= 255 {
				b = []byte{byte(i)}
			}
		}
		n = copy(v, b) - o.Uncounted
		return nil
	})
	return n, err
}

// value returns what a getsockopt with the buffer v is to store.
func (o *Option) value(s *Socket, v []byte) ([]byte, error) {
	if o.Ask != nil {
		return o.Ask(s, v)
	}
	return o.Get(s, nil)
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

// stampOption is one of the forms of timestamp, of which a socket has one or none.
func stampOption(name int, flag uint32) Option {
	return BoolOption(abi.SOL_SOCKET, name,
		func(s *Socket) bool { return s.Opt.Has(flag) },
		func(s *Socket, on bool) error {
			s.Opt.Set(Timestamp|TimestampNS, false)
			s.Opt.Set(flag, on)
			return nil
		})
}

func readOnly(name int, get func(*Socket) int) Option {
	return IntOption(abi.SOL_SOCKET, name, get, nil)
}

// Bounds of buffer sizes (net.core.rmem_max, SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF).
const (
	maxBuf    = 4 << 20
	minRcvBuf = 2304
	minSndBuf = 4608
)

// SetRcvBuf applies SO_RCVBUF's rule: at most rmem_max, which a negative number is
// beyond, doubled for bookkeeping, no less than the minimum.
func (s *Socket) SetRcvBuf(v int) {
	s.Opt.RcvBuf = max(minRcvBuf, 2*int32(min(uint32(v), maxBuf)))
}

// SetSndBuf applies SO_SNDBUF's rule.
func (s *Socket) SetSndBuf(v int) {
	s.Opt.SndBuf = max(minSndBuf, 2*int32(min(uint32(v), maxBuf)))
}

// RoomMade wakes those who wait to send, after a change of an option, if there is room
// now (Linux, sk_write_space). Locked.
func (s *Socket) RoomMade() {
	if ev := s.Proto.Ready(s) & wait.Out; ev != 0 {
		s.Notify(ev)
	}
}

// Force is a size of SO_RCVBUFFORCE or SO_SNDBUFFORCE as SetRcvBuf and SetSndBuf
// would make it without the bound.
func Force(v, least int) int32 {
	return int32(max(least, 2*min(max(v, 0), (1<<31-1)/2)))
}

// The least sizes, for Force.
const (
	MinRcvBuf = minRcvBuf
	MinSndBuf = minSndBuf
)

// timeoOption is a bound of how long calls wait. One that is negative has them not wait
// at all, and reads as 0 (Linux, sock_set_timeout).
func timeoOption(name int, field func(*rare) *time.Duration) Option {
	return Option{
		Level: abi.SOL_SOCKET, Name: name,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			r := s.rare()
			return abi.AppendTimeval(b, *field(&r)), nil
		},
		Set: func(s *Socket, v []byte) error {
			d, err := abi.ParseTimeval(v)
			if err == nil {
				s.setRare(func(r *rare) { *field(r) = d })
			}
			return err
		},
	}
}

// May reports whether the program that calls has one of some capabilities, CAP_*. It is
// asked at the moment that one matters, with the host locked.
type May func(s *Socket, oneOf ...int) bool

// ForceOption is a size of a buffer that programs with CAP_NET_ADMIN set without the
// bound (socket(7), SO_RCVBUFFORCE and SO_SNDBUFFORCE).
func ForceOption(name int, may May, set func(*Socket, int)) Option {
	return IntOption(abi.SOL_SOCKET, name, nil, func(s *Socket, v int) error {
		if !may(s, abi.CAP_NET_ADMIN) {
			return syscall.EPERM
		}
		set(s, v)
		return nil
	})
}

// MayPrioritize judges a priority (Linux, sk_set_prio_allowed).
func MayPrioritize(may May, s *Socket, priority int) bool {
	return 0 <= priority && priority <= 6 || may(s, abi.CAP_NET_RAW, abi.CAP_NET_ADMIN)
}

// PriorityOption is the row of SO_PRIORITY.
func PriorityOption(may May) Option {
	return IntOption(abi.SOL_SOCKET, abi.SO_PRIORITY,
		func(s *Socket) int { return int(s.Priority) },
		func(s *Socket, v int) error {
			if !MayPrioritize(may, s, v) {
				return syscall.EPERM
			}
			s.Priority = int32(v)
			return nil
		})
}

// PeekOff is the row of SO_PEEK_OFF, for the protocols that have it.
var PeekOff = IntOption(abi.SOL_SOCKET, abi.SO_PEEK_OFF,
	func(s *Socket) int { return int(s.Opt.PeekOff) },
	func(s *Socket, v int) error {
		s.Opt.PeekOff = int32(v)
		s.recall()
		return nil
	})

// Peeked moves the offset of SO_PEEK_OFF, if there is one, over n bytes that were
// peeked at; Taken moves it back as n bytes leave the front (Linux, sk_peek_offset_fwd
// and sk_peek_offset_bwd).
func (o *Opt) Peeked(n int) {
	if o.PeekOff >= 0 {
		o.PeekOff += int32(n)
	}
}

// Taken is Peeked's counterpart.
func (o *Opt) Taken(n int) {
	if o.PeekOff > 0 {
		o.PeekOff = max(o.PeekOff-int32(n), 0)
	}
}

// Holder is a Proto that tells what its sockets hold in memory.
type Holder interface {
	// Holds returns the bytes that are received and sent, and how many datagrams were
	// dropped for want of room. Locked.
	Holds(s *Socket) (received, sent int, drops uint32)
}

// MemInfo is the row of SO_MEMINFO (include/uapi/linux/sock_diag.h, SK_MEMINFO_VARS) of p's
// sockets. Memory that is reserved ahead, for options and for a backlog there is none.
func MemInfo(p Holder) Option {
	return Option{
		Level: abi.SOL_SOCKET, Name: abi.SO_MEMINFO,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			rcvBuf, sndBuf := int(s.Opt.RcvBuf), int(s.Opt.SndBuf)
			received, sent, drops := p.Holds(s)
			for _, n := range [...]int{received, rcvBuf, 0, sndBuf, 0, sent, 0, 0, int(drops)} {
				b = abi.AppendInt(b, n)
			}
			return b, nil
		},
	}
}

// without is the row of an option that is for other protocols.
func without(name int) Option {
	return Option{
		Level: abi.SOL_SOCKET, Name: name,
		Get: func(*Socket, []byte) ([]byte, error) { return nil, syscall.EOPNOTSUPP },
		Set: func(*Socket, []byte) error { return syscall.EOPNOTSUPP },
	}
}

// common are the rows that every socket has, at SOL_SOCKET (socket(7)).
var common = NewOptions([]Option{
	flagOption(abi.SO_REUSEADDR, ReuseAddr),
	flagOption(abi.SO_REUSEPORT, ReusePort),
	flagOption(abi.SO_KEEPALIVE, KeepAlive),
	flagOption(abi.SO_BROADCAST, Broadcast),
	flagOption(abi.SO_OOBINLINE, OOBInline),
	flagOption(abi.SO_DONTROUTE, DontRoute),
	flagOption(abi.SO_NO_CHECK, NoCheck),
	flagOption(abi.SO_RXQ_OVFL, RxqOvfl),
	stampOption(abi.SO_TIMESTAMP, Timestamp),
	stampOption(abi.SO_TIMESTAMPNS, TimestampNS),
	without(abi.SO_PASSCRED),
	without(abi.SO_PEEK_OFF),
	readOnly(abi.SO_TYPE, func(s *Socket) int { return int(s.Type) }),
	readOnly(abi.SO_DOMAIN, func(s *Socket) int { return int(s.Domain) }),
	readOnly(abi.SO_PROTOCOL, func(s *Socket) int { return int(s.Protocol) }),
	readOnly(abi.SO_ACCEPTCONN, func(s *Socket) int { return 0 }),
	readOnly(abi.SO_SNDLOWAT, func(s *Socket) int { return 1 }),
	readOnly(abi.SO_ERROR, func(s *Socket) int { e := s.Err(); s.KeepErr(0); return int(e) }),
	IntOption(abi.SOL_SOCKET, abi.SO_RCVBUF,
		func(s *Socket) int { return int(s.Opt.RcvBuf) },
		func(s *Socket, v int) error { s.SetRcvBuf(v); return nil }),
	IntOption(abi.SOL_SOCKET, abi.SO_SNDBUF,
		func(s *Socket) int { return int(s.Opt.SndBuf) },
		func(s *Socket, v int) error { s.SetSndBuf(v); s.RoomMade(); return nil }),
	IntOption(abi.SOL_SOCKET, abi.SO_RCVLOWAT,
		func(s *Socket) int { return int(s.Opt.RcvLowat()) },
		func(s *Socket, v int) error {
			if v < 0 {
				v = int(^uint32(0) >> 1)
			}
			s.SetRcvLowat(max(v, 1))
			return nil
		}),
	PriorityOption(func(*Socket, ...int) bool { return false }),
	timeoOption(abi.SO_RCVTIMEO, func(r *rare) *time.Duration { return &r.rcvTimeo }),
	timeoOption(abi.SO_SNDTIMEO, func(r *rare) *time.Duration { return &r.sndTimeo }),
	// The same, with a struct timeval of 64-bit words everywhere.
	timeoOption(abi.SO_RCVTIMEO_NEW, func(r *rare) *time.Duration { return &r.rcvTimeo }),
	timeoOption(abi.SO_SNDTIMEO_NEW, func(r *rare) *time.Duration { return &r.sndTimeo }),
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_LINGER,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			return abi.AppendLinger(b, abi.Linger{On: s.Opt.Linger >= 0, Seconds: int(max(s.Opt.Linger, -1-s.Opt.Linger))}), nil
		},
		Set: func(s *Socket, v []byte) error {
			l, err := abi.ParseLinger(v)
			if err != nil {
				return err
			}
			n := int32(l.Seconds)
			if n < 0 {
				n = 1<<31 - 1 // unsigned on Linux
			}
			switch {
			case l.On:
				s.Opt.Linger = n
			case s.Opt.Linger >= 0:
				s.Opt.Linger = -1 - s.Opt.Linger // off, the time kept
			}
			return nil
		},
	},
	{
		Level: abi.SOL_SOCKET, Name: abi.SO_COOKIE, Room: 8,
		Get: func(s *Socket, b []byte) ([]byte, error) {
			b = abi.AppendInt(b, int(int32(uint32(s.ID))))
			return abi.AppendInt(b, int(int32(uint32(s.ID>>32)))), nil
		},
	},
})

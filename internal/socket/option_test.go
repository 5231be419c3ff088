package socket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
)

func ints(v ...int) (b []byte) {
	for _, i := range v {
		b = abi.AppendInt(b, i)
	}
	return b
}

func timeval(sec, usec int64) []byte {
	return binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, uint64(sec)), uint64(usec))
}

// setAndGet is an option that is set, and what is read then.
type setAndGet struct {
	name  string
	opt   int
	set   []byte // nil: not set
	err   error
	room  int // of the getsockopt; 0: 64
	get   []byte
	getOK error
}

func (c *setAndGet) check(t *testing.T, s *Socket) {
	t.Helper()
	if c.set != nil {
		if err := s.SetOpt(abi.SOL_SOCKET, c.opt, c.set); err != c.err {
			t.Errorf("%s: set to %x: %v, want %v", c.name, c.set, err, c.err)
		}
	}
	b := make([]byte, 64)
	if c.room != 0 {
		b = b[:c.room]
	}
	n, err := s.GetOpt(abi.SOL_SOCKET, c.opt, b)
	if err != c.getOK || !bytes.Equal(b[:n], c.get) {
		t.Errorf("%s, set to %x: reads %x, %v, want %x, %v", c.name, c.set, b[:n], err, c.get, c.getOK)
	}
}

// The options that every socket has, one after the other on one socket (socket(7); Linux,
// sk_setsockopt and sk_getsockopt).
func TestCommonOptions(t *testing.T) {
	f := stream()
	s := newFake(t, f)
	s.ID = 0x123456789
	for _, o := range []struct {
		name string
		opt  int
	}{
		{"SO_REUSEADDR", abi.SO_REUSEADDR}, {"SO_REUSEPORT", abi.SO_REUSEPORT}, {"SO_KEEPALIVE", abi.SO_KEEPALIVE}, {"SO_BROADCAST", abi.SO_BROADCAST},
		{"SO_OOBINLINE", abi.SO_OOBINLINE}, {"SO_DONTROUTE", abi.SO_DONTROUTE}, {"SO_NO_CHECK", abi.SO_NO_CHECK}, {"SO_RXQ_OVFL", abi.SO_RXQ_OVFL},
		{"SO_TIMESTAMP", abi.SO_TIMESTAMP}, {"SO_TIMESTAMPNS", abi.SO_TIMESTAMPNS},
	} {
		for _, c := range []setAndGet{
			{o.name, o.opt, nil, nil, 0, ints(0), nil}, {o.name, o.opt, ints(1), nil, 0, ints(1), nil}, {o.name, o.opt, ints(0), nil, 0, ints(0), nil},
			{o.name, o.opt, ints(-7), nil, 0, ints(1), nil}, {o.name, o.opt, ints(0)[:3], syscall.EINVAL, 0, ints(1), nil}, {o.name, o.opt, []byte{}, syscall.EINVAL, 2, ints(1)[:2], nil},
		} {
			c.check(t, s)
		}
	}
	// Each flag is one of its own; of the forms of timestamps a socket has one.
	if want := ReuseAddr | ReusePort | KeepAlive | Broadcast | OOBInline | DontRoute | NoCheck | RxqOvfl | TimestampNS; s.Opt.Flags != want {
		t.Errorf("flags %#x, want %#x", s.Opt.Flags, want)
	}
	for _, c := range []setAndGet{
		{"SO_TIMESTAMP", abi.SO_TIMESTAMP, ints(1), nil, 0, ints(1), nil}, {"SO_TIMESTAMPNS", abi.SO_TIMESTAMPNS, nil, nil, 0, ints(0), nil},
		{"SO_TIMESTAMPNS", abi.SO_TIMESTAMPNS, ints(0), nil, 0, ints(0), nil}, {"SO_TIMESTAMP", abi.SO_TIMESTAMP, nil, nil, 0, ints(0), nil},

		{"SO_TYPE", abi.SO_TYPE, ints(1), syscall.ENOPROTOOPT, 0, ints(abi.SOCK_STREAM), nil},
		{"SO_DOMAIN", abi.SO_DOMAIN, ints(1), syscall.ENOPROTOOPT, 0, ints(abi.AF_INET), nil},
		{"SO_PROTOCOL", abi.SO_PROTOCOL, ints(1), syscall.ENOPROTOOPT, 0, ints(6), nil},
		{"SO_ACCEPTCONN", abi.SO_ACCEPTCONN, ints(1), syscall.ENOPROTOOPT, 0, ints(0), nil},
		{"SO_SNDLOWAT", abi.SO_SNDLOWAT, ints(2), syscall.ENOPROTOOPT, 0, ints(1), nil},
		{"SO_PASSCRED", abi.SO_PASSCRED, ints(1), syscall.EOPNOTSUPP, 0, nil, syscall.EOPNOTSUPP},
		{"SO_PEEK_OFF", abi.SO_PEEK_OFF, ints(1), syscall.EOPNOTSUPP, 0, nil, syscall.EOPNOTSUPP},
		{"none", 9999, ints(1), syscall.ENOPROTOOPT, 0, nil, syscall.ENOPROTOOPT},
		{"SO_COOKIE", abi.SO_COOKIE, ints(1, 1), syscall.ENOPROTOOPT, 0, ints(0x23456789, 1), nil},
		{"SO_COOKIE", abi.SO_COOKIE, nil, nil, 8, ints(0x23456789, 1), nil},
		{"SO_COOKIE", abi.SO_COOKIE, nil, nil, 7, nil, syscall.EINVAL},

		{"SO_RCVBUF", abi.SO_RCVBUF, nil, nil, 0, ints(212992), nil}, {"SO_SNDBUF", abi.SO_SNDBUF, nil, nil, 0, ints(212992), nil},
		{"SO_RCVBUF", abi.SO_RCVBUF, ints(5000), nil, 0, ints(10000), nil}, {"SO_SNDBUF", abi.SO_SNDBUF, ints(6000), nil, 0, ints(12000), nil},
		{"SO_RCVBUF", abi.SO_RCVBUF, ints(0), nil, 0, ints(2304), nil}, {"SO_SNDBUF", abi.SO_SNDBUF, ints(0), nil, 0, ints(4608), nil},
		{"SO_RCVBUF", abi.SO_RCVBUF, ints(-1), nil, 0, ints(8 << 20), nil}, {"SO_SNDBUF", abi.SO_SNDBUF, ints(-1), nil, 0, ints(8 << 20), nil},
		{"SO_RCVBUF", abi.SO_RCVBUF, ints(1 << 30), nil, 0, ints(8 << 20), nil}, {"SO_SNDBUF", abi.SO_SNDBUF, ints(1 << 30), nil, 0, ints(8 << 20), nil},
		{"SO_RCVBUF", abi.SO_RCVBUF, ints(1), nil, 3, ints(2304)[:3], nil},

		{"SO_RCVLOWAT", abi.SO_RCVLOWAT, nil, nil, 0, ints(1), nil}, {"SO_RCVLOWAT", abi.SO_RCVLOWAT, ints(100), nil, 0, ints(100), nil},
		{"SO_RCVLOWAT", abi.SO_RCVLOWAT, ints(0), nil, 0, ints(1), nil}, {"SO_RCVLOWAT", abi.SO_RCVLOWAT, ints(-1), nil, 0, ints(1<<31 - 1), nil},

		{"SO_PRIORITY", abi.SO_PRIORITY, nil, nil, 0, ints(0), nil}, {"SO_PRIORITY", abi.SO_PRIORITY, ints(6), nil, 0, ints(6), nil},
		{"SO_PRIORITY", abi.SO_PRIORITY, ints(7), syscall.EPERM, 0, ints(6), nil}, {"SO_PRIORITY", abi.SO_PRIORITY, ints(-1), syscall.EPERM, 0, ints(6), nil},
		{"SO_PRIORITY", abi.SO_PRIORITY, ints(0), nil, 0, ints(0), nil},

		{"SO_RCVTIMEO", abi.SO_RCVTIMEO, nil, nil, 0, timeval(0, 0), nil}, {"SO_RCVTIMEO", abi.SO_RCVTIMEO, timeval(3, 500000), nil, 0, timeval(3, 500000), nil},
		{"SO_RCVTIMEO_NEW", abi.SO_RCVTIMEO_NEW, nil, nil, 0, timeval(3, 500000), nil}, {"SO_SNDTIMEO", abi.SO_SNDTIMEO, nil, nil, 0, timeval(0, 0), nil},
		{"SO_SNDTIMEO", abi.SO_SNDTIMEO, timeval(4, 1), nil, 0, timeval(4, 1), nil}, {"SO_SNDTIMEO_NEW", abi.SO_SNDTIMEO_NEW, nil, nil, 0, timeval(4, 1), nil},
		{"SO_SNDTIMEO_NEW", abi.SO_SNDTIMEO_NEW, timeval(5, 0), nil, 0, timeval(5, 0), nil}, {"SO_SNDTIMEO", abi.SO_SNDTIMEO, nil, nil, 0, timeval(5, 0), nil},
		{"SO_RCVTIMEO_NEW", abi.SO_RCVTIMEO_NEW, timeval(6, 0), nil, 0, timeval(6, 0), nil}, {"SO_RCVTIMEO", abi.SO_RCVTIMEO, nil, nil, 0, timeval(6, 0), nil},
		{"SO_RCVTIMEO", abi.SO_RCVTIMEO, timeval(1, 1000000), syscall.EDOM, 0, timeval(6, 0), nil}, {"SO_RCVTIMEO", abi.SO_RCVTIMEO, timeval(1, 0)[:15], syscall.EINVAL, 0, timeval(6, 0), nil},
		{"SO_RCVTIMEO", abi.SO_RCVTIMEO, timeval(-1, 0), nil, 0, timeval(0, 0), nil},

		{"SO_LINGER", abi.SO_LINGER, nil, nil, 0, ints(0, 0), nil}, {"SO_LINGER", abi.SO_LINGER, ints(1, 5), nil, 0, ints(1, 5), nil},
		{"SO_LINGER", abi.SO_LINGER, ints(0, 9), nil, 0, ints(0, 5), nil}, {"SO_LINGER", abi.SO_LINGER, ints(0, 0), nil, 0, ints(0, 5), nil},
		{"SO_LINGER", abi.SO_LINGER, ints(1, 0), nil, 0, ints(1, 0), nil}, {"SO_LINGER", abi.SO_LINGER, ints(0, 0), nil, 0, ints(0, 0), nil},
		{"SO_LINGER", abi.SO_LINGER, ints(7, -1), nil, 0, ints(1, 1<<31-1), nil}, {"SO_LINGER", abi.SO_LINGER, ints(1), syscall.EINVAL, 0, ints(1, 1<<31-1), nil},
		{"SO_LINGER", abi.SO_LINGER, ints(0, 0), nil, 0, ints(0, 1<<31-1), nil},
	} {
		c.check(t, s)
	}
	if s.rare().rcvTimeo >= 0 {
		t.Error("a negative time waits") // though it reads as none
	}

	s.KeepErr(syscall.ECONNREFUSED)
	for _, want := range []int{int(syscall.ECONNREFUSED), 0} {
		(&setAndGet{"SO_ERROR", abi.SO_ERROR, nil, nil, 0, ints(want), nil}).check(t, s)
	}
}

// Room that an option makes is told to those who wait for it; none is not.
func TestSendBufferMakesRoom(t *testing.T) {
	f := stream()
	s := newFake(t, f)
	for _, room := range []int{0, 1} {
		f.room = room
		told := 0
		s.Host.Enter()
		e := wait.Entry{Mask: wait.Out, Target: target{&told}}
		s.queue.Add(&e)
		s.Host.Leave()
		if err := s.SetOpt(abi.SOL_SOCKET, abi.SO_SNDBUF, ints(5000)); err != nil || told != room {
			t.Errorf("room for %d bytes: told %d times, %v", room, told, err)
		}
		s.Host.Enter()
		e.Remove()
		s.Host.Leave()
	}
}

type target struct{ n *int }

func (t target) Notify(*wait.Entry, wait.Events, *wait.List) { *t.n++ }

// How an option that a socket does not have is answered, and which table has it.
func TestOptionTables(t *testing.T) {
	f := stream()
	f.kind.IntsFirst, f.kind.NotInts = true, []int{5}
	value := map[int]int{}
	row := func(level, name, add int) Option {
		return IntOption(level, name, func(*Socket) int { return value[name] + add }, func(_ *Socket, v int) error { value[name] = v; return nil })
	}
	readOnly := IntOption(abi.SOL_TCP, 3, func(*Socket) int { return 42 }, nil)
	writeOnly := IntOption(abi.SOL_TCP, 4, nil, func(*Socket, int) error { return nil })
	asks := Option{Level: abi.SOL_TCP, Name: 5, Ask: func(_ *Socket, v []byte) ([]byte, error) { return bytes.Repeat([]byte{7}, len(v)*2), nil }, Set: func(_ *Socket, v []byte) error { value[5] = len(v); return nil }}
	small := row(abi.SOL_IP, 6, 0)
	small.Byte = true
	fails := Option{Level: abi.SOL_TCP, Name: 7, Get: func(*Socket, []byte) ([]byte, error) { return nil, syscall.ENOTCONN }}
	flag := BoolOption(abi.SOL_TCP, 8, func(*Socket) bool { return value[8] != 0 }, func(_ *Socket, on bool) error {
		value[8] = 0
		if on {
			value[8] = 9
		}
		return nil
	})
	flagRead := BoolOption(abi.SOL_TCP, 9, func(*Socket) bool { return true }, nil)
	f.opts = NewOptions([]Option{row(abi.SOL_TCP, 1, 0), row(abi.SOL_TCP, 2, 0), readOnly, writeOnly}, []Option{row(abi.SOL_TCP, 2, 100), asks, small, fails, flag, flagRead, row(abi.SOL_SOCKET, abi.SO_KEEPALIVE, 1000)})
	s := newFake(t, f)

	for _, c := range []struct {
		name       string
		level, opt int
		set        []byte
		setErr     error
		room       int
		want       []byte
		getErr     error
	}{
		{"a row", abi.SOL_TCP, 1, ints(5), nil, 4, ints(5), nil},
		{"a later row in place of an earlier one", abi.SOL_TCP, 2, ints(5), nil, 4, ints(105), nil},
		{"the protocol's in place of the common one", abi.SOL_SOCKET, abi.SO_KEEPALIVE, ints(1), nil, 4, ints(1001), nil},
		{"a common one", abi.SOL_SOCKET, abi.SO_REUSEADDR, ints(1), nil, 4, ints(1), nil},
		{"to be read alone", abi.SOL_TCP, 3, ints(1), syscall.ENOPROTOOPT, 4, ints(42), nil},
		{"to be set alone", abi.SOL_TCP, 4, ints(1), nil, 4, nil, syscall.ENOPROTOOPT},
		{"the buffer is asked", abi.SOL_TCP, 5, []byte{1, 2}, nil, 3, []byte{7, 7, 7}, nil},
		{"a value that is none comes before the name", abi.SOL_TCP, 99, []byte{1, 2}, syscall.EINVAL, 4, nil, syscall.ENOPROTOOPT},
		{"but for some", abi.SOL_IP, 99, []byte{1, 2}, syscall.ENOPROTOOPT, 4, nil, syscall.ENOPROTOOPT},
		{"at SOL_SOCKET, too", abi.SOL_SOCKET, 99, []byte{1, 2}, syscall.EINVAL, 4, nil, syscall.ENOPROTOOPT},
		{"but for a name", abi.SOL_SOCKET, abi.SO_BINDTODEVICE, []byte{1, 2}, syscall.ENOPROTOOPT, 4, nil, syscall.ENOPROTOOPT},
		{"as a byte", abi.SOL_IP, 6, ints(255), nil, 1, []byte{255}, nil},
		{"the largest byte of three", abi.SOL_IP, 6, ints(255), nil, 3, []byte{255}, nil},
		{"as a byte of three", abi.SOL_IP, 6, ints(0), nil, 3, []byte{0}, nil},
		{"too large for a byte", abi.SOL_IP, 6, ints(256), nil, 3, []byte{0, 1, 0}, nil},
		{"too small for a byte", abi.SOL_IP, 6, ints(-1), nil, 1, []byte{255}, nil},
		{"too small for a byte, of three", abi.SOL_IP, 6, ints(-1), nil, 3, []byte{255, 255, 255}, nil},
		{"an int where there is room", abi.SOL_IP, 6, ints(5), nil, 4, ints(5), nil},
		{"nothing where there is none", abi.SOL_IP, 6, ints(5), nil, 0, []byte{}, nil},
		{"no byte of others", abi.SOL_TCP, 1, ints(5), nil, 2, []byte{5, 0}, nil},
		{"that fails", abi.SOL_TCP, 7, ints(5), syscall.ENOPROTOOPT, 4, nil, syscall.ENOTCONN},
		{"a flag", abi.SOL_TCP, 8, ints(5), nil, 4, ints(1), nil},
		{"a flag that is off", abi.SOL_TCP, 8, ints(0), nil, 4, ints(0), nil},
		{"a flag to be read alone", abi.SOL_TCP, 9, ints(0), syscall.ENOPROTOOPT, 4, ints(1), nil},
		{"too short", abi.SOL_IP, 6, []byte{1}, syscall.EINVAL, 4, ints(5), nil},
	} {
		if err := s.SetOpt(c.level, c.opt, c.set); err != c.setErr {
			t.Errorf("%s: set: %v, want %v", c.name, err, c.setErr)
		}
		b := make([]byte, c.room)
		if n, err := s.GetOpt(c.level, c.opt, b); err != c.getErr || !bytes.Equal(b[:n], c.want) {
			t.Errorf("%s: %x, %v, want %x, %v", c.name, b[:n], err, c.want, c.getErr)
		}
	}
	if value[5] != 2 {
		t.Error("an option that is no int does not get its value")
	}

	// Several at once, up to the first that fails.
	err := s.SetOpts([]Setting{{abi.SOL_TCP, 1, ints(1)}, {abi.SOL_TCP, 3, ints(1)}, {abi.SOL_TCP, 2, ints(77)}})
	if err != syscall.ENOPROTOOPT || value[1] != 1 || value[2] == 77 {
		t.Error(err, value)
	}
	if err := s.SetOpts([]Setting{{abi.SOL_TCP, 1, ints(2)}, {abi.SOL_TCP, 2, ints(78)}}); err != nil || value[1] != 2 || value[2] != 78 {
		t.Error(err, value)
	}

	// A level that a socket lacks, and a protocol's own word for what is missing.
	f.opts.Lacks = func(_ *Socket, level int) bool { return level == abi.SOL_TCP }
	f.opts.Missing = func(_ *Socket, level int, set bool) error {
		if set {
			return syscall.EINVAL
		}
		return syscall.EOPNOTSUPP
	}
	if err := s.SetOpt(abi.SOL_TCP, 1, ints(1)); err != syscall.EINVAL {
		t.Error(err)
	}
	if _, err := s.GetOpt(abi.SOL_TCP, 1, make([]byte, 4)); err != syscall.EOPNOTSUPP {
		t.Error(err)
	}
	if err := s.SetOpt(abi.SOL_SOCKET, abi.SO_REUSEADDR, ints(0)); err != nil || s.Opt.Has(ReuseAddr) {
		t.Error(err)
	}
}

// The sizes of SO_RCVBUFFORCE and SO_SNDBUFFORCE: doubled without a bound but that of an int; they take
// a capability.
func TestForceOption(t *testing.T) {
	for _, c := range []struct {
		v, least int
		want     int32
	}{{0, 2304, 2304}, {-1, 2304, 2304}, {1152, 2304, 2304}, {1153, 2304, 2306}, {1 << 25, 2304, 1 << 26}, {1 << 30, 2304, 1<<31 - 2}, {1<<31 - 1, 2304, 1<<31 - 2}} {
		if got := Force(c.v, c.least); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	allowed := false
	size := 0
	var asked []int
	may := func(_ *Socket, oneOf ...int) bool { asked = oneOf; return allowed }
	f := stream()
	f.opts = NewOptions([]Option{ForceOption(abi.SO_RCVBUFFORCE, may, func(_ *Socket, v int) { size = v })})
	s := newFake(t, f)
	if err := s.SetOpt(abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, ints(5)); err != syscall.EPERM || size != 0 || !slices.Equal(asked, []int{abi.CAP_NET_ADMIN}) {
		t.Error(err, size, asked)
	}
	allowed = true
	if err := s.SetOpt(abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, ints(5)); err != nil || size != 5 {
		t.Error(err, size)
	}
	if _, err := s.GetOpt(abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, make([]byte, 4)); err != syscall.ENOPROTOOPT {
		t.Error(err)
	}
}

// Where peeking begins: it moves on over what was looked at and back as bytes leave the front, not
// before it, and not at all where it is off (socket(7), SO_PEEK_OFF).
func TestPeekOff(t *testing.T) {
	f := stream()
	f.opts = NewOptions([]Option{PeekOff})
	s := newFake(t, f)
	for _, c := range []struct {
		set, peeked, taken int
		want               int
	}{{-1, 5, 3, -1}, {0, 5, 0, 5}, {0, 5, 3, 2}, {0, 5, 9, 0}, {4, 0, 4, 0}, {0, 0, 5, 0}, {3, 2, 1, 4}, {-7, 5, 0, -7}} {
		if err := s.SetOpt(abi.SOL_SOCKET, abi.SO_PEEK_OFF, ints(c.set)); err != nil {
			t.Fatal(err)
		}
		s.Opt.Peeked(c.peeked)
		s.Opt.Taken(c.taken)
		b := make([]byte, 4)
		if _, err := s.GetOpt(abi.SOL_SOCKET, abi.SO_PEEK_OFF, b); err != nil || !bytes.Equal(b, ints(c.want)) {
			t.Errorf("%+v: %x, %v", c, b, err)
		}
	}
}

// holder is a stream that tells what it holds.
type holder struct{ *fake }

func (holder) Holds(*Socket) (received, sent int, drops uint32) { return 11, 22, 33 }

// SO_MEMINFO has its nine numbers in Linux's places.
func TestMemInfo(t *testing.T) {
	f := holder{stream()}
	f.opts = NewOptions([]Option{MemInfo(f)})
	s := newFake(t, f)
	s.Opt.RcvBuf, s.Opt.SndBuf = 5000, 6000
	b := make([]byte, 64)
	n, err := s.GetOpt(abi.SOL_SOCKET, abi.SO_MEMINFO, b)
	if want := ints(11, 5000, 0, 6000, 0, 22, 0, 0, 33); err != nil || !bytes.Equal(b[:n], want) {
		t.Errorf("%x, want %x, %v", b[:n], want, err)
	}
}

// The options that have no effect a program could see are kept, and refused where Linux refuses them.
func TestUnseenOptions(t *testing.T) {
	var has []int
	may := func(_ *Socket, oneOf ...int) bool {
		return slices.ContainsFunc(oneOf, func(c int) bool { return slices.Contains(has, c) })
	}
	f := stream()
	f.opts = NewOptions(UnseenOptions(may))
	s := newFake(t, f)
	rate := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
	none, admin, raw := []int(nil), []int{abi.CAP_NET_ADMIN}, []int{abi.CAP_NET_RAW}
	for _, c := range []struct {
		caps []int
		setAndGet
	}{
		{none, setAndGet{"SO_MARK", abi.SO_MARK, nil, nil, 0, ints(0), nil}},
		{none, setAndGet{"SO_MARK", abi.SO_MARK, ints(5), syscall.EPERM, 0, ints(0), nil}},
		{raw, setAndGet{"SO_MARK", abi.SO_MARK, ints(5), nil, 0, ints(5), nil}},
		{admin, setAndGet{"SO_MARK", abi.SO_MARK, ints(-1), nil, 0, ints(-1), nil}},
		{none, setAndGet{"SO_BUSY_POLL", abi.SO_BUSY_POLL, ints(5), nil, 0, ints(5), nil}},
		{none, setAndGet{"SO_BUSY_POLL", abi.SO_BUSY_POLL, ints(0), nil, 0, ints(0), nil}},
		{none, setAndGet{"SO_BUSY_POLL", abi.SO_BUSY_POLL, ints(-1), syscall.EINVAL, 0, ints(0), nil}},
		{none, setAndGet{"SO_DEBUG", abi.SO_DEBUG, ints(1), syscall.EACCES, 0, ints(0), nil}},
		{none, setAndGet{"SO_DEBUG", abi.SO_DEBUG, ints(0), nil, 0, ints(0), nil}},
		{admin, setAndGet{"SO_DEBUG", abi.SO_DEBUG, ints(1), nil, 0, ints(1), nil}},
		{none, setAndGet{"SO_DEBUG", abi.SO_DEBUG, ints(0), nil, 0, ints(0), nil}},
		{none, setAndGet{"SO_PREFER_BUSY_POLL", abi.SO_PREFER_BUSY_POLL, ints(1), syscall.EPERM, 0, ints(0), nil}},
		{admin, setAndGet{"SO_PREFER_BUSY_POLL", abi.SO_PREFER_BUSY_POLL, ints(1), nil, 0, ints(1), nil}},
		{none, setAndGet{"SO_PREFER_BUSY_POLL", abi.SO_PREFER_BUSY_POLL, ints(0), nil, 0, ints(0), nil}},
		{none, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(1), syscall.EPERM, 0, nil, syscall.ENOPROTOOPT}},
		{none, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(0), nil, 0, nil, syscall.ENOPROTOOPT}},
		{none, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(-1), syscall.EINVAL, 0, nil, syscall.ENOPROTOOPT}},
		{admin, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(0xffff), nil, 0, nil, syscall.ENOPROTOOPT}},
		{admin, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(0x10000), syscall.EINVAL, 0, nil, syscall.ENOPROTOOPT}},
		{none, setAndGet{"SO_BUSY_POLL_BUDGET", abi.SO_BUSY_POLL_BUDGET, ints(0xffff), nil, 0, nil, syscall.ENOPROTOOPT}},
		{none, setAndGet{"SO_INCOMING_CPU", abi.SO_INCOMING_CPU, nil, nil, 0, ints(-1), nil}},
		{none, setAndGet{"SO_INCOMING_CPU", abi.SO_INCOMING_CPU, ints(3), nil, 0, ints(3), nil}},
		{none, setAndGet{"SO_INCOMING_NAPI_ID", abi.SO_INCOMING_NAPI_ID, ints(3), syscall.ENOPROTOOPT, 0, ints(0), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, nil, nil, 0, rate(^uint64(0)), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, nil, nil, 4, ints(-1), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, ints(5000), nil, 0, rate(5000), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, rate(1 << 40), nil, 4, ints(-1), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, nil, nil, 7, ints(-1), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, nil, nil, 8, rate(1 << 40), nil}},
		{none, setAndGet{"SO_MAX_PACING_RATE", abi.SO_MAX_PACING_RATE, ints(-1), nil, 0, rate(^uint64(0)), nil}},
		{none, setAndGet{"SO_TXTIME", abi.SO_TXTIME, nil, nil, 0, ints(0, 0), nil}},
		{none, setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(11, 0), syscall.EPERM, 0, ints(0, 0), nil}},
		{none, setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(1, 4), syscall.EINVAL, 0, ints(0, 0), nil}},
		{none, setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(1), syscall.EINVAL, 0, ints(0, 0), nil}},
		{none, setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(1, 3, 0), syscall.EINVAL, 0, ints(0, 0), nil}},
		{admin, setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(2, 0), syscall.EINVAL, 0, ints(0, 0), nil}},
	} {
		has = c.caps
		c.check(t, s)
		if c.opt == abi.SO_DEBUG {
			continue
		}
		if got := s.TxTime(); got {
			t.Errorf("%s: sends may say when they leave", c.name)
		}
	}
	for _, clock := range []int{0, 11, 1} {
		has = admin
		if clock == 1 {
			has = none
		}
		(&setAndGet{"SO_TXTIME", abi.SO_TXTIME, ints(clock, 3), nil, 0, ints(clock, 3), nil}).check(t, s)
	}
	if !s.TxTime() {
		t.Error("sends may not say when they leave")
	}
	// What was kept is not lost by what comes after.
	(&setAndGet{"SO_MARK", abi.SO_MARK, nil, nil, 0, ints(-1), nil}).check(t, s)
	(&setAndGet{"SO_INCOMING_CPU", abi.SO_INCOMING_CPU, nil, nil, 0, ints(3), nil}).check(t, s)
}

// Which flags of SO_TIMESTAMPING go together, and when packets are numbered anew
// (Documentation/networking/timestamping.rst).
func TestStampingOption(t *testing.T) {
	const id, idTCP, stats, only = abi.SOF_TIMESTAMPING_OPT_ID, abi.SOF_TIMESTAMPING_OPT_ID_TCP, abi.SOF_TIMESTAMPING_OPT_STATS, abi.SOF_TIMESTAMPING_OPT_TSONLY
	var fresh []string
	var refuse error
	f := stream()
	f.opts = NewOptions([]Option{StampingOption(abi.SOF_TIMESTAMPING_TX_SCHED, func(_ *Socket, flags uint32) error { fresh = append(fresh, fmt.Sprintf("%#x", flags)); return refuse })})
	s := newFake(t, f)
	for _, c := range []struct {
		setAndGet
		fresh int
	}{
		{setAndGet{"nothing", abi.SO_TIMESTAMPING, nil, nil, 0, ints(0, 0), nil}, 0},
		{setAndGet{"one", abi.SO_TIMESTAMPING, ints(abi.SOF_TIMESTAMPING_SOFTWARE), nil, 0, ints(abi.SOF_TIMESTAMPING_SOFTWARE, 0), nil}, 0},
		{setAndGet{"numbers", abi.SO_TIMESTAMPING, ints(id), nil, 0, ints(id, 0), nil}, 1},
		{setAndGet{"numbers still", abi.SO_TIMESTAMPING, ints(id | only), nil, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"unknown", abi.SO_TIMESTAMPING, ints(-1), syscall.EINVAL, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"numbers of bytes without numbers", abi.SO_TIMESTAMPING, ints(idTCP), syscall.EINVAL, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"statistics with the packet", abi.SO_TIMESTAMPING, ints(stats), syscall.EINVAL, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"a clock", abi.SO_TIMESTAMPING, ints(abi.SOF_TIMESTAMPING_BIND_PHC), syscall.EOPNOTSUPP, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"one that the protocol has not", abi.SO_TIMESTAMPING, ints(abi.SOF_TIMESTAMPING_TX_SCHED), syscall.ENOPROTOOPT, 0, ints(id|only, 0), nil}, 1},
		{setAndGet{"none", abi.SO_TIMESTAMPING, ints(0), nil, 0, ints(0, 0), nil}, 1},
		{setAndGet{"statistics", abi.SO_TIMESTAMPING, ints(stats | only), nil, 0, ints(stats|only, 0), nil}, 1},
		{setAndGet{"numbers anew", abi.SO_TIMESTAMPING, ints(id | idTCP), nil, 0, ints(id|idTCP, 0), nil}, 2},
		{setAndGet{"none again", abi.SO_TIMESTAMPING, ints(0), nil, 0, ints(0, 0), nil}, 2},
	} {
		c.check(t, s)
		if len(fresh) != c.fresh {
			t.Errorf("%s: numbered anew %d times, want %d", c.name, len(fresh), c.fresh)
		}
	}
	refuse = syscall.EINVAL
	(&setAndGet{"refused", abi.SO_TIMESTAMPING, ints(id), syscall.EINVAL, 0, ints(0, 0), nil}).check(t, s)

	o := &s.Opt
	for _, c := range []struct {
		flags, stamping uint32
		wants, tells    bool
		said            bool
		ask, sends      uint32
	}{
		{0, 0, false, false, false, 9, 0}, {Timestamp, 0, true, false, false, 0, 0}, {TimestampNS, 0, true, false, false, 0, 0}, {StampAsked, 0, true, false, false, 0, 0}, {KeepAlive, 0, false, false, false, 0, 0},
		{0, abi.SOF_TIMESTAMPING_RX_SOFTWARE, true, false, false, 0, abi.SOF_TIMESTAMPING_RX_SOFTWARE},
		{0, abi.SOF_TIMESTAMPING_SOFTWARE, false, true, false, 0, abi.SOF_TIMESTAMPING_SOFTWARE},
		{0, id | abi.SOF_TIMESTAMPING_TX_ACK, false, false, true, abi.SOF_TIMESTAMPING_TX_SOFTWARE, id | abi.SOF_TIMESTAMPING_TX_SOFTWARE},
		{0, id | abi.SOF_TIMESTAMPING_TX_ACK, false, false, true, 0, id},
	} {
		o.Flags = c.flags
		s.setStamping(c.stamping)
		if o.WantsArrival() != c.wants || o.Tells() != c.tells || o.SendStamping(c.said, c.ask) != c.sends {
			t.Errorf("%+v: %v %v %#x", c, o.WantsArrival(), o.Tells(), o.SendStamping(c.said, c.ask))
		}
	}
}

// The control messages about when something has come: each form that is asked for, of a time that is
// not known that of now where Linux does so.
func TestArrivalMessages(t *testing.T) {
	const at = 1700000000*1e9 + 123456789
	s := newFake(t, record())
	stamp := func(v ...uint64) (b []byte) {
		for _, x := range v {
			b = binary.NativeEndian.AppendUint64(b, x)
		}
		return b
	}
	for _, c := range []struct {
		flags, stamping uint32
		at              int64
		want            string
	}{
		{0, 0, at, ""},
		{Timestamp, 0, at, fmt.Sprintf("%d %x", abi.SO_TIMESTAMP, stamp(1700000000, 123456))},
		{TimestampNS, 0, at, fmt.Sprintf("%d %x", abi.SO_TIMESTAMPNS, stamp(1700000000, 123456789))},
		{0, abi.SOF_TIMESTAMPING_SOFTWARE, at, fmt.Sprintf("%d %x", abi.SO_TIMESTAMPING, stamp(1700000000, 123456789, 0, 0, 0, 0))},
		{0, abi.SOF_TIMESTAMPING_RX_SOFTWARE, at, ""},
		{0, abi.SOF_TIMESTAMPING_SOFTWARE, 0, ""},
	} {
		s.Opt.Flags = c.flags
		s.setStamping(c.stamping)
		msgs, err := abi.ParseCmsgs(s.AppendArrival(nil, c.at))
		got := ""
		for _, m := range msgs {
			got += fmt.Sprintf("%d %x", m.Type, m.Data)
			if m.Level != abi.SOL_SOCKET {
				t.Errorf("%+v", m)
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	s.Opt.Flags = Timestamp
	s.setStamping(0)
	before := time.Now().Unix()
	msgs, _ := abi.ParseCmsgs(s.AppendArrival(nil, 0))
	if len(msgs) != 1 || int64(binary.NativeEndian.Uint64(msgs[0].Data)) < before {
		t.Errorf("%+v", msgs)
	}
}

// arrivals is a control block that receives datagrams.
type arrivals struct{ last Arrival }

func (a *arrivals) LastArrival() *Arrival { return &a.last }

// SIOCGSTAMP tells when the last datagram came: of one that came before anybody asked, when it is asked
// for; of none that a control message told of.
func TestStamp(t *testing.T) {
	s := newFake(t, record())
	if _, err := s.Stamp(); err != syscall.ENOENT { // it receives none
		t.Error(err)
	}
	block := new(arrivals)
	received := func(at int64) {
		s.Host.Enter()
		s.Received(&block.last, at)
		s.Host.Leave()
	}
	s = newFake(t, record())
	s.PCB = block
	if _, err := s.Stamp(); err != syscall.ENOENT {
		t.Error(err)
	}
	block.last, s.Opt.Flags = 0, 0
	received(0)
	before := time.Now()
	first, err := s.Stamp()
	if err != nil || first.Before(before.Add(-time.Second)) || !s.Opt.Has(StampAsked) {
		t.Error(first, err)
	}
	if again, err := s.Stamp(); again != first || err != nil {
		t.Error(again, first, err)
	}
	received(77)
	received(0) // keeps it
	if at, err := s.Stamp(); at.UnixNano() != 77 || err != nil {
		t.Error(at, err)
	}
	for _, c := range []struct{ flags, stamping uint32 }{{Timestamp, 0}, {TimestampNS, 0}, {0, abi.SOF_TIMESTAMPING_SOFTWARE}} {
		s.Opt.Flags = c.flags | StampAsked
		s.setStamping(c.stamping)
		received(88)
		if at, err := s.Stamp(); at.UnixNano() != 77 || err != nil {
			t.Errorf("%+v: %v %v", c, at, err)
		}
	}
	s.Opt.Flags = 0
	s.setStamping(0)
	received(99) // nobody has asked
	s.Opt.Flags = StampAsked
	if at, _ := s.Stamp(); at.UnixNano() != 77 {
		t.Error(at)
	}
}

// SO_ZEROCOPY is 0 or 1 and nothing else.
func TestZeroCopyOption(t *testing.T) {
	f := stream()
	f.opts = NewOptions([]Option{ZeroCopyOption})
	s := newFake(t, f)
	for _, c := range []setAndGet{
		{"SO_ZEROCOPY", abi.SO_ZEROCOPY, nil, nil, 0, ints(0), nil}, {"SO_ZEROCOPY", abi.SO_ZEROCOPY, ints(1), nil, 0, ints(1), nil},
		{"SO_ZEROCOPY", abi.SO_ZEROCOPY, ints(2), syscall.EINVAL, 0, ints(1), nil}, {"SO_ZEROCOPY", abi.SO_ZEROCOPY, ints(-1), syscall.EINVAL, 0, ints(1), nil},
		{"SO_ZEROCOPY", abi.SO_ZEROCOPY, ints(0), nil, 0, ints(0), nil},
	} {
		c.check(t, s)
	}
}

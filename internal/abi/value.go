package abi

import (
	"encoding/binary"
	"syscall"
	"time"
)

// ParseInt reads an int option value. Linux takes at least four bytes, and for
// some options at SOL_IP a single one (see ParseIntOrByte).
func ParseInt(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, syscall.EINVAL
	}
	return int(int32(binary.NativeEndian.Uint32(b))), nil
}

// ParseIntOrByte reads an option value that may be an int or an unsigned char, as
// the options at SOL_IP are (ip(7)).
func ParseIntOrByte(b []byte) (int, error) {
	if len(b) >= 4 {
		return int(int32(binary.NativeEndian.Uint32(b))), nil
	}
	if len(b) >= 1 {
		return int(b[0]), nil
	}
	return 0, nil
}

// AppendInt appends an int option value.
func AppendInt(b []byte, v int) []byte {
	return binary.NativeEndian.AppendUint32(b, uint32(int32(v)))
}

// Linger is struct linger.
type Linger struct {
	On      bool
	Seconds int
}

// ParseLinger reads a struct linger.
func ParseLinger(b []byte) (Linger, error) {
	if len(b) < 8 {
		return Linger{}, syscall.EINVAL
	}
	return Linger{
		On:      binary.NativeEndian.Uint32(b) != 0,
		Seconds: int(int32(binary.NativeEndian.Uint32(b[4:]))),
	}, nil
}

// AppendLinger appends a struct linger.
func AppendLinger(b []byte, l Linger) []byte {
	on := 0
	if l.On {
		on = 1
	}
	return AppendInt(AppendInt(b, on), l.Seconds)
}

// ParseTimeval reads a struct timeval of two 64-bit words. A negative time is no
// waiting at all on Linux (sock_set_timeout), microseconds out of range are EDOM.
func ParseTimeval(b []byte) (time.Duration, error) {
	if len(b) < 16 {
		return 0, syscall.EINVAL
	}
	sec := int64(binary.NativeEndian.Uint64(b))
	usec := int64(binary.NativeEndian.Uint64(b[8:]))
	if usec < 0 || usec >= 1e6 {
		return 0, syscall.EDOM
	}
	if sec < 0 {
		return -1, nil
	}
	if sec >= int64(1<<62)/1e9 {
		return 0, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, nil
}

// AppendTimeval appends a struct timeval.
func AppendTimeval(b []byte, d time.Duration) []byte {
	d = max(d, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(d/time.Second))
	return binary.NativeEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

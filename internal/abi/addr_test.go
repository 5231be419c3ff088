package abi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAddrRoundTrip(t *testing.T) {
	for _, c := range []struct {
		a    Addr
		size int
		text string
	}{
		{Addr{Family: AF_INET, IP: netip.MustParseAddr("192.0.2.1"), Port: 80}, SizeofInet, "192.0.2.1:80"},
		{Addr{Family: AF_INET6, IP: netip.MustParseAddr("2001:db8::1"), Port: 443, Flow: 7}, SizeofInet6, "[2001:db8::1]:443"},
		{Addr{Family: AF_INET6, IP: netip.MustParseAddr("fe80::1"), Port: 1, Scope: 3}, SizeofInet6, "[fe80::1%3]:1"},
		{Addr{Family: AF_INET6, IP: netip.MustParseAddr("::ffff:10.0.0.1"), Port: 9}, SizeofInet6, "[::ffff:10.0.0.1]:9"},
		{Addr{Family: AF_UNIX}, 2, ""},
		{Addr{Family: AF_UNIX, Path: "/run/x"}, 2 + 6 + 1, "/run/x"},
		{Addr{Family: AF_UNIX, Path: "\x00name"}, 2 + 5, "@name"},
	} {
		b := AppendAddr(nil, c.a)
		if len(b) != c.size {
			t.Errorf("%v: %d bytes, not %d", c.a, len(b), c.size)
		}
		got, err := ParseAddr(b)
		if err != nil || got != c.a {
			t.Errorf("%v came back as %+v, %v", c.a, got, err)
		}
		if c.a.String() != c.text {
			t.Errorf("%q, not %q", c.a, c.text)
		}
	}
}

func TestAddrBytes(t *testing.T) {
	// struct sockaddr_in: the family in the machine's order, port and address in the
	// network's.
	b := AppendAddr(nil, Addr{Family: AF_INET, IP: netip.MustParseAddr("1.2.3.4"), Port: 0x1234})
	want := append(binary.NativeEndian.AppendUint16(nil, 2), 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0)
	if !bytes.Equal(b, want) {
		t.Errorf("% x, not % x", b, want)
	}
}

func TestAddrErrors(t *testing.T) {
	family := func(f uint16, n int) []byte {
		return append(binary.NativeEndian.AppendUint16(nil, f), make([]byte, n-2)...)
	}
	for _, c := range []struct {
		b    []byte
		want error
	}{
		{nil, syscall.EINVAL},
		{[]byte{2}, syscall.EINVAL},
		{family(AF_INET, SizeofInet-1), syscall.EINVAL},
		{family(AF_INET, SizeofInet), nil},
		{family(AF_INET6, MinInet6-1), syscall.EINVAL},
		{family(AF_INET6, MinInet6), nil},
		{family(AF_INET, SizeofStorage), nil},
		{family(AF_INET, SizeofStorage+1), syscall.EINVAL},
		{family(AF_UNIX, 2+108), nil},
		{family(AF_UNIX, 2+109), syscall.EINVAL},
		{family(AF_UNSPEC, 2), nil},
		{family(99, 16), nil},
	} {
		if _, err := ParseAddr(c.b); err != c.want {
			t.Errorf("% x: %v, want %v", c.b, err, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	if v, err := ParseInt(AppendInt(nil, -5)); v != -5 || err != nil {
		t.Error(v, err)
	}
	if _, err := ParseInt(make([]byte, 3)); err != syscall.EINVAL {
		t.Error(err)
	}
	if v, err := ParseIntOrByte([]byte{200}); v != 200 || err != nil {
		t.Error(v, err)
	}
	for _, l := range []Linger{{}, {On: true, Seconds: 7}} {
		if got, err := ParseLinger(AppendLinger(nil, l)); got != l || err != nil {
			t.Error(got, err)
		}
	}
	for _, d := range []time.Duration{0, time.Microsecond, 1500 * time.Millisecond, 40 * time.Hour} {
		if got, err := ParseTimeval(AppendTimeval(nil, d)); got != d || err != nil {
			t.Error(d, got, err)
		}
	}
	timeval := func(sec, usec int64) []byte {
		return binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, uint64(sec)), uint64(usec))
	}
	for _, c := range []struct {
		b    []byte
		want time.Duration
		err  error
	}{
		{timeval(0, 1e6), 0, syscall.EDOM},
		{timeval(0, -1), 0, syscall.EDOM},
		{timeval(-1, 0), -1, nil},   // no waiting at all
		{timeval(1<<61, 0), 0, nil}, // longer than any time: none
		{timeval(1, 0)[:15], 0, syscall.EINVAL},
	} {
		if got, err := ParseTimeval(c.b); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("% x: %v, %v", c.b, got, err)
		}
	}
}

func TestUnixPathIsCutAtNUL(t *testing.T) {
	b := append(binary.NativeEndian.AppendUint16(nil, AF_UNIX), "/a\x00junk"...)
	if a, err := ParseAddr(b); err != nil || a.Path != "/a" {
		t.Errorf("%q, %v", a.Path, err)
	}
	long := strings.Repeat("x", 108)
	b = append(binary.NativeEndian.AppendUint16(nil, AF_UNIX), long...)
	if a, err := ParseAddr(b); err != nil || a.Path != long {
		t.Errorf("%d bytes, %v", len(a.Path), err)
	}
}

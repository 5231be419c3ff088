//go:build linux

package link

import (
	"encoding/hex"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// enterNamespace puts the test into a network namespace of its own, on a thread that
// nothing else runs on and that ends with the test. Devices and sockets that the
// test's own goroutine makes belong to the namespace.
func enterNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace takes root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
}

// opened passes a device on, to be closed with the test, and skips the test where
// there are no such devices.
func opened(t *testing.T, l Link, err error) Link {
	t.Helper()
	if err != nil {
		if _, missing := os.Stat(device); missing != nil {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// assign gives a kernel interface an address.
func assign(t *testing.T, name string, a netip.Prefix) {
	t.Helper()
	if a.Addr().Is6() {
		assign6(t, name, a)
		return
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	b := a.Addr().As4()
	mask := [4]byte{}
	for i := range a.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	set4(t, s, name, unix.SIOCSIFADDR, b)
	set4(t, s, name, unix.SIOCSIFNETMASK, mask)
}

func set4(t *testing.T, s int, name string, req uint, v [4]byte) {
	t.Helper()
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = ifr.SetInet4Addr(v[:])
	}
	if err == nil {
		err = unix.IoctlIfreq(s, req, ifr)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func assign6(t *testing.T, name string, a netip.Prefix) {
	t.Helper()
	// Duplicate address detection would delay the address's use.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/accept_dad", []byte("0"), 0); err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr); err != nil {
		t.Fatal(err)
	}
	req := struct { // struct in6_ifreq
		addr   [16]byte
		prefix uint32
		index  int32
	}{a.Addr().As16(), uint32(a.Bits()), int32(ifr.Uint32())}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); e != 0 {
		t.Fatalf("address %v: %v", a, e)
	}
	for end := time.Now().Add(10 * time.Second); !usable6(t, req.addr); {
		if time.Now().After(end) {
			t.Fatalf("%v stays tentative", a)
		}
		time.Sleep(time.Millisecond)
	}
}

// usable6 reports whether the kernel has finished with an address's detection of
// duplicates, which it does in its own time even where there is nothing to detect.
func usable6(t *testing.T, a [16]byte) bool {
	t.Helper()
	const tentative = 0x40
	b, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // address, index, length, scope, flags, name
		if len(f) < 6 || f[0] != hex.EncodeToString(a[:]) {
			continue
		}
		flags, err := strconv.ParseUint(f[4], 16, 32)
		return err == nil && flags&tentative == 0
	}
	return false
}

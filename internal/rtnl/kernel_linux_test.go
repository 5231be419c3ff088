package rtnl

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// kernelSocket returns a netlink socket of a network namespace that has a loopback interface
// and nothing else, and that interface's statistics do not matter.
func kernelSocket(t *testing.T, protocol int) (fd int, port uint32) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("unshare: %w", err)
			return
		}
		var err error
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err == nil {
			err = loopbackUp()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, sa.(*unix.SockaddrNetlink).Pid
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

// ask has the kernel answer a datagram.
func ask(t *testing.T, fd int, b []byte) (answers [][]byte) {
	t.Helper()
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	for {
		p := make([]byte, 1<<16)
		n, _, err := unix.Recvfrom(fd, p, 0)
		if err == unix.EAGAIN {
			return answers
		}
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, p[:n])
	}
}

// describe writes down messages: header and structure as bytes, attributes as far as keep says.
func describe(answers [][]byte, size map[uint16]int, keep func(typ, attr uint16) bool) string {
	var out strings.Builder
	for _, b := range answers {
		for len(b) >= headerSize {
			n := int(binary.NativeEndian.Uint32(b))
			if n < headerSize || n > len(b) {
				fmt.Fprintf(&out, "broken %x\n", b)
				break
			}
			typ, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
			body := b[headerSize:n]
			fmt.Fprintf(&out, "type %d flags %#x seq %d port %d ", typ, flags, binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:]))
			if head, has := size[typ]; has && len(body) >= head {
				fmt.Fprintf(&out, "%x", body[:head])
				a, _ := parseAttrs(body[head:])
				types := make([]uint16, 0, len(a))
				for k := range a {
					if keep(typ, k) {
						types = append(types, k)
					}
				}
				slices.Sort(types)
				for _, k := range types {
					fmt.Fprintf(&out, " %d:%x", k, a[k])
				}
			} else {
				fmt.Fprintf(&out, "%x", body)
			}
			out.WriteString("\n")
			b = b[min(align(n), len(b)):]
		}
	}
	return out.String()
}

// TestKernelAnswers compares the session's answers with the kernel's about the same host: the
// messages, their headers and structures, and of the attributes those that both have.
func TestKernelAnswers(t *testing.T) {
	fd, port := kernelSocket(t, unix.NETLINK_ROUTE)
	for _, strict := range []bool{false, true} {
		for _, capped := range []bool{false, true} {
			unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, btoi(strict))
			unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, btoi(capped))
			s := &Session{Source: loopbackHost(), Port: port, Strict: strict, CapAck: capped}
			for name, b := range rtnlRequests() {
				if changes(b) {
					continue // the kernel lets root
				}
				want, got := both(ask(t, fd, b), tell(s, b))
				if got != want {
					t.Errorf("%s (strict %t, capped %t)\nkernel:\n%susock:\n%s", name, strict, capped, want, got)
				}
			}
		}
	}
}

// TestKernelDiag does the same for sockets, of which there are none.
func TestKernelDiag(t *testing.T) {
	fd, port := kernelSocket(t, unix.NETLINK_SOCK_DIAG)
	for _, capped := range []bool{false, true} {
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, btoi(capped))
		s := &Session{Source: loopbackHost(), Protocol: NETLINK_SOCK_DIAG, Port: port, CapAck: capped}
		for name, b := range diagRequests() {
			if want, got := both(ask(t, fd, b), tell(s, b)); got != want {
				t.Errorf("%s (capped %t)\nkernel:\n%susock:\n%s", name, capped, want, got)
			}
		}
	}
}

// changes reports whether a request is one that the kernel would carry out.
func changes(b []byte) bool {
	typ := binary.NativeEndian.Uint16(b[4:])
	return typ >= nlmsgMinType && typ <= rtmMax && typ&rtmKind != rtmKindGet
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// both describes both sides' answers with the attributes that each gives. Statistics, times
// and the queue's name are the host's own.
func both(kernel, session [][]byte) (want, got string) {
	size := map[uint16]int{
		rtmNewLink: sizeIfinfomsg, rtmNewAddr: sizeIfaddrmsg, rtmNewRoute: sizeRtmsg, rtmNewRule: sizeRulehdr, rtmNewNSID: 4,
	}
	has := make(map[[2]uint16]int)
	for i, side := range [][][]byte{kernel, session} {
		describe(side, size, func(typ, attr uint16) bool {
			has[[2]uint16{typ, attr}] |= 1 << i
			return true
		})
	}
	keep := func(typ, attr uint16) bool {
		switch {
		case typ == rtmNewLink && slices.Contains([]uint16{iflaStats, iflaStats64, iflaQdisc, iflaMap}, attr),
			typ == rtmNewAddr && attr == ifaCacheinfo, typ == rtmNewRoute && attr == rtaCache:
			return false
		}
		return has[[2]uint16{typ, attr}] == 3
	}
	return describe(kernel, size, keep), describe(session, size, keep)
}

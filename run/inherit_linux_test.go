//go:build amd64 || arm64

package run

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInheritedSockets(t *testing.T) {
	socket := func(domain, typ int) int {
		fd, err := unix.Socket(domain, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	name := func(fd int) string {
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		return addrText(sa)
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	listener := socket(unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(listener, local); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		t.Fatal(err)
	}
	peer, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	stream := socket(unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Connect(stream, peer); err != nil {
		t.Fatal(err)
	}
	udp6 := socket(unix.AF_INET6, unix.SOCK_DGRAM)
	socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC) // the program does not have it
	socket(unix.AF_UNIX, unix.SOCK_STREAM)
	socket(unix.AF_NETLINK, unix.SOCK_RAW)

	var got, want bytes.Buffer
	g := newLogger(&got, nil)
	g.tellInherited()
	g.close()
	line := func(fd int, what string) {
		fmt.Fprintf(&want, "usock: descriptor %d is a socket of the kernel's network, %s: it stays the kernel's\n", fd, what)
	}
	line(listener, "tcp "+name(listener))
	line(stream, "tcp "+name(stream)+" to "+addrText(peer))
	line(udp6, "udp [::]:0")
	if got.String() != want.String() {
		t.Errorf("got\n%swant\n%s", &got, &want)
	}
	newLogger(nil, nil).tellInherited() // nobody wants to know
}

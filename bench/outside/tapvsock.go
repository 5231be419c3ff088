//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/containers/gvisor-tap-vsock/pkg/types"
	"github.com/containers/gvisor-tap-vsock/pkg/virtualnetwork"
	"golang.org/x/sys/unix"
)

const (
	tapVsockVersion = "v0.8.9"
	tapVsockCommand = "serve-tap-vsock"
	tapVsockGateway = "192.168.127.1"
	tapVsockHost    = "192.168.127.254"
	tapVsockClient  = "192.168.127.2"
	tapName         = "tap0"
)

// serveTapVsock serves a TAP device in the clients' namespace by gvisor-tap-vsock's stack,
// which is given its frames by a pair of SOCK_SEQPACKET sockets (its protocol Bess).
func serveTapVsock(mtu string) error {
	size, err := strconv.Atoi(mtu)
	if err != nil {
		return err
	}
	tap, err := openTap("/run/netns/" + inner)
	if err != nil {
		return err
	}
	network, err := virtualnetwork.New(&types.Configuration{
		MTU: size, Subnet: "192.168.127.0/24", GatewayIP: tapVsockGateway, GatewayMacAddress: "5a:94:ef:e4:0c:dd",
		NAT: map[string]string{tapVsockHost: "127.0.0.1"}, GatewayVirtualIPs: []string{tapVsockHost},
		Protocol: types.BessProtocol,
	})
	if err != nil {
		return err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ends := [2]net.Conn{}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "frames")
		if ends[i], err = net.FileConn(f); err != nil {
			return err
		}
		f.Close()
	}
	failed := make(chan error, 3)
	go func() { failed <- network.AcceptBess(context.Background(), ends[1]) }()
	move := func(to interface{ Write([]byte) (int, error) }, from interface{ Read([]byte) (int, error) }) {
		b := make([]byte, 1<<17)
		for {
			n, err := from.Read(b)
			if err == nil {
				_, err = to.Write(b[:n])
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}
	go move(ends[0], tap)
	go move(tap, ends[0])
	return <-failed
}

// openTap makes a TAP device in the network namespace at path.
func openTap(path string) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine: it is in another namespace
		f, err := openTapHere(path)
		done <- result{f, err}
	}()
	r := <-done
	return r.f, r.err
}

func openTapHere(path string) (*os.File, error) {
	ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(ns)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var req struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], tapName)
	req.flags = unix.IFF_TAP | unix.IFF_NO_PI
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); e != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF: %w", e)
	}
	return os.NewFile(uintptr(fd), "tap"), nil
}

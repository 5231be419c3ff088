//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"usock/link"
)

// namespace is a network namespace, and the thread that lives in it.
type namespace struct {
	do  chan func() error
	err chan error
}

// newNamespace makes a namespace. It goes when its thread ends and all that was
// opened in it is closed.
func newNamespace() (*namespace, error) {
	n := &namespace{make(chan func() error), make(chan error)}
	go func() {
		// The thread is never unlocked, so that it ends with the goroutine.
		runtime.LockOSThread()
		n.err <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.do {
			n.err <- f()
		}
	}()
	if err := <-n.err; err != nil {
		close(n.do)
		return nil, fmt.Errorf("a network namespace: %w", err)
	}
	return n, nil
}

// run calls f on the namespace's thread.
func (n *namespace) run(f func() error) error {
	n.do <- f
	return <-n.err
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// device opens a TUN device in the namespace and gives it its address.
func (n *namespace) device(mtu int, addr netip.Prefix) (l link.Link, err error) {
	err = n.run(func() error {
		l, err = link.TUN(link.DeviceConfig{MTU: mtu, Up: true})
		if err != nil {
			return err
		}
		return errors.Join(
			ip("addr", "add", addr.String(), "dev", l.Info().Name),
			// The queue before the device is not what is measured.
			ip("link", "set", l.Info().Name, "txqueuelen", "10000"))
	})
	return l, err
}

// openKernel joins two of the kernel's stacks by two TUN devices with an
// impairment between them.
func openKernel(p *path, congestion string) (*ends, error) {
	var spaces [2]*namespace
	var devices [2]link.Link
	var err error
	for i := range spaces {
		if spaces[i], err = newNamespace(); err != nil {
			return nil, err
		}
		if devices[i], err = spaces[i].device(p.mtu, addrs[i]); err != nil {
			return nil, err
		}
	}
	imp, err := p.impair(devices[0])
	if err != nil {
		return nil, err
	}
	imp.Deliver(func(batch []*link.Packet) { devices[1].Send(batch) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		var batch [64]*link.Packet
		for {
			k, err := devices[1].Recv(batch[:])
			if err != nil {
				return
			}
			imp.Send(batch[:k])
		}
	}()
	c, s, err := connect(spaces, congestion)
	if err != nil {
		return nil, err
	}
	return &ends{c, s, func() error {
		err := errors.Join(c.Close(), s.Close(), imp.Close(), devices[1].Close())
		<-done
		for _, n := range spaces {
			close(n.do)
		}
		return err
	}}, nil
}

// connect makes a connection between the kernel's stacks.
func connect(spaces [2]*namespace, congestion string) (c, s net.Conn, err error) {
	control := func(_, _ string, raw syscall.RawConn) error {
		var err error
		raw.Control(func(fd uintptr) {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
		})
		return os.NewSyscallError("setsockopt TCP_CONGESTION "+congestion, err)
	}
	to := netip.AddrPortFrom(addrs[1].Addr(), port).String()
	var l net.Listener
	if err := spaces[1].run(func() error {
		l, err = (&net.ListenConfig{Control: control}).Listen(context.Background(), "tcp4", to)
		return err
	}); err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if err := spaces[0].run(func() error {
		c, err = (&net.Dialer{Control: control}).Dial("tcp4", to)
		return err
	}); err != nil {
		return nil, nil, err
	}
	s, err = l.Accept()
	return c, s, err
}

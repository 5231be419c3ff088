//go:build linux

package interop

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
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/link"
)

// namespace is a network namespace of the kernel, and the thread that lives in it.
type namespace struct {
	do  chan func() error
	err chan error
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace takes root")
	}
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
		t.Skipf("no network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.do) })
	return n
}

// run calls f on the namespace's thread.
func (n *namespace) run(f func() error) error {
	n.do <- f
	return <-n.err
}

// must is run for what cannot fail.
func (n *namespace) must(t *testing.T, f func() error) {
	t.Helper()
	if err := n.run(f); err != nil {
		t.Fatal(err)
	}
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// usable waits until the device's IPv6 addresses can be used.
func usable(name string) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		out, err := exec.Command("ip", "-6", "addr", "show", "dev", name, "tentative").CombinedOutput()
		if err != nil || len(out) == 0 {
			return err
		}
	}
	return errors.New("an IPv6 address stays tentative")
}

// sysctl sets a variable of the thread's namespace; the path is relative to /proc/sys/net.
func sysctl(path, value string) error {
	return os.WriteFile("/proc/thread-self/root/proc/sys/net/"+path, []byte(value), 0)
}

// attach implements neighbour by a TUN device.
func (n *namespace) attach(t *testing.T, s *setup) (tun link.Link) {
	t.Helper()
	n.must(t, func() (err error) {
		for k, v := range s.sysctl {
			if err := sysctl(k, v); err != nil {
				return err
			}
		}
		tun, err = link.TUN(link.DeviceConfig{MTU: 1500, Up: true, NoOffload: !s.offload, Queues: s.queues})
		if err != nil {
			return err
		}
		name := tun.Info().Name
		return errors.Join(
			ip("link", "set", "lo", "up"),
			ip("addr", "add", kernel4.String(), "dev", name),
			ip("addr", "add", kernel6.String(), "dev", name, "nodad"),
			ip("link", "set", name, "txqueuelen", "10000"),
			usable(name))
	})
	return tun
}

// descriptor is a socket of this machine's kernel.
type descriptor int

// SetInt implements options.
func (d descriptor) SetInt(level, name, value int) error {
	return unix.SetsockoptInt(int(d), level, name, value)
}

// Queued implements options.
func (d descriptor) Queued() (int, error) { return unix.IoctlGetInt(int(d), unix.SIOCINQ) }

// controlled is a descriptor that others may close meanwhile.
type controlled struct{ syscall.RawConn }

func (c controlled) do(f func(options) error) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) { err = f(descriptor(fd)) }), err)
}

// SetInt implements options.
func (c controlled) SetInt(level, name, value int) error {
	return c.do(func(o options) error { return o.SetInt(level, name, value) })
}

// Queued implements options.
func (c controlled) Queued() (n int, err error) {
	err = c.do(func(o options) (err error) {
		n, err = o.Queued()
		return err
	})
	return n, err
}

func control(prepare func(options) error) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		if prepare == nil {
			return nil
		}
		return controlled{raw}.do(prepare)
	}
}

// listen implements neighbour.
func (n *namespace) listen(network string, a netip.AddrPort, prepare func(options) error) (l net.Listener, err error) {
	err = n.run(func() error {
		c := net.ListenConfig{Control: control(prepare), KeepAlive: -1}
		l, err = c.Listen(context.Background(), network, a.String())
		return err
	})
	return l, err
}

// dial implements neighbour.
func (n *namespace) dial(network string, a netip.AddrPort, prepare func(options) error) (c net.Conn, err error) {
	err = n.run(func() error {
		d := net.Dialer{Control: control(prepare), KeepAlive: -1, Timeout: 30 * time.Second}
		c, err = d.Dial(network, a.String())
		return err
	})
	return c, err
}

// fastOpen implements neighbour.
func (n *namespace) fastOpen(to netip.AddrPort, data string) (func() error, error) {
	fd := -1
	err := n.run(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
			return err
		}
		return unix.Sendto(fd, []byte(data), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	})
	return func() error { return unix.Close(fd) }, err
}

// of implements neighbour.
func (n *namespace) of(c net.Conn) options {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		panic(err)
	}
	return controlled{raw}
}

// netstat implements neighbour.
func (n *namespace) netstat() (b []byte, err error) {
	err = n.run(func() error {
		b, err = os.ReadFile("/proc/thread-self/net/netstat")
		return err
	})
	return b, err
}

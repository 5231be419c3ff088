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
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
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

// sysctl sets a variable of the namespace; the path is relative to /proc/sys/net.
func sysctl(path, value string) error {
	return os.WriteFile("/proc/thread-self/root/proc/sys/net/"+path, []byte(value), 0)
}

// setup says what lies between usock and the kernel.
type setup struct {
	toKernel, toUsock link.Impairment
	seed              uint64
	offload           bool // large segments and unfinished checksums, up to the impairment
	tcp               *usock.TCPConfig
	sysctl            map[string]string // of the kernel's namespace
}

// lab is a usock host and a namespace, joined by a TUN device.
type lab struct {
	*namespace
	t       *testing.T
	host    *usock.Host
	imp     *link.Impaired
	pcap    *link.PcapWriter
	capture string // file
}

var (
	usock4, kernel4 = netip.MustParsePrefix("10.78.0.1/24"), netip.MustParsePrefix("10.78.0.2/24")
	usock6, kernel6 = netip.MustParsePrefix("fd78::1/64"), netip.MustParsePrefix("fd78::2/64")
)

func newLab(t *testing.T, s setup) *lab {
	t.Helper()
	l := &lab{namespace: newNamespace(t), t: t}
	var tun link.Link
	l.must(t, func() (err error) {
		for k, v := range s.sysctl {
			if err := sysctl(k, v); err != nil {
				return err
			}
		}
		tun, err = link.TUN(link.DeviceConfig{MTU: 1500, Up: true, NoOffload: !s.offload})
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
	var err error
	l.imp, err = link.Impair(tun, link.ImpairConfig{Out: s.toKernel, In: s.toUsock, Seed: s.seed, MTU: 1500})
	if err != nil {
		t.Fatal(err)
	}
	l.capture = filepath.Join(t.TempDir(), "capture.pcapng")
	f, err := os.Create(l.capture)
	if err != nil {
		t.Fatal(err)
	}
	l.pcap = link.NewPcapWriter(f, 120)
	l.host, err = usock.NewHost(usock.Config{
		Privileged: true,
		TCP:        s.tcp,
		Interfaces: []usock.Interface{{
			Link:  link.Pcap(l.imp, l.pcap, link.BothWays),
			Addrs: []netip.Prefix{usock4, usock6},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.host.Close()
		l.pcap.Close()
		f.Close()
	})
	return l
}

// stream is an end of a connection, of either stack.
type stream interface {
	net.Conn
	CloseWrite() error
	CloseRead() error
}

// side is a stack that listens and dials.
type side struct {
	name   string
	listen func(network string, addr netip.AddrPort) (net.Listener, error)
	dial   func(network string, addr netip.AddrPort) (net.Conn, error)
	addrs  [2]netip.Addr // IPv4, IPv6
}

func (l *lab) usock() side {
	return side{"usock",
		func(network string, a netip.AddrPort) (net.Listener, error) {
			return l.host.Listen(network, a.String())
		},
		func(network string, a netip.AddrPort) (net.Conn, error) { return l.host.Dial(network, a.String()) },
		[2]netip.Addr{usock4.Addr(), usock6.Addr()},
	}
}

func (l *lab) kernel() side { return l.kernelWith(nil) }

// kernelWith is kernel with sockets that prepare has set up.
func (l *lab) kernelWith(prepare func(fd int) error) side {
	control := func(_, _ string, raw syscall.RawConn) error {
		var err error
		if prepare != nil {
			raw.Control(func(fd uintptr) { err = prepare(int(fd)) })
		}
		return err
	}
	return side{"kernel",
		func(network string, a netip.AddrPort) (n net.Listener, err error) {
			err = l.run(func() error {
				c := net.ListenConfig{Control: control, KeepAlive: -1}
				n, err = c.Listen(context.Background(), network, a.String())
				return err
			})
			return n, err
		},
		func(network string, a netip.AddrPort) (n net.Conn, err error) {
			err = l.run(func() error {
				d := net.Dialer{Control: control, KeepAlive: -1, Timeout: 30 * time.Second}
				n, err = d.Dial(network, a.String())
				return err
			})
			return n, err
		},
		[2]netip.Addr{kernel4.Addr(), kernel6.Addr()},
	}
}

const port = 4242

// connect returns a connection from the client's stack to the server's.
func connect(t *testing.T, client, server side, v6 bool) (c, s stream) {
	t.Helper()
	network, addr := "tcp4", server.addrs[0]
	if v6 {
		network, addr = "tcp6", server.addrs[1]
	}
	l, err := server.listen(network, netip.AddrPortFrom(addr, port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := client.dial(network, netip.AddrPortFrom(addr, port))
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		x.Close()
		y.Close()
	})
	return x.(stream), y.(stream)
}

// sockfd calls f with the descriptor of a kernel connection.
func sockfd(t *testing.T, c net.Conn, f func(fd int) error) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		var err2 error
		err = raw.Control(func(fd uintptr) { err2 = f(int(fd)) })
		err = errors.Join(err, err2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// settle waits for a condition, and gives it ten seconds.
func settle(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// Findings are what tshark thinks of a capture, in numbers of packets.
type findings struct {
	packets   int
	resent    int // by usock, retransmissions of all kinds
	odd       int // by either, all that its analysis flags but for the window's affairs
	malformed int
	oddLines  []string
}

// analyse ends the capture and judges it.
func (l *lab) analyse() findings {
	l.t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		l.t.Skip("tshark is not installed")
	}
	l.host.Close()
	if err := l.pcap.Close(); err != nil {
		l.t.Fatal(err)
	}
	again := []string{"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"}
	other := []string{"lost_segment", "ack_lost_segment", "duplicate_ack", "keep_alive", "reused_ports"}
	args := []string{"-r", l.capture, "-n", "-d", "tcp.port==1-65535,data", "-T", "fields",
		"-e", "frame.number", "-e", "ip.src", "-e", "ipv6.src", "-e", "_ws.malformed"}
	for _, name := range append(slices.Clone(again), other...) {
		args = append(args, "-e", "tcp.analysis."+name)
	}
	b, err := exec.Command(path, args...).Output()
	if err != nil {
		l.t.Fatalf("tshark: %v", err)
	}
	f := findings{}
	for line := range strings.Lines(string(b)) {
		v := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		f.packets++
		if v[3] != "" {
			f.malformed++
		}
		resent, odd := false, false
		for i, flag := range v[4:] {
			if flag != "" {
				odd, resent = true, resent || i < len(again)
			}
		}
		if resent && (v[1] == usock4.Addr().String() || v[2] == usock6.Addr().String()) {
			f.resent++
		}
		if odd {
			f.odd++
			f.oddLines = append(f.oddLines, v[0])
		}
	}
	return f
}

// explain logs the first packets that were found odd.
func (l *lab) explain(f *findings) {
	l.t.Helper()
	if len(f.oddLines) == 0 {
		return
	}
	in := strings.Join(f.oddLines[:min(len(f.oddLines), 10)], ",")
	b, _ := exec.Command("tshark", "-r", l.capture, "-n", "-Y", "frame.number in {"+in+"}").Output()
	l.t.Logf("%s", b)
}

//go:build linux

package interop

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// setup says what lies between usock and the kernel.
type setup struct {
	kernel            neighbour // nil: a namespace
	toKernel, toUsock link.Impairment
	seed              uint64
	offload           bool // large segments and unfinished checksums, up to the impairment
	queues            int  // of the TUN device; 0: one
	tcp               *usock.TCPConfig
	sysctl            map[string]string // of the kernel, by paths relative to /proc/sys/net
}

// neighbour is a Linux kernel on the other end of a link.
type neighbour interface {
	// attach returns a new link to the kernel, which has kernel4 and kernel6 there, and sets what the
	// set-up asks of it for the time of the test.
	attach(t *testing.T, s *setup) link.Link

	// listen and dial are of the kernel's TCP, with a socket that prepare has set up.
	listen(network string, a netip.AddrPort, prepare func(options) error) (net.Listener, error)
	dial(network string, a netip.AddrPort, prepare func(options) error) (net.Conn, error)

	// fastOpen connects to an address with data in the SYN and returns what closes the connection.
	fastOpen(to netip.AddrPort, data string) (func() error, error)

	// of returns what can be asked of the socket of a connection that dial has made, or a listener's.
	of(c net.Conn) options

	// netstat is the kernel's /proc/net/netstat.
	netstat() ([]byte, error)
}

// options are those of a kernel's socket.
type options interface {
	SetInt(level, name, value int) error
	Queued() (int, error) // bytes that wait to be read
}

// lab is a usock host and a kernel, joined by a link.
type lab struct {
	neighbour
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
	if s.kernel == nil {
		s.kernel = newNamespace(t)
	}
	l := &lab{neighbour: s.kernel, t: t}
	device := s.kernel.attach(t, &s)
	var err error
	l.imp, err = link.Impair(device, link.ImpairConfig{Out: s.toKernel, In: s.toUsock, Seed: s.seed, MTU: device.Info().MTU})
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
func (l *lab) kernelWith(prepare func(options) error) side {
	return side{"kernel",
		func(network string, a netip.AddrPort) (net.Listener, error) { return l.listen(network, a, prepare) },
		func(network string, a netip.AddrPort) (net.Conn, error) { return l.dial(network, a, prepare) },
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

// settle waits for a condition, and gives it ten seconds.
func settle(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
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

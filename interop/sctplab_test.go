//go:build linux

package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usock"
	"usock/internal/abi"
	"usock/internal/uml"
	"usock/link"
)

// sctpSocket is a socket of SCTP of either stack.
type sctpSocket interface {
	bind(a netip.AddrPort) error
	connect(a netip.AddrPort) error
	listen() error
	accept() (sctpSocket, error)
	shutdown() error
	close() error
	send(m uml.Message) error
	recv(n int) (uml.Message, error)
	set(level, name int, v []byte) error
	ask(name int, v []byte, n int) ([]byte, error) // of SOL_SCTP
}

// sctpStack makes sockets of SCTP and has an address in each network.
type sctpStack struct {
	name   string
	addrs  []netip.Addr // IPv4, of each network
	six    netip.Addr
	socket func(family, typ int) (sctpSocket, error)
}

// sctpLab is two stacks with one network or two between them.
type sctpLab struct {
	t        *testing.T
	kernels  []*umlKernel
	far      sctpStack        // User-mode Linux
	near     sctpStack        // usock
	host     *usock.Host      // nil: a second kernel is in its place
	imp      []*link.Impaired // of each network
	pcaps    []*link.PcapWriter
	captures []string
	wanted   []expectation
}

// expectation is that a filter of tshark's finds a packet of a network in the end, or none.
type expectation struct {
	network int
	filter  string
	some    bool
}

// carried and not say what a network has had to carry when the test ends.
func (l *sctpLab) carried(network int, filter string) {
	l.wanted = append(l.wanted, expectation{network, filter, true})
}

func (l *sctpLab) not(network int, filter string) {
	l.wanted = append(l.wanted, expectation{network, filter, false})
}

// The networks: usock has the first address, the kernel the second.
var sctpNets = [2][2]netip.Prefix{
	{usock4, kernel4},
	{netip.MustParsePrefix("10.79.0.1/24"), netip.MustParsePrefix("10.79.0.2/24")},
}

var twoKernels = flag.Bool("kernels", false, "have a second kernel in usock's place in tests of SCTP: a test of the tests")

// newSCTPLab returns a lab with so many networks.
func newSCTPLab(t *testing.T, networks int) *sctpLab {
	t.Helper()
	l := &sctpLab{t: t}
	k := l.boot(&booted)
	l.far = sctpStack{name: "kernel", six: kernel6.Addr(), socket: k.sctp}
	l.near = sctpStack{name: "usock", six: usock6.Addr(), socket: l.hostSocket}
	for i, at := range sctpNets[:networks] {
		l.near.addrs, l.far.addrs = append(l.near.addrs, at[0].Addr()), append(l.far.addrs, at[1].Addr())
		device := framed(t, k.plug(t, cards[i], 1500, far(i)...), near(i)...)
		imp, err := link.Impair(device, link.ImpairConfig{Seed: uint64(i + 1), MTU: device.Info().MTU})
		if err != nil {
			t.Fatal(err)
		}
		l.imp = append(l.imp, imp)
	}
	if *twoKernels {
		l.secondKernel()
	} else {
		l.newHost()
	}
	t.Cleanup(l.judge)
	return l
}

var cards = []string{card, card2}

// near are the addresses of usock's end of a network, far those of the kernel's.
func near(network int) []netip.Prefix { return ends(network, 0, usock6) }
func far(network int) []netip.Prefix  { return ends(network, 1, kernel6) }

func ends(network, end int, six netip.Prefix) []netip.Prefix {
	if network == 0 {
		return []netip.Prefix{sctpNets[network][end], six}
	}
	return []netip.Prefix{sctpNets[network][end]}
}

// boot returns a machine with SCTP.
func (l *sctpLab) boot(b *machine) *umlKernel {
	l.t.Helper()
	k := b.take(l.t)
	b.sctp.Do(func() { b.err = k.Load(uml.SCTP...) })
	if b.err != nil {
		l.t.Fatal(b.err)
	}
	l.kernels = append(l.kernels, k)
	return k
}

func (k *umlKernel) sctp(family, typ int) (sctpSocket, error) {
	s, err := k.Socket(family, typ, abi.IPPROTO_SCTP)
	return kernelSCTP{s}, err
}

func (l *sctpLab) hostSocket(family, typ int) (sctpSocket, error) {
	s, err := l.host.Socket(family, typ, abi.IPPROTO_SCTP)
	return hostSCTP{s}, err
}

// newHost has a host at the networks.
func (l *sctpLab) newHost() {
	l.t.Helper()
	config := usock.Config{Privileged: true, SCTP: usock.DefaultSCTPConfig()}
	config.SCTP.Interleave = true // sockets may ask for it
	config.SCTP.UDPPort = encapPort
	for i, imp := range l.imp {
		config.Interfaces = append(config.Interfaces, usock.Interface{Link: l.capture(imp), Addrs: near(i)})
	}
	var err error
	if l.host, err = usock.NewHost(config); err != nil {
		l.t.Fatal(err)
	}
}

// secondKernel has another kernel at the networks.
func (l *sctpLab) secondKernel() {
	l.t.Helper()
	k := l.boot(&second)
	l.near.name, l.near.socket = "second kernel", k.sctp
	for i, imp := range l.imp {
		a, b := l.capture(imp), framed(l.t, k.plug(l.t, cards[i], 1500, near(i)...), far(i)...)
		go pass(a, b)
		go pass(b, a)
		l.t.Cleanup(func() {
			a.Close()
			b.Close()
		})
	}
}

// pass sends on one link what comes by another, until that ends.
func pass(from, to link.Link) {
	batch := make([]*link.Packet, 64)
	for {
		n, err := from.Recv(batch)
		for sent := 0; sent < n; {
			sent += max(to.Send(batch[sent:n]), 1)
		}
		if err != nil {
			return
		}
	}
}

// impair has a network be as the text says, both ways.
func (l *sctpLab) impair(network int, text string) {
	l.t.Helper()
	m, err := link.ParseImpairment(text)
	if err == nil {
		err = l.imp[network].Set(m, m)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// capture has what passes a link be captured.
func (l *sctpLab) capture(inner link.Link) link.Link {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), fmt.Sprintf("capture%d.pcapng", len(l.captures)))
	f, err := os.Create(path)
	if err != nil {
		l.t.Fatal(err)
	}
	w := link.NewPcapWriter(struct{ io.WriteCloser }{f}, 0) // no file as such, of which some would be held back: recorded reads it
	l.captures, l.pcaps = append(l.captures, path), append(l.pcaps, w)
	return link.Pcap(inner, w, link.BothWays)
}

// recorded reports whether a packet of SCTP's that begins with a chunk of the type is in the capture of the network by now, lost or not.
func (l *sctpLab) recorded(network int, from, to uint16, chunk byte) bool {
	b, err := os.ReadFile(l.captures[network])
	if err != nil {
		l.t.Fatal(err)
	}
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	const header = 12 // ports, tag and checksum
	for i := bytes.Index(b, ports); i >= 0 && i+header < len(b); {
		if b[i+header] == chunk {
			return true
		}
		b = b[i+1:]
		i = bytes.Index(b, ports)
	}
	return false
}

// end has the kernels' associations end, as their sockets are closed: what is left of one would come again, in the
// captures of the next lab. One whose peer is gone is left.
func (l *sctpLab) end() {
	for _, imp := range l.imp {
		imp.Set(link.Impairment{}, link.Impairment{})
	}
	for _, k := range l.kernels {
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if list, err := k.ReadFile("/proc/net/sctp/assocs"); err != nil || bytes.Count(list, []byte("\n")) <= 1 {
				break
			}
		}
	}
}

// judge has tshark find malformed packets and wrong checksums in the captures.
func (l *sctpLab) judge() {
	l.end()
	if l.host != nil {
		l.host.Close()
	}
	for i, w := range l.pcaps {
		if err := w.Close(); err != nil {
			l.t.Error(err)
		}
		if bad := l.packets(i, "_ws.malformed || sctp.checksum.status == 0 || _ws.expert.severity == error"); len(bad) > 0 {
			l.t.Errorf("tshark finds fault with %d packets, the first\n%s", len(bad), strings.Join(bad[:min(len(bad), 5)], "\n"))
		}
		for _, x := range l.wanted {
			if x.network != i {
				continue
			}
			if list := l.packets(i, x.filter); (len(list) > 0) != x.some {
				l.t.Errorf("%d packets of network %d are %s", len(list), i, x.filter)
			}
		}
		if l.t.Failed() {
			list := l.packets(i, "sctp || icmp || icmpv6")
			l.t.Logf("the last of %d packets of network %d:\n%s", len(list), i, strings.Join(list[max(0, len(list)-60):], "\n"))
		}
	}
}

// packets returns tshark's lines about the packets of a capture that a filter finds.
func (l *sctpLab) packets(capture int, filter string) []string {
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			l.t.Error(err)
		}
		return nil
	}
	// Whatever the kernel's ephemeral port is, the data is no protocol's.
	c := exec.Command(path, "-r", l.captures[capture], "-n", "-d", "sctp.port==1-65535,data", "-o", "sctp.checksum:crc32c", "-Y", filter)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		l.t.Errorf("tshark: %v: %s", err, errs.String())
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// eachSide runs a test with either stack as the one that connects.
func eachSide(t *testing.T, networks int, f func(t *testing.T, l *sctpLab, from, to sctpStack)) {
	t.Run("usock connects", func(t *testing.T) {
		l := newSCTPLab(t, networks)
		f(t, l, l.near, l.far)
	})
	t.Run("usock serves", func(t *testing.T) {
		l := newSCTPLab(t, networks)
		f(t, l, l.far, l.near)
	})
}

// kernelSCTP is a socket of the kernel's.
type kernelSCTP struct{ s *uml.Socket }

func (k kernelSCTP) bind(a netip.AddrPort) error         { return k.s.Bind(abi.AddrFrom(a)) }
func (k kernelSCTP) connect(a netip.AddrPort) error      { return k.s.Connect(abi.AddrFrom(a)) }
func (k kernelSCTP) listen() error                       { return k.s.Listen(8) }
func (k kernelSCTP) shutdown() error                     { return k.s.Shutdown(abi.SHUT_WR) }
func (k kernelSCTP) close() error                        { return k.s.Close() }
func (k kernelSCTP) recv(n int) (uml.Message, error)     { return k.s.RecvMsg(n, 0) }
func (k kernelSCTP) set(level, name int, v []byte) error { return k.s.SetBytes(level, name, v) }
func (k kernelSCTP) ask(name int, v []byte, n int) ([]byte, error) {
	return k.s.Ask(abi.SOL_SCTP, name, v, n)
}

func (k kernelSCTP) accept() (sctpSocket, error) {
	s, _, err := k.s.Accept()
	return kernelSCTP{s}, err
}

func (k kernelSCTP) send(m uml.Message) error {
	_, err := k.s.SendMsg(m)
	return err
}

// hostSCTP is a socket of a host's.
type hostSCTP struct{ s *usock.Socket }

// callLimit is how long a call may wait.
const callLimit = 20 * time.Second

func (h hostSCTP) bind(a netip.AddrPort) error         { return h.s.Bind(usock.Addr(abi.AddrFrom(a))) }
func (h hostSCTP) connect(a netip.AddrPort) error      { return h.s.Connect(usock.Addr(abi.AddrFrom(a))) }
func (h hostSCTP) listen() error                       { return h.s.Listen(8) }
func (h hostSCTP) shutdown() error                     { return h.s.Shutdown(abi.SHUT_WR) }
func (h hostSCTP) close() error                        { return h.s.Close() }
func (h hostSCTP) set(level, name int, v []byte) error { return h.s.SetSockOpt(level, name, v) }

func (h hostSCTP) ask(name int, v []byte, n int) ([]byte, error) {
	b := make([]byte, n)
	copy(b, v)
	k, err := h.s.GetSockOpt(abi.SOL_SCTP, name, b)
	return b[:k], err
}

func (h hostSCTP) accept() (sctpSocket, error) {
	s, _, err := h.s.Accept()
	return hostSCTP{s}, err
}

func (h hostSCTP) send(m uml.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	out := usock.Msg{Bufs: [][]byte{m.Data}, Control: m.Control}
	if m.Addr.Family != abi.AF_UNSPEC {
		out.Name = usock.Addr(m.Addr)
	}
	_, err := h.s.SendMsg(ctx, &out, m.Flags)
	return err
}

func (h hostSCTP) recv(n int) (uml.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	m := usock.Msg{Bufs: [][]byte{make([]byte, n)}, Control: make([]byte, 512)}
	k, err := h.s.RecvMsg(ctx, &m, 0)
	if err != nil {
		return uml.Message{}, err
	}
	return uml.Message{Data: m.Bufs[0][:k], Control: m.Control, Flags: m.Flags}, nil
}

// structure is the bytes of a structure of linux/sctp.h.
func structure(v abi.Layout) []byte { return abi.AppendStruct(nil, v) }

func integer(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

//go:build linux

package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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
	kernel   *uml.Machine
	far      sctpStack // User-mode Linux
	near     sctpStack // usock
	host     *usock.Host
	imp      []*link.Impaired // of each network
	pcaps    []*link.PcapWriter
	captures []string
}

// The networks: usock has the first address, the kernel the second.
var sctpNets = [2][2]netip.Prefix{
	{usock4, kernel4},
	{netip.MustParsePrefix("10.79.0.1/24"), netip.MustParsePrefix("10.79.0.2/24")},
}

var sctpModules = sync.OnceValue(func() error { return booted.machine.Load(uml.SCTP...) })

// newSCTPLab returns a lab with so many networks.
func newSCTPLab(t *testing.T, networks int) *sctpLab {
	t.Helper()
	k := newMachine(t)
	if err := sctpModules(); err != nil {
		t.Fatal(err)
	}
	l := &sctpLab{t: t, kernel: k.Machine}
	l.far = sctpStack{name: "kernel", six: kernel6.Addr(), socket: func(family, typ int) (sctpSocket, error) {
		s, err := k.Socket(family, typ, abi.IPPROTO_SCTP)
		return kernelSCTP{s}, err
	}}
	var config usock.Config
	for i := range networks {
		at := sctpNets[i]
		ours, theirs := at[:1], at[1:]
		if i == 0 {
			ours, theirs = []netip.Prefix{at[0], usock6}, []netip.Prefix{at[1], kernel6}
		}
		device := framed(t, k.plug(t, []string{card, card2}[i], 1500, theirs...), ours...)
		imp, err := link.Impair(device, link.ImpairConfig{Seed: uint64(i + 1), MTU: device.Info().MTU})
		if err != nil {
			t.Fatal(err)
		}
		l.imp = append(l.imp, imp)
		config.Interfaces = append(config.Interfaces, usock.Interface{Link: l.capture(imp), Addrs: ours})
		l.near.addrs, l.far.addrs = append(l.near.addrs, at[0].Addr()), append(l.far.addrs, at[1].Addr())
	}
	config.Privileged = true
	var err error
	if l.host, err = usock.NewHost(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.judge)
	l.near.name, l.near.six = "usock", usock6.Addr()
	l.near.socket = func(family, typ int) (sctpSocket, error) {
		s, err := l.host.Socket(family, typ, abi.IPPROTO_SCTP)
		return hostSCTP{s}, err
	}
	s, err := l.near.socket(abi.AF_INET, abi.SOCK_STREAM)
	if errors.Is(err, syscall.EPROTONOSUPPORT) {
		t.Skip("a host has no SCTP")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	return l
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
	w := link.NewPcapWriter(f, 0)
	l.captures, l.pcaps = append(l.captures, path), append(l.pcaps, w)
	return link.Pcap(inner, w, link.BothWays)
}

// judge has tshark find malformed packets and wrong checksums in the captures.
func (l *sctpLab) judge() {
	l.host.Close()
	for i, w := range l.pcaps {
		if err := w.Close(); err != nil {
			l.t.Error(err)
		}
		if bad := l.packets(i, "_ws.malformed || sctp.checksum.status == 0 || _ws.expert.severity == error"); len(bad) > 0 {
			l.t.Errorf("tshark finds fault with %d packets, the first\n%s", len(bad), strings.Join(bad[:min(len(bad), 5)], "\n"))
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
	c := exec.Command(path, "-r", l.captures[capture], "-n", "-o", "sctp.checksum:crc32c", "-Y", filter)
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
	t.Run("usock connects", func(t *testing.T) { l := newSCTPLab(t, networks); f(t, l, l.near, l.far) })
	t.Run("usock serves", func(t *testing.T) { l := newSCTPLab(t, networks); f(t, l, l.far, l.near) })
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

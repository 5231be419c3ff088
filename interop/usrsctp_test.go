//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock/internal/freeport"

	"usock"
	"usock/gateway"
	"usock/internal/abi"
	"usock/link"
)

// usrsctpProgram compiles the peer on libusrsctp, once.
var usrsctpProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usrsctp")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "usrsctp")
	out, err := exec.Command("cc", "-O1", "-o", program, "../e2e/testdata/usrsctp/usrsctp.c", "-lusrsctp", "-lpthread").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w (Debian: gcc, libusrsctp-dev)\n%s", err, out)
	}
	return program, err
})

// usrsctpPort is the UDP port of usock's host: tshark knows it for SCTP's.
const usrsctpPort = encapPort

// usrsctpLab is a host whose SCTP reaches the machine in UDP, by a gateway, where libusrsctp is.
type usrsctpLab struct {
	sctpLab
	program string
	udp     uint16 // libusrsctp's port
	outer   uint16 // the machine's, at which the host's is reached
	out     bytes.Buffer
}

// newUsrsctpLab returns a lab with a host of the settings.
func newUsrsctpLab(t *testing.T, settings *usock.SCTPConfig) *usrsctpLab {
	t.Helper()
	program, err := usrsctpProgram()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l := &usrsctpLab{sctpLab: sctpLab{t: t}, program: program, udp: uint16(freeport.Get(t)), outer: uint16(freeport.Get(t))}
	c := gateway.Config{
		Publish: []gateway.Publish{{Proto: syscall.IPPROTO_UDP, Port: l.outer, Inner: usrsctpPort}},
		Link: func(inner link.Link) link.Link {
			imp, err := link.Impair(inner, link.ImpairConfig{Seed: 1, MTU: 1500})
			if err != nil {
				t.Fatal(err)
			}
			l.imp = append(l.imp, imp)
			return l.capture(imp)
		},
	}
	g, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	settings.UDPPort, settings.EncapPort = usrsctpPort, l.udp
	l.host, err = usock.NewHost(usock.Config{
		Flows: g.Flows(), Listening: g.Listening, Interfaces: []usock.Interface{g.Interface()}, Privileged: true, SCTP: settings,
	})
	if err == nil {
		err = g.Start(l.host)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.near = sctpStack{name: "usock", socket: l.hostSocket}
	ended := make(chan struct{})
	go func() {
		g.Run()
		close(ended)
	}()
	t.Cleanup(func() {
		g.Close()
		<-ended
		l.judge()
	})
	return l
}

// outerAddrs are addresses of the machine, one of each family, that are reached by a gateway's link.
func outerAddrs(t *testing.T) (out []netip.Addr) {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var has [2]bool
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if i := map[bool]int{true: 1}[p.Addr().Is4()]; err == nil && p.Addr().IsGlobalUnicast() && !has[i] {
			has[i] = true
			out = append(out, p.Addr())
		}
	}
	return out
}

// serve has libusrsctp echo what so many associations send to an address. It waits until somebody listens.
func (l *usrsctpLab) serve(a netip.Addr, n int) *exec.Cmd {
	l.t.Helper()
	c := exec.Command(l.program, "serve", fmt.Sprint(l.udp), a.String(), fmt.Sprint(n))
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	listening := make(chan bool, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 1000)
		for {
			k, err := out.Read(b)
			l.out.Write(b[:k])
			if strings.Contains(l.out.String(), "listening\n") || err != nil {
				select {
				case listening <- err == nil:
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	l.t.Cleanup(func() {
		c.Process.Kill()
		<-read
		c.Wait()
	})
	if !<-listening {
		l.t.Fatal("libusrsctp does not listen")
	}
	return c
}

// Messages of all sizes come back from libusrsctp, whatever the way does to packets, with each extension that
// both have.
func TestUsrsctpServes(t *testing.T) {
	all := usock.DefaultSCTPConfig()
	all.ReConf, all.Auth, all.Addip, all.Interleave = true, true, true, true
	for _, x := range []struct {
		name, path string
		settings   *usock.SCTPConfig
		wide       bool
	}{
		{"default", "", usock.DefaultSCTPConfig(), true}, {"all extensions", "", all, true},
		{"loss", "loss=2%", usock.DefaultSCTPConfig(), false}, {"order", "delay=2ms,reorder=10%,duplicate=3%", all, false},
	} {
		for _, a := range outerAddrs(t) {
			if a.Is6() && x.name != "default" {
				continue
			}
			t.Run(fmt.Sprintf("%s, v6=%t", x.name, a.Is6()), func(t *testing.T) {
				l := newUsrsctpLab(t, x.settings)
				l.impair(0, x.path)
				l.serve(a, 1)
				c, err := l.near.open(abi.SOCK_STREAM, a.Is6(), wide)
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				if err := c.connect(netip.AddrPortFrom(a, 5000)); err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(5, 6))
				var notes []*note
				for i, n := range messageSizes {
					if n < 1<<20 || x.wide {
						notes = append(notes, &note{data: random(r, min(n, 1<<20-1)), stream: uint16(i % 3), ppid: ppid + uint32(i)})
					}
				}
				for i := range 100 {
					notes = append(notes, &note{data: random(r, 1+r.IntN(5000)), stream: uint16(r.IntN(10)), ppid: ppid + uint32(i)})
				}
				converse(t, c, c, notes)
				if err := c.shutdown(); err != nil {
					t.Error(err)
				}
				if n, err := hear(c); !errors.Is(err, syscall.ENOTCONN) {
					t.Errorf("%v, %v; want the end", n, err)
				}
				l.carried(0, fmt.Sprintf("sctp.chunk_type == 14 && udp.dstport == %d", l.udp)) // SHUTDOWN COMPLETE
				l.not(0, "sctp && !udp")
			})
		}
	}
}

// libusrsctp begins, and the host answers at the port that packets come from.
func TestUsrsctpAsks(t *testing.T) {
	for _, a := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		t.Run(a.String(), func(t *testing.T) {
			l := newUsrsctpLab(t, usock.DefaultSCTPConfig())
			s, err := l.host.ListenSCTP("sctp", ":5001")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			done := make(chan error, 1)
			go func() {
				c, err := s.AcceptSCTP()
				if err == nil {
					err = echoSCTP(c)
				}
				done <- err
			}()
			out, err := exec.Command(l.program, "ask", fmt.Sprint(l.udp), a.String(), "5001", fmt.Sprint(l.outer), "20000").CombinedOutput()
			if string(out) != "20 messages came back\n" || err != nil {
				t.Errorf("%s, %v", out, err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// echoSCTP sends back what comes, until the end.
func echoSCTP(c *usock.SCTPConn) error {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var data []byte
	b := make([]byte, 1<<16)
	for {
		n, info, err := c.ReadMsg(b)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return err
		}
		if data = append(data, b[:n]...); info.EOR {
			if _, err := c.WriteMsg(data, info); err != nil {
				return err
			}
			data = data[:0]
		}
	}
}

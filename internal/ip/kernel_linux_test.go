package ip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/clock"
	"usock/internal/host"
	"usock/internal/wire"
	"usock/link"
	"usock/packet"
)

// The kernel is at 10.99.0.1 and fd99::1, the layer at .2 and ::2.
const (
	kernelA, layerA = "10.99.0.1", "10.99.0.2"
	kernelB, layerB = "fd99::1", "fd99::2"
)

// kernelTest is a layer that the kernel reaches through a TUN device, in a network
// namespace that ends with the test. UDP port 7 echoes; datagrams to other ports
// are refused.
type kernelTest struct {
	t    *testing.T
	h    *host.Host
	l    *Layer
	errs chan Error
}

func newKernelTest(t *testing.T) *kernelTest {
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace takes root")
	}
	ipTool, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("iproute2 is not installed")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	dev, err := link.TUN(link.DeviceConfig{Name: "usockip", MTU: 1500})
	if err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"addr", "add", kernelA + "/24", "dev", "usockip"},
		{"addr", "add", kernelB + "/64", "dev", "usockip", "nodad"},
		{"link", "set", "usockip", "up"},
	} {
		if out, err := exec.Command(ipTool, args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	// The kernel's address cannot be a source until a worker has made it final.
	for deadline := time.Now().Add(10 * time.Second); ; {
		out, err := exec.Command(ipTool, "-6", "addr", "show", "dev", "usockip", "tentative").Output()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the kernel's address is not ready: %v %s", err, out)
		}
		if len(out) == 0 {
			break
		}
	}
	k := &kernelTest{t: t, h: host.New(clock.System()), errs: make(chan Error, 16)}
	var table Table
	table.Transport[ProtoUDP] = (*echoServer)(k)
	k.h.Enter()
	k.l = New(k.h, Config{}, &table)
	k.l.AddIface(IfaceConfig{Name: "lo", Loopback: true})
	info := dev.Info()
	tun := k.l.AddIface(IfaceConfig{
		Name: "tun0", MTU: info.MTU, Checksum: info.Checksum, Segments: info.Segments, Out: k.h.NewPort(dev),
	})
	k.l.AddAddr(tun, netip.MustParsePrefix(layerA+"/24"))
	k.l.AddAddr(tun, netip.MustParsePrefix(layerB+"/64"))
	k.h.Leave()
	var reader sync.WaitGroup
	reader.Go(func() {
		batch := make([]*packet.Packet, 64)
		for {
			n, err := dev.Recv(batch)
			if err != nil {
				return
			}
			k.h.Enter()
			k.l.Whole().Input(tun, batch[:n])
			k.h.Leave()
		}
	})
	t.Cleanup(func() {
		dev.Close()
		reader.Wait()
		k.h.Enter()
		k.l.Close()
		k.h.Close()
		k.h.Leave()
	})
	return k
}

// echoServer is a transport that sends datagrams to port 7 back.
type echoServer kernelTest

func (s *echoServer) Input(p *packet.Packet, m *Meta) bool {
	h, err := wire.ParseUDP(p.Front())
	if err != nil || h.DstPort != 7 {
		return err != nil
	}
	data := p.AppendTo(nil)[wire.UDPLen:]
	p.Free()
	s.send(m.Src, h.SrcPort, data)
	return true
}

func (s *echoServer) send(dst netip.Addr, port uint16, data []byte) {
	path, err := s.l.Route(dst, netip.Addr{}, 0)
	if err != nil {
		s.t.Error(err)
		return
	}
	p := packet.FromBytes(data)
	h := wire.UDP{SrcPort: 7, DstPort: port, Len: uint16(wire.UDPLen + len(data))}
	h.Put(p.Prepend(wire.UDPLen))
	if err := s.l.Whole().Output(p, &path, &Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
		s.t.Error(err)
	}
}

func (s *echoServer) Error(e *Error) {
	c := *e
	c.Quote = bytes.Clone(e.Quote)
	s.errs <- c
}

// socket makes a kernel socket connected to dst, whose calls give up after 10 s.
func (k *kernelTest) socket(typ, proto int, dst string, port int) int {
	k.t.Helper()
	a := addr(dst)
	family := unix.AF_INET
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: port}
	if a.Is6() {
		family = unix.AF_INET6
		sa = &unix.SockaddrInet6{Port: port, Addr: a.As16()}
	} else {
		sa = &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	fd, err := unix.Socket(family, typ, proto)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { unix.Close(fd) })
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	if err := unix.Connect(fd, sa); err != nil {
		k.t.Fatal(err)
	}
	return fd
}

// The kernel's datagrams, whole and in fragments, come back as they were.
func TestKernelUDP(t *testing.T) {
	k := newKernelTest(t)
	for _, dst := range []string{layerA, layerB} {
		fd := k.socket(unix.SOCK_DGRAM, 0, dst, 7)
		// Without path MTU discovery the kernel fragments what is larger.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		for _, n := range []int{0, 1, 1000, 1473, 5000, 20000, 65000} {
			data := pattern(n)
			if _, err := unix.Write(fd, data); err != nil {
				t.Fatal(dst, n, err)
			}
			got := make([]byte, 65536)
			m, err := unix.Read(fd, got)
			if err != nil || !bytes.Equal(got[:m], data) {
				t.Fatalf("%s: %d bytes: %d came back, %v", dst, n, m, err)
			}
		}
	}
	k.h.Enter()
	defer k.h.Leave()
	if s := k.l.Whole().Stats; s.ReasmOKs != 8 || s.FragOKs != 8 || s.ReasmFails != 0 || s.InHdrErrors != 0 || s.InCsumErrors != 0 {
		t.Errorf("%+v", s)
	}
}

// The kernel makes of the layer's errors what it makes of another kernel's.
func TestKernelIsRefused(t *testing.T) {
	k := newKernelTest(t)
	for _, dst := range []string{layerA, layerB} {
		fd := k.socket(unix.SOCK_DGRAM, 0, dst, 9)
		unix.Write(fd, []byte("anybody?"))
		if _, err := unix.Read(fd, make([]byte, 10)); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", dst, err)
		}
	}
	fd := k.socket(unix.SOCK_RAW, 200, layerA, 0)
	unix.Write(fd, pattern(20))
	if _, err := unix.Read(fd, make([]byte, 100)); !errors.Is(err, unix.ENOPROTOOPT) {
		t.Errorf("unknown protocol: %v", err)
	}
	fd = k.socket(unix.SOCK_RAW, 200, layerB, 0)
	unix.Write(fd, pattern(20))
	if _, err := unix.Read(fd, make([]byte, 100)); !errors.Is(err, unix.EPROTO) {
		t.Errorf("unknown IPv6 protocol: %v", err)
	}
}

// The layer understands the kernel's errors.
func TestKernelRefuses(t *testing.T) {
	k := newKernelTest(t)
	for _, dst := range []string{kernelA, kernelB} {
		k.h.Enter()
		(*echoServer)(k).send(addr(dst), 9, pattern(30))
		k.h.Leave()
		select {
		case e := <-k.errs:
			if e.Errno != unix.ECONNREFUSED || !e.Hard || e.Dst != addr(dst) || e.From != addr(dst) || e.Proto != ProtoUDP ||
				binary.BigEndian.Uint16(e.Quote[2:]) != 9 {
				t.Errorf("%+v", e)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: no error", dst)
		}
	}
}

// The kernel pings the layer, with requests of one packet and of several.
func TestKernelPings(t *testing.T) {
	k := newKernelTest(t)
	for _, dst := range []string{layerA, layerB} {
		proto, request, reply, skip := unix.IPPROTO_ICMP, byte(wire.ICMPv4Echo), byte(wire.ICMPv4EchoReply), 20
		if addr(dst).Is6() {
			proto, request, reply, skip = unix.IPPROTO_ICMPV6, wire.ICMPv6Echo, wire.ICMPv6EchoReply, 0
		}
		fd := k.socket(unix.SOCK_RAW, proto, dst, 0)
		for _, n := range []int{0, 56, 1472, 4000, 60000} {
			m := icmp4(request, 0, uint32(n), pattern(n)) // in IPv6 the kernel fills in the checksum
			if _, err := unix.Write(fd, m); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 65536)
			for {
				r, err := unix.Read(fd, got)
				if err != nil {
					t.Fatalf("%s: no answer to %d bytes: %v", dst, n, err)
				}
				if a := got[skip:r]; len(a) >= 8 && a[0] == reply {
					if !bytes.Equal(a[4:], m[4:]) {
						t.Errorf("%s: answer to %d bytes differs", dst, n)
					}
					break
				}
			}
		}
	}
}

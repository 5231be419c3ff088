//go:build linux

package link

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/wire"
	"usock/packet"
)

var (
	kernel4 = netip.MustParsePrefix("10.99.0.1/24")
	peer4   = netip.MustParseAddr("10.99.0.2")
	kernel6 = netip.MustParsePrefix("fd99::1/64")
	peer6   = netip.MustParseAddr("fd99::2")
)

// newTUN makes a device in a namespace of the test's own, with both families.
func newTUN(t *testing.T, c DeviceConfig) *tester {
	enterNamespace(t)
	c.Name, c.MTU, c.Up = "usocktest", 1500, true
	l, err := TUN(c)
	l = opened(t, l, err)
	assign(t, "usocktest", kernel4)
	assign(t, "usocktest", kernel6)
	return test(t, l)
}

// tester is a device under test and what it has brought so far.
type tester struct {
	Link
	t       *testing.T
	pending []*Packet
}

// test watches over l: after ten seconds it is closed, so that nothing waits for
// ever.
func test(t *testing.T, l Link) *tester {
	x := &tester{Link: l, t: t}
	end := time.AfterFunc(10*time.Second, func() { l.Close() })
	t.Cleanup(func() {
		end.Stop()
		for _, p := range x.pending {
			p.Free()
		}
	})
	return x
}

// next returns the next packet that keep wants, and drops the others.
func (x *tester) next(keep func(p *Packet) bool) *Packet {
	x.t.Helper()
	for {
		for len(x.pending) > 0 {
			p := x.pending[0]
			x.pending = x.pending[1:]
			if keep(p) {
				return p
			}
			p.Free()
		}
		var batch [8]*Packet
		n, err := x.Recv(batch[:])
		if err != nil {
			x.t.Fatal(err)
		}
		x.pending = append(x.pending, batch[:n]...)
	}
}

// Datagrams of every size, both ways, both families, with and without offloads.
func TestTUNDatagrams(t *testing.T) {
	for _, plain := range []bool{false, true} {
		name := "offload"
		if plain {
			name = "plain"
		}
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			l := newTUN(t, DeviceConfig{NoOffload: plain})
			if i := l.Info(); i.Name != "usocktest" || i.MTU != 1500 || i.Checksum == plain || i.Segments == plain || i.Medium != IP {
				t.Errorf("%+v", i)
			}
			for _, a := range []struct{ kernel, peer netip.Addr }{{kernel4.Addr(), peer4}, {kernel6.Addr(), peer6}} {
				s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.kernel, 0)))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				datagrams(t, l, s, a.peer, !plain)
			}
		})
	}
}

func datagrams(t *testing.T, l *tester, s *net.UDPConn, peer netip.Addr, offloaded bool) {
	to := netip.AddrPortFrom(peer, 4000)
	s.SetDeadline(time.Now().Add(10 * time.Second))
	for _, size := range []int{0, 1, 100, 1400} {
		data := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := s.WriteToUDPAddrPort(data, to); err != nil {
			t.Fatal(err)
		}
		p := l.next(func(p *Packet) bool { return isProto(p, 17) })
		src, dst, _, udp := parse(t, p)
		noted := p.ChecksumOffset != 0
		p.Free()
		if dst != peer || !bytes.Equal(udp[8:], data) {
			t.Fatalf("to %v, %d bytes", dst, len(udp)-8)
		}
		if noted != offloaded {
			t.Errorf("checksum left to us: %v, want %v", noted, offloaded)
		}
		h, err := wire.ParseUDP(udp)
		if err != nil {
			t.Fatal(err)
		}
		p = packet.FromBytes(data)
		reply := wire.UDP{SrcPort: 4000, DstPort: h.SrcPort, Len: uint16(8 + size)}
		reply.Put(p.Prepend(8))
		header(p, dst, src, 17, 6, offloaded)
		if n := l.Send([]*Packet{p}); n != 1 {
			t.Fatal("the device took nothing")
		}
		got := make([]byte, 2000)
		n, from, err := s.ReadFromUDPAddrPort(got)
		if err != nil || from != to || !bytes.Equal(got[:n], data) {
			t.Fatalf("%d bytes from %v, %v", n, from, err)
		}
	}
}

func isProto(p *Packet, proto uint8) bool {
	b := p.Front()
	return b[0]>>4 == 4 && b[9] == proto || b[0]>>4 == 6 && b[6] == proto
}

// The kernel's TCP sends and takes large segments through the device.
func TestTUNSegments(t *testing.T) {
	for _, a := range []struct{ kernel, peer netip.Addr }{{kernel4.Addr(), peer4}, {kernel6.Addr(), peer6}} {
		t.Run(a.peer.String(), func(t *testing.T) {
			leakCheck(t)
			segments(t, newTUN(t, DeviceConfig{}), a.kernel, a.peer)
		})
	}
}

// miniTCP is just enough of a TCP to have the kernel send and take data.
type miniTCP struct {
	t        *testing.T
	l        *tester
	src, dst netip.Addr
	seq, ack uint32
}

func (c *miniTCP) packet(flags wire.TCPFlags, data []byte, size int) {
	p := packet.New()
	for len(data) > 0 {
		k := min(len(data), 16000)
		p.Payload.Append(packet.Copy(data[:k]))
		data = data[k:]
	}
	n := p.Len()
	h := wire.TCP{SrcPort: 5000, DstPort: 3000, Seq: c.seq, Ack: c.ack, Flags: flags, Window: 65535}
	if flags&wire.SYN != 0 {
		h.Options = wire.TCPOptions{MSS: 1400, HasWScale: true, WScale: 4}
	}
	h.Put(p.Prepend(h.Len()))
	if n > size {
		p.SegmentSize = uint16(size)
	}
	header(p, c.src, c.dst, 6, 16, true)
	if c.l.Send([]*Packet{p}) != 1 {
		c.t.Fatal("the device took nothing")
	}
	c.seq += uint32(n)
}

func (c *miniTCP) segment() (h wire.TCP, data []byte, size uint16) {
	p := c.l.next(func(p *Packet) bool { return isProto(p, 6) })
	defer p.Free()
	_, _, _, b := parse(c.t, p)
	h, n, err := wire.ParseTCP(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return h, b[n:], p.SegmentSize
}

func (c *miniTCP) connect() {
	c.packet(wire.SYN, nil, 0)
	h, _, _ := c.segment()
	if h.Flags != wire.SYN|wire.ACK {
		c.t.Fatalf("%v in answer to SYN", h.Flags)
	}
	c.seq, c.ack = h.Ack, h.Seq+1
	c.packet(wire.ACK, nil, 0)
}

func (c *miniTCP) send(data []byte, size int) { c.packet(wire.ACK|wire.PSH, data, size) }

// receive takes n bytes that repeat what, and returns the most that one packet had.
func (c *miniTCP) receive(n int, what []byte) (most int) {
	got := 0
	for got < n {
		h, data, size := c.segment()
		if h.Seq != c.ack || len(data) == 0 {
			continue
		}
		for i, b := range data {
			if b != what[(got+i)%len(what)] {
				c.t.Fatalf("byte %d is wrong", got+i)
			}
		}
		if len(data) > 1400 && size != 1400 {
			c.t.Errorf("%d bytes in segments of %d", len(data), size)
		}
		most = max(most, len(data))
		got += len(data)
		c.ack += uint32(len(data))
		c.packet(wire.ACK, nil, 0)
	}
	return most
}

// A Recv that waits ends with Close, and a closed device takes nothing.
func TestTUNClose(t *testing.T) {
	leakCheck(t)
	l := newTUN(t, DeviceConfig{})
	done := make(chan error)
	go func() {
		var batch [4]*Packet
		for {
			n, err := l.Recv(batch[:])
			for _, p := range batch[:n] {
				p.Free()
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Recv: %v", err)
	}
	if n := l.Send([]*Packet{packet.FromBytes([]byte("x"))}); n != 0 {
		t.Error("a closed device took a packet")
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestDeviceInUse(t *testing.T) {
	newTUN(t, DeviceConfig{})
	_, err := TUN(DeviceConfig{Name: "usocktest"})
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "another program has it open") {
		t.Error(err)
	}
	if _, err := TUN(DeviceConfig{Name: "lo"}); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	if _, err := TUN(DeviceConfig{Name: "a-name-that-is-too-long"}); err == nil {
		t.Error("a name of 23 bytes was taken")
	}
}

// What is missing is said, and what to do about it.
func TestDeviceErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{openError(unix.ENOENT), "open /dev/net/tun: no such file or directory: load the kernel's module tun, or give the container the device"},
		{openError(unix.EACCES), "open /dev/net/tun: permission denied: let the user read and write it, or give the container the device"},
		{openError(unix.EMFILE), "open /dev/net/tun: too many open files"},
		{attachError(DeviceConfig{Name: "tun0"}, Ethernet, unix.EPERM), "TAP device tun0: operation not permitted: this takes CAP_NET_ADMIN, or a device made by root: ip tuntap add dev tun0 mode tap user NAME"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("%s\nwant %s", c.err, c.want)
		}
	}
	if !errors.Is(openError(unix.EACCES), unix.EACCES) {
		t.Error("the errno is lost")
	}
}

// A CRC32c is completed before a packet leaves by a device, which has offloads for Internet
// checksums only. The kernel's raw socket sees what came.
func TestTUNCRC32c(t *testing.T) {
	const proto = 253 // for experiments (RFC 3692)
	for _, plain := range []bool{false, true} {
		l := newTUN(t, DeviceConfig{NoOffload: plain})
		if !l.Info().CRC32c {
			t.Error("the device takes no packets without CRC32c")
		}
		s, err := net.ListenIP("ip4:253", &net.IPAddr{IP: kernel4.Addr().AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.SetDeadline(time.Now().Add(10 * time.Second))
		p, want := sctpPacket(peer4, kernel4.Addr(), proto, []byte("through the device"))
		if n := l.Send([]*Packet{p}); n != 1 {
			t.Fatal("the device took nothing")
		}
		got := make([]byte, 2000)
		n, _, err := s.ReadFromIP(got)
		if err != nil || !bytes.Equal(got[:n], want[wire.IPv4MinLen:]) {
			t.Errorf("the kernel received %x, %v; want %x", got[:n], err, want[wire.IPv4MinLen:])
		}

		// What its notes do not fit is dropped.
		p, _ = sctpPacket(peer4, kernel4.Addr(), proto, nil)
		p.ChecksumOffset = sctpLen - 3
		if n := l.Send([]*Packet{p}); n != 0 {
			t.Error("the device took a packet whose checksum is beyond its end")
		}
	}
}

//go:build linux

package link

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// newTAP makes a device in a namespace of the test's own, and a link of it that
// carries IP.
func newTAP(t *testing.T, plain bool) *tester {
	enterNamespace(t)
	d, err := TAP(DeviceConfig{Name: "usocktest", MTU: 1500, Up: true, NoOffload: plain})
	d = opened(t, d, err)
	if i := d.Info(); i.Medium != Ethernet || i.Address[0]&3 != 2 {
		t.Fatalf("%+v", i)
	}
	assign(t, "usocktest", kernel4)
	assign(t, "usocktest", kernel6)
	l, err := Frames(d, FramesConfig{Addresses: []netip.Prefix{
		netip.PrefixFrom(peer4, 24), netip.PrefixFrom(peer6, 64), netip.MustParsePrefix("fe80::2/64"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return test(t, l)
}

// The kernel finds us and we find it, by ARP and neighbour discovery.
func TestTAPDatagrams(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(map[bool]string{false: "offload", true: "plain"}[plain], func(t *testing.T) {
			leakCheck(t)
			l := newTAP(t, plain)
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

// Large segments pass a TAP device too, whose packets have an Ethernet header for
// the virtio-net header to count from.
func TestTAPSegments(t *testing.T) {
	for _, a := range []struct{ kernel, peer netip.Addr }{{kernel4.Addr(), peer4}, {kernel6.Addr(), peer6}} {
		t.Run(a.peer.String(), func(t *testing.T) {
			leakCheck(t)
			segments(t, newTAP(t, false), a.kernel, a.peer)
		})
	}
}

// segments has the kernel's TCP take a large segment from l, and send some.
func segments(t *testing.T, l *tester, kernel, peer netip.Addr) {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(kernel, 3000)))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := &miniTCP{t: t, l: l, src: peer, dst: kernel}
	c.connect()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))

	// In: 30000 bytes in one packet.
	data := make([]byte, 30000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	c.send(data, 1400)
	got := make([]byte, len(data))
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the kernel read something else: %v", err)
	}

	// Out: the kernel's window grows with our acknowledgments until it sends more
	// than the MTU at once.
	go s.Write(bytes.Repeat(data, 20))
	if n := c.receive(20*len(data), data); n < 3000 {
		t.Errorf("the largest packet had %d bytes of data", n)
	}
}

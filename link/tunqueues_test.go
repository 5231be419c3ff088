//go:build linux

package link

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/packet"
)

// newQueuedTUN makes a device with several queues, up and with an address, in a namespace of the test's own.
func newQueuedTUN(t *testing.T, queues int) Queued {
	enterNamespace(t)
	l, err := TUN(DeviceConfig{MTU: 1500, Up: true, Queues: queues})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l = opened(t, l, err)
	end := time.AfterFunc(20*time.Second, func() { l.Close() })
	t.Cleanup(func() { end.Stop() })
	assign(t, l.Info().Name, kernel4)
	q, ok := l.(Queued)
	if !ok || len(q.Queues()) != queues {
		t.Fatalf("%T is no link with %d queues", l, queues)
	}
	return q
}

// kernelUDP is a socket of the kernel's for twenty seconds. The port is given, as the queues of flows follow
// from it.
func kernelUDP(t *testing.T, a netip.AddrPort) *net.UDPConn {
	t.Helper()
	s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.SetDeadline(time.Now().Add(20 * time.Second))
	return s
}

// datagramPacket returns a datagram from a port of the peer's that holds a number.
func datagramPacket(port uint16, to netip.AddrPort, n uint32) *Packet {
	p := packet.New()
	b := p.Prepend(12)
	binary.BigEndian.PutUint16(b, port)
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint16(b[4:], 12)
	binary.BigEndian.PutUint32(b[8:], n)
	header(p, peer4, to.Addr(), 17, 6, true)
	return p
}

// Each flow's packets pass by one queue both ways, in order: out by the queue that the device names, and in
// by the same, as soon as the kernel has heard of the flow by it.
func TestTUNQueues(t *testing.T) {
	const queues, flows, each = 2, 8, 12 // as many as a socket's buffer holds
	leakCheck(t)
	l := newQueuedTUN(t, queues)
	to := netip.AddrPortFrom(kernel4.Addr(), 3000)
	s := kernelUDP(t, to)

	var home [flows]int // the queue of each flow
	var count [queues]int
	for n := range uint32(each) {
		for flow := range uint16(flows) {
			p := datagramPacket(4000+flow, to, n)
			home[flow] = l.QueueOf(p)
			count[home[flow]]++
			if l.Queues()[home[flow]].Send([]*Packet{p}) != 1 {
				t.Fatal("the device took nothing")
			}
		}
	}
	if count[0] == 0 || count[1] == 0 {
		t.Fatalf("%d flows leave by one queue: %v", flows, count)
	}
	var next [flows]uint32
	for range flows * each {
		var b [100]byte
		n, from, err := s.ReadFromUDPAddrPort(b[:])
		flow := from.Port() - 4000
		if err != nil || n != 4 || flow >= flows {
			t.Fatal(n, from, err)
		}
		if k := binary.BigEndian.Uint32(b[:]); k != next[flow] {
			t.Fatalf("flow %d: the kernel has number %d, want %d", flow, k, next[flow])
		}
		next[flow]++
	}

	// The kernel's answers, and who reads them.
	var all sync.WaitGroup
	var mu sync.Mutex
	var back [flows]uint32 // mu: answers that have come
	total := 0             // mu
	came := make(chan struct{})
	for i, q := range l.Queues() {
		all.Go(func() {
			var batch [16]*Packet
			for {
				n, err := q.Recv(batch[:])
				if err != nil {
					return
				}
				mu.Lock()
				for _, p := range batch[:n] {
					if isProto(p, 17) {
						_, _, _, udp := parse(t, p)
						flow := binary.BigEndian.Uint16(udp[2:]) - 4000
						if home[flow] != i {
							t.Errorf("flow %d came by queue %d, and leaves by %d", flow, i, home[flow])
						}
						if k := binary.BigEndian.Uint32(udp[8:]); k != back[flow] {
							t.Errorf("flow %d: number %d came, want %d", flow, k, back[flow])
						}
						back[flow]++
						if total++; total == flows*each {
							close(came)
						}
					}
					p.Free()
				}
				mu.Unlock()
			}
		})
	}
	for n := range uint32(each) {
		for flow := range uint16(flows) {
			if _, err := s.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, n), netip.AddrPortFrom(peer4, 4000+flow)); err != nil {
				t.Fatal(err)
			}
		}
	}
	select {
	case <-came:
	case <-time.After(10 * time.Second):
		mu.Lock()
		t.Errorf("%d of %d answers came: %v", total, flows*each, back)
		mu.Unlock()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	all.Wait() // Close ends all readers
}

// Who knows nothing of queues has the packets of all.
func TestTUNQueuesAsOne(t *testing.T) {
	const flows = 32
	leakCheck(t)
	l := newQueuedTUN(t, 4)
	to := netip.AddrPortFrom(kernel4.Addr(), 3000)
	s := kernelUDP(t, to)
	x := test(t, l)
	var batch []*Packet
	for flow := range uint16(flows) {
		batch = append(batch, datagramPacket(4000+flow, to, 0))
	}
	if n := l.Send(batch); n != flows {
		t.Errorf("%d of %d packets taken", n, flows)
	}
	for range flows {
		var b [100]byte
		_, from, err := s.ReadFromUDPAddrPort(b[:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteToUDPAddrPort(b[:4], from); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint16]bool{}
	for len(seen) < flows {
		p := x.next(func(p *Packet) bool { return isProto(p, 17) })
		_, _, _, udp := parse(t, p)
		p.Free()
		seen[binary.BigEndian.Uint16(udp[2:])] = true
	}
}

// persistent makes a device that stays, as ip tuntap does.
func persistent(t *testing.T, name string, flags uint16) {
	t.Helper()
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		t.Fatal(err)
	}
}

// descriptors counts what the process has of the device file.
func descriptors(t *testing.T) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); to == device {
			n++
		}
	}
	return n
}

// What goes wrong with queues is said, and leaves no descriptor.
func TestTUNQueueErrors(t *testing.T) {
	for _, c := range []struct {
		open   func(DeviceConfig) (Link, error)
		queues int
		want   string
	}{
		{TUN, -1, "-1 queues: a device has 1 to 256"},
		{TUN, 257, "257 queues: a device has 1 to 256"},
		{TAP, -1, "-1 queues: a device has 1 to 256"},
		{TAP, 2, "2 queues: a TAP device has one"},
	} {
		if _, err := c.open(DeviceConfig{Queues: c.queues}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d queues: %v, want %s", c.queues, err, c.want)
		}
	}
	q := newQueuedTUN(t, 255)
	if n := descriptors(t); n != 255 {
		t.Errorf("%d descriptors, want 255", n)
	}

	// The first of them finds room on the device, and the second does not.
	_, err := TUN(DeviceConfig{Name: q.Info().Name, Queues: 2})
	if !errors.Is(err, unix.E2BIG) || !strings.Contains(err.Error(), "a device has at most 256 queues, those of other programs included") {
		t.Error(err)
	}
	if n := descriptors(t); n != 255 {
		t.Errorf("%d descriptors after the failure, want 255", n)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if n := descriptors(t); n != 0 {
		t.Errorf("%d descriptors after Close", n)
	}

	persistent(t, "single", 0)
	_, err = TUN(DeviceConfig{Name: "single", Queues: 2})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "no TUN device of several queues") {
		t.Error(err)
	}
	persistent(t, "several", unix.IFF_MULTI_QUEUE)
	_, err = TUN(DeviceConfig{Name: "several"})
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "no single-queue TUN device") {
		t.Error(err)
	}
	l, err := TUN(DeviceConfig{Name: "several", Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if n := descriptors(t); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

// What a user without privilege is told has the device made with several queues.
func TestTUNQueueHints(t *testing.T) {
	err := attachError(DeviceConfig{Name: "tun0", Queues: 2}, IP, unix.EPERM)
	if want := "TUN device tun0: operation not permitted: this takes CAP_NET_ADMIN, or a device made by root: ip tuntap add dev tun0 mode tun multi_queue user NAME"; err.Error() != want {
		t.Errorf("%s\nwant %s", err, want)
	}
	if !errors.Is(errNoQueues, errors.ErrUnsupported) || strings.Contains(errNoQueues.Error(), "device device") {
		t.Error(errNoQueues)
	}
}

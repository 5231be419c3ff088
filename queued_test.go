package usock_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
	"usock/packet"
)

// cable is one end of a link with several queues in memory. A packet's queue is the lowest bit of its
// UDP ports' sum, which is the same both ways.
type cable struct {
	link.Link // for what is not of queues
	queues    []link.Queue
	ends      []link.Link
}

// strand is a queue of a cable: an end of a pipe, which counts.
type strand struct {
	link.Link
	sent, came *atomic.Int64
	hold       *sync.RWMutex // held while nothing may be sent
}

func (s strand) Send(batch []*packet.Packet) int {
	s.hold.RLock()
	defer s.hold.RUnlock()
	s.sent.Add(int64(len(batch)))
	return s.Link.Send(batch)
}

func (s strand) Recv(batch []*packet.Packet) (int, error) {
	n, err := s.Link.Recv(batch)
	s.came.Add(int64(n))
	return n, err
}

func newCable(queues int) (a, b *cable) {
	a, b = &cable{}, &cable{}
	for range queues {
		l, r := link.Pipe(link.PipeConfig{MTU: 1500})
		a.add(l)
		b.add(r)
	}
	return a, b
}

func (c *cable) add(l link.Link) {
	c.Link = l
	c.queues = append(c.queues, strand{l, new(atomic.Int64), new(atomic.Int64), new(sync.RWMutex)})
	c.ends = append(c.ends, l)
}

func (c *cable) strand(i int) strand { return c.queues[i].(strand) }

func (c *cable) Queues() []link.Queue { return c.queues }

func (c *cable) QueueOf(p *packet.Packet) int {
	b := p.Front()
	if b[0]>>4 != 4 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[20:])+binary.BigEndian.Uint16(b[22:])) & 1
}

// Send and Recv are not called of a link whose queues are used.
func (c *cable) Send([]*packet.Packet) int          { panic("Send of a link with queues") }
func (c *cable) Recv([]*packet.Packet) (int, error) { panic("Recv of a link with queues") }
func (c *cable) Info() (i link.Info)                { i = c.Link.Info(); i.Name = "cable0"; return i }
func (c *cable) Close() (err error) {
	for _, l := range c.ends {
		err = l.Close()
	}
	return err
}

// cabled returns two hosts on a cable.
func cabled(t *testing.T) (hosts [2]*usock.Host, ends [2]*cable) {
	a, b := newCable(2)
	ends = [2]*cable{a, b}
	for i, c := range ends {
		hosts[i] = must[*usock.Host](t)(usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
			Link: c, Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/24", i+1))},
		}}}))
	}
	return hosts, ends
}

// dialFrom connects a socket with the port to port 9000 of the other host.
func dialFrom(t *testing.T, h *usock.Host, port uint16) net.Conn {
	d := usock.Dialer{Host: h, Local: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)}
	return must[net.Conn](t)(d.DialContext(t.Context(), "udp", "10.0.0.2:9000"))
}

// Datagrams of many flows pass a link with two queues, each flow by one of them, in order.
func TestQueuedLink(t *testing.T) {
	const flows, each = 8, 100
	leaks(t, func(t *testing.T) *usock.Host {
		hosts, ends := cabled(t)
		defer hosts[1].Close()
		to := must[net.PacketConn](t)(hosts[1].ListenPacket("udp", "10.0.0.2:9000"))
		defer to.Close()
		var from []net.Conn
		for i := range flows {
			c := dialFrom(t, hosts[0], uint16(5000+i))
			defer c.Close()
			from = append(from, c)
		}
		var next [flows]byte
		for n := range each {
			for _, c := range from {
				must[int](t)(c.Write([]byte{byte(n)}))
			}
			for range from {
				var b [10]byte
				_, a, err := to.ReadFrom(b[:])
				if err != nil {
					t.Fatal(err)
				}
				flow := a.(*net.UDPAddr).Port - 5000
				if b[0] != next[flow] {
					t.Fatalf("flow %d: %d came, want %d", flow, b[0], next[flow])
				}
				next[flow]++
			}
		}
		for i := range 2 {
			sent, came := ends[0].strand(i).sent.Load(), ends[1].strand(i).came.Load()
			if want := int64(flows / 2 * each); sent != want || came != want {
				t.Errorf("queue %d: %d sent, %d came, want %d", i, sent, came, want)
			}
		}
		return closed(hosts[0])
	})
}

// A queue that is busy holds up nothing but its own flows.
func TestQueuedLinkBusy(t *testing.T) {
	leaks(t, func(t *testing.T) *usock.Host {
		hosts, ends := cabled(t)
		defer hosts[1].Close()
		to := must[net.PacketConn](t)(hosts[1].ListenPacket("udp", "10.0.0.2:9000"))
		defer to.Close()
		send := func(port uint16) {
			c := dialFrom(t, hosts[0], port)
			defer c.Close()
			must[int](t)(c.Write([]byte{byte(port)}))
		}
		var b [10]byte
		held := ends[0].strand(0).hold
		held.Lock()
		var all sync.WaitGroup
		all.Go(func() { send(5000) })
		for range 3 {
			send(5001)
			to.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, a, err := to.ReadFrom(b[:]); err != nil || a.(*net.UDPAddr).Port != 5001 {
				t.Fatal(a, err)
			}
		}
		held.Unlock()
		if _, a, err := to.ReadFrom(b[:]); err != nil || a.(*net.UDPAddr).Port != 5000 {
			t.Error(a, err)
		}
		all.Wait()
		return closed(hosts[0])
	})
}

// Packets that no queue has room for are the interface's, and with it go its readers.
func TestQueuedLinkRemoved(t *testing.T) {
	leaks(t, func(t *testing.T) *usock.Host {
		hosts, ends := cabled(t)
		defer hosts[1].Close()
		ends[1].Close()
		for port := 9000; port < 9002; port++ {
			c := must[net.Conn](t)(hosts[0].Dial("udp", fmt.Sprintf("10.0.0.2:%d", port)))
			must[int](t)(c.Write([]byte("nobody")))
			must[int](t)(c.Write([]byte("nobody")))
			c.Close()
		}
		synctest.Wait()
		for _, i := range hosts[0].Interfaces() {
			if i.Name == "cable0" && i.Stats.TxDropped != 4 {
				t.Errorf("%d packets dropped, want 4", i.Stats.TxDropped)
			}
		}
		if err := hosts[0].RemoveInterface("cable0"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		return closed(hosts[0])
	})
}

// closed closes h and returns it.
func closed(h *usock.Host) *usock.Host {
	h.Close()
	return h
}

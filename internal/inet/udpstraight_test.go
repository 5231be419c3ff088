package inet

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
)

// looped counts the packets that m sends to itself.
func (m *machine) looped() *int {
	n, input := new(int), m.h.Input
	m.h.Input = func(l *host.Lane, p *packet.Packet) {
		*n++
		input(l, p)
	}
	return n
}

// findOut is all that programs can find out of s, r and the host.
func findOut(m *machine, s, r *sock) string {
	var b strings.Builder
	in, _ := r.Queued(false)
	fmt.Fprintf(&b, "ready %#x, %d queued\n", r.ready(), in)
	for _, k := range []*sock{r, s} {
		for _, flags := range []int{abi.MSG_PEEK, 0, abi.MSG_ERRQUEUE} {
			for range 20 {
				g := k.recv(flags)
				if g.err == syscall.EAGAIN {
					break
				}
				fmt.Fprintf(&b, "%q %s %#x %s %v\n", g.data, g.from, g.flags, g.said(), g.err)
				if flags == abi.MSG_PEEK {
					break
				}
			}
		}
	}
	m.do(func() {
		var of, from socket.Info
		r.Proto.Describe(r.Socket, &of)
		s.Proto.Describe(s.Socket, &from)
		_, drops := udpOf(r.Socket).holds()
		_, u := m.st.Stats()
		fmt.Fprintf(&b, "%+v\n%+v\n%d drops\n%+v\n%+v\n%+v\n", of, from, drops, u, m.st.IP.Counters(), m.lo.Stats())
	})
	return b.String()
}

// What goes straight to its receiver is received and counted as if it had been a packet, which it is where somebody
// may look at one. Each case is told with a tap on the interfaces, for which all are packets, and without.
func TestStraight(t *testing.T) {
	const to, to6 = "127.0.0.1:7", "[::1]:7"
	sol := func(name, v int) func(*sock) { return func(k *sock) { k.set(abi.SOL_SOCKET, name, v) } }
	sol4 := func(name, v int) func(*sock) { return func(k *sock) { k.set(abi.SOL_IP, name, v) } }
	sol6 := func(name, v int) func(*sock) { return func(k *sock) { k.set(abi.SOL_IPV6, name, v) } }
	filter := func(n byte) func(*sock) { // keeps n bytes
		return func(k *sock) { k.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, n, 0, 0, 0}) }
	}
	for _, c := range []struct {
		name     string
		kind, to string
		of, by   func(*sock) // what is set of the receiver, and of the sender
		size     int
		control  []byte
		packets  int // of three datagrams, the first of which is always one
	}{
		{"a datagram", "udp4", to, nil, nil, 64, nil, 1},
		{"of no bytes", "udp4", to, nil, nil, 0, nil, 1},
		{"the largest small one", "udp4", to, nil, nil, maxCopied, nil, 1},
		{"a larger one", "udp4", to, nil, nil, maxCopied + 1, nil, 3},
		{"IPv6", "udp6", to6, nil, nil, 64, nil, 1},
		{"mapped", "udp6", to, nil, nil, 64, nil, 1},
		{"to an address of another interface", "udp4", addrA + ":7", nil, nil, 64, nil, 1},
		{"TTL and TOS", "udp4", to, func(k *sock) {
			k.set(abi.SOL_IP, abi.IP_RECVTTL, 1).set(abi.SOL_IP, abi.IP_RECVTOS, 1)
		}, func(k *sock) { k.set(abi.SOL_IP, abi.IP_TTL, 9).set(abi.SOL_IP, abi.IP_TOS, 8) }, 64, nil, 1},
		{"by control message", "udp4", to, sol4(abi.IP_RECVTTL, 1), nil, 64, cmsg(abi.SOL_IP, abi.IP_TTL, abi.AppendInt(nil, 3)), 1},
		{"destination", "udp4", to, func(k *sock) {
			k.set(abi.SOL_IP, abi.IP_PKTINFO, 1).set(abi.SOL_IP, abi.IP_RECVORIGDSTADDR, 1)
		}, nil, 64, nil, 1},
		{"all of IPv6", "udp6", to6, func(k *sock) {
			for _, o := range []int{abi.IPV6_RECVPKTINFO, abi.IPV6_RECVHOPLIMIT, abi.IPV6_RECVTCLASS, abi.IPV6_FLOWINFO} {
				k.set(abi.SOL_IPV6, o, 1)
			}
		}, func(k *sock) { k.set(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 9).set(abi.SOL_IPV6, abi.IPV6_TCLASS, 8) }, 64, nil, 1},
		{"when it came", "udp4", to, sol(abi.SO_TIMESTAMP, 1), nil, 64, nil, 1},
		{"when it left", "udp4", to, nil, sol(abi.SO_TIMESTAMPING, abi.SOF_TIMESTAMPING_TX_SOFTWARE|abi.SOF_TIMESTAMPING_SOFTWARE), 64, nil, 3},
		{"no room", "udp4", to, func(k *sock) { sol(abi.SO_RCVBUF, 1)(k); sol(abi.SO_RXQ_OVFL, 1)(k) }, nil, 200, nil, 1},
		{"to be fragmented", "udp4", to, nil, sol4(abi.IP_MTU_DISCOVER, abi.PMTUDISC_DONT), 64, nil, 3},
		{"not to be fragmented", "udp4", to, nil, sol4(abi.IP_MTU_DISCOVER, abi.PMTUDISC_DO), 64, nil, 1},
		{"not by the path's MTU", "udp4", to, nil, sol4(abi.IP_MTU_DISCOVER, abi.PMTUDISC_PROBE), 64, nil, 1},
		{"IPv6, not to be fragmented", "udp6", to6, nil, sol6(abi.IPV6_DONTFRAG, 1), 64, nil, 1},
		{"IPv6, larger than its own MTU", "udp6", to6, nil, sol6(abi.IPV6_MTU, 1280), 1300, nil, 6},
		{"no checksum", "udp4", to, nil, sol(abi.SO_NO_CHECK, 1), 64, nil, 1},
		{"IP_MINTTL", "udp4", to, sol4(abi.IP_MINTTL, 65), nil, 64, nil, 1},
		{"a filter that cuts", "udp4", to, filter(20), nil, 64, nil, 3},
		{"a filter that drops", "udp4", to, filter(0), nil, 64, nil, 3},
		{"UDP_GRO", "udp4", to, func(k *sock) { k.set(abi.SOL_UDP, abi.UDP_GRO, 1) }, nil, 64, nil, 3},
		{"UDP_SEGMENT", "udp4", to, nil, func(k *sock) { k.set(abi.SOL_UDP, abi.UDP_SEGMENT, 30) }, 64, nil, 3},
		{"UDP_SEGMENT of one", "udp4", to, nil, func(k *sock) { k.set(abi.SOL_UDP, abi.UDP_SEGMENT, 64) }, 64, nil, 3},
		{"a raw socket", "udp4", to, func(k *sock) { k.m.open("raw4:17") }, nil, 64, nil, 3},
		{"a raw socket of another protocol", "udp4", to, func(k *sock) { k.m.open("raw4:89") }, nil, 64, nil, 1},
		{"shut down", "udp4", to, func(k *sock) { k.Shutdown(abi.SHUT_RD) }, nil, 64, nil, 1},
		{"to another port", "udp4", "127.0.0.1:8", nil, nil, 64, nil, 6}, // and what ICMP says of each
		{"of a peer", "udp4", to, func(k *sock) { k.with("127.0.0.1:5000") }, nil, 64, nil, 1},
		{"from an address of another interface", "udp4", to, sol4(abi.IP_PKTINFO, 1), nil, 64, cmsg(abi.SOL_IP, abi.IP_PKTINFO, append(append(ints(0), in4(addrA)...), 0, 0, 0, 0)), 1},
		{"of another peer", "udp4", to, func(k *sock) { k.with("127.0.0.1:99") }, nil, 64, nil, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell := func(tap bool) (string, int) {
				m := newMachine(t, &clock.Manual{}, Config{}, addrA+"/24")
				m.clock.Advance(time.Hour)
				r, s := m.open(c.kind), m.open(c.kind)
				s.at(strings.NewReplacer("127.0.0.1:7", "127.0.0.1:5000", "127.0.0.1:8", "127.0.0.1:5000", "[::1]:7", "[::1]:5000", addrA+":7", addrA+":5000").Replace(c.to))
				if r.at(strings.Replace(c.to, ":8", ":7", 1)); c.of != nil {
					c.of(r)
				}
				if c.by != nil {
					c.by(s)
				}
				if tap {
					m.do(func() { m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) {}) })
				}
				packets := m.looped()
				for i := range 3 {
					data := strings.Repeat(string('a'+rune(i)), c.size)
					for name(s.send(data, c.to, c.control)) == "ECONNREFUSED" {
						t.Error("an error of before")
					}
				}
				out := findOut(m, s, r)
				m.do(func() { m.st.Close() })
				m.do(m.h.Close)
				return out, *packets
			}
			want, _ := tell(true)
			got, packets := tell(false)
			if got != want {
				t.Errorf("straight:\n%s\nas packets:\n%s", got, want)
			}
			if packets != c.packets {
				t.Errorf("%d packets, want %d", packets, c.packets)
			}
		})
	}
}

// What goes straight waits for a socket whose domain is busy as packets do, and comes in order.
func TestStraightToBusy(t *testing.T) {
	m := newWide(t, addrA+"/24")
	r, s := m.open("udp4").at(addrA+":7"), m.open("udp4").at(addrA+":5000")
	send := func(words ...string) {
		for _, w := range words {
			if err := s.send(w, addrA+":7"); err != nil {
				t.Error(err)
			}
		}
	}
	send("one", "two")
	r.Host.Enter()
	done := make(chan struct{})
	go func() {
		send("three", "four")
		close(done)
	}()
	<-done
	r.Host.Leave()
	send("five")
	if got, want := r.text(), "one two three four five"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
	m.do(func() {
		if _, c := m.st.Stats(); c.OutDatagrams != 5 || c.InDatagrams != 5 {
			t.Errorf("%d datagrams sent, %d received; want 5", c.OutDatagrams, c.InDatagrams)
		}
		if c := m.st.IP.Counters(); c.OutRequests != 5 || c.InDelivers != 5 || c.OutTransmits != 5 || c.InReceives != 5 {
			t.Errorf("%+v, want 5 packets", c)
		}
	})
}

package inet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
)

// tellAll returns all that programs can find out of both ends of a connection and the host.
func tellAll(m *machine, ends ...*sock) string {
	var b strings.Builder
	for _, k := range ends {
		var in socket.Info
		m.do(func() { k.Proto.Describe(k.Socket, &in) })
		got, detail := k.text(), in.Detail
		in.Detail = nil
		fmt.Fprintf(&b, "%+v\n%+v\nready %#x, received %d bytes: %.20q\n", in, detail, k.ready(), len(got), got)
	}
	m.do(func() {
		c, _ := m.st.Stats()
		fmt.Fprintf(&b, "%+v\n%+v\n%+v\n", c, m.st.IP.Counters(), m.lo.Stats())
	})
	return b.String()
}

// Segments that go straight to the other end are received and counted as if they had been packets, which they are where somebody
// may look at one. Each case is told with a tap on the interfaces, for which all are packets, and without.
func TestStreamStraight(t *testing.T) {
	const at, at6 = "127.0.0.1:7", "[::1]:7"
	filter := func(n byte) func(c, s *sock) { // keeps n bytes
		return func(c, s *sock) {
			s.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, n, 0, 0, 0})
		}
	}
	const few, all = 2, 1000 // a SYN, which comes to a listener, and an answer, whose addresses are new
	for _, c := range []struct {
		name string
		at   string
		cfg  Config
		do   func(c, s *sock) // before data is sent
		end  func(c, s *sock)
		most int // packets
	}{
		{"IPv4", at, Config{}, nil, nil, few},
		{"IPv6", at6, Config{}, nil, nil, few},
		{"an address of another interface", addrA + ":7", Config{}, nil, nil, few},
		{"TOS and TTL", at, Config{}, func(c, s *sock) { c.set(abi.SOL_IP, abi.IP_TOS, 8).set(abi.SOL_IP, abi.IP_TTL, 9) }, nil, few},
		{"TTL too small", at, Config{}, func(c, s *sock) { s.set(abi.SOL_IP, abi.IP_MINTTL, 65) }, nil, all},
		{"may be fragmented", at, Config{}, func(c, s *sock) { c.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, abi.PMTUDISC_DONT) }, nil, all},
		{"a filter that keeps all", at, Config{}, filter(0xff), nil, all},
		{"a raw socket", at, Config{}, func(c, s *sock) { c.m.open("raw4:6") }, nil, all},
		{"a raw socket of another protocol", at, Config{}, func(c, s *sock) { c.m.open("raw4:89") }, nil, few},
		{"urgent data", at, Config{}, func(c, s *sock) { c.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB}) }, nil, few},
		{"a small window", at, Config{}, func(c, s *sock) { s.set(abi.SOL_SOCKET, abi.SO_RCVBUF, 5000) }, nil, few},
		{"reset", at, Config{}, nil, func(c, s *sock) { c.Opt.Linger = 0 }, few},
		{"ended by the other", at, Config{}, nil, func(c, s *sock) { s.Shutdown(abi.SHUT_WR) }, few + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell := func(tap bool) (string, int) {
				m := newMachine(t, &clock.Manual{}, c.cfg, addrA+"/24")
				m.clock.Advance(time.Hour)
				if tap {
					m.do(func() { m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) {}) })
				}
				packets := m.looped()
				k, s := joined(t, m, m, c.at)
				if c.do != nil {
					c.do(k, s)
				}
				var out strings.Builder
				for range 3 {
					k.send(strings.Repeat("request ", 1000), "-")
					s.send("answer", "-")
					m.clock.Advance(10 * time.Millisecond)
					out.WriteString(tellAll(m, k, s))
				}
				if c.end != nil {
					c.end(k, s)
				}
				k.Close()
				m.clock.Advance(time.Second)
				out.WriteString(tellAll(m, s))
				s.Close()
				m.clock.Advance(time.Second)
				m.do(func() { m.st.Close() })
				m.do(m.h.Close)
				return out.String(), *packets
			}
			want, most := tell(true)
			got, packets := tell(false)
			if as := strings.Split(want, "\n"); got != want {
				for i, line := range strings.Split(got, "\n") {
					if i >= len(as) || line != as[i] {
						t.Errorf("straight:\n%s\nas packets:\n%s", line, as[min(i, len(as)-1)])
					}
				}
			}
			if packets > c.most || c.most == all && packets < most/2 {
				t.Errorf("%d packets, want at most %d; with a tap %d", packets, c.most, most)
			}
		})
	}
}

// Segments that go straight wait for a domain that is busy as packets do, and come in order.
func TestStreamStraightToBusy(t *testing.T) {
	m := newWide(t, addrA+"/24")
	c, s := joined(t, m, m, addrA+":7")
	for i := range 5 {
		if err := c.send(fmt.Sprint(i), "-"); err != nil {
			t.Fatal(err)
		}
	}

	// Whoever has the domain finds them where others have left them.
	var left tcpStraight
	m.do(func() {
		e := endpointOf(s.Socket)
		left = tcpStraight{proto: m.st.tcp, path: e.path, out: ip.Out{Src: e.raddr, Dst: e.laddr, Proto: ip.ProtoTCP, DontFragment: true}}
		left.seg.SrcPort, left.seg.DstPort = e.rport, e.lport
	})
	in := m.segmentsIn()
	s.Host.Enter()
	done := make(chan struct{})
	go func() {
		at := m.h.EnterLane(s.Host.Lane().ID + 1)
		left.Run(at, nil)
		at.Leave()
		close(done)
	}()
	<-done
	if n := m.segmentsIn(); n != in {
		t.Errorf("%d segments were received of a domain that was busy", n-in)
	}
	s.Host.Leave()
	if n := m.segmentsIn(); n == in {
		t.Error("it was not received afterwards")
	}
	if got := s.text(); got != "01234" {
		t.Errorf("received %q", got)
	}
}

// segmentsIn is how many segments were received. Nobody is in a lane but who asks.
func (m *machine) segmentsIn() (n uint64) {
	for _, l := range m.st.lanes {
		n += l.inSegs
	}
	return n
}

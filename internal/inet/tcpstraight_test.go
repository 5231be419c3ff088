package inet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/packet"
	"usock/trace"
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

// watchedMachine returns a machine whose interfaces are looked at or not, and events told of to out or not, and how many packets it carries.
func watchedMachine(t *testing.T, cfg Config, tap, heard bool, out *strings.Builder) (m *machine, packets *int) {
	m = newMachine(t, &clock.Manual{}, cfg, addrA+"/24")
	m.clock.Advance(time.Hour)
	if tap {
		m.do(func() { m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) {}) })
	}
	if heard {
		t.Cleanup(m.h.Trace(func(all []trace.Event) { fmt.Fprintf(out, "%+v\n", all) }))
	}
	return m, m.looped()
}

// close closes the machine's host.
func (m *machine) close() {
	m.do(func() { m.st.Close() })
	m.do(m.h.Close)
}

// sameLines reports the first line of what was told of segments that went straight that differs from what packets tell.
func sameLines(t *testing.T, got, want string) {
	t.Helper()
	as := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(as) || line != as[i] {
			t.Errorf("line %d, straight:\n%s\nas packets:\n%s", i, line, as[min(i, len(as)-1)])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("straight: %d bytes; as packets: %d", len(got), len(want))
	}
}

// Segments that go straight to the other end are received, counted and told of as if they had been packets, which they are where
// somebody may look at one. Each case is told with a tap on the interfaces, for which all are packets, and without, and with a
// listener to events and without.
func TestStreamStraight(t *testing.T) {
	const at, at6 = "127.0.0.1:7", "[::1]:7"
	filter := func(n byte) func(c, s *sock) { // keeps n bytes
		return func(c, s *sock) {
			s.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, n, 0, 0, 0})
		}
	}
	const syn = 1 // which comes to a listener
	for _, c := range []struct {
		name string
		at   string
		cfg  Config
		do   func(c, s *sock) // before data is sent
		end  func(c, s *sock)
		want int // packets without a tap
	}{
		{"IPv4", at, Config{}, nil, nil, syn},
		{"IPv6", at6, Config{}, nil, nil, syn},
		{"an address of another interface", addrA + ":7", Config{}, nil, nil, syn},
		{"two addresses", "127.0.0.2:7", Config{}, nil, nil, syn + 1}, // the first of each direction
		{"IPv4 by an IPv6 socket", "[::ffff:127.0.0.1]:7", Config{}, nil, nil, syn},
		{"TOS and TTL", at, Config{}, func(c, s *sock) { c.set(abi.SOL_IP, abi.IP_TOS, 8).set(abi.SOL_IP, abi.IP_TTL, 9) }, nil, syn},
		// The end that nothing comes from gives up when it is closed. The other sends 8 segments more, each to nobody and answered by a reset.
		{"TTL too small", at, Config{}, func(c, s *sock) { s.set(abi.SOL_IP, abi.IP_MINTTL, 65) }, nil, syn + 2*8},
		{"may be fragmented", at, Config{}, func(c, s *sock) { c.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, abi.PMTUDISC_DONT) }, nil, syn + 6},
		{"a filter that keeps all", at, Config{}, filter(0xff), nil, syn + 18},
		{"a raw socket", at, Config{}, func(c, s *sock) { c.m.open("raw4:6") }, nil, syn + 12}, // all but the rest of the handshake
		{"a raw socket of another protocol", at, Config{}, func(c, s *sock) { c.m.open("raw4:89") }, nil, syn},
		{"urgent data", at, Config{}, func(c, s *sock) { c.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB}) }, nil, syn},
		{"a small window", at, Config{}, func(c, s *sock) { s.set(abi.SOL_SOCKET, abi.SO_RCVBUF, 5000) }, nil, syn},
		{"reset", at, Config{}, nil, func(c, s *sock) { c.Opt.Linger = 0 }, syn},
		{"ended by the other", at, Config{}, nil, func(c, s *sock) { s.Shutdown(abi.SHUT_WR) }, syn},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell := func(tap, heard bool) (string, int) {
				var out strings.Builder
				m, packets := watchedMachine(t, c.cfg, tap, heard, &out)
				k, s := joined(t, m, m, c.at)
				if c.do != nil {
					c.do(k, s)
				}
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
				m.close()
				return out.String(), *packets
			}
			for _, heard := range []bool{false, true} {
				want, most := tell(true, heard)
				got, packets := tell(false, heard)
				sameLines(t, got, want)
				if packets != c.want {
					t.Errorf("%d packets, want %d; with a tap %d", packets, c.want, most)
				}
			}
		})
	}
}

// Segments that go straight wait for a domain that is busy as packets do, and come in order. Where somebody has begun to look at packets
// meanwhile, they are packets.
func TestStreamStraightToBusy(t *testing.T) {
	for _, looks := range []bool{false, true} {
		t.Run(fmt.Sprint("looks ", looks), func(t *testing.T) { straightToBusy(t, looks) })
	}
}

func straightToBusy(t *testing.T, looks bool) {
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
	seen := 0
	if looks { // nobody else is in a lane
		m.st.IP.Tap(func(_ *ip.Lane, _ *ip.Iface, p *packet.Packet, sent bool) { seen++ })
	}
	s.Host.Leave()
	if looks != (seen >= 2) { // on its way out, and in
		t.Errorf("somebody looks: %v, and has seen %d packets", looks, seen)
	}
	if n := m.segmentsIn(); n == in {
		t.Error("it was not received afterwards")
	}
	if got := s.text(); got != "01234" {
		t.Errorf("received %q", got)
	}
}

// Where too many wait for a domain that is busy, a segment that would go straight is dropped, as a packet is, and counted so.
func TestStreamStraightToFull(t *testing.T) {
	m := newWide(t, addrA+"/24")
	_, s := joined(t, m, m, addrA+":7")
	var more tcpStraight
	m.do(func() {
		e := endpointOf(s.Socket)
		more = tcpStraight{proto: m.st.tcp, path: e.path, n: 20, out: ip.Out{Src: e.raddr, Dst: e.laddr, Proto: ip.ProtoTCP, DontFragment: true}}
		more.seg.SrcPort, more.seg.DstPort = e.rport, e.lport
		more.seg.Data.Append(packet.Copy([]byte("no room")))
	})
	in, before := m.segmentsIn(), m.lo.Stats()
	s.Host.Enter()
	done := make(chan struct{})
	go func() {
		at := m.h.EnterLane(s.Host.Lane().ID + 1)
		d := endpointOf(s.Socket).dom
		for !d.Full() {
			at.Post(d, host.Call(func() {}), nil)
		}
		more.Run(at, nil)
		at.Leave()
		close(done)
	}()
	<-done
	s.Host.Leave()
	if n := m.segmentsIn(); n != in {
		t.Errorf("%d segments were received", n-in)
	}
	if now := m.lo.Stats(); now.RxDropped != before.RxDropped+1 || now.RxPackets != before.RxPackets+1 {
		t.Errorf("%+v, and before %+v", now, before)
	}
}

// segmentsIn is how many segments were received. Nobody is in a lane but who asks.
func (m *machine) segmentsIn() (n uint64) {
	for _, l := range m.st.lanes {
		n += l.inSegs
	}
	return n
}

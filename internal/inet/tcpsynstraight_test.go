package inet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/tcp"
	"usock/internal/wire"
)

// listens returns a socket that listens at the address.
func (m *machine) listens(kind, at string, backlog int, prepare ...func(*sock)) *sock {
	m.t.Helper()
	l := m.open(kind)
	for _, f := range prepare {
		f(l)
	}
	if err := l.at(at).Listen(backlog); err != nil {
		m.t.Fatal(err)
	}
	return l
}

// connects returns n sockets that have begun to connect to the address, one after the other.
func (m *machine) connects(to string, n int) (out []*sock) {
	for range n {
		out = append(out, m.open("tcp4").with(to))
	}
	return out
}

// acceptAll takes what waits to be accepted.
func (s *sock) acceptAll() (out []*sock) {
	for {
		n, err := s.Accept(noContext)
		if err != nil {
			return out
		}
		n.SetNonblock(true)
		out = append(out, &sock{n, s.m})
	}
}

// toldOf returns what programs and listeners to events find out of what do does on a host, whose interfaces are looked at or not, and
// how many packets it was.
func toldOf(t *testing.T, cfg Config, tap bool, do func(m *machine) []*sock) (string, int) {
	var out strings.Builder
	m, packets := watchedMachine(t, cfg, tap, true, &out)
	all := do(m)
	out.WriteString(tellAll(m, all...))
	for _, s := range all {
		s.Close()
		m.clock.Advance(100 * time.Millisecond)
	}
	m.clock.Advance(10 * time.Second)
	out.WriteString(tellAll(m))
	m.close()
	return out.String(), *packets
}

// What becomes of a SYN to a listener of the same host, by the rules of each, is the same whether it was a packet or none. It is one
// where somebody looks at it, or nobody takes it. The first is, as the lane does not know the addresses yet.
func TestConnectStraight(t *testing.T) {
	const at, first = "127.0.0.1:7", 1
	set := func(level, name, v int) func(*sock) { return func(s *sock) { s.set(level, name, v) } }
	filter := func(n byte) func(*sock) {
		return func(s *sock) { s.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, n, 0, 0, 0}) }
	}
	on := func(device string) func(*sock) {
		return func(s *sock) { s.SetOpt(abi.SOL_SOCKET, abi.SO_BINDTODEVICE, []byte(device)) }
	}
	settings := func(f func(*tcp.Settings)) Config {
		s := tcp.DefaultSettings()
		f(s)
		return Config{TCP: s}
	}
	several := func(kind, to string, backlog, n int, prepare ...func(*sock)) func(m *machine) []*sock {
		return func(m *machine) []*sock {
			l := m.listens(kind, to, backlog, prepare...)
			all := m.connects(at, n)
			m.clock.Advance(2 * time.Second) // SYNs that nobody took come again
			return append(all, l.acceptAll()...)
		}
	}
	for _, c := range []struct {
		name string
		cfg  Config
		do   func(m *machine) []*sock
		want int // packets without a tap
	}{
		{"in the order in which they came", Config{}, several("tcp4", at, 5, 4), first},
		{"more than the queue holds", Config{}, several("tcp4", at, 1, 4), first},
		{"reset where the queue is full", settings(func(s *tcp.Settings) { s.AbortOnOverflow = true }), several("tcp4", at, 1, 4), first},
		{"cookies", Config{}, several("tcp4", at, 1, 4, set(abi.SOL_TCP, abi.TCP_DEFER_ACCEPT, 5)), first + 2*2}, // SYN-ACKs that nobody keeps, and what answers them
		{"one family for both", Config{}, several("tcp6", "[::]:7", 5, 2), first},
		{"a TTL too small", Config{}, several("tcp4", at, 5, 2, set(abi.SOL_IP, abi.IP_MINTTL, 65)), first + 2}, // resets
		{"a filter that keeps all", Config{}, several("tcp4", at, 5, 2, filter(0xff)), 2 * 4},                   // all to the listener's end
		{"a filter that keeps nothing", Config{}, several("tcp4", at, 5, 2, filter(0)), 2 * 3},                  // and those that come again
		{"this interface", Config{}, several("tcp4", at, 5, 2, on("lo")), first},
		{"another interface", Config{}, several("tcp4", "0.0.0.0:7", 5, 2, on("eth0")), 2 * 2}, // with their resets
		{"nobody", Config{}, func(m *machine) []*sock { return m.connects(at, 2) }, 2 * 2},
		{"the address before any address", Config{}, func(m *machine) []*sock {
			any, one := m.listens("tcp4", "0.0.0.0:7", 5, set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1)), m.listens("tcp4", at, 5, set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1))
			all := append(m.connects(at, 2), m.connects("127.0.0.2:7", 2)...)
			return append(append(all, any.acceptAll()...), one.acceptAll()...)
		}, first + 6}, // a lane knows two directions, and here are three
		{"spread over several", Config{}, func(m *machine) []*sock {
			reuse := set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1)
			a, b := m.listens("tcp4", at, 9, reuse), m.listens("tcp4", at, 9, reuse)
			all := m.connects(at, 9)
			return append(append(all, a.acceptAll()...), b.acceptAll()...)
		}, first},
		{"a connection in TIME-WAIT", Config{}, func(m *machine) []*sock {
			l := m.listens("tcp4", at, 5)
			c := m.open("tcp4").at("127.0.0.1:9").with(at)
			s := l.accept()
			s.Close()
			c.Close()
			m.clock.Advance(2 * time.Second)
			again := m.open("tcp4")
			again.set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
			again.at("127.0.0.1:9").with(at)
			return append(l.acceptAll(), again)
		}, first},
		{"Fast Open", opens(tcp.FastOpenClient | tcp.FastOpenServer), func(m *machine) (all []*sock) {
			l := m.listens("tcp4", at, 5, set(abi.SOL_TCP, abi.TCP_FASTOPEN, 5))
			for range 3 { // the first one has no cookie yet
				c := m.open("tcp4")
				c.sendOpen("data", at, 0)
				all = append(all, c)
			}
			return append(all, l.acceptAll()...)
		}, first},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, most := toldOf(t, c.cfg, true, c.do)
			got, packets := toldOf(t, c.cfg, false, c.do)
			sameLines(t, got, want)
			if packets != c.want {
				t.Errorf("%d packets, want %d; with a tap %d", packets, c.want, most)
			}
		})
	}
}

// Whatever several sockets do that listen, connect, send and close, nobody can tell from what comes of it which of their segments were
// packets.
func TestConnectStraightWhatever(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	to := []string{"127.0.0.1:7", "127.0.0.2:7", "127.0.0.1:8", addrA + ":7"}
	straight := 0
	for seed := range seeds {
		do := func(m *machine) (all []*sock) {
			r := rand.New(rand.NewPCG(seed, 1))
			var listeners []*sock
			for range 60 {
				switch op := r.IntN(12); {
				case op == 0 || len(listeners) == 0:
					l := m.open("tcp4")
					l.set(abi.SOL_SOCKET, abi.SO_REUSEPORT, r.IntN(4)/3^1).set(abi.SOL_TCP, abi.TCP_DEFER_ACCEPT, r.IntN(3)/2)
					if l.bind([]string{"127.0.0.1:7", "0.0.0.0:7", "127.0.0.1:8"}[r.IntN(3)]) == nil && l.Listen(r.IntN(4)) == nil {
						listeners = append(listeners, l)
					}
				case op == 1:
					i := r.IntN(len(listeners))
					listeners[i].Close()
					listeners = append(listeners[:i], listeners[i+1:]...)
				case op < 6:
					c := m.open("tcp4")
					if r.IntN(3) == 0 { // a port that has been another's
						c.set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
						c.bind(fmt.Sprintf("127.0.0.1:%d", 20+r.IntN(3)))
					}
					c.connect(to[r.IntN(len(to))])
					all = append(all, c)
				case op < 8:
					all = append(all, listeners[r.IntN(len(listeners))].acceptAll()...)
				case op == 8:
					m.clock.Advance(time.Duration(r.IntN(3000)) * time.Millisecond)
				case len(all) == 0:
				case op == 9:
					all[r.IntN(len(all))].send("data", "-")
				case op == 10:
					all[r.IntN(len(all))].Shutdown(abi.SHUT_WR)
				default:
					i := r.IntN(len(all))
					all[i].Close()
					all = append(all[:i], all[i+1:]...)
				}
			}
			return append(all, listeners...)
		}
		want, most := toldOf(t, Config{}, true, do)
		got, packets := toldOf(t, Config{}, false, do)
		straight += most - packets
		sameLines(t, got, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if straight < int(seeds) {
		t.Errorf("%d segments went straight", straight)
	}
}

// A SYN whose sender's domain is busy is taken there later. What it makes is answered, here by a reset, as the socket does not connect.
func TestConnectStraightToBusy(t *testing.T) {
	m := newWide(t, addrA+"/24")
	m.listens("tcp4", addrA+":7", 5)
	c := m.open("tcp4").at(addrA + ":9")
	var syn tcpStraight
	m.do(func() {
		e := endpointOf(c.Socket)
		path, err := m.st.path(netip.MustParseAddr(addrA), netip.MustParseAddr(addrA), 0)
		if err != nil {
			t.Fatal(err)
		}
		syn = tcpStraight{proto: m.st.tcp, dom: e.dom, path: path, out: ip.Out{Src: path.Src, Dst: path.Dst, Proto: ip.ProtoTCP, DontFragment: true}}
		syn.seg.Flags, syn.seg.SrcPort, syn.seg.DstPort = wire.SYN, 9, 7
	})
	in := m.segmentsIn()
	c.Host.Enter()
	done := make(chan struct{})
	go func() {
		at := m.h.EnterLane(c.Host.Lane().ID + 1)
		syn.Run(at, nil)
		at.Leave()
		close(done)
	}()
	<-done
	if n := m.segmentsIn(); n != in {
		t.Errorf("%d segments were received in a domain that was busy", n-in)
	}
	c.Host.Leave()
	if n := m.segmentsIn(); n != in+3 {
		t.Errorf("%d segments were received afterwards, want the SYN, its answer and a reset", n-in)
	}
}

package inet

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/packet"
	"usock/trace"
)

// anything has one of two connected sockets do something.
func anything(r *rand.Rand, e *sock, out *strings.Builder) {
	opt := func(level, name int, values ...int) { e.set(level, name, values[r.IntN(len(values))]) }
	switch op := r.IntN(17); op {
	case 0, 1, 2:
		e.send(strings.Repeat("x", 1+r.IntN(100)), "-")
	case 3, 4:
		e.send(strings.Repeat("y", 1+r.IntN(200000)), "-")
	case 5:
		e.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB})
	case 6:
		opt(abi.SOL_IP, abi.IP_TOS, r.IntN(256))
	case 7:
		opt(abi.SOL_IP, abi.IP_MINTTL, 0, 64, 65)
	case 8:
		opt(abi.SOL_TCP, abi.TCP_NODELAY, 0, 1)
	case 9:
		opt(abi.SOL_TCP, abi.TCP_CORK, 0, 1)
	case 10, 11:
		e.m.clock.Advance(time.Duration(r.IntN(400)) * time.Millisecond)
	case 12:
		fmt.Fprintf(out, "received %d bytes\n", len(e.text()))
	case 13:
		opt(abi.SOL_SOCKET, abi.SO_RCVBUF, 2000+r.IntN(100000))
	case 14:
		opt(abi.SOL_IP, abi.IP_MTU_DISCOVER, abi.PMTUDISC_DONT, abi.PMTUDISC_WANT, abi.PMTUDISC_DO, abi.PMTUDISC_PROBE)
	case 15:
		opt(abi.SOL_TCP, abi.TCP_MAXSEG, 500, 1460, 9000, 32000)
	default:
		switch r.IntN(8) {
		case 0, 1:
			e.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 0xff, 0xff, 0, 0}) // keeps all
		case 2, 3:
			e.SetOpt(abi.SOL_SOCKET, abi.SO_DETACH_FILTER, make([]byte, 4)) // or there is none
		case 4:
			e.Shutdown(abi.SHUT_WR)
		}
	}
}

// Whatever two ends do, nobody can tell from what comes of it which of their segments were packets.
func TestStreamStraightWhatever(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() {
		seeds = 8
	}
	at := []string{"127.0.0.1:7", "127.0.0.2:7", "[::1]:7", "[::ffff:127.0.0.1]:7", addrA + ":7"}
	straight := 0
	for seed := range seeds {
		tell := func(tap bool) (string, int) {
			r := rand.New(rand.NewPCG(seed, 0))
			settings := tcp.DefaultConfig().Settings
			settings.ECN = r.IntN(3)
			m := newMachine(t, &clock.Manual{}, Config{TCP: &settings}, addrA+"/24")
			m.clock.Advance(time.Hour)
			if tap {
				m.do(func() { m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) {}) })
			}
			var out strings.Builder
			defer m.h.Trace(func(all []trace.Event) { fmt.Fprintf(&out, "%+v\n", all) })()
			packets := m.looped()
			c, s := joined(t, m, m, at[r.IntN(len(at))])
			ends := [...]*sock{c, s}
			for range 60 {
				anything(r, ends[r.IntN(2)], &out)
			}
			out.WriteString(tellAll(m, c, s))
			c.Close()
			m.clock.Advance(time.Second)
			s.Close()
			m.clock.Advance(10 * time.Second)
			out.WriteString(tellAll(m))
			m.do(func() { m.st.Close() })
			m.do(m.h.Close)
			return out.String(), *packets
		}
		want, all := tell(true)
		got, packets := tell(false)
		straight += all - packets
		sameLines(t, got, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if straight < int(seeds) {
		t.Errorf("%d segments went straight", straight)
	}
}

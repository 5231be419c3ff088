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
	"usock/packet"
	"usock/trace"
)

func randomStream(t *testing.T, seed uint64, tap, heard bool) (string, int) {
	r := rand.New(rand.NewPCG(seed, 1))
	m := newMachine(t, &clock.Manual{}, Config{}, addrA+"/24")
	m.clock.Advance(time.Hour)
	if tap {
		m.do(func() { m.st.IP.Tap(func(*ip.Lane, *ip.Iface, *packet.Packet, bool) {}) })
	}
	var out strings.Builder
	if heard {
		defer m.h.Trace(func(l []trace.Event) {
			for i := range l {
				fmt.Fprintf(&out, "%+v\n", l[i])
			}
		})()
	}
	packets := m.looped()
	at := []string{"127.0.0.1:7", "[::1]:7", addrA + ":7"}[r.IntN(3)]
	k, s := joined(t, m, m, at)
	ends := []*sock{k, s}
	for range 60 {
		e := ends[r.IntN(2)]
		op := r.IntN(16)
		fmt.Fprintf(&out, "op %d\n", op)
		switch op {
		case 0, 1, 2:
			e.send(strings.Repeat("x", 1+r.IntN(100)), "-")
		case 3, 4:
			e.send(strings.Repeat("y", 1+r.IntN(200000)), "-")
		case 5:
			e.Send(noContext, []byte("!"), &socket.Msg{Flags: abi.MSG_OOB})
		case 6:
			e.set(abi.SOL_IP, abi.IP_TOS, r.IntN(256))
		case 7:
			e.SetOpt(abi.SOL_IP, abi.IP_MINTTL, []byte{byte([]int{0, 64, 65}[r.IntN(3)]), 0, 0, 0})
		case 8:
			e.SetOpt(abi.SOL_TCP, abi.TCP_NODELAY, []byte{byte(r.IntN(2)), 0, 0, 0})
		case 9:
			e.SetOpt(abi.SOL_TCP, abi.TCP_CORK, []byte{byte(r.IntN(2)), 0, 0, 0})
		case 10, 11:
			m.clock.Advance(time.Duration(r.IntN(400)) * time.Millisecond)
		case 12:
			fmt.Fprintf(&out, "got %d\n", len(e.text()))
		case 13:
			e.set(abi.SOL_SOCKET, abi.SO_RCVBUF, 2000+r.IntN(100000))
		case 14:
			e.SetOpt(abi.SOL_IP, abi.IP_MTU_DISCOVER, []byte{byte(r.IntN(4)), 0, 0, 0})
		case 15:
			switch r.IntN(4) {
			case 0:
				e.SetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 0xff, 0xff, 0, 0})
			case 1:
				e.SetOpt(abi.SOL_SOCKET, abi.SO_DETACH_FILTER, []byte{0, 0, 0, 0})
			case 2:
				if r.IntN(3) == 0 {
					e.Shutdown(abi.SHUT_WR)
				}
			}
		}
	}
	out.WriteString(tellAll(m, k, s))
	k.Close()
	m.clock.Advance(time.Second)
	s.Close()
	m.clock.Advance(10 * time.Second)
	out.WriteString(tellAll(m))
	m.do(func() { m.st.Close() })
	m.do(m.h.Close)
	return out.String(), *packets
}

func TestStreamStraightRandom(t *testing.T) {
	for seed := range uint64(300) {
		heard := seed%2 == 0
		want, p := randomStream(t, seed, true, heard)
		got, q := randomStream(t, seed, false, heard)
		if got != want {
			as := strings.Split(want, "\n")
			n := 0
			for i, line := range strings.Split(got, "\n") {
				if i >= len(as) || line != as[i] {
					if n++; n > 3 {
						break
					}
					t.Errorf("seed %d line %d straight:\n%s\nas packets:\n%s", seed, i, line, as[min(i, len(as)-1)])
				}
			}
		}
		if seed < 10 {
			t.Log(seed, p, q)
		}
	}
}

//go:build linux

package interop

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"usock/internal/abi"
)

// encapPort is the UDP port of either stack for SCTP (RFC 6951): the registered one.
const encapPort = 9899

// In UDP messages of all sizes arrive, both ways, over IPv4 and IPv6.
func TestSCTPInUDP(t *testing.T) {
	inUDP := option{abi.SCTP_REMOTE_UDP_ENCAPS_PORT, structure(&abi.SCTPUdpencaps{Port: encapPort})}
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%t", v6), func(t *testing.T) {
			eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
				l.sysctl("udp_port", fmt.Sprint(encapPort))
				x, y := associate(t, from, to, v6, extended(inUDP))
				r := rand.New(rand.NewPCG(7, 8))
				var notes []*note
				for i, n := range messageSizes[:len(messageSizes)-1] { // but for the one that takes seconds
					notes = append(notes, &note{data: random(r, n), stream: uint16(i % 3), ppid: ppid + uint32(i)})
				}
				converse(t, x, y, notes)
				converse(t, y, x, notes)
				l.carried(0, "sctp && udp")
				l.not(0, "sctp && !udp")
			})
		})
	}
}

// Over a path that loses, reorders and delays, messages in UDP arrive all the same, in order on their streams. Few are sent: Linux
// 6.1, as it is seen there, repeats in UDP by its timer alone.
func TestSCTPInUDPLossy(t *testing.T) {
	eachSide(t, 1, func(t *testing.T, l *sctpLab, from, to sctpStack) {
		l.sysctl("udp_port", fmt.Sprint(encapPort))
		x, y := associate(t, from, to, false, extended(
			option{abi.SCTP_REMOTE_UDP_ENCAPS_PORT, structure(&abi.SCTPUdpencaps{Port: encapPort})},
			option{abi.SCTP_RTOINFO, structure(&abi.SCTPRtoinfo{Initial: 200, Min: 100, Max: 400})},
		))
		l.impair(0, "loss=3%,reorder=5%,delay=2ms")
		r := rand.New(rand.NewPCG(9, 10))
		for _, ends := range [][2]sctpSocket{{x, y}, {y, x}} {
			var notes []*note
			for i := range 60 {
				n := []int{1, 100, 1452, 3000, 10_000}[i%5]
				notes = append(notes, &note{data: random(r, n), stream: uint16(i % 3), unordered: i%7 == 6, ppid: ppid + uint32(i)})
			}
			converse(t, ends[0], ends[1], notes)
		}
		l.not(0, "sctp && !udp")
	})
}

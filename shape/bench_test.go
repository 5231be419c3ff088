package shape_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"usock/clock"
	"usock/link"
	"usock/packet"
	"usock/shape"
)

// traffic is packets of several flows on a link as a shape says, in manual time.
type traffic struct {
	link  *shape.Link
	heads [][]byte
	batch [1]*link.Packet
	n     int
}

func newTraffic(t testing.TB, texts []string, flows int, c shape.Config) *traffic {
	near, far := link.Pipe(link.PipeConfig{})
	c.Clock = new(clock.Manual)
	l, err := shape.Impair(near, shape.Shape{Rules: rules(t, texts...), OneWay: true}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	far.Deliver(func(batch []*link.Packet) {
		for _, p := range batch {
			p.Free()
		}
	})
	x := &traffic{link: l}
	for i := range flows {
		d := described{proto: "tcp", src: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1000+i)), dst: netip.MustParseAddrPort("10.0.0.2:443")}
		x.heads = append(x.heads, d.bytes(t))
	}
	return x
}

// send sends a packet of the next flow. As a host does, it has just written the packet's headers.
func (x *traffic) send() {
	p := packet.New()
	head := x.heads[x.n%len(x.heads)]
	x.n++
	copy(p.Prepend(len(head)), head)
	p.Owner.PID = 7
	x.batch[0] = p
	x.link.Send(x.batch[:])
}

// others are rules that are about other packets, of all kinds.
func others(n int) (list []string) {
	for i := range n {
		list = append(list, []string{
			fmt.Sprintf("to host%d.test: delay 5ms", i), fmt.Sprintf("to 192.0.2.%d: cut", i%250), fmt.Sprintf("to :%d: loss 5%%", 5000+i), "udp: rate 1mbit",
			fmt.Sprintf("process program%d: cut", i), fmt.Sprintf("from :443 connection %d: cut", i+1), "tcp every 30s for 2s from 1h: delay 5ms",
		}[i%7])
	}
	return list
}

// BenchmarkRules has the price of rules that are about other packets: what a packet costs more than on a link without rules. The two
// take turns, as a machine may be slower for a while.
func BenchmarkRules(b *testing.B) {
	const turn = 256
	for _, flows := range []int{1, 64, 4096} {
		for _, n := range []int{1, 100, 256} {
			b.Run(fmt.Sprintf("flows=%d/rules=%d", flows, n), func(b *testing.B) {
				ways := [2]*traffic{newTraffic(b, nil, flows, shape.Config{}), newTraffic(b, others(n), flows, shape.Config{})}
				for range 2 * flows {
					ways[0].send()
					ways[1].send()
				}
				b.ReportAllocs()
				var took [2][]time.Duration
				for range max(b.N/turn, 1) {
					for i, x := range ways {
						begun := time.Now()
						for range turn {
							x.send()
						}
						took[i] = append(took[i], time.Since(begun))
					}
				}
				var each [2]float64
				for i, t := range took {
					slices.Sort(t)
					each[i] = float64(t[len(t)/2]) / turn
				}
				b.ReportMetric(each[0], "ns/plain")
				b.ReportMetric(each[1]-each[0], "ns/rules")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// TestRulesAllocateNothing sends packets of flows that are known.
func TestRulesAllocateNothing(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		x := newTraffic(t, append(others(100), "tcp: corrupt 0%"), 2000, shape.Config{Loopback: loopback})
		for range 4000 {
			x.send()
		}
		if n := testing.AllocsPerRun(4000, x.send); n > 0.01 {
			t.Errorf("%v allocations for a packet (loopback: %v)", n, loopback)
		}
	}
}

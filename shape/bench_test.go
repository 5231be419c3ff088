package shape_test

import (
	"fmt"
	"net/netip"
	"testing"

	"usock/clock"
	"usock/link"
	"usock/packet"
	"usock/shape"
)

// traffic is packets of several flows on a link as a shape says, in manual time.
type traffic struct {
	link  *shape.Link
	data  []packet.View
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
		x.data = append(x.data, packet.Copy(d.bytes(t)))
	}
	return x
}

// send sends a packet of the next flow.
func (x *traffic) send() {
	p := packet.New()
	b := x.data[x.n%len(x.data)]
	x.n++
	b.Retain()
	p.Payload.Append(b)
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

// BenchmarkRules has the price of rules that are about other packets.
func BenchmarkRules(b *testing.B) {
	for _, flows := range []int{1, 64, 4096} {
		for _, n := range []int{0, 1, 100, 256} {
			b.Run(fmt.Sprintf("flows=%d/rules=%d", flows, n), func(b *testing.B) {
				x := newTraffic(b, others(n), flows, shape.Config{})
				b.ReportAllocs()
				for b.Loop() {
					x.send()
				}
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

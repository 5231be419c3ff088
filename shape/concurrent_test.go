package shape_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"usock/link"
	"usock/shape"
)

// TestRulesAtOnce has packets pass on several goroutines while rules, names and programs change.
func TestRulesAtOnce(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		near, far := link.Pipe(link.PipeConfig{})
		lists := [][]shape.Rule{rules(t, "to :53 connection 1-9: corrupt 1%", "process curl: duplicate 100%"), rules(t, "udp: cut"), nil}
		l, err := shape.Impair(near, shape.Shape{Rules: lists[0]}, shape.Config{Loopback: loopback})
		if err != nil {
			t.Fatal(err)
		}
		var came atomic.Int64
		far.Deliver(func(batch []*link.Packet) {
			came.Add(int64(len(batch)))
			for _, p := range batch {
				p.Free()
			}
		})
		const senders, each = 4, 3000
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for k := range each {
					d := described{proto: "tcp", src: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1000*i+k%50+1)), dst: netip.MustParseAddrPort("10.0.0.2:53")}
					p := packetOf(d.bytes(t), k%2*20)
					p.Owner.PID = int32(k % 5)
					l.Send([]*link.Packet{p})
				}
			})
		}
		wg.Go(func() {
			for k := range 200 {
				if err := l.SetShape(shape.Shape{Rules: lists[k%3]}); err != nil {
					t.Error(err)
				}
				l.Resolved(netip.AddrFrom4([4]byte{10, 0, 0, byte(k)}), "api.test")
				l.Program(int32(k%5), []string{"curl", "wget"}[k%2])
			}
		})
		wg.Wait()
		out, _ := l.Stats()
		if n := came.Load(); n < senders*each || n > 2*senders*each || uint64(n) != out.Carried || out.Lost+out.Dropped != 0 || out.Waiting != 0 {
			t.Errorf("%d packets came: %+v", came.Load(), out)
		}
		l.Close()
	}
}

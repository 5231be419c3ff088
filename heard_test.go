package usock_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"usock"
	"usock/trace"
)

// BenchmarkHeard is what a listener to all of a host's events costs bulk over its loopback interface, by one connection and by
// eight: turns with a listener and without follow each other on the same connections, and the medians are compared.
func BenchmarkHeard(b *testing.B) {
	for _, c := range []struct {
		conns int
		kinds []trace.Kind
	}{{1, nil}, {8, nil}, {1, []trace.Kind{trace.Called, trace.State, trace.Stalled, trace.Lost, trace.Dropped}}, {1, []trace.Kind{trace.State}}} {
		b.Run(fmt.Sprintf("conns=%d/kinds=%d", c.conns, len(c.kinds)), func(b *testing.B) {
			conns := c.conns
			h := newHost(b, usock.Config{})
			carry := bulkTurns(b, h, conns)
			heard, missed := 0, 0
			hear := func(events []trace.Event) {
				heard += len(events)
				for i := range events {
					if events[i].Kind == trace.Missed {
						missed += events[i].Result
					}
				}
			}
			const writes = 400
			carry(writes)
			var with, without, ratio []float64
			for i := 0; b.Loop(); i++ {
				var took [2]time.Duration
				for k := range 2 {
					listens := (i+k)%2 == 1
					stop := func() {}
					if listens {
						stop = h.Trace(hear, c.kinds...)
					}
					began := time.Now()
					carry(writes)
					took[(i+k)%2] = time.Since(began)
					stop()
				}
				without = append(without, float64(took[0])/writes)
				with = append(with, float64(took[1])/writes)
				ratio = append(ratio, float64(took[1])/float64(took[0]))
			}
			b.ReportMetric(median(without), "ns/without")
			b.ReportMetric(median(with), "ns/with")
			b.ReportMetric(median(ratio), "with/without")
			b.ReportMetric(float64(heard)/float64(len(with)*writes), "events/write")
			b.ReportMetric(float64(missed), "missed")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// bulkTurns returns a function that has connections of a host carry 128 KiB so many times, all together.
func bulkTurns(b *testing.B, h *usock.Host, conns int) func(writes int) {
	const size = 128 << 10
	type turn struct{ writes, done chan int }
	turns := make([]turn, conns)
	for i := range turns {
		x, y := connPair(b, h, h, "127.0.0.1:0")
		t := turn{make(chan int), make(chan int)}
		turns[i] = t
		b.Cleanup(func() { close(t.writes) })
		left := make(chan int, 1)
		go func() {
			defer x.CloseWrite()
			for buf := make([]byte, size); ; {
				n, ok := <-t.writes
				if !ok {
					return
				}
				left <- n * size
				for range n {
					if _, err := x.Write(buf); err != nil {
						b.Error(err)
						return
					}
				}
			}
		}()
		go func() {
			for buf := make([]byte, size); ; {
				for n := <-left; n > 0; {
					k, err := y.Read(buf)
					if err != nil {
						return
					}
					n -= k
				}
				t.done <- 0
			}
		}()
	}
	return func(writes int) {
		var all sync.WaitGroup
		for _, t := range turns {
			all.Go(func() {
				t.writes <- writes / conns
				<-t.done
			})
		}
		all.Wait()
	}
}

//go:build linux

package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"usock/clock"
	"usock/link"
)

// library measures links without hosts.
func library(runs int, _ string) (string, error) {
	var b strings.Builder
	b.WriteString("| of the library | figure |\n|---|---|\n")
	for _, c := range []struct {
		name    string
		precise bool
	}{{"precise clock", true}, {"package time", false}} {
		var p50, p99 []float64
		for range runs {
			m, n, err := lateness(c.precise)
			if err != nil {
				return "", err
			}
			p50, p99 = append(p50, m), append(p99, n)
		}
		id := func(x float64) float64 { return x }
		fmt.Fprintf(&b, "| a packet is later than asked, %s, p50 and p99, µs | %.0f, %.0f |\n", c.name, median(p50, id), median(p99, id))
	}
	var carried []float64
	for range runs {
		n, err := carry()
		if err != nil {
			return "", err
		}
		carried = append(carried, n)
	}
	fmt.Fprintf(&b, "| packets of 1500 bytes with delay 10 ms, loss 0.1 %% and a rate of 10 Gbit/s through one processor, Gbit/s | %.2f |\n", median(carried, func(x float64) float64 { return x }))
	return b.String(), nil
}

// datagram is a packet of IPv4 and UDP of n bytes.
func datagram(n int) *link.Packet {
	b := make([]byte, n)
	b[0], b[2], b[3], b[8], b[9] = 0x45, byte(n>>8), byte(n), 64, 17
	b[12], b[15], b[16], b[19] = 10, 1, 10, 2
	return link.NewPacket(b)
}

// lateness sends packets one by one over a link that delays them, and returns by how much they are late, in µs.
func lateness(precise bool) (p50, p99 float64, err error) {
	var c clock.Clock = clock.System()
	if precise {
		p, err := clock.NewPrecise()
		if err != nil {
			return 0, 0, err
		}
		defer p.Close()
		c = p
	}
	a, z := link.Pipe(link.PipeConfig{MTU: 1500})
	const delay = 3 * time.Millisecond
	i, err := link.Impair(a, link.ImpairConfig{Out: link.Impairment{Delay: delay}, Clock: c})
	if err != nil {
		return 0, 0, err
	}
	defer i.Close()
	came := make(chan time.Time, 1)
	z.Deliver(func(batch []*link.Packet) {
		now := time.Now()
		for _, p := range batch {
			p.Free()
		}
		came <- now
	})
	var late []float64
	for range 500 {
		begun := time.Now()
		i.Send([]*link.Packet{datagram(100)})
		late = append(late, float64((<-came).Sub(begun)-delay)/1e3)
	}
	slices.Sort(late)
	return late[len(late)/2], late[len(late)*99/100], nil
}

// carry sends as much as one processor carries, and returns Gbit/s.
func carry() (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c, err := clock.NewPrecise()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	a, z := link.Pipe(link.PipeConfig{MTU: 1500})
	i, err := link.Impair(a, link.ImpairConfig{Out: link.Impairment{Delay: 10 * time.Millisecond, Loss: 0.001, Rate: 10e9, Limit: link.Amount{Packets: 100_000}}, Seed: 1, Clock: c})
	if err != nil {
		return 0, err
	}
	defer i.Close()
	bytes := 0
	z.Deliver(func(batch []*link.Packet) {
		for _, p := range batch {
			bytes += p.Len()
			p.Free()
		}
	})
	const size = 1500
	batch := make([]*link.Packet, 32)
	begun := time.Now()
	for time.Since(begun) < time.Second {
		if out, _ := i.Stats(); out.Waiting > 50_000 {
			runtime.Gosched()
			continue
		}
		for k := range batch {
			batch[k] = datagram(size)
		}
		i.Send(batch)
	}
	took := time.Since(begun)
	return float64(bytes) * 8 / 1e9 / took.Seconds(), nil
}

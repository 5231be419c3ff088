//go:build linux

package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"usock/clock"
	"usock/link"
)

// library measures links without hosts.
func library(runs int) (string, error) {
	var b strings.Builder
	b.WriteString("| of the library | figure |\n|---|---|\n")
	late := make([][2][]float64, len(lateWays))
	for range runs {
		all, err := lateness()
		if err != nil {
			return "", err
		}
		for i, l := range all {
			slices.Sort(l)
			late[i][0], late[i][1] = append(late[i][0], l[len(l)/2]), append(late[i][1], l[len(l)*99/100])
		}
	}
	id := func(x float64) float64 { return x }
	floor := [2]float64{median(late[0][0], id), median(late[0][1], id)}
	for i, name := range lateWays {
		p50, p99 := median(late[i][0], id), median(late[i][1], id)
		fmt.Fprintf(&b, "| %s, p50 and p99, µs; of the machine's | %.0f, %.0f; %.2f, %.2f |\n", name, p50, p99, p50/floor[0], p99/floor[1])
	}
	idle, err := idling()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "| processor time in a second in which no packet waits, of a precise clock, µs | %.0f |\n", idle)
	var carried []float64
	for range runs {
		n, err := carry()
		if err != nil {
			return "", err
		}
		carried = append(carried, n)
	}
	fmt.Fprintf(&b, "| packets of 1500 bytes with delay 10 ms, loss 0.1 %% and a rate of 10 Gbit/s through one processor, Gbit/s | %.2f |\n", median(carried, id))
	return b.String(), nil
}

// datagram is a packet of IPv4 and UDP of n bytes.
func datagram(n int) *link.Packet {
	b := make([]byte, n)
	b[0], b[2], b[3], b[8], b[9] = 0x45, byte(n>>8), byte(n), 64, 17
	b[12], b[15], b[16], b[19] = 10, 1, 10, 2
	return link.NewPacket(b)
}

// lateWays are what is late: the machine's own timer, which no clock can be before but by looking at the time, and packets.
var lateWays = []string{
	"the machine's timer is late, read by a thread that does nothing else", "a packet is later than asked, precise clock", "a packet is later than asked, package time",
}

// lateness has the ways take turns: packets one by one over links that delay them. It returns by how much they were late, in µs.
func lateness() (late [3][]float64, err error) {
	const delay = 3 * time.Millisecond
	timer, stop, err := machineTimer(delay)
	if err != nil {
		return late, err
	}
	defer stop()
	precise, err := clock.NewPrecise()
	if err != nil {
		return late, err
	}
	defer precise.Close()
	ways := [3]func() time.Duration{timer}
	for n, c := range []clock.Clock{precise, clock.System()} {
		a, z := link.Pipe(link.PipeConfig{MTU: 1500})
		i, err := link.Impair(a, link.ImpairConfig{Out: link.Impairment{Delay: delay}, Clock: c})
		if err != nil {
			return late, err
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
		ways[1+n] = func() time.Duration {
			begun := time.Now()
			i.Send([]*link.Packet{datagram(100)})
			return (<-came).Sub(begun)
		}
	}
	for range 500 {
		for n, way := range ways {
			late[n] = append(late[n], float64(way()-delay)/1e3)
		}
	}
	return late, nil
}

// machineTimer returns a function that waits for a timer of the kernel's, and how to end it.
func machineTimer(delay time.Duration) (wait func() time.Duration, stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	asked, took := make(chan bool), make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		var expirations [8]byte
		for range asked {
			begun := time.Now()
			unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(delay))}, nil)
			unix.Read(fd, expirations[:])
			took <- time.Since(begun)
		}
		unix.Close(fd)
	}()
	return func() time.Duration { asked <- true; return <-took }, func() { close(asked) }, nil
}

// idling is the processor time in µs that a second takes in which a packet has been delayed and no other one comes.
func idling() (float64, error) {
	c, err := clock.NewPrecise()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	rang := make(chan bool)
	c.NewAlarm(func() { close(rang) }).Set(time.Millisecond)
	<-rang
	used := func() time.Duration {
		var u unix.Rusage
		unix.Getrusage(unix.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	time.Sleep(100 * time.Millisecond)
	before := used()
	time.Sleep(time.Second)
	return float64(used()-before) / 1e3, nil
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

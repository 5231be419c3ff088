//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"usock"
)

// fairness is the name of the workload of a newcomer on a host that is fully used.
const fairness = "fairness"

const (
	// residents are the connections on which round trips go on all the time, and the
	// number of those that are set up beside them.
	residents = 64

	// newcomerPause is what a newcomer leaves between two calls, so that it is no load
	// itself, and begins each as a goroutine that has waited.
	newcomerPause = 200 * time.Microsecond

	// leastCalls are made, unless that takes five times as long as the measurement should: a
	// hundredth of them is to be told.
	leastCalls = 200

	// setUpLimit ends waiting for connections that are not set up.
	setUpLimit = 30 * time.Second
)

// namer is a network whose sockets can be asked for their name.
type namer interface {
	// named binds a socket to the address and returns the call getsockname on it.
	named(at netip.AddrPort) (getsockname func() error, err error)
}

func (n usockNet) named(at netip.AddrPort) (func() error, error) {
	s, err := n.h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := s.GetSockName()
		return err
	}, s.Bind(usock.Inet(at))
}

func (n gvisorNet) named(at netip.AddrPort) (func() error, error) {
	ep, fail := n.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, new(waiter.Queue))
	if fail != nil {
		return nil, errors.New(fail.String())
	}
	if fail := ep.Bind(full(at)); fail != nil {
		return nil, errors.New(fail.String())
	}
	return func() error {
		var fail tcpip.Error
		if _, fail = ep.GetLocalAddress(); fail != nil {
			return errors.New(fail.String())
		}
		return nil
	}, nil
}

func (n kernelNet) named(at netip.AddrPort) (call func() error, err error) {
	n.do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		call = func() error {
			_, err := unix.Getsockname(fd)
			return err
		}
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	})
	return call, err
}

// newcomer has bytes go there and back on 64 connections of one host and looks at what
// others get of it meanwhile: what getsockname, connect, and connect and close take, and
// how long it takes until 64 further connections stand. The residents are set up one
// after the other, and each is busy as soon as it stands: that time is told, too.
func newcomer(p *pair, t Task) (Result, error) {
	l, err := p.server.ListenTCP(p.at(port))
	if err != nil {
		return Result{}, err
	}
	quiet, err := p.server.ListenTCP(p.at(port + 1))
	if err != nil {
		return Result{}, err
	}
	n, ok := p.server.(namer)
	if !ok {
		return Result{}, errNotServed
	}
	getsockname, err := n.named(p.at(port + 2))
	if err != nil {
		return Result{}, err
	}
	var m meter
	failed := make(chan error, 8*residents)
	go acceptAll(l, failed, func(c net.Conn) { go func() { failed <- echo(c) }() })
	go acceptAll(quiet, failed, func(c net.Conn) { c.Close() })
	resident := func() error {
		c, err := p.client.DialTCP(p.at(port))
		if err != nil {
			return err
		}
		go func() {
			if err := bounce(c, &m); err != nil {
				failed <- err
			}
		}()
		return nil
	}
	further := func() error {
		_, err := p.client.DialTCP(p.at(port))
		return err
	}
	more := make(map[string]float64)
	if more["residents ms"], err = setUp(residents, resident, failed); err != nil {
		return Result{}, err
	}
	time.Sleep(warmUp)
	begin, before := time.Now(), m.total()
	names, _, err := calls(t.Time, failed, getsockname, nil)
	if err != nil {
		return Result{}, err
	}
	var c interface{ Close() error }
	connects, closes, err := calls(t.Time, failed, func() (err error) {
		c, err = p.client.DialTCP(p.at(port + 1))
		return err
	}, func() error { return c.Close() })
	if err != nil {
		return Result{}, err
	}
	more["round trips/s"] = float64(m.total()-before) / time.Since(begin).Seconds()
	if more["further ms"], err = setUp(residents, further, failed); err != nil {
		return Result{}, err
	}
	m.stopped.Store(true)
	for kind, times := range map[string][]float64{"getsockname": names, "connect": connects, "connect and close": closes} {
		more[kind+" p50"], more[kind+" p99"] = quantile(times, 0.5), quantile(times, 0.99)
		more[kind+" max"], more[kind+" calls"] = slices.Max(times), float64(len(times))
	}
	return Result{Value: more["getsockname p99"], More: more}, nil
}

// calls makes a call again and again for a time and returns what each took, and what it
// took together with the call then, in µs.
func calls(during time.Duration, failed <-chan error, call, then func() error) (first, both []float64, err error) {
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	for start := time.Now(); ; {
		if d := time.Since(start); first != nil && (d >= during && len(first) >= leastCalls || d >= 5*during) {
			return first, both, nil
		}
		select {
		case err := <-failed:
			return nil, nil, err
		case <-time.After(newcomerPause):
		}
		begin := time.Now()
		if err := call(); err != nil {
			return nil, nil, err
		}
		first = append(first, us(time.Since(begin)))
		if then == nil {
			continue
		}
		if err := then(); err != nil {
			return nil, nil, err
		}
		both = append(both, us(time.Since(begin)))
	}
}

// setUp makes n connections one after the other and returns how many ms that took, or
// the limit if they do not stand by then.
func setUp(n int, one func() error, failed <-chan error) (float64, error) {
	done := make(chan error, 1)
	start := time.Now()
	go func() {
		for range n {
			if err := one(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	ms := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
	select {
	case err := <-done:
		return ms(time.Since(start)), err
	case err := <-failed:
		return 0, err
	case <-time.After(setUpLimit):
		return ms(setUpLimit), nil
	}
}

// fairnessLine is a line of the table about newcomers.
type fairnessLine struct {
	title, name string
	worst       bool    // of several runs the worst one counts
	bar         float64 // usock's at most; 0: no bar
}

// fairnessLines are what is told of newcomers.
func fairnessLines() []fairnessLine {
	var lines []fairnessLine
	for _, call := range []string{"getsockname", "connect", "connect and close"} {
		p99, most := 100.0, 30e3
		if call == "connect and close" {
			p99, most = 0, 0
		}
		lines = append(lines,
			fairnessLine{call + ", p50, µs", call + " p50", false, 0},
			fairnessLine{call + ", p99, µs", call + " p99", false, p99},
			fairnessLine{call + ", longest of all runs, µs", call + " max", true, most},
			fairnessLine{call + ", calls a run", call + " calls", false, 0})
	}
	return append(lines,
		fairnessLine{"64 further connections set up, ms", "further ms", false, 1000},
		fairnessLine{"the same, longest of all runs, ms", "further ms", true, 1000},
		fairnessLine{"the first 64, each busy as soon as it stands, set up, ms", "residents ms", false, 0},
		fairnessLine{"the same, longest of all runs, ms", "residents ms", true, 0},
		fairnessLine{"round trips/s meanwhile", "round trips/s", false, 0})
}

// fairness writes the table about newcomers.
func (r *Report) fairness(b *strings.Builder) {
	x := r.row(fairness)
	if x == nil {
		return
	}
	fmt.Fprintf(b, "\n| a newcomer on a host of two processors with %d connections on which round trips go on | usock | gVisor | kernel | bar |\n|---|---|---|---|---|\n", residents)
	for _, l := range fairnessLines() {
		fmt.Fprintf(b, "| %s |", l.title)
		value := func(stack string) float64 {
			v := x.More[stack][l.name]
			if len(v) > 0 && l.worst {
				return slices.Max(v)
			}
			return median(v)
		}
		for _, s := range stacks {
			fmt.Fprintf(b, " %s |", number(value(s.name)))
		}
		fmt.Fprintf(b, " %s |\n", verdict(value("usock"), l.bar, "", true))
	}
}

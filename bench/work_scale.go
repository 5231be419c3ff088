//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"usock"
	"usock/link"
)

// curve is how usock's costs grow with the number of something. A workload of it
// makes n of them, which costs "first" each, and then uses one picked at random at a
// time, which is the workload's figure. All is done by one goroutine, so both are
// processor time, the garbage collector's included.
type curve struct {
	id, name    string // what there are n of
	first, then string // what is done with each, at first and in the measurement
	run         func(n int) (making, use func() error, err error)
}

var curves = []*curve{
	{"connections", "TCP connections", "opened", "1-byte round trip", scaleConnections},
	{"sockets", "UDP sockets", "bound", "datagram", scaleSockets},
	{"routes", "routes", "added", "datagram", scaleRoutes},
	{"timers", "deadlines", "set", "set anew, and passed", scaleDeadlines},
}

var curveSizes = []int{1000, 10_000, 100_000, 1_000_000}

// curveWorkloads are the points of all curves.
func curveWorkloads() []workload {
	var all []workload
	for _, c := range curves {
		for _, n := range curveSizes {
			all = append(all, workload{
				name:  fmt.Sprintf("scale-%s-%d", c.id, n),
				title: fmt.Sprintf("%s %s, %s", thousands(n), c.name, c.then), unit: "µs", less: true,
				topology: machine, curve: c, n: n, runs: 3,
				run: func(_ *pair, t Task) (Result, error) { return c.measure(n, t) },
			})
		}
	}
	return all
}

func (c *curve) measure(n int, t Task) (Result, error) {
	if t.Stack != "usock" {
		return Result{}, errNotServed
	}
	debug.SetMemoryLimit(millionLimit)
	making, use, err := c.run(n)
	if err != nil {
		return Result{}, err
	}
	begin := cpuTime()
	for range n {
		if err := making(); err != nil {
			return Result{}, err
		}
	}
	first := cpuTime() - begin
	runtime.GC()
	for range 10_000 {
		if err := use(); err != nil {
			return Result{}, err
		}
	}
	ops, begin := 0, cpuTime()
	for start := time.Now(); time.Since(start) < t.Time; ops += 100 {
		for range 100 {
			if err := use(); err != nil {
				return Result{}, err
			}
		}
	}
	us := func(d time.Duration, n int) float64 { return float64(d) / 1e3 / float64(n) }
	return Result{
		Value: us(cpuTime()-begin, ops),
		More:  map[string]float64{"first": us(first, n), "peak MiB": float64(peak()) / (1 << 20)},
	}, nil
}

// picker returns numbers below n, in an order that no cache foresees.
func picker(n int) func() int {
	r := rand.New(rand.NewPCG(1, 2))
	return func() int { return r.IntN(n) }
}

func scaleConnections(n int) (making, use func() error, err error) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		return nil, nil, err
	}
	var (
		ends   = make([][2]*usock.Socket, 0, n)
		at     netip.AddrPort
		accept func() (any, error)
		pick   = picker(n)
		b      = make([]byte, 1)
	)
	making = func() error {
		if len(ends)%perListener == 0 {
			at = netip.AddrPortFrom(localhost, uint16(port+len(ends)/perListener))
			var err error
			if accept, err = (usockNet{h}).listen(at); err != nil {
				return err
			}
		}
		c, err := usockNet{h}.dial(at)
		if err != nil {
			return err
		}
		s, err := accept()
		if err != nil {
			return err
		}
		ends = append(ends, [2]*usock.Socket{c.(*usock.Socket), s.(*usock.Socket)})
		return nil
	}
	use = func() error {
		e := &ends[pick()]
		for i := range e {
			if _, err := e[i].Send(b, 0); err != nil {
				return err
			}
			if _, err := e[1-i].Recv(b, 0); err != nil {
				return err
			}
		}
		return nil
	}
	return making, use, nil
}

// perAddress is how many sockets are bound to one of the host's loopback addresses.
const perAddress = 50_000

func scaleSockets(n int) (making, use func() error, err error) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		return nil, nil, err
	}
	from, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		return nil, nil, err
	}
	var (
		all  = make([]*usock.Socket, 0, n)
		pick = picker(n)
		b    = make([]byte, 64)
	)
	address := func(i int) usock.Addr {
		ip := netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i/perAddress)})
		return usock.Inet(netip.AddrPortFrom(ip, uint16(port+i%perAddress)))
	}
	making = func() error {
		s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
		if err == nil {
			err = s.Bind(address(len(all)))
		}
		all = append(all, s)
		return err
	}
	use = func() error {
		i := pick()
		if _, err := from.SendTo(b, 0, address(i)); err != nil {
			return err
		}
		_, err := all[i].Recv(b, 0)
		return err
	}
	return making, use, nil
}

// sink is a link to nowhere.
type sink struct{ closed chan struct{} }

func (sink) Info() link.Info { return link.Info{Name: "sink", MTU: 1500, Checksum: true} }

func (sink) Send(batch []*link.Packet) int {
	for _, p := range batch {
		p.Free()
	}
	return len(batch)
}

func (s sink) Recv([]*link.Packet) (int, error) {
	<-s.closed
	return 0, link.ErrClosed
}

func (s sink) Close() error {
	close(s.closed)
	return nil
}

// scaleRoutes has routes of 24 bits, as most of the Internet's are.
func scaleRoutes(n int) (making, use func() error, err error) {
	network := func(i int) netip.Addr {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 20<<24+uint32(i)<<8)
		return netip.AddrFrom4(a)
	}
	routes := make([]usock.Route, n)
	for i := range routes {
		routes[i] = usock.Route{Dst: netip.PrefixFrom(network(i), 24), Via: serverIP}
	}
	var (
		h    *usock.Host
		s    *usock.Socket
		pick = picker(n)
		b    = make([]byte, 64)
		made = 0
	)
	making = func() error {
		if made++; made < n {
			return nil
		}
		// A host takes all its routes at once.
		var err error
		h, err = usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
			Link: sink{make(chan struct{})}, Addrs: []netip.Prefix{netip.PrefixFrom(clientIP, 24)}, Routes: routes,
		}}})
		if err == nil {
			s, err = h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
		}
		return err
	}
	use = func() error {
		_, err := s.SendTo(b, 0, usock.Inet(netip.AddrPortFrom(network(pick()).Next(), port)))
		return err
	}
	return making, use, nil
}

// scaleDeadlines has sockets wait for a time within the next hour, while others get
// deadlines of one or two milliseconds, which pass.
func scaleDeadlines(n int) (making, use func() error, err error) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		return nil, nil, err
	}
	const soon = 1000
	all, pick := make([]*usock.Socket, soon+n), picker(soon)
	for i := range all {
		if all[i], err = h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0); err != nil {
			return nil, nil, err
		}
	}
	made, now := 0, time.Now()
	making = func() error {
		made++
		return all[soon+made-1].SetReadDeadline(now.Add(time.Minute + time.Duration(pick())*time.Hour/soon))
	}
	use = func() error {
		return all[pick()].SetReadDeadline(time.Now().Add(time.Millisecond + time.Duration(pick())*time.Millisecond/soon))
	}
	return making, use, nil
}

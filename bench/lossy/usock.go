//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"usock"
	"usock/link"
)

// openUsock joins two usock hosts by an impaired pipe.
func openUsock(p *path, congestion string) (*ends, error) {
	x, y := link.Pipe(link.PipeConfig{MTU: p.mtu, SmallSegments: true})
	imp, err := p.impair(x)
	if err != nil {
		return nil, err
	}
	config, err := kernelLimits()
	if err != nil {
		return nil, err
	}
	var hosts [2]*usock.Host
	for i, l := range []link.Link{imp, y} {
		hosts[i], err = usock.NewHost(usock.Config{
			Congestion: congestion,
			TCP:        config,
			Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{addrs[i]}}},
		})
		if err != nil {
			return nil, err
		}
	}
	l, err := hosts[1].Listen("tcp", netip.AddrPortFrom(addrs[1].Addr(), port).String())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	c, err := hosts[0].Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	s, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return &ends{c, s, func() error {
		return errors.Join(c.Close(), s.Close(), hosts[0].Close(), hosts[1].Close())
	}}, nil
}

// kernelLimits gives usock the limits of buffers that the kernel has.
func kernelLimits() (*usock.TCPConfig, error) {
	c := usock.DefaultTCPConfig()
	for path, limits := range map[string]*[3]int{"tcp_rmem": &c.RMem, "tcp_wmem": &c.WMem} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/" + path)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Sscan(string(b), &limits[0], &limits[1], &limits[2]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return c, nil
}

var addrs = [2]netip.Prefix{netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("10.77.0.2/24")}

const port = 7777

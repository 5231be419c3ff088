//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"usock"
	"usock/link"
)

// errNotServed says that a stack has no such workload.
var errNotServed = errors.New("not served by this stack")

type usockNet struct{ h *usock.Host }

func (n usockNet) DialTCP(to netip.AddrPort) (net.Conn, error) {
	d := usock.Dialer{Host: n.h}
	return n.conn(d.DialTCP(context.Background(), "tcp", netip.AddrPort{}, to))
}

func (usockNet) conn(c *usock.TCPConn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (n usockNet) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	return n.h.Listen("tcp", at.String())
}

func (n usockNet) DialUDP(to netip.AddrPort) (net.Conn, error) {
	return n.h.Dial("udp", to.String())
}

func (n usockNet) ListenUDP(at netip.AddrPort) (net.Conn, error) {
	c, err := n.h.ListenPacket("udp", at.String())
	if err != nil {
		return nil, err
	}
	u := c.(*usock.UDPConn)
	return u, u.SetReadBuffer(udpBuffer)
}

// dial implements restful.
func (n usockNet) dial(to netip.AddrPort) (any, error) {
	s, err := n.h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	return s, s.Connect(usock.Inet(to))
}

func (n usockNet) listen(at netip.AddrPort) (func() (any, error), error) {
	s, err := n.h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err == nil {
		err = s.Bind(usock.Inet(at))
	}
	if err == nil {
		err = s.Listen(4096)
	}
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		c, _, err := s.Accept()
		return c, err
	}, nil
}

// usockPair: the built-in loopback, or a pipe.
func usockPair(t topology) (*pair, error) {
	var c link.PipeConfig
	switch t {
	case loopback:
		h, err := usock.NewHost(usock.Config{})
		return &pair{usockNet{h}, usockNet{h}, localhost}, err
	case wire1500, wire1500tso:
		c = link.PipeConfig{MTU: 1500, SmallSegments: true}
	case wire1500off:
		c = link.PipeConfig{MTU: 1500}
	case wire64k:
		c = link.PipeConfig{MTU: 65535}
	case lossy, lossyBBR:
		a, b, err := lossyWire()
		if err != nil {
			return nil, err
		}
		cc := "cubic"
		if t == lossyBBR {
			cc = "bbr"
		}
		return usockTwo(a, b, cc)
	case tunOut, tunIn, tapOut, tapIn:
		l, err := toKernel(t)
		if err != nil {
			return nil, err
		}
		if t.ethernet() {
			l, err = link.Frames(l, link.FramesConfig{Addresses: []netip.Prefix{netip.PrefixFrom(clientIP, 24)}})
			if err != nil {
				return nil, err
			}
		}
		n, err := usockHost(l, clientIP, "")
		return overTUN(t, n), err
	default:
		return nil, errNotServed
	}
	a, b := link.Pipe(c)
	return usockTwo(a, b, "")
}

func usockTwo(a, b link.Link, cc string) (*pair, error) {
	client, err := usockHost(a, clientIP, cc)
	if err != nil {
		return nil, err
	}
	server, err := usockHost(b, serverIP, cc)
	return &pair{client, server, serverIP}, err
}

func usockHost(l link.Link, a netip.Addr, cc string) (usockNet, error) {
	h, err := usock.NewHost(usock.Config{Congestion: cc, Interfaces: []usock.Interface{{
		Link: l, Addrs: []netip.Prefix{netip.PrefixFrom(a, 24)},
	}}})
	return usockNet{h}, err
}

const usockNote = "usock: the net package's types of Host. One host: the built-in loopback. Two hosts: link.Pipe, at MTU 1500 with SmallSegments. TUN, TAP: link.TUN and link.TAP with the virtio-net header."

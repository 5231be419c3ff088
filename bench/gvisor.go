//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	gvloopback "gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/link/veth"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const gvisorNote = "gVisor: gvisor.dev/gvisor v0.0.0-20260701204157-69c2d17aea96 through its gonet adapters; SACK on, CUBIC, " +
	"receive buffers up to 8 MiB and send buffers up to 6 MiB, TIME-WAIT reuse on. " +
	"One host: its loopback endpoint. Two hosts at MTU 1500: its veth pair with gVisor GSO and checksum offload. " +
	"Two hosts at 64 KiB: its pipe at MTU 65535 with checksum offload announced. " +
	"Lossy, TUN, TAP: usock's links, with host GSO and checksum offload on TUN and TAP, and its ethernet endpoint and ARP on TAP."

type gvisorNet struct{ s *stack.Stack }

const nic = 1

func full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(a.Addr().As4()), Port: a.Port()}
}

func (n gvisorNet) DialTCP(to netip.AddrPort) (net.Conn, error) {
	return gonet.DialContextTCP(context.Background(), n.s, full(to), ipv4.ProtocolNumber)
}

func (n gvisorNet) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	return gonet.ListenTCP(n.s, full(at), ipv4.ProtocolNumber)
}

func (n gvisorNet) DialUDP(to netip.AddrPort) (net.Conn, error) {
	a := full(to)
	return n.sized(gonet.DialUDP(n.s, nil, &a, ipv4.ProtocolNumber))
}

func (n gvisorNet) ListenUDP(at netip.AddrPort) (net.Conn, error) {
	a := full(at)
	return n.sized(gonet.DialUDP(n.s, &a, nil, ipv4.ProtocolNumber))
}

func (n gvisorNet) sized(c *gonet.UDPConn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dial implements restful.
func (n gvisorNet) dial(to netip.AddrPort) (any, error) {
	c := &gvisorEnd{}
	var fail tcpip.Error
	if c.ep, fail = n.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &c.wq); fail != nil {
		return nil, errors.New(fail.String())
	}
	e, ready := waiter.NewChannelEntry(waiter.WritableEvents)
	c.wq.EventRegister(&e)
	defer c.wq.EventUnregister(&e)
	if fail = c.ep.Connect(full(to)); fail == nil {
		return c, nil
	}
	if _, started := fail.(*tcpip.ErrConnectStarted); !started {
		return nil, errors.New(fail.String())
	}
	<-ready
	if fail = c.ep.LastError(); fail != nil {
		return nil, errors.New(fail.String())
	}
	return c, nil
}

// gvisorEnd is an end of a connection without gonet's adapter.
type gvisorEnd struct {
	wq waiter.Queue
	ep tcpip.Endpoint
}

func (n gvisorNet) listen(at netip.AddrPort) (func() (any, error), error) {
	l := &gvisorEnd{}
	var fail tcpip.Error
	if l.ep, fail = n.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &l.wq); fail != nil {
		return nil, errors.New(fail.String())
	}
	if fail = l.ep.Bind(full(at)); fail != nil {
		return nil, errors.New(fail.String())
	}
	if fail = l.ep.Listen(4096); fail != nil {
		return nil, errors.New(fail.String())
	}
	e, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	l.wq.EventRegister(&e)
	return func() (any, error) {
		for {
			ep, wq, fail := l.ep.Accept(nil)
			if _, again := fail.(*tcpip.ErrWouldBlock); again {
				<-ready
				continue
			}
			if fail != nil {
				return nil, errors.New(fail.String())
			}
			return []any{ep, wq}, nil
		}
	}, nil
}

// gvisorStack returns a stack with one NIC over the link.
func gvisorStack(l stack.LinkEndpoint, a netip.Prefix) (gvisorNet, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
		HandleLocal:        a.Addr().IsLoopback(),
	})
	fail := func(e tcpip.Error) (gvisorNet, error) { return gvisorNet{}, errors.New(e.String()) }
	sack := tcpip.TCPSACKEnabled(true)
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 8 << 20}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: 6 << 20}
	reuse := tcpip.TCPTimeWaitReuseOption(tcpip.TCPTimeWaitReuseGlobal)
	cubic := tcpip.CongestionControlOption("cubic")
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &rcv, &snd, &reuse, &cubic} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fail(err)
		}
	}
	if err := s.SetOption(tcpip.ReceiveBufferSizeOption{Min: 4096, Default: 2 * udpBuffer, Max: 2 * udpBuffer}); err != nil {
		return fail(err)
	}
	if err := s.CreateNIC(nic, l); err != nil {
		return fail(err)
	}
	addr := tcpip.ProtocolAddress{
		Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address: tcpip.AddrFrom4(a.Addr().As4()), PrefixLen: a.Bits(),
		},
	}
	if err := s.AddProtocolAddress(nic, addr, stack.AddressProperties{}); err != nil {
		return fail(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return gvisorNet{s}, nil
}

// offloading is a pipe that announces checksum offload, as gVisor's loopback does:
// packets never leave memory.
type offloading struct{ *pipe.Endpoint }

func (offloading) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload | stack.CapabilityTXChecksumOffload
}

func gvisorPair(t topology) (*pair, error) {
	var a, b stack.LinkEndpoint
	switch t {
	case loopback:
		n, err := gvisorStack(gvloopback.New(), netip.PrefixFrom(localhost, 8))
		return &pair{n, n, localhost}, err
	case wire1500, wire1500tso, wire1500off:
		a, b = veth.NewPair(1500, veth.DefaultBacklogSize)
	case lossy:
		x, y, err := lossyWire()
		if err != nil {
			return nil, err
		}
		a, b = &bridged{l: x, info: x.Info()}, &bridged{l: y, info: y.Info()}
	case tunOut, tunIn, tapOut, tapIn:
		l, err := toKernel(t)
		if err != nil {
			return nil, err
		}
		var ep stack.LinkEndpoint = &bridged{l: l, info: l.Info()}
		if t.ethernet() {
			ep = ethernet.New(ep)
		}
		n, err := gvisorStack(ep, netip.PrefixFrom(clientIP, 24))
		return overTUN(t, n), err
	case wire64k:
		x, y := pipe.New("\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02", 65535)
		a, b = offloading{x}, offloading{y}
	default:
		return nil, errNotServed
	}
	client, err := gvisorStack(a, netip.PrefixFrom(clientIP, 24))
	if err != nil {
		return nil, err
	}
	server, err := gvisorStack(b, netip.PrefixFrom(serverIP, 24))
	return &pair{client, server, serverIP}, err
}

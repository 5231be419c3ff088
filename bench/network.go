//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"
)

// network is a host's sockets as a Go program sees them.
type network interface {
	DialTCP(to netip.AddrPort) (net.Conn, error)
	ListenTCP(at netip.AddrPort) (net.Listener, error)
	DialUDP(to netip.AddrPort) (net.Conn, error)
	ListenUDP(at netip.AddrPort) (net.Conn, error)
}

// topology says what lies between client and server.
type topology string

const (
	loopback    topology = "loopback"     // one host
	wire1500    topology = "wire1500"     // two hosts, MTU 1500, every segment a packet of its own
	wire1500tso topology = "wire1500-tso" // the same, but the kernel offloads segmentation
	wire1500off topology = "wire1500-off" // the same, and usock's link takes large segments as well
	wire64k     topology = "wire64k"      // two hosts, MTU 65535 or segments of 64 KiB
	lossy       topology = "lossy"        // two hosts, MTU 1500, 1 % loss, 10 ms there and back
	lossyBBR    topology = "lossy-bbr"    // the same, with BBR in place of CUBIC
	tunOut      topology = "tun-out"      // a client of the stack, over a TUN device, to the kernel
	tunIn       topology = "tun-in"       // and the other way round
	tapOut      topology = "tap-out"      // the same over a TAP device
	tapIn       topology = "tap-in"
	machine     topology = "machine" // nothing

	programsOnly topology = "programs" // the programs have their own networks
)

// ethernet reports whether frames lie between the stack and the kernel.
func (t topology) ethernet() bool { return t == tapOut || t == tapIn }

// pair is a client's and a server's network and the address at which the client
// finds the server.
type pair struct {
	client, server network
	addr           netip.Addr
}

func (p *pair) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(p.addr, port) }

// stacks are what is compared. The first one's figures are divided by the others'.
var stacks = []struct {
	name, title string
	make        func(topology) (*pair, error)
}{
	{"usock", "usock", usockPair},
	{"gvisor", "gVisor netstack", gvisorPair},
	{"kernel", "Linux kernel", kernelPair},
}

func newPair(stack string, t topology) (*pair, error) {
	for _, s := range stacks {
		if s.name == stack {
			return s.make(t)
		}
	}
	return nil, fmt.Errorf("no stack %q", stack)
}

var (
	localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	clientIP  = netip.AddrFrom4([4]byte{10, 0, 0, 1})
	serverIP  = netip.AddrFrom4([4]byte{10, 0, 0, 2})
)

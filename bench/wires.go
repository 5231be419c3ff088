//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"usock/link"
)

// lossyPath is what the packets of the lossy topology go through: the same code for
// all stacks, usock's link.Impair.
var lossyPath = link.ImpairConfig{
	Out:  link.Impairment{Delay: 5 * time.Millisecond, Loss: 0.01},
	In:   link.Impairment{Delay: 5 * time.Millisecond},
	Seed: 1,
}

// lossyWire returns the two ends of a wire whose first end is the client's: what it
// sends is delayed and lost, what comes back is delayed.
func lossyWire() (client, server link.Link, err error) {
	a, b := link.Pipe(link.PipeConfig{MTU: 1500, SmallSegments: true})
	client, err = link.Impair(a, lossyPath)
	return client, b, err
}

// tun opens a TUN device with the kernel's address on it.
func tun(name string, a netip.Addr, noOffload bool) (link.Link, error) {
	return device(link.TUN, name, a, noOffload)
}

// toKernel opens the device of a topology, with the kernel's address on it.
func toKernel(t topology) (link.Link, error) {
	open := link.TUN
	if t.ethernet() {
		open = link.TAP
	}
	return device(open, "bench0", serverIP, false)
}

func device(open func(link.DeviceConfig) (link.Link, error), name string, a netip.Addr, noOffload bool) (link.Link, error) {
	l, err := open(link.DeviceConfig{Name: name, MTU: 1500, Up: true, NoOffload: noOffload})
	if err != nil {
		return nil, err
	}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	addr, err := netlink.ParseAddr(netip.PrefixFrom(a, 24).String())
	if err != nil {
		return nil, err
	}
	if err := netlink.AddrAdd(dev, addr); err != nil {
		return nil, fmt.Errorf("address of %s: %w", name, err)
	}
	return l, netlink.LinkSetUp(dev)
}

// splice carries packets from one link to the other, both ways, for ever.
func splice(a, b link.Link) {
	carry := func(from, to link.Link) {
		batch := make([]*link.Packet, 64)
		for {
			n, err := from.Recv(batch)
			if err != nil {
				return
			}
			to.Send(batch[:n])
		}
	}
	go carry(a, b)
	go carry(b, a)
}

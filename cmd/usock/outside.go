package main

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/pflag"

	"usock"
	"usock/gateway"
)

// outside is the way of a run to the networks of its machine.
type outside struct {
	isolated bool
	network  string
	hosts    hosts

	gateway *gateway.Gateway
}

func (o *outside) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.isolated, "isolated", false, "nothing leaves the run or enters it")
	f.Var(&o.hosts, "host", "a name that the run knows, as `NAME=ADDR`; once for each of its addresses")
	f.StringVar(&o.network, "addr", "", "the inner IPv4 `network`, such as 10.1.2.0/24; by default one that the machine has no route to")
}

// open makes the gateway and its part of the host's configuration.
func (o *outside) open(c *usock.Config, s *shape) error {
	if o.isolated && o.network != "" {
		return fmt.Errorf("--addr %s: an isolated run has no inner network; leave out --isolated or --addr", o.network)
	}
	g := gateway.Config{Warn: os.Stderr, Link: s.outside(), MTU: s.mtu, Hosts: o.hosts.list, Isolated: o.isolated}
	if o.network != "" {
		p, err := netip.ParsePrefix(o.network)
		if err != nil {
			return fmt.Errorf("--addr: %w; give a network such as 10.1.2.0/24", err)
		}
		g.Network = p
	}
	var err error
	if o.gateway, err = gateway.New(g); err != nil {
		return fmt.Errorf("%w (--isolated runs without the outside)", err)
	}
	c.Flows = o.gateway.Flows()
	if o.isolated {
		if c.Flows == nil {
			o.close() // nobody would ask it
			o.gateway = nil
			if len(o.hosts.list) > 0 {
				fmt.Fprintln(os.Stderr, "usock: --host is without effect: /etc/resolv.conf names no server on the loopback interface, and an isolated run has no way to others")
			}
		}
		return nil
	}
	c.Interfaces = append(c.Interfaces, o.gateway.Interface())
	return nil
}

// start begins to serve the host.
func (o *outside) start(h *usock.Host) error {
	if o.gateway == nil {
		return nil
	}
	return o.gateway.Start(h)
}

func (o *outside) close() {
	if o.gateway != nil {
		o.gateway.Close()
	}
}

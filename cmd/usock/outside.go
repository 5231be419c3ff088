package main

import (
	"errors"
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
	publish  []string
	verbose  bool // what is published is told

	gateway *gateway.Gateway
}

func (o *outside) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.isolated, "isolated", false, "nothing leaves the run or enters it")
	f.StringVar(&o.network, "addr", "", "the inner IPv4 `network`, such as 10.1.2.0/24; by default one that the machine has no route to")
	f.StringArrayVarP(&o.publish, "publish", "p", nil, "reach a port of the run at one of this machine: `[ADDR:]PORT[:INNER][/udp]`, ranges of these, or auto for each port that the program listens on; without ADDR at 127.0.0.1 and ::1")
}

// open makes the gateway and its part of the host's configuration.
func (o *outside) open(c *usock.Config, s *shape) error {
	if o.isolated {
		if s.on == onOutside {
			return errors.New("--on outside: an isolated run has no way to the outside; leave out --isolated or --on")
		}
		if o.network != "" {
			return fmt.Errorf("--addr %s: an isolated run has no inner network; leave out --isolated or --addr", o.network)
		}
		if len(o.publish) > 0 {
			return fmt.Errorf("-p %s: nothing enters an isolated run; leave out --isolated or -p", o.publish[0])
		}
		return nil
	}
	g := gateway.Config{Warn: os.Stderr, Link: s.outside()}
	if o.network != "" {
		p, err := netip.ParsePrefix(o.network)
		if err != nil {
			return fmt.Errorf("--addr: %w; give a network such as 10.1.2.0/24", err)
		}
		g.Network = p
	}
	for _, text := range o.publish {
		list, err := parsePublish(text)
		if err != nil {
			return err
		}
		g.Publish = append(g.Publish, list...)
	}
	if o.verbose {
		g.Log = os.Stderr
	}
	var err error
	if o.gateway, err = gateway.New(g); err != nil {
		if len(o.publish) > 0 {
			return err
		}
		return fmt.Errorf("%w (--isolated runs without the outside)", err)
	}
	c.Flows = o.gateway.Flows()
	c.Listening = o.gateway.Listening
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

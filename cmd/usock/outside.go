package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"usock"
	"usock/gateway"
)

// outside is the way of a run to the networks of its machine.
type outside struct {
	isolated bool
	network  networkValue
	publish  []string
	verbose  bool // what is published is told
	hosts    hosts
	rules    rules
	denyWith denyWith
	flows    flowLog
	encap    portValue // of SCTP in UDP

	gateway *gateway.Gateway
}

// The values of --on.
const (
	onBoth     = "both"
	onLoopback = "loopback"
	onOutside  = "outside"
)

func (o *outside) flags(f *pflag.FlagSet, s *conditions) {
	f.StringVar(&s.on, "on", onBoth, "`WHERE` the link's flags act: outside, on the way to the outside; loopback, on the run's own; both")
	f.BoolVar(&o.isolated, "isolated", false, "nothing leaves the run or enters it")
	f.Var(&o.hosts, "host", "a name that the run knows, as `NAME=ADDR`; once for each of its addresses")
	f.Var(&ruleFlag{&o.rules, true}, "allow", "let `RULE` pass, [HOST][:PORTS][/PROTO]: 'api.example:443', '*.example', '10.0.0.0/8:80,8000-8999/tcp', '[2001:db8::/32]:53/udp', localhost:5432, ':25', '*/icmp'; the first rule that matches decides, and with one --allow all is denied that matches none")
	f.Var(&ruleFlag{&o.rules, false}, "deny", "refuse `RULE`, of the same form: 'api.example:443/tcp'")
	f.Var(&o.denyWith, "deny-with", "`HOW` to refuse: prohibit (by ICMP; EHOSTUNREACH, or EACCES of IPv6), reset (ECONNREFUSED) or drop (no answer) (default prohibit)")
	f.Var(&o.flows, "log-flows", "write a line of JSON for each flow to or from the outside, at its end, to this `FILE`")
	f.Var(&o.network, "addr", "the inner IPv4 `NETWORK`, such as 10.1.2.0/24, which hides the outer one; without it one that the machine has no route to")
	f.Var(&o.encap, "sctp-encap", "send SCTP to the outside in UDP (RFC 6951), to this `PORT` of the peer's, such as 9899, and take it at the same port of the run's")
	f.StringArrayVarP(&o.publish, "publish", "p", nil, "reach a port of the run at one of this machine: `[ADDR:]PORT[:INNER][/udp]`, ranges of these, or auto for each port that the program listens on; without ADDR at 127.0.0.1 and ::1")
}

// check looks whether the flags fit together.
func (o *outside) check(s *conditions) error {
	switch s.on {
	case onBoth, onLoopback, onOutside:
	default:
		return fmt.Errorf("--on %q: give outside, loopback or both", s.on)
	}
	if len(o.rules.list) == 0 && o.denyWith.text != "" {
		return errors.New("--deny-with says how what rules deny is refused, and there is neither --allow nor --deny")
	}
	if s.on != onBoth && !s.impaired() && s.mtu == 0 {
		return fmt.Errorf("--on %s says where --delay, --loss and their like act, and there are none", s.on)
	}
	if o.isolated {
		if s.on == onOutside {
			return errors.New("--on outside: an isolated run has no way to the outside; leave out --isolated or --on")
		}
		if o.network.IsValid() {
			return fmt.Errorf("--addr %v: an isolated run has no inner network; leave out --isolated or --addr", o.network.Prefix)
		}
		if len(o.rules.list) > 0 {
			return fmt.Errorf("--allow and --deny say what passes, and nothing leaves an isolated run or enters it: leave out --isolated or the rules (%s)", &o.rules.list[0])
		}
		if o.flows.path != "" {
			return fmt.Errorf("--log-flows %s: an isolated run has no flows to the outside; leave out --isolated or --log-flows", o.flows.path)
		}
		if o.encap != 0 {
			return fmt.Errorf("--sctp-encap %v: an isolated run has no way to the outside; leave out --isolated or --sctp-encap", &o.encap)
		}
		if len(o.publish) > 0 {
			return fmt.Errorf("-p %s: nothing enters an isolated run; leave out --isolated or -p", o.publish[0])
		}
	}
	return nil
}

// open makes the gateway and its part of the host's configuration.
func (o *outside) open(c *usock.Config, s *conditions) error {
	g := gateway.Config{
		Warn: os.Stderr, Link: s.outside(), Hosts: o.hosts.list, Isolated: o.isolated, Network: o.network.Prefix,
		Rules: o.rules.list, DenyWith: o.denyWith.how, SCTP: o.encap == 0,
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
	g.Named, g.Faults = s.resolved, s.calls.Faults
	if err := o.flows.open(s.file); err != nil {
		return err
	}
	g.FlowLog = o.flows.log
	var err error
	if o.gateway, err = gateway.New(g); err != nil {
		if len(o.publish) > 0 {
			return err
		}
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
	c.Listening = o.gateway.Listening
	c.StreamSettings = o.gateway.StreamSettings
	way := o.gateway.Interface()
	c.Interfaces = append(c.Interfaces, way)
	name := way.Link.Info().Name
	switch {
	case o.encap != 0:
		c.SCTP = usock.DefaultSCTPConfig()
		c.SCTP.UDPPort, c.SCTP.EncapPort, c.SCTP.EncapVia = uint16(o.encap), uint16(o.encap), name
	case o.gateway.CarriesSCTP():
		c.SCTP = usock.DefaultSCTPConfig()
		c.SCTP.TranslatedVia = name
	}
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
	if err := o.flows.close(); err != nil {
		tell(os.Stderr, err)
	}
}

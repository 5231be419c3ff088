package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"usock/gateway"
)

// nameDaemons are the sockets of those that look names up on a program's behalf, outside of
// the run: glibc asks them before it asks a name server. They are nscd's and, of
// systemd-resolved, those for nss-resolve and resolvectl. Who asks systemd-resolved over the
// D-Bus still gets its answer.
var nameDaemons = []string{
	"/run/nscd/socket",
	"/run/systemd/resolve/io.systemd.Resolve",
	"/run/systemd/resolve/io.systemd.Resolve.Monitor",
}

// hosts are the values of --host.
type hosts struct{ list []gateway.Host }

// String implements pflag.Value.
func (h *hosts) String() string {
	var all []string
	for _, x := range h.list {
		all = append(all, x.Name+"="+x.Addr.String())
	}
	return strings.Join(all, ",")
}

// Type implements pflag.Value.
func (h *hosts) Type() string { return "NAME=ADDR" }

// Set implements pflag.Value: it adds one.
func (h *hosts) Set(text string) error {
	name, addr, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("give a name and its address, such as db=192.0.2.7 or db=2001:db8::7")
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return fmt.Errorf("%q is no address; give an IPv4 or IPv6 address, such as %s=192.0.2.7 or %s=2001:db8::7", addr, name, name)
	}
	x := gateway.Host{Name: name, Addr: a}
	if err := x.Check(); err != nil {
		return err
	}
	h.list = append(h.list, x)
	return nil
}

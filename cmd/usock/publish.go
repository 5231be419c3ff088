package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"usock/gateway"
)

// maxPublished bounds the ports of one -p.
const maxPublished = 1024

const publishForms = "give PORT, PORT:INNER, ADDR:PORT:INNER or auto, with ranges such as 8000-8010, and /udp behind it for UDP"

// parsePublish reads what -p is given: [ADDR:]PORT[:INNER][/udp], or auto.
func parsePublish(text string) ([]gateway.Publish, error) {
	bad := func(format string, args ...any) ([]gateway.Publish, error) {
		return nil, fmt.Errorf("-p %q: %s; %s", text, fmt.Sprintf(format, args...), publishForms)
	}
	rest, proto, named := strings.Cut(text, "/")
	protos := []int{syscall.IPPROTO_TCP}
	switch {
	case rest == "auto" && !named:
		protos = append(protos, syscall.IPPROTO_UDP)
	case !named || proto == "tcp":
	case proto == "udp":
		protos[0] = syscall.IPPROTO_UDP
	default:
		return bad("%q is neither tcp nor udp", proto)
	}
	var out []gateway.Publish
	if rest == "auto" {
		for _, p := range protos {
			out = append(out, gateway.Publish{Proto: p, Auto: true})
		}
		return out, nil
	}
	addr, ports, err := publishAddr(rest)
	if err != nil {
		return bad("%v", err)
	}
	outer, inner, has := strings.Cut(ports, ":")
	if !has {
		inner = outer
	}
	first, last, err := portRange(outer)
	if err != nil {
		return bad("%v", err)
	}
	to, toLast, err := portRange(inner)
	switch {
	case err != nil:
		return bad("%v", err)
	case toLast-to != last-first:
		return bad("the ranges have %d and %d ports", last-first+1, toLast-to+1)
	case last-first >= maxPublished:
		return bad("%d ports are more than the %d that one -p may have", last-first+1, maxPublished)
	}
	for i := 0; i <= last-first; i++ {
		out = append(out, gateway.Publish{Proto: protos[0], Addr: addr, Port: uint16(first + i), Inner: uint16(to + i)})
	}
	return out, nil
}

// publishAddr takes the address, if there is one, off the ports.
func publishAddr(text string) (addr netip.Addr, ports string, err error) {
	host := ""
	switch {
	case strings.HasPrefix(text, "["):
		var ok bool
		if host, ports, ok = strings.Cut(text[1:], "]:"); !ok {
			return addr, "", fmt.Errorf("an IPv6 address stands in brackets, with a port behind it: [::1]:8080")
		}
	case strings.Count(text, ":") > 2:
		return addr, "", fmt.Errorf("there are too many colons (an IPv6 address stands in brackets: [::1]:8080)")
	case strings.Count(text, ":") == 2 || strings.Contains(text, "."):
		host, ports, _ = strings.Cut(text, ":")
	default:
		return addr, text, nil
	}
	if addr, err = netip.ParseAddr(host); err != nil {
		return addr, "", fmt.Errorf("%q is no IP address", host)
	}
	addr = addr.Unmap()
	switch {
	case addr.Is4() == strings.HasPrefix(text, "["):
		return addr, "", fmt.Errorf("only IPv6 addresses stand in brackets")
	case addr.IsMulticast():
		return addr, "", fmt.Errorf("%v is a multicast address", addr)
	case addr.Is6() && addr.IsLinkLocalUnicast():
		return addr, "", fmt.Errorf("%v is a link-local address; [::] stands for all of IPv6", addr)
	}
	return addr, ports, nil
}

// portRange reads a port, or two with a hyphen.
func portRange(text string) (first, last int, err error) {
	a, b, has := strings.Cut(text, "-")
	if first, err = port(a); err != nil {
		return 0, 0, err
	}
	if !has {
		return first, first, nil
	}
	if last, err = port(b); err == nil && last < first {
		err = fmt.Errorf("the range %s ends before it begins", text)
	}
	return first, last, err
}

func port(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port: those are 1 to 65535", text)
	}
	return int(n), nil
}

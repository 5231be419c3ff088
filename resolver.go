package usock

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver looks up names for a host, with the methods of net.Resolver. It asks nothing of
// the machine: an address is itself; "localhost" and names below it are the loopback
// addresses (RFC 6761 §6.3); then come the host's own name, Config.Names, and the name
// servers of Config.NameServers, over the host's own sockets. Where none of these knows a
// name the answer is 'no such host', at once if there are no name servers. Errors are
// *net.DNSError.
type Resolver struct{ h *Host }

// Resolver returns the host's resolver, by which Dial and Listen find addresses.
func (h *Host) Resolver() *Resolver { return &h.resolver }

// loopbacks are the addresses of "localhost".
var loopbacks = [...]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// notFound is the error about a name that nobody knows.
func notFound(name string) *net.DNSError {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupNetIP returns the addresses of host: of both families if network is "ip", of one if
// it is "ip4" or "ip6". The best destination comes first (RFC 6724).
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	k := kind{network: network}
	switch network {
	case "ip":
	case "ip4", "ip6":
		k.family = network[2]
	default:
		return nil, net.UnknownNetworkError(network)
	}
	addrs, err := r.lookup(ctx, k, host)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !k.takes(a) })
	if len(addrs) == 0 {
		return nil, notFound(host)
	}
	return r.h.sorted(addrs, false), nil
}

func (r *Resolver) lookup(ctx context.Context, k kind, host string) ([]netip.Addr, error) {
	if host == "" {
		return nil, notFound(host)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if r.h.faults != nil {
		return r.faultyLookup(ctx, k, host)
	}
	return r.lookupName(ctx, k, host)
}

// lookupName is lookup of what is no address.
func (r *Resolver) lookupName(ctx context.Context, k kind, host string) ([]netip.Addr, error) {
	key := nameKey(host)
	if key == "localhost" || strings.HasSuffix(key, ".localhost") {
		return slices.Clone(loopbacks[:]), nil
	}
	if addrs := r.h.names.Lookup(key); len(addrs) > 0 {
		return addrs, nil
	}
	if r.h.name != "" && key == nameKey(r.h.name) {
		return r.own(), nil
	}

	var types []dnsmessage.Type
	if k.family != '6' {
		types = append(types, dnsmessage.TypeA)
	}
	if k.family != '4' {
		types = append(types, dnsmessage.TypeAAAA)
	}
	list, err := r.query(ctx, host, types...)
	var out []netip.Addr
	for _, a := range list {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(b.AAAA))
		}
	}
	return out, err
}

// own returns the host's addresses: those of its links, or else the loopback ones.
func (r *Resolver) own() []netip.Addr {
	var out, loop []netip.Addr
	for _, p := range r.h.Addrs() {
		if p.Addr().IsLoopback() {
			loop = append(loop, p.Addr())
		} else {
			out = append(out, p.Addr())
		}
	}
	if len(out) == 0 {
		return loop
	}
	return out
}

// LookupHost is LookupNetIP with addresses as text.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out, err
}

// LookupAddr returns the names of an address. Those from name servers end in a dot, as with
// net.Resolver.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr}
	}
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return []string{"localhost"}, nil
	}
	if names := r.h.names.LookupAddr(a); len(names) > 0 {
		return names, nil
	}
	if r.h.name != "" && slices.ContainsFunc(r.h.Addrs(), func(p netip.Prefix) bool { return p.Addr() == a }) {
		return []string{r.h.name}, nil
	}

	list, err := r.query(ctx, reverse(a), dnsmessage.TypePTR)
	if err != nil {
		return nil, renamed(err, addr)
	}
	var out []string
	for _, x := range list {
		if b, ok := x.Body.(*dnsmessage.PTRResource); ok {
			out = append(out, b.PTR.String())
		}
	}
	return out, nil
}

// renamed is err about the name that was asked for.
func renamed(err error, name string) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		e.Name = name
	}
	return err
}

// reverse returns the name under which an address's names stand (RFC 1035 §3.5, RFC 3596
// §2.5).
func reverse(a netip.Addr) string {
	var b strings.Builder
	raw := a.AsSlice()
	slices.Reverse(raw)
	for _, x := range raw {
		if a.Is4() {
			b.WriteString(strconv.Itoa(int(x)) + ".")
		} else {
			b.WriteString(strconv.FormatUint(uint64(x&15), 16) + "." + strconv.FormatUint(uint64(x>>4), 16) + ".")
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa."
	}
	return b.String() + "ip6.arpa."
}

// LookupCNAME returns the name that host stands for, with a dot at the end: host itself where
// it stands for no other.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	if len(r.h.names.Lookup(host)) > 0 || nameKey(host) == nameKey(r.h.name) {
		return nameKey(host) + ".", nil
	}
	list, err := r.query(ctx, host, dnsmessage.TypeA, dnsmessage.TypeAAAA)
	if err != nil {
		return "", err
	}
	return list[len(list)-1].Header.Name.String(), nil
}

// LookupTXT returns the texts of the name.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, err := r.query(ctx, name, dnsmessage.TypeTXT)
	var out []string
	for _, x := range list {
		if b, ok := x.Body.(*dnsmessage.TXTResource); ok {
			out = append(out, strings.Join(b.TXT, ""))
		}
	}
	return out, err
}

// LookupMX returns the mail servers of the name, the preferred ones first.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	list, err := r.query(ctx, name, dnsmessage.TypeMX)
	var out []*net.MX
	for _, x := range list {
		if b, ok := x.Body.(*dnsmessage.MXResource); ok {
			out = append(out, &net.MX{Host: b.MX.String(), Pref: b.Pref})
		}
	}
	slices.SortStableFunc(out, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return out, err
}

// LookupNS returns the name servers of the name.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	list, err := r.query(ctx, name, dnsmessage.TypeNS)
	var out []*net.NS
	for _, x := range list {
		if b, ok := x.Body.(*dnsmessage.NSResource); ok {
			out = append(out, &net.NS{Host: b.NS.String()})
		}
	}
	return out, err
}

// LookupSRV returns the servers of a service, by priority and weight (RFC 2782), and the name
// that was asked for: _service._proto.name, or name itself where service and proto are empty.
// Of one priority those of more weight come first; net.Resolver draws them.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		name = "_" + service + "._" + proto + "." + name
	}
	list, err := r.query(ctx, name, dnsmessage.TypeSRV)
	if err != nil {
		return "", nil, err
	}
	var out []*net.SRV
	for _, x := range list {
		if b, ok := x.Body.(*dnsmessage.SRVResource); ok {
			out = append(out, &net.SRV{Target: b.Target.String(), Port: b.Port, Priority: b.Priority, Weight: b.Weight})
		}
	}
	slices.SortStableFunc(out, func(a, b *net.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return int(b.Weight) - int(a.Weight)
	})
	return list[0].Header.Name.String(), out, nil
}

// LookupPort returns the port of a service: a number, or the name of a well-known one. ""
// is 0.
func (r *Resolver) LookupPort(_ context.Context, network, service string) (int, error) {
	if service == "" {
		return 0, nil
	}
	if n, err := strconv.Atoi(service); err == nil {
		if n < 0 || n > 0xffff {
			return 0, &net.AddrError{Err: "invalid port", Addr: service}
		}
		return n, nil
	}
	if port, ok := services[strings.ToLower(service)]; ok {
		return port, nil
	}
	return 0, &net.DNSError{Err: "unknown port", Name: strings.TrimRight(network, "46") + "/" + service, IsNotFound: true}
}

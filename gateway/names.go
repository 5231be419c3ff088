//go:build linux

package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"usock/internal/dns"
	"usock/internal/target"

	"golang.org/x/net/dns/dnsmessage"

	"usock/shape"
)

// names answers the questions about names that the run knows, in place of the name servers
// that programs ask.
//
// A name is known as it is and, as hosts(5) goes before the servers, also with each suffix
// that a program's resolver appends to it before it asks for the name itself: the search list
// of resolv.conf for names with fewer dots than its ndots. Its addresses are the same.
type names struct {
	servers []netip.AddrPort
	known   map[string]*entry // by name in lower case, with a dot at its end
	alone   bool              // there are no others to ask: other names are refused
	hosts   []Host            // that known is of

	search []string // of resolv.conf, as it has them
	ndots  int

	// permit, if not nil, says whether a name, in lower case and without a dot at its end,
	// may be asked for. Questions about others are refused, and all that is no question.
	permit func(name string) bool
	// faults, if not nil, strike at questions.
	faults *shape.Faults
	// gave, if not nil, is told of each address that is answered.
	gave func(addr netip.Addr, names []string)
}

// entry is what is known of a name.
type entry struct {
	addrs []netip.Addr
	names []dnsmessage.Name // of the address that the name stands for (PTR)
}

// newNames returns what answers for the hosts. conf says whom programs ask.
func newNames(hosts []Host, conf *resolvConf) (*names, error) {
	n := &names{known: make(map[string]*entry), hosts: hosts, search: conf.search, ndots: conf.ndots}
	for _, a := range conf.servers {
		n.servers = append(n.servers, netip.AddrPortFrom(a, dnsPort))
	}
	given := make(map[string]bool)
	for _, h := range hosts {
		if err := h.Check(); err != nil {
			return nil, err
		}
		given[target.Lower(absolute(h.Name))] = true
	}
	for _, h := range hosts {
		if err := n.add(h, conf, given); err != nil {
			return nil, err
		}
	}
	return n, nil
}

const dnsPort = dns.Port

// absolute returns a name with a dot at its end.
func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// add takes in a name's address. Of the names with a suffix, those that were given have
// addresses of their own.
func (n *names) add(h Host, conf *resolvConf, given map[string]bool) error {
	addr, full := h.Addr.Unmap(), absolute(h.Name)
	all := []string{full}
	if full != h.Name && strings.Count(h.Name, ".") < conf.ndots {
		for _, suffix := range conf.search {
			if long := full + suffix; len(long) <= target.MaxName+1 && !given[target.Lower(long)] {
				all = append(all, long)
			}
		}
	}
	for _, name := range all {
		e := n.entry(name)
		if !slices.Contains(e.addrs, addr) {
			e.addrs = append(e.addrs, addr)
		}
		if len(e.addrs) > maxAddrs {
			return fmt.Errorf("%q has more than %d addresses", h.Name, maxAddrs)
		}
	}
	e, name := n.entry(reverse(addr)), dnsmessage.MustNewName(full)
	if !slices.Contains(e.names, name) {
		e.names = append(e.names, name)
	}
	if len(e.names) > maxAddrs {
		return fmt.Errorf("%v has more than %d names", addr, maxAddrs)
	}
	return nil
}

func (n *names) entry(name string) *entry {
	name = target.Lower(name)
	e := n.known[name]
	if e == nil {
		e = new(entry)
		n.known[name] = e
	}
	return e
}

// reverse returns the name that stands for an address (RFC 1035, section 3.5; RFC 3596,
// section 2.5).
func reverse(a netip.Addr) string {
	var b []byte
	raw := a.AsSlice()
	slices.Reverse(raw)
	for _, c := range raw {
		if a.Is4() {
			b = append(strconv.AppendUint(b, uint64(c), 10), '.')
		} else {
			b = append(b, hexDigits[c&15], '.', hexDigits[c>>4], '.')
		}
	}
	if a.Is4() {
		return string(b) + "in-addr.arpa."
	}
	return string(b) + "ip6.arpa."
}

const hexDigits = "0123456789abcdef"

// asked reports whether what goes to an address is a question for n. n may be nil.
func (n *names) asked(to netip.AddrPort) bool { return n != nil && slices.Contains(n.servers, to) }

// local reports whether a server is on the loopback interface.
func (n *names) local() bool {
	return slices.ContainsFunc(n.servers, func(s netip.AddrPort) bool { return s.Addr().IsLoopback() })
}

// resolvConf is what resolv.conf(5) says of interest.
type resolvConf struct {
	servers []netip.Addr
	search  []string // each with a dot at its end
	ndots   int
}

// parseResolvConf reads a resolv.conf as glibc does. Without a server it is the machine
// itself, and without a suffix the domain of the machine's name.
func parseResolvConf(text, machine string) *resolvConf {
	c := &resolvConf{ndots: 1}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || line[0] == '#' || line[0] == ';' {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil {
				c.servers = append(c.servers, here(a.Unmap().WithZone("")))
			}
		case "domain", "search": // the last one counts
			c.search = nil
			for _, s := range f[1:] {
				if target.CheckName(s) == nil {
					c.search = append(c.search, absolute(s))
				}
				if f[0] == "domain" {
					break
				}
			}
		case "options":
			for _, o := range f[1:] {
				if v, ok := strings.CutPrefix(o, "ndots:"); ok {
					if d, err := strconv.Atoi(v); err == nil {
						c.ndots = min(max(d, 0), 15)
					}
				}
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	if _, domain, ok := strings.Cut(machine, "."); ok && c.search == nil && target.CheckName(domain) == nil {
		c.search = []string{absolute(domain)}
	}
	return c
}

// here returns the address that the wildcard stands for as a destination.
func here(a netip.Addr) netip.Addr {
	switch {
	case !a.IsUnspecified():
		return a
	case a.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// readNames returns the names of a run on this machine: those that were given, and the
// machine's own. nil: there are none, and others need no answer, unless all questions are
// watched. A name that stands in /etc/hosts is the programs' own affair.
func readNames(hosts []Host, alone, watched bool) (*names, error) {
	machine, _ := os.Hostname()
	text, _ := os.ReadFile("/etc/resolv.conf") // without the file: as if it were empty
	conf := parseResolvConf(string(text), machine)
	file, _ := os.ReadFile("/etc/hosts")
	given := func(h Host) bool { return target.Lower(absolute(h.Name)) == target.Lower(absolute(machine)) }
	if target.CheckName(machine) == nil && !namedIn(string(file), machine) && !slices.ContainsFunc(hosts, given) {
		hosts = slices.Clone(hosts)
		for _, a := range machineAddrs(alone) {
			hosts = append(hosts, Host{machine, a})
		}
	}
	if len(hosts) == 0 && !alone && !watched {
		return nil, nil
	}
	n, err := newNames(hosts, conf)
	if err != nil {
		return nil, err
	}
	n.alone = alone
	return n, nil
}

// Search returns how programs' resolvers make long names of short ones, by /etc/resolv.conf: the suffixes, in lower case with a dot before
// them, and with how many dots a name is long.
func Search() (suffixes []string, dots int) {
	machine, _ := os.Hostname()
	text, _ := os.ReadFile("/etc/resolv.conf")
	conf := parseResolvConf(string(text), machine)
	for _, s := range conf.search {
		suffixes = append(suffixes, "."+bare(s))
	}
	return suffixes, conf.ndots
}

// namedIn reports whether a name stands in a hosts(5) file.
func namedIn(text, name string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 && slices.ContainsFunc(f[1:], func(s string) bool { return strings.EqualFold(s, name) }) {
			return true
		}
	}
	return false
}

// machineAddrs returns the machine's addresses by which a run reaches it. Where it has none
// that others reach, and in a run that is alone, these are the loopback ones.
func machineAddrs(alone bool) (out []netip.Addr) {
	loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	list, err := net.InterfaceAddrs()
	if alone || err != nil {
		return loopback
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Unmap().IsGlobalUnicast() && len(out) < maxAddrs {
			out = append(out, p.Addr().Unmap())
		}
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

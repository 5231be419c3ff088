package usock

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Names is a table of names and their addresses that hosts share (Config.Names), as machines
// share one in /etc/hosts. The zero value is empty. It may be used and changed by several
// goroutines at one time. Names have no case, and a dot at the end says nothing.
type Names struct {
	mu    sync.RWMutex
	addrs map[string][]netip.Addr // mu; keys are in lower case, without dot at the end
	order []string                // mu; keys as they were set first
}

// Set gives the name the addresses, in the place of those that it has; with none of them the
// name is not known any more.
func (n *Names) Set(name string, addrs ...netip.Addr) {
	key := nameKey(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = make(map[string][]netip.Addr)
	}
	_, known := n.addrs[key]
	switch {
	case len(addrs) == 0 && known:
		delete(n.addrs, key)
		n.order = slices.DeleteFunc(n.order, func(s string) bool { return s == key })
	case len(addrs) > 0:
		n.addrs[key] = slices.Clone(addrs)
		if !known {
			n.order = append(n.order, key)
		}
	}
}

// Lookup returns the addresses of the name; none if it is not known.
func (n *Names) Lookup(name string) []netip.Addr {
	if n == nil {
		return nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.addrs[nameKey(name)])
}

// LookupAddr returns the names that have the address, in the order in which they were set.
func (n *Names) LookupAddr(a netip.Addr) []string {
	if n == nil {
		return nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	var out []string
	for _, name := range n.order {
		if slices.Contains(n.addrs[name], a) {
			out = append(out, name)
		}
	}
	return out
}

func nameKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// services are the ports of services by their names, of those that programs name (IANA,
// Service Name and Transport Protocol Port Number Registry).
var services = map[string]int{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
	"gopher": 70, "http": 80, "kerberos": 88, "pop3": 110, "ntp": 123, "imap": 143, "imap2": 143, "snmp": 161, "bgp": 179,
	"imap3": 220, "ldap": 389, "https": 443, "submissions": 465, "syslog": 514, "submission": 587, "ldaps": 636,
	"domain-s": 853, "ftps": 990, "imaps": 993, "pop3s": 995, "socks": 1080, "mqtt": 1883, "mysql": 3306, "postgresql": 5432,
	"amqp": 5672, "redis": 6379, "http-alt": 8080, "secure-mqtt": 8883,
}

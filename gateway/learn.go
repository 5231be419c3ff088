//go:build linux

package gateway

import (
	"bytes"
	"net/netip"
	"os"
	"slices"

	"usock/internal/target"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"usock"
)

// watches reports whether somebody wants to know of names: rules, a log of flows, or who asked for them.
func (g *Gateway) watches(c *Config) bool {
	return !c.Isolated && (len(c.Rules) > 0 || c.FlowLog != nil || c.Named != nil)
}

// govern has the gateway do as the configuration's rules and log say. The names are read.
func (g *Gateway) govern(c *Config) {
	if !g.watches(c) {
		return
	}
	g.flowLog, g.table = c.FlowLog, newNameTable()
	g.table.named = c.Named
	file, _ := os.ReadFile("/etc/hosts")
	for a, name := range target.Hosts(string(file)) {
		g.table.fix(a, name)
	}
	for _, h := range g.names.hosts {
		g.table.fix(h.Addr, h.Name)
	}
	g.names.gave = g.table.give
	g.policy = newPolicy(c.Rules, c.DenyWith, g.table)
	if g.policy == nil {
		return
	}
	if c.Warn != nil {
		g.alerts = newLines(c.Warn)
	}
	for _, s := range g.names.search {
		g.policy.search.Suffixes = append(g.policy.search.Suffixes, "."+bare(s))
	}
	g.policy.search.Dots = g.names.ndots
	if g.policy.byName {
		g.names.permit = g.policy.mayAllowName
	}
}

// newFilter makes the filter of a stream to a name server, which goes on by resume.
func (g *Gateway) newFilter(f *usock.Flow, resume func()) *dnsFilter {
	server := f.Local()
	d := &dnsFilter{names: g.names, faults: g.streamFaults(f.Remote(), server, resume)}
	d.asks = func(msg []byte) { d.open.asks(g, msg, server) }
	d.hears = func(msg []byte) { d.open.hears(g, msg, server) }
	if g.table != nil {
		d.hears = func(msg []byte) {
			d.open.hears(g, msg, server)
			g.learn(msg)
		}
		d.refused = func(name string) { g.denyName(unix.IPPROTO_TCP, f.Remote(), server, name) }
	}
	return d
}

// learnFrom learns from a datagram that has come, if it is a name server's answer to a
// question.
func (m *mapping) learnFrom(d *usock.Datagram) {
	if !m.g.names.asked(d.Src) {
		return
	}
	if d.SegmentSize > 0 {
		eachSegment(d, m.learnFromOne)
		return
	}
	m.learnFromOne(d)
}

func (m *mapping) learnFromOne(d *usock.Datagram) {
	if q, ok := questionOf(d.Data[0]); ok && slices.Contains(m.asked, q) {
		m.g.learn(d.Data[0])
	}
}

// askedFor is what an answer must have of a question, so that who does not see that cannot
// make one.
type askedFor struct {
	id   uint16
	name string
	typ  dnsmessage.Type
}

// maxAsked is how many questions of a socket are remembered: the last ones.
const maxAsked = 64

// asks notes a question to a name server.
func (m *mapping) asks(d *usock.Datagram) {
	q, ok := questionOf(bytes.Join(d.Data, nil))
	switch {
	case !ok:
	case len(m.asked) < maxAsked:
		m.asked = append(m.asked, q)
	default:
		m.asked[m.askedAt] = q
		m.askedAt = (m.askedAt + 1) % maxAsked
	}
}

// questionOf returns the question of a message.
func questionOf(msg []byte) (askedFor, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return askedFor{}, false
	}
	q, err := p.Question()
	return askedFor{h.ID, bare(q.Name.String()), q.Type}, err == nil
}

// learn notes which addresses a name server gives for a name.
func (g *Gateway) learn(msg []byte) {
	names, addrs := answersOf(msg)
	if len(addrs) == 0 || g.names.permit != nil && !g.names.permit(bare(names[0])) {
		return
	}
	for _, a := range addrs {
		g.table.give(a, names)
	}
}

// What is read of an answer at most.
const (
	maxRecords = 512
	maxAliases = 16
)

// answersOf returns what an answer says: the name that was asked for with those that it is an
// alias of (CNAME), and their addresses, those that HTTPS and SVCB records hint at included
// (RFC 9460, section 7.3). What cannot be read ends it.
func answersOf(msg []byte) (names []string, addrs []netip.Addr) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.OpCode != 0 || h.RCode != dnsmessage.RCodeSuccess {
		return nil, nil
	}
	q, err := p.Question()
	if err != nil || q.Class != dnsmessage.ClassINET || p.SkipAllQuestions() != nil {
		return nil, nil
	}
	aliases := make(map[string]string)
	found := make(map[string][]netip.Addr)
	for range maxRecords {
		r, err := p.Answer()
		if err != nil {
			break
		}
		owner := bare(r.Header.Name.String())
		if r.Header.Class != dnsmessage.ClassINET {
			continue
		}
		switch b := r.Body.(type) {
		case *dnsmessage.CNAMEResource:
			aliases[owner] = bare(b.CNAME.String())
		case *dnsmessage.AResource:
			found[owner] = append(found[owner], netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			found[owner] = append(found[owner], netip.AddrFrom16(b.AAAA))
		case *dnsmessage.HTTPSResource:
			found[owner] = append(found[owner], hints(&b.SVCBResource)...)
		case *dnsmessage.SVCBResource:
			found[owner] = append(found[owner], hints(b)...)
		}
	}
	for name, ok := bare(q.Name.String()), true; ok && len(names) < maxAliases; name, ok = aliases[name] {
		names = append(names, name)
		addrs = append(addrs, found[name]...)
	}
	return names, addrs
}

// hints returns the addresses that a record hints at.
func hints(r *dnsmessage.SVCBResource) (addrs []netip.Addr) {
	for _, x := range []struct {
		key  dnsmessage.SVCParamKey
		size int
	}{{dnsmessage.SVCParamIPv4Hint, 4}, {dnsmessage.SVCParamIPv6Hint, 16}} {
		b, _ := r.GetParam(x.key)
		for ; len(b) >= x.size; b = b[x.size:] {
			a, _ := netip.AddrFromSlice(b[:x.size])
			addrs = append(addrs, a)
		}
	}
	return addrs
}

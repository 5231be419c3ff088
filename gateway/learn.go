//go:build linux

package gateway

import (
	"bytes"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/dns"
	"usock/internal/target"
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
	if q, ok := dns.QuestionOf(d.Data[0]); ok && slices.Contains(m.asked, q) {
		m.g.learn(d.Data[0])
	}
}

// maxAsked is how many questions of a socket are remembered: the last ones.
const maxAsked = 64

// asks notes a question to a name server.
func (m *mapping) asks(d *usock.Datagram) {
	q, ok := dns.QuestionOf(bytes.Join(d.Data, nil))
	switch {
	case !ok:
	case len(m.asked) < maxAsked:
		m.asked = append(m.asked, q)
	default:
		m.asked[m.askedAt] = q
		m.askedAt = (m.askedAt + 1) % maxAsked
	}
}

// learn notes which addresses a name server gives for a name.
func (g *Gateway) learn(msg []byte) {
	names, addrs := dns.AnswersOf(msg)
	if len(addrs) == 0 || g.names.permit != nil && !g.names.permit(bare(names[0])) {
		return
	}
	for _, a := range addrs {
		g.table.give(a, names)
	}
}

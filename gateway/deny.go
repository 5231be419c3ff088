//go:build linux

package gateway

import (
	"container/list"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"usock"
)

// Directions of a flow, as its record says them.
const (
	outward = "out"
	inward  = "in"
)

// denials are the flows that were denied of late, so that each is told of once, however often
// it is asked for.
type denials struct {
	known  map[denialKey]*denial
	recent list.List // of *denial, the one that was asked for last in front
	told   map[string]bool
}

type denialKey struct {
	proto         uint8
	direction     string
	local, remote netip.AddrPort
	name          string // of a question that was refused
}

type denial struct {
	key   denialKey
	used  time.Duration
	place *list.Element
}

const (
	maxDenials = 4096
	// maxToldDenials is how many lines on stderr there are about what was denied.
	maxToldDenials = 1000
)

// first reports whether a denial is new, or was not asked for of late.
func (d *denials) first(key denialKey, now time.Duration) bool {
	x := d.known[key]
	if x == nil {
		if len(d.known) >= maxDenials {
			delete(d.known, d.recent.Remove(d.recent.Back()).(*denial).key)
		}
		x = &denial{key: key, used: now - 2*mappingIdle}
		x.place = d.recent.PushFront(x)
		if d.known == nil {
			d.known, d.told = make(map[denialKey]*denial), make(map[string]bool)
		}
		d.known[key] = x
	}
	fresh := now-x.used > mappingIdle
	x.used = now
	d.recent.MoveToFront(x.place)
	return fresh
}

// denies reports whether the policy denies a flow, and tells of it: of the run's local to
// remote, or what that sends unasked. Questions to the run's name servers are not denied, nor
// are their answers, where only some names can be asked for.
func (g *Gateway) denies(proto uint8, direction string, local, remote netip.AddrPort) bool {
	if g.policy.filtersNames() && proto != icmpProto && g.names.asked(remote) {
		return false
	}
	return g.deniesAt(remote.Port(), proto, direction, local, remote)
}

// deniesAt is denies for a flow where port is what is asked for: of a client, the published
// one.
func (g *Gateway) deniesAt(port uint16, proto uint8, direction string, local, remote netip.AddrPort) bool {
	if g.policy == nil {
		return false
	}
	host := remote.Addr().Unmap()
	allowed, rule := g.policy.decide(&asking{proto, host, port, func() bool { return isHere(host) }})
	if allowed {
		return false
	}
	if g.denials.first(denialKey{proto: proto, direction: direction, local: local, remote: remote}, g.clock.Now()) {
		r := g.record(proto, direction, local, remote)
		if direction == outward && g.policy.refusal != Drop {
			r.Errno = unix.ErrnoName(g.policy.refusal.errno(host.Is4()))
		}
		why := "no --allow is about it"
		if rule != nil {
			r.Rule = rule.String()
			why = fmt.Sprintf("--deny %s", r.Rule)
		}
		what := remote.String()
		if proto == icmpProto {
			what = host.String()
		}
		what += "/" + r.Proto
		if r.Name != "" {
			what += " (" + printable(r.Name) + ")"
		}
		if direction == inward {
			what = fmt.Sprintf("%s, which came in for port %d,", what, port)
		}
		g.tellDenial(&r, fmt.Sprintf("%s was denied: %s", what, why))
	}
	return true
}

// deniesPeer is denies for a datagram between a socket and a peer, of which p knows those that
// were allowed.
func (g *Gateway) deniesPeer(p *peers, proto uint8, direction string, local, peer netip.AddrPort) bool {
	if g.policy == nil {
		return false
	}
	a := p.find(peer)
	if a != nil && a.gen == g.table.gen {
		return false
	}
	if g.denies(proto, direction, local, peer) {
		a.end(FlowDenied)
		return true
	}
	if a != nil {
		a.gen = g.table.gen
	}
	return false
}

// tellDenial logs a denial, and tells the user of the first one of a process to its
// destination.
func (g *Gateway) tellDenial(r *FlowRecord, text string) {
	if g.flowLog != nil {
		r.Outcome, r.End = FlowDenied, r.Start
		g.flowLog.put(r)
	}
	if g.alerts == nil {
		return
	}
	who := "a process"
	if r.PID != 0 {
		who = printable(r.Process) + " (" + strconv.Itoa(r.PID) + ")"
	}
	text = fmt.Sprintf("usock: %s: %s\n", who, text)
	switch n := len(g.denials.told); {
	case g.denials.told[text] || n > maxToldDenials:
		return
	case n == maxToldDenials:
		text = "usock: more is denied than is told here (--log-flows has it all)\n"
	}
	g.denials.told[text] = true
	g.alerts.put([]byte(text))
}

// denyName tells of a question that was refused.
func (g *Gateway) denyName(proto uint8, local, server netip.AddrPort, name string) {
	if !g.denials.first(denialKey{proto: proto, direction: outward, local: local, remote: server, name: name}, g.clock.Now()) {
		return
	}
	r := g.record(proto, outward, local, server)
	r.Name, r.Errno = name, "REFUSED"
	if name == "" {
		g.tellDenial(&r, fmt.Sprintf("its message to the name server %v was refused: it is no plain question", server))
		return
	}
	g.tellDenial(&r, fmt.Sprintf("its question about %s was refused: no rule can allow that name", printable(name)))
}

// printable returns a text that others choose as it can stand in a line on a terminal: in
// quotes, if there is more in it than what is printed.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return text
	}
	return strconv.Quote(text)
}

// errno is what a program sees of a refusal. Drop has none.
func (r Refusal) errno(v4 bool) syscall.Errno {
	switch {
	case r == Reset:
		return unix.ECONNREFUSED
	case v4:
		return unix.EHOSTUNREACH
	}
	return unix.EACCES
}

// icmp returns the ICMP error that says so.
func (r Refusal) icmp(v4 bool) (typ, code uint8) {
	switch {
	case r == Reset && v4:
		return unreachable4, code4Port
	case r == Reset:
		return unreachable6, code6Port
	case v4:
		return unreachable4, code4Filtered
	}
	return unreachable6, code6Prohibited
}

// refuser is who says by ICMP that something is denied: the router, or on the run's own
// loopback interface the address that was asked for.
func (g *Gateway) refuser(side *side, v4 bool) netip.Addr {
	if side.own {
		return netip.Addr{}
	}
	return g.addrs.router(v4)
}

// denyFlow answers a connection that is denied.
func (g *Gateway) denyFlow(side *side, f *usock.Flow) {
	v4 := f.Local().Addr().Is4()
	switch g.policy.refusal {
	case Drop:
		f.Drop()
	case Reset:
		f.Refuse()
	default:
		typ, code := g.policy.refusal.icmp(v4)
		f.Unreachable(g.refuser(side, v4), typ, code)
	}
}

// denyDatagram answers a datagram that is denied.
func (g *Gateway) denyDatagram(side *side, d *usock.Datagram) {
	if g.policy.refusal == Drop {
		return
	}
	v4 := d.Dst.Addr().Is4()
	typ, code := g.policy.refusal.icmp(v4)
	side.host().SendICMPError(&usock.ICMPError{
		From: g.refuser(side, v4), Src: d.Src, Dst: d.Dst, Proto: unix.IPPROTO_UDP,
		Type: typ, Code: code, TTL: d.TTL, TOS: d.TOS, Data: d.Data,
	})
}

// isHere reports whether what is sent to an address comes to the machine itself. It is the
// machine's own if what is sent there has it for its source, too. A broadcast comes to all, and
// to who sends it.
func isHere(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	fd, e := outerSocket(a, unix.SOCK_DGRAM, 0)
	if e != 0 {
		return true // not known: what is denied stays so
	}
	defer sysClose(fd)
	const discard = 9 // any port: nothing is sent
	e = sysConnect(fd, netip.AddrPortFrom(a, discard))
	return e == unix.EACCES || // without SO_BROADCAST
		e == 0 && localAddr(fd).Addr() == a
}

package ss

import (
	"net/netip"
	"slices"
	"strings"
)

// Ends are what a filter judges a socket by.
type Ends struct {
	State       string // as ss prints it
	Local, Peer netip.AddrPort
}

// Match reports whether the filter lets a socket pass.
func (f *Filter) Match(e *Ends) bool {
	return f == nil || f.States.Has(e.State) && (f.expr == nil || f.expr.match(e))
}

// expr is a part of a filter.
type expr interface{ match(*Ends) bool }

type (
	both    [2]expr
	either  [2]expr
	negated [1]expr
)

func (x both) match(e *Ends) bool    { return x[0].match(e) && x[1].match(e) }
func (x either) match(e *Ends) bool  { return x[0].match(e) || x[1].match(e) }
func (x negated) match(e *Ends) bool { return !x[0].match(e) }

// host is src or dst.
type host struct {
	peer    bool
	prefix  netip.Prefix // the zero Prefix: any
	port    uint16
	anyPort bool
}

func (h host) match(e *Ends) bool {
	a := e.end(h.peer)
	if !h.anyPort && h.port != a.Port() {
		return false
	}
	if !h.prefix.IsValid() {
		return true
	}
	// An IPv4 rule has IPv4 in IPv6, too; one of IPv4 in IPv6 has only that.
	ip := a.Addr().WithZone("")
	return h.prefix.Contains(ip) || ip.Is4In6() && h.prefix.Addr().Is4() && h.prefix.Contains(ip.Unmap())
}

// port is sport or dport.
type port struct {
	peer bool
	op   operator
	port uint16
	any  bool
}

func (p port) match(e *Ends) bool {
	if p.any {
		return p.op != unequal
	}
	n := e.end(p.peer).Port()
	switch p.op {
	case equal:
		return n == p.port
	case unequal:
		return n != p.port
	case less:
		return n < p.port
	case greater:
		return n > p.port
	case lessEqual:
		return n <= p.port
	}
	return n >= p.port
}

func (e *Ends) end(peer bool) netip.AddrPort {
	if peer {
		return e.Peer
	}
	return e.Local
}

// States is a set of states, a bit each.
type States uint16

// states are the names that ss prints, and those that its filters take.
var states = []struct{ printed, name string }{
	{"ESTAB", "established"}, {"SYN-SENT", "syn-sent"}, {"SYN-RECV", "syn-recv"}, {"FIN-WAIT-1", "fin-wait-1"},
	{"FIN-WAIT-2", "fin-wait-2"}, {"TIME-WAIT", "time-wait"}, {"UNCONN", "unconnected"}, {"CLOSE-WAIT", "close-wait"},
	{"LAST-ACK", "last-ack"}, {"LISTEN", "listening"}, {"CLOSING", "closing"},
}

// All are all states.
const All = States(1<<11 - 1)

// Sets of states, as ss chooses by its flags (misc/ss.c, main).
var (
	Established = bit("ESTAB")
	Listening   = bit("LISTEN") | bit("UNCONN")
	Connected   = All &^ (Listening | bit("TIME-WAIT") | bit("SYN-RECV"))
	Going       = All &^ (bit("LISTEN") | bit("TIME-WAIT")) // what can still carry something
)

func bit(printed string) States {
	for i := range states {
		if states[i].printed == printed {
			return 1 << i
		}
	}
	return 0
}

// Has reports whether a state is in the set. One that ss does not know is in all.
func (s States) Has(printed string) bool {
	b := bit(printed)
	return b == 0 || s&b != 0
}

// Names are the states as ss prints them; nil for all.
func (s States) Names() (list []string) {
	if s == All {
		return nil
	}
	for i := range states {
		if s&(1<<i) != 0 {
			list = append(list, states[i].printed)
		}
	}
	return list
}

// stateNames returns what a state's name in a filter stands for.
func stateNames(name string) (States, bool) {
	switch name = strings.ToLower(name); name {
	case "close", "closed":
		return bit("UNCONN"), true
	case "syn-rcv":
		return bit("SYN-RECV"), true
	case "listen":
		return bit("LISTEN"), true
	case "all":
		return All, true
	case "connected":
		return All &^ Listening, true
	case "synchronized":
		return All &^ (Listening | bit("SYN-SENT")), true
	case "bucket":
		return bit("SYN-RECV") | bit("TIME-WAIT"), true
	case "big":
		return All &^ (bit("SYN-RECV") | bit("TIME-WAIT")), true
	}
	i := slices.IndexFunc(states, func(s struct{ printed, name string }) bool { return s.name == name })
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// StateWords are the names that a filter takes.
func StateWords() []string {
	list := []string{"all", "big", "bucket", "closed", "connected", "synchronized"}
	for i := range states {
		list = append(list, states[i].name)
	}
	slices.Sort(list)
	return list
}

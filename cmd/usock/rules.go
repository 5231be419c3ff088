package main

import (
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"usock/internal/target"
	"usock/shape"
)

// rulesHelp is the part of run's help about --rule.
const rulesHelp = `
A rule does something to some of the packets, before --delay and its like do theirs to
all. It is a condition, a colon and an effect:
  --rule 'to api.test:443 from 10s until 20s: loss 30%'
  --rule 'udp: delay 200ms jitter 20ms' --rule 'down from 10.0.0.0/8: rate 1mbit'
  --rule 'process curl connection 2: cut' --rule 'to db: cut at 5s for 2s'
A condition has any, or some of: up or down; to TARGET or from TARGET, of the form that
--allow has, where to is the end that was connected to; tcp, udp, sctp or icmp; process
NAME or pid NUMBER; connection N or N-M, of those that otherwise match; and times since
the start: from 10s until 20s, at 5s for 2s, every 30s for 2s. Without up or down it is
about both directions. An effect has what the link's flags have, without the dashes,
or cut. --script reads rules, profiles and their times from a file, a line each, which
usock check checks.
`

// shapeRules are the values of --rule.
type shapeRules struct{ list []shape.Rule }

// String implements pflag.Value.
func (v *shapeRules) String() string {
	var all []string
	for i := range v.list {
		all = append(all, v.list[i].String())
	}
	return strings.Join(all, "; ")
}

// Type implements pflag.Value.
func (v *shapeRules) Type() string { return "RULE" }

// Set implements pflag.Value: it adds a rule.
func (v *shapeRules) Set(text string) error {
	r, err := shape.ParseRule(text)
	if err == nil {
		v.list = append(v.list, r)
	}
	return err
}

// quoted is a text as a shell takes it for one word.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// shapedLinks are the links that can be shaped, and what rules on them go by: which names addresses were given for, and which programs
// processes run. Links that come later learn it as well. Its methods may be called by several goroutines at once.
type shapedLinks struct {
	mu       sync.Mutex
	list     []shapedLink          // mu
	names    []addrName            // mu: the last ones
	programs map[int32]string      // mu
	known    map[addrName]struct{} // mu: those of names
}

type shapedLink struct {
	iface string
	*shape.Link
}

type addrName struct {
	addr netip.Addr
	name string
}

// maxKnown bounds what is remembered for links to come.
const maxKnown = 4096

// add adds the link of an interface.
func (s *shapedLinks) add(iface string, l *shape.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, shapedLink{iface, l})
	for _, n := range s.names {
		l.Resolved(n.addr, n.name)
	}
	for pid, name := range s.programs {
		l.Program(pid, name)
	}
}

// all returns the links.
func (s *shapedLinks) all() []shapedLink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// resolved says which name an address was given for.
func (s *shapedLinks) resolved(addr netip.Addr, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := addrName{addr, name}
	if _, ok := s.known[n]; !ok {
		if s.known == nil {
			s.known = make(map[addrName]struct{})
		}
		if len(s.names) == maxKnown {
			delete(s.known, s.names[0])
			s.names = s.names[1:]
		}
		s.names, s.known[n] = append(s.names, n), struct{}{}
	}
	for _, l := range s.list {
		l.Resolved(addr, name)
	}
}

// given are the names that were given, the first ones first.
func (s *shapedLinks) given() iter.Seq2[netip.Addr, string] {
	s.mu.Lock()
	names := slices.Clone(s.names)
	s.mu.Unlock()
	return func(yield func(netip.Addr, string) bool) {
		for _, n := range names {
			if !yield(n.addr, n.name) {
				return
			}
		}
	}
}

// program says which program a process runs.
func (s *shapedLinks) program(pid int32, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.programs == nil || len(s.programs) >= maxKnown {
		s.programs = make(map[int32]string)
	}
	s.programs[pid] = name
	for _, l := range s.list {
		l.Program(pid, name)
	}
}

// resolved tells the recording, the rules and who looks which name an address was given for.
func (s *conditions) resolved(addr netip.Addr, name string) {
	if s.seen != nil {
		s.seen(addr, name)
	}
	if s.w != nil {
		s.w.Resolved(addr, name)
	}
	s.links.resolved(addr, name)
	if s.calls.Faults != nil {
		s.calls.Resolved(addr, name)
	}
}

// runs tells the recording and the rules which program a process runs.
func (s *conditions) runs(pid int32, name string) {
	if s.w != nil {
		s.w.Name(pid, name)
	}
	s.links.program(pid, name)
}

// know tells the rules the names that no name server gives: those of /etc/hosts, which programs read themselves, and in
// a run that asks nobody the machine's own.
func (s *conditions) know(isolated bool) {
	file, _ := os.ReadFile("/etc/hosts") // without the file: as if it were empty
	for addr, name := range target.Hosts(string(file)) {
		s.links.resolved(addr, name)
	}
	if machine, err := os.Hostname(); err == nil && isolated {
		s.links.resolved(netip.AddrFrom4([4]byte{127, 0, 0, 1}), machine)
		s.links.resolved(netip.IPv6Loopback(), machine)
	}
}

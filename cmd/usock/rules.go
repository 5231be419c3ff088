package main

import (
	"net/netip"
	"os"
	"strings"

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

// asks reports whether somebody wants to know of names and programs: the recording, or rules.
func (s *conditions) asks() bool { return s.w != nil || s.impaired() }

// resolved tells the recording and the rules which name an address was given for.
func (s *conditions) resolved(addr netip.Addr, name string) {
	if s.w != nil {
		s.w.Resolved(addr, name)
	}
	for _, l := range s.links {
		l.Resolved(addr, name)
	}
}

// runs tells the recording and the rules which program a process runs.
func (s *conditions) runs(pid int32, name string) {
	if s.w != nil {
		s.w.Name(pid, name)
	}
	for _, l := range s.links {
		l.Program(pid, name)
	}
}

// know tells the rules the names that no name server gives: those of /etc/hosts, which programs read themselves, and in
// a run that asks nobody the machine's own.
func (s *conditions) know(isolated bool) {
	file, _ := os.ReadFile("/etc/hosts") // without the file: as if it were empty
	for addr, name := range target.Hosts(string(file)) {
		for _, l := range s.links {
			l.Resolved(addr, name)
		}
	}
	if machine, err := os.Hostname(); err == nil && isolated {
		for _, l := range s.links {
			l.Resolved(netip.AddrFrom4([4]byte{127, 0, 0, 1}), machine)
			l.Resolved(netip.IPv6Loopback(), machine)
		}
	}
}

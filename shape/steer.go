package shape

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usock/internal/target"
	"usock/link"
)

// steering says which rules a packet passes. A packet's flow is decided about once, as far as time is not asked for; what was decided
// is found in a cache by the packet's addresses and ports:
//
//	packet → parse → cache ─hit──→ match ∩ (rules of its direction that hold now) → the first of them
//	                   └──miss──→ flows.find → count → match
type steering struct {
	rules     []Rule
	flows     *flows
	names     *names
	programs  *programs
	counts    []uint64          // flows.mu: connections of the rules that count them
	matches   map[set]*matching // flows.mu: those that flows have, each once
	counting  bool              // one of them counts connections
	byProcess bool              // one asks for the process
	unread    verdict           // of what is no IP packet

	begun atomic.Int64 // the beginning, on the link's clock
	now   atomic.Pointer[moment]
	cache [][2]atomic.Pointer[verdict] // of cacheSets, where packets are asked about
}

// cacheSets is how many verdicts the cache has a place for, and a second one, maxMatches how many sets of rules are shared by flows.
const (
	cacheSets  = 1 << 13
	maxMatches = 1 << 10
)

// set is a set of rules, by their places.
type set [MaxRules / 64]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// first returns the first one of those in both sets, from the place on; MaxRules: there is none.
func (s *set) first(t *set, from int) int {
	mask := ^uint64(0) << (from % 64)
	for w := from / 64; w < len(s); w++ {
		if x := s[w] & t[w] & mask; x != 0 {
			return w*64 + bits.TrailingZeros64(x)
		}
		mask = ^uint64(0)
	}
	return MaxRules
}

// verdict is what was decided about the packets of one direction of a flow. But for gen it does not change. It fills one line of the
// processor's caches, of which many flows at once need one each.
type verdict struct {
	of    endpoints
	gen   atomic.Uint64 // of flows; 0: what is known of the flow is another thing now
	match *matching
	pid   int32 // of the sender
	none  bool  // no rule is about the flow
	dir   uint8 // up or down in the flow
}

// matching is the rules that are about some flows.
type matching struct {
	by    *steering
	rules set
}

// holds reports whether a verdict is still right.
func (v *verdict) holds(s *steering) bool { return v.gen.Load() == s.flows.gen.Load() }

// moment is which rules hold for a time, in each direction.
type moment struct {
	from, until time.Duration // on the link's clock
	holds       [2]set
}

// The directions.
const (
	up = iota
	down
)

func newSteering(rules []Rule, f *flows, n *names, p *programs) *steering {
	s := &steering{rules: rules, flows: f, names: n, programs: p, counts: make([]uint64, len(rules)), matches: make(map[set]*matching)}
	s.unread.match = &matching{by: s}
	for i := range rules {
		r := &rules[i]
		s.counting = s.counting || r.first > 0
		s.byProcess = s.byProcess || r.process != "" || r.pid != 0
		if r.to == nil && r.from == nil && r.proto == 0 && r.process == "" && r.pid == 0 && r.first == 0 {
			s.unread.match.rules.add(i)
		}
	}
	s.unread.none = s.unread.match.rules == set{}
	f.gen.Add(1)
	return s
}

// first returns the first rule, from a place on, that a packet passes which goes in that direction; MaxRules: there is none.
func (s *steering) first(v *verdict, now time.Duration, from, dir int) int {
	if v.none {
		return MaxRules
	}
	m := s.now.Load()
	if m == nil || now < m.from || now >= m.until {
		m = s.look(now)
	}
	return v.match.rules.first(&m.holds[dir], from)
}

// stages are the pieces of the way that the rules are. A name is the rule's text, with what is behind it for a rule about both
// directions.
func (s *steering) stages(behind string) []link.Stage {
	list := make([]link.Stage, len(s.rules))
	count := make(map[string]int)
	for i := range s.rules {
		r := &s.rules[i]
		name := r.text
		if count[r.text]++; count[r.text] > 1 {
			name += fmt.Sprintf(" (%d)", count[r.text])
		}
		if behind != "" && r.way == 0 || behind == ", down" && r.way == onlyUp || behind == ", up" && r.way == onlyDown {
			name += behind
		}
		list[i] = link.Stage{Name: name, Impairment: r.Impairment}
	}
	return list
}

// look finds out which rules hold at a time.
func (s *steering) look(now time.Duration) *moment {
	m := &moment{from: now, until: 1<<63 - 1}
	begun := time.Duration(s.begun.Load())
	for i := range s.rules {
		r := &s.rules[i]
		holds, until := r.times.at(now - begun)
		if until > 0 {
			m.until = min(m.until, begun+until)
		}
		if !holds {
			continue
		}
		if r.way != onlyDown {
			m.holds[up].add(i)
		}
		if r.way != onlyUp {
			m.holds[down].add(i)
		}
	}
	s.now.Store(m)
	return m
}

// open makes ready for packets.
func (s *steering) open() {
	if s.cache == nil {
		s.cache = make([][2]atomic.Pointer[verdict], cacheSets)
	}
}

// start sets the beginning.
func (s *steering) start(begun time.Duration) {
	s.begun.Store(int64(begun))
	s.now.Store(nil)
}

// verdict returns what is decided about a packet, and decides if nothing is.
func (s *steering) verdict(p *link.Packet) *verdict {
	var h header
	if !h.read(p) {
		return &s.unread
	}
	if h.fragment != whole || h.begins || h.answers || h.quoted {
		return s.decide(p, &h)
	}
	places := &s.cache[h.hash()%cacheSets]
	for i := range places {
		v := places[i].Load()
		if v != nil && v.of.same(&h.endpoints) && v.holds(s) && (!s.byProcess || p.Owner.PID == 0 || p.Owner.PID == v.pid) {
			return v
		}
	}
	v := s.decide(p, &h)
	places[1].Store(places[0].Swap(v))
	return v
}

// decide finds the flow and what matches it.
func (s *steering) decide(p *link.Packet, h *header) *verdict {
	f := s.flows
	f.mu.Lock()
	defer f.mu.Unlock()
	x, rises := f.find(h)
	side := 0
	if rises {
		side = 1
	}
	if pid := p.Owner.PID; pid != 0 && pid != x.pid[side] && !h.quoted {
		x.pid[side] = pid
		x.outdate()
	}
	old := x.verdicts[side]
	if old != nil && old.of == h.endpoints && old.holds(s) && old.match.by == s {
		return old
	}
	v := &verdict{of: h.endpoints, match: s.shared(s.match(x, h, rises)), pid: x.pid[side], dir: up}
	v.gen.Store(f.gen.Load())
	v.none = v.match.rules == set{}
	if rises != x.low {
		v.dir = down
	}
	if h.quoted { // rules about icmp are among those
		return v
	}
	if old != nil {
		old.gen.Store(0)
	}
	x.verdicts[side] = v
	return v
}

// shared returns the one matching of those rules. The caller holds flows.mu.
func (s *steering) shared(rules set) *matching {
	m := s.matches[rules]
	if m == nil {
		if len(s.matches) >= maxMatches {
			clear(s.matches)
		}
		m = &matching{s, rules}
		s.matches[rules] = m
	}
	return m
}

// asked is a flow that rules are asked about.
type asked struct {
	proto         uint8
	icmp          bool // an ICMP error about it
	begin, far    netip.Addr
	beginPort     uint16
	farPort       uint16
	beginN, farN  []string // names
	pids          [2]int32
	programs      [2]string
	namesAreKnown bool
}

// match returns the rules that are about a packet of a flow. The caller holds flows.mu.
func (s *steering) match(x *flow, h *header, rises bool) (m set) {
	a := asked{proto: h.proto, icmp: h.quoted, pids: x.pid}
	a.begin, a.far, a.beginPort, a.farPort = address(h.src, h.v6), address(h.dst, h.v6), h.sport, h.dport
	if rises != x.low {
		a.begin, a.far, a.beginPort, a.farPort = a.far, a.begin, a.farPort, a.beginPort
	}
	if s.byProcess {
		a.programs = [2]string{s.programs.of(x.pid[0]), s.programs.of(x.pid[1])}
	}
	for i := range s.rules {
		r := &s.rules[i]
		if !s.about(r, &a) {
			continue
		}
		if r.first == 0 || s.picks(i, x, h) {
			m.add(i)
		}
	}
	return m
}

// picks reports whether a flow that a rule is about is one of the connections that it means. The first packet counts.
func (s *steering) picks(i int, x *flow, h *header) bool {
	if x.seen && !h.quoted && !x.counted.has(i) {
		x.counted.add(i)
		s.counts[i]++
		if n := s.counts[i]; s.rules[i].first <= n && n <= s.rules[i].last {
			x.picked.add(i)
		}
	}
	return x.picked.has(i)
}

// about reports whether a rule is about a flow, whichever connection it is.
func (s *steering) about(r *Rule, a *asked) bool {
	switch {
	case r.proto != 0 && r.proto != a.proto && !(a.icmp && r.proto == target.ICMP):
		return false
	case r.pid != 0 && r.pid != a.pids[0] && r.pid != a.pids[1]:
		return false
	case r.process != "" && r.process != a.programs[0] && r.process != a.programs[1]:
		return false
	}
	return (r.to == nil || s.isAt(r.to, a, a.far, a.farPort, &a.farN)) && (r.from == nil || s.isAt(r.from, a, a.begin, a.beginPort, &a.beginN))
}

// isAt reports whether a target is about an end of a flow.
func (s *steering) isAt(t *target.Target, a *asked, addr netip.Addr, port uint16, known *[]string) bool {
	if !t.About(a.proto, port) && !(a.icmp && t.About(target.ICMP, 0)) {
		return false
	}
	switch t.Host {
	case target.AnyHost:
		return true
	case target.ByAddr:
		return t.Contains(addr)
	}
	if !a.namesAreKnown {
		a.beginN, a.farN, a.namesAreKnown = s.names.of(a.begin), s.names.of(a.far), true
	}
	for _, n := range *known {
		if t.MatchesName(n, &s.names.search) {
			return true
		}
	}
	return false
}

// asksProgram reports whether a rule is about the processes of a program.
func (s *steering) asksProgram(name string) bool {
	return name != "" && slices.ContainsFunc(s.rules, func(r Rule) bool { return r.process == name })
}

// asksName reports whether a rule is about the hosts of a name.
func (s *steering) asksName(name string) bool {
	for i := range s.rules {
		for _, t := range []*target.Target{s.rules[i].to, s.rules[i].from} {
			if t != nil && t.ByName() && t.MatchesName(name, &s.names.search) {
				return true
			}
		}
	}
	return false
}

// names are those that addresses were given for.
type names struct {
	search target.Search

	mu sync.Mutex
	by map[netip.Addr][]string
}

// What is kept at most: addresses, and names of each.
const (
	maxNamed = 1 << 15
	maxNames = 64
)

// add notes a name, and reports whether it is a new one.
func (n *names) add(a netip.Addr, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a = a.Unmap()
	for _, x := range n.by[a] {
		if x == name {
			return false
		}
	}
	list, known := n.by[a]
	if !known && len(n.by) >= maxNamed || len(list) >= maxNames {
		return false
	}
	if n.by == nil {
		n.by = make(map[netip.Addr][]string)
	}
	n.by[a] = append(list[:len(list):len(list)], name) // who has asked goes on to read the old list
	return true
}

// of returns the names of an address.
func (n *names) of(a netip.Addr) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.by[a]
}

// programs are those that processes run.
type programs struct {
	mu             sync.Mutex
	recent, before map[int32]string
}

// maxProgram bounds the processes whose programs are known, in each of the two maps.
const maxProgram = 1 << 15

// set notes a process's program, and returns the one before.
func (p *programs) set(pid int32, name string) (old string) {
	old = p.of(pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.recent) >= maxProgram {
		p.before, p.recent = p.recent, nil
	}
	if p.recent == nil {
		p.recent = make(map[int32]string)
	}
	p.recent[pid] = name
	return old
}

// of returns a process's program, "" if it is not known.
func (p *programs) of(pid int32) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name, ok := p.recent[pid]; ok {
		return name
	}
	return p.before[pid]
}

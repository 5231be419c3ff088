package ip

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// What a host tells the routers of a link about the groups that it wants: IGMPv3 (RFC 3376) and
// MLDv2 (RFC 3810), which are one protocol with two formats, and their older versions where a
// router speaks those. This file decides what is said and when; igmp.go and mld.go have the
// formats, group.go the wishes.
//
//	a filter changes ── set ──► records due at once, and again ──┐
//	a router asks ── query ──► answers due at random times ──────┴─ expire ──► report.send
//
// Everything is a function of the calls, their times and the random numbers.

// want is what an interface wants of a group: with exclude all sources but those listed, else
// those alone. Sources are sorted. The zero want is that of who is no member.
type want struct {
	exclude bool
	sources []netip.Addr
}

func (w *want) none() bool { return !w.exclude && len(w.sources) == 0 }

func (w *want) lists(a netip.Addr) bool {
	_, ok := slices.BinarySearchFunc(w.sources, a, netip.Addr.Compare)
	return ok
}

func (w *want) equal(o *want) bool {
	return w.exclude == o.exclude && slices.Equal(w.sources, o.sources)
}

// report is a message that is due. Of the older generations it has one record, of
// wire.ChangeToInclude if the group was left.
type report struct {
	generation wire.GroupGeneration
	records    []wire.GroupRecord
}

// Timers and counts (RFC 3376, section 8; RFC 3810, section 9).
const (
	defaultRobustness = 2
	defaultQueryEvery = 125 * time.Second
	defaultMaxDelay   = 10 * time.Second
	reportAgain       = time.Second      // Unsolicited Report Interval
	reportAgainOlder  = 10 * time.Second // that of the older versions
	maxAsked          = 1024             // sources that an answer remembers
	maxRobustness     = 7
	noOlder           = -time.Second // before all times
)

// reporting is what is said on one interface with one of the protocols.
type reporting struct {
	groups     map[netip.Addr]*reported
	random     func() uint64
	older      [2]time.Duration     // until when a router of these generations is taken to be there
	speaks     wire.GroupGeneration // as of the last call
	robustness int
	every      time.Duration // between a router's queries
	maxDelay   time.Duration // of its last query
	changes    time.Duration // when changes are reported next; timer.Never
	general    time.Duration // when a query for all groups is answered; timer.Never
}

// reported is a group that is wanted, or was until a moment ago.
type reported struct {
	want
	modeLeft int                // how often the change of mode is still to be reported
	left     map[netip.Addr]int // the same of sources
	answer   time.Duration      // when a query for the group is answered; timer.Never
	asked    []netip.Addr       // about which sources; none: all

	// Of the older versions: how often it is still to be reported without a query, and that this host
	// was the last to do so.
	unasked  int
	reporter bool
}

func newReporting(random func() uint64) *reporting {
	return &reporting{
		groups: make(map[netip.Addr]*reported), random: random,
		older: [2]time.Duration{noOlder, noOlder}, speaks: wire.ThirdGeneration,
		robustness: defaultRobustness, every: defaultQueryEvery, maxDelay: defaultMaxDelay,
		changes: timer.Never, general: timer.Never,
	}
}

// within returns a random time above 0 and up to d.
func (m *reporting) within(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return 1 + time.Duration(m.random()%uint64(d))
}

// adapt finds out which generation is spoken. When that changes, all that was due is dropped
// (RFC 3376, section 7.2.1; RFC 3810, section 8.2.1).
func (m *reporting) adapt(now time.Duration) {
	speaks := wire.ThirdGeneration
	for g := wire.SecondGeneration; ; g-- {
		if m.older[g] > now {
			speaks = g
		}
		if g == wire.FirstGeneration {
			break
		}
	}
	if speaks == m.speaks {
		return
	}
	m.speaks = speaks
	m.changes, m.general = timer.Never, timer.Never
	for a, g := range m.groups {
		g.modeLeft, g.left, g.answer, g.asked, g.unasked = 0, nil, timer.Never, nil, 0
		if g.none() {
			delete(m.groups, a)
		}
	}
}

// set notes what is wanted of a group. What it returns is to be sent at once; the rest is due at
// deadline.
func (m *reporting) set(group netip.Addr, w want, now time.Duration) []report {
	m.adapt(now)
	g := m.groups[group]
	if g == nil {
		if w.none() {
			return nil
		}
		g = &reported{answer: timer.Never}
		m.groups[group] = g
	}
	if g.equal(&w) {
		return nil
	}
	old := g.want
	g.want = w
	if m.speaks != wire.ThirdGeneration {
		return m.setOlder(group, g, &old, now)
	}

	// A change of mode is told with all sources, one of sources by themselves, each as often as the
	// robustness says (RFC 3376, section 5.1; RFC 3810, section 6.1).
	if old.exclude != w.exclude {
		g.modeLeft, g.left = m.robustness, nil
	} else {
		if g.left == nil {
			g.left = make(map[netip.Addr]int)
		}
		for _, pair := range [2][2]*want{{&old, &w}, {&w, &old}} {
			for _, a := range pair[0].sources {
				if !pair[1].lists(a) {
					g.left[a] = m.robustness
				}
			}
		}
	}
	m.changes = now
	return nil
}

// setOlder is set for routers that know of no sources.
func (m *reporting) setOlder(group netip.Addr, g *reported, old *want, now time.Duration) []report {
	switch {
	case g.none():
		delete(m.groups, group)
		// Only who was the last to report: others may still be there (RFC 2236, section 3). The first
		// version has no such message.
		if g.reporter && m.speaks == wire.SecondGeneration {
			return []report{{m.speaks, []wire.GroupRecord{{Kind: wire.ChangeToInclude, Group: group}}}}
		}
	case old.none():
		g.unasked, g.answer = m.robustness, now
	}
	return nil
}

// query takes in a router's question (RFC 3376, section 5.2; RFC 3810, section 6.2).
func (m *reporting) query(q *wire.GroupQuery, now time.Duration) {
	if q.Generation == wire.ThirdGeneration {
		m.robustness, m.every = defaultRobustness, defaultQueryEvery
		if q.Robustness != 0 {
			m.robustness = min(q.Robustness, maxRobustness)
		}
		if q.Interval != 0 {
			m.every = q.Interval
		}
	}
	m.maxDelay = q.MaxDelay
	if q.Generation != wire.ThirdGeneration {
		// Older Version Querier Present Timeout (RFC 3376, section 8.12).
		m.older[q.Generation] = now + time.Duration(m.robustness)*m.every + m.maxDelay
	}
	m.adapt(now)
	at := now + m.within(q.MaxDelay)
	if m.speaks == wire.ThirdGeneration {
		// An answer about all groups that is due before says it, too.
		if m.general <= at {
			return
		}
		if !q.Group.IsValid() {
			m.general = at
			return
		}
	}
	for _, a := range m.sorted() {
		g := m.groups[a]
		if q.Group.IsValid() && q.Group != a || g.none() {
			continue
		}
		if m.speaks != wire.ThirdGeneration {
			// Each group at a time of its own: one of all members' answers will do.
			g.answer = min(g.answer, now+m.within(q.MaxDelay))
			continue
		}
		switch {
		case g.answer == timer.Never:
			g.asked = slices.Clone(q.Sources)
		case len(q.Sources) == 0 || len(g.asked) == 0 || len(g.asked)+len(q.Sources) > maxAsked:
			g.asked = nil
		default:
			g.asked = append(g.asked, q.Sources...)
		}
		g.answer = min(g.answer, at)
	}
}

// heard notes that another host has reported a group to a router of an older generation: once
// is enough (RFC 2236, section 3; RFC 2710, section 4).
func (m *reporting) heard(group netip.Addr, now time.Duration) {
	m.adapt(now)
	if g := m.groups[group]; g != nil && m.speaks != wire.ThirdGeneration {
		g.answer, g.unasked, g.reporter = timer.Never, 0, false
	}
}

// deadline is when expire is to be called; timer.Never if nothing is due.
func (m *reporting) deadline() time.Duration {
	at := min(m.changes, m.general)
	for _, g := range m.groups {
		at = min(at, g.answer)
	}
	return at
}

// expire returns what is due.
func (m *reporting) expire(now time.Duration) (out []report) {
	m.adapt(now)
	say := func(r []wire.GroupRecord) {
		if len(r) > 0 {
			out = append(out, report{m.speaks, r})
		}
	}
	if m.changes <= now {
		say(m.changed(now))
	}
	if m.general <= now {
		m.general = timer.Never
		var all []wire.GroupRecord
		for _, a := range m.sorted() {
			all = append(all, m.groups[a].state(a, nil)...)
		}
		say(all)
	}
	for _, a := range m.sorted() {
		g := m.groups[a]
		if g.answer > now {
			continue
		}
		asked := g.asked
		g.answer, g.asked = timer.Never, nil
		if m.speaks == wire.ThirdGeneration {
			say(g.state(a, asked))
			continue
		}
		say([]wire.GroupRecord{{Kind: wire.ModeIsExclude, Group: a}})
		g.reporter = true
		if g.unasked--; g.unasked > 0 {
			g.answer = now + m.within(reportAgainOlder)
		}
		g.unasked = max(g.unasked, 0)
	}
	return out
}

// changed returns the records of all changes, and notes when they are reported again.
func (m *reporting) changed(now time.Duration) (out []wire.GroupRecord) {
	m.changes = timer.Never
	for _, a := range m.sorted() {
		g := m.groups[a]
		out = append(out, g.change(a)...)
		switch {
		case g.modeLeft > 0 || len(g.left) > 0:
			m.changes = now
		case g.none():
			delete(m.groups, a)
		}
	}
	if m.changes == now {
		m.changes = now + m.within(reportAgain)
	}
	return out
}

// change returns the records of a group's changes, one time less from now on.
func (g *reported) change(group netip.Addr) (out []wire.GroupRecord) {
	var lists [2][]netip.Addr // allowed, blocked
	for _, a := range slices.SortedFunc(maps.Keys(g.left), netip.Addr.Compare) {
		k := 0
		if g.lists(a) == g.exclude {
			k = 1
		}
		lists[k] = append(lists[k], a)
		if g.left[a]--; g.left[a] <= 0 {
			delete(g.left, a)
		}
	}
	if g.modeLeft > 0 {
		g.modeLeft--
		kind := uint8(wire.ChangeToInclude)
		if g.exclude {
			kind = wire.ChangeToExclude
		}
		return []wire.GroupRecord{{Kind: kind, Group: group, Sources: g.sources}}
	}
	for k, list := range lists {
		if len(list) > 0 {
			out = append(out, wire.GroupRecord{Kind: uint8(wire.AllowNewSources + k), Group: group, Sources: list})
		}
	}
	return out
}

// state returns the record of what is wanted of a group, none if it is not, or nothing of the sources
// that were asked about. With those that are wanted of them answers who includes, who excludes with
// all that it wants, as Linux does: by RFC 3376, section 5.2, it were those, too.
func (g *reported) state(group netip.Addr, asked []netip.Addr) []wire.GroupRecord {
	r := wire.GroupRecord{Kind: wire.ModeIsInclude, Group: group, Sources: g.sources}
	if g.exclude {
		r.Kind = wire.ModeIsExclude
	}
	wanted := slices.DeleteFunc(slices.Clone(asked), func(a netip.Addr) bool { return g.lists(a) == g.exclude })
	switch {
	case g.none(), len(asked) > 0 && len(wanted) == 0:
		return nil
	case len(asked) > 0 && !g.exclude:
		slices.SortFunc(wanted, netip.Addr.Compare)
		r.Sources = slices.Compact(wanted)
	}
	return []wire.GroupRecord{r}
}

// sorted returns the groups in order: no map's order shows in a packet.
func (m *reporting) sorted() []netip.Addr {
	return slices.SortedFunc(maps.Keys(m.groups), netip.Addr.Compare)
}

// pack divides records among messages with room bytes for them, and calls send with each message's. A record
// takes head bytes and width for each source. One that has room nowhere is cut: what a list leaves
// out of those that are excluded is let through, all others go on in a further record (RFC 3376,
// section 4.2.16; RFC 3810, section 5.2.15).
func pack(records []wire.GroupRecord, room, head, width int, send func([]wire.GroupRecord)) {
	var batch []wire.GroupRecord
	left := room
	flush := func() {
		if len(batch) > 0 {
			send(batch)
		}
		batch, left = nil, room
	}
	for _, r := range records {
		if head+width*len(r.Sources) > left {
			flush()
		}
		for most := (room - head) / width; len(r.Sources) > most; {
			part := wire.GroupRecord{Kind: r.Kind, Group: r.Group, Sources: r.Sources[:most]}
			r.Sources = r.Sources[most:]
			if r.Kind == wire.ModeIsExclude || r.Kind == wire.ChangeToExclude {
				r.Sources = part.Sources
				break
			}
			batch = append(batch, part)
			flush()
		}
		batch = append(batch, r)
		left -= head + width*len(r.Sources)
	}
	flush()
}

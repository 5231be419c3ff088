package shape

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"usock/link"
)

// Script is what a script says.
type Script struct {
	Shape  Shape   // what is done to packets
	Faults []Fault // what goes wrong at programs' calls
}

// ParseScript reads a script, a statement a line. What is behind a # is a comment.
//
//	profile regular-3g              # what the link is at the beginning
//	at 10s: profile slow-3g         # and later
//	at 30s: delay 100ms loss 1%
//	at 40s down: rate 1mbit
//	at 50s: cut
//	at 52s: heal
//	every 60s                       # then all that begins at a time comes again
//
//	to api.test:443 from 10s until 20s: loss 30%
//	udp: delay 200ms
//	fault connect refused to api.test:443 from 5s until 8s
//
// A line is one of these:
//
//   - profile NAME: the link is as that network (FindProfile), in place of what it was. A profile's rules hold as long as it does.
//   - OPTION VALUE ..., with up or down before it for one direction: the link has these options of link.Impairment.Set, beside those that
//     it has.
//   - at TIME: one of the two; cut, heal, which undoes that; clear, which undoes all. up or down beside the time is for one
//     direction.
//   - every TIME, once: what has a time comes again after so long. Rules have their own times.
//   - fault and what ParseFault reads, with times of its own.
//   - a rule, as ParseRule reads it. One that has nothing but at TIME and a direction as its condition is the statement above.
//
// The error has all that is wrong, a *TextError each, as errors.Join has them.
func ParseScript(text string) (Script, error) {
	var s script
	if len(text) > maxScript {
		return Script{}, &TextError{Line: 1, Column: 1, What: fmt.Sprintf("the script has %d bytes; up to %d are read", len(text), maxScript)}
	}
	text = strings.TrimPrefix(text, "\ufeff")
	for line := range strings.Lines(text) {
		s.line++
		line = uncommented(strings.TrimRight(line, "\r\n"))
		words, err := split(line)
		if err == nil && len(words) > 0 {
			err = s.statement(words)
		}
		s.wrong(s.line, err)
		if len(s.errors) == maxErrors {
			return Script{}, errors.Join(s.errors...)
		}
	}
	out := s.shape()
	if len(s.errors) > 0 {
		slices.SortStableFunc(s.errors, func(a, b error) int { return cmp.Compare(a.(*TextError).Line, b.(*TextError).Line) })
		return Script{}, errors.Join(s.errors...)
	}
	return Script{out, s.faults}, nil
}

// What is read of a script: bytes, changes of the link, and what is said to be wrong.
const (
	maxScript  = 1 << 20
	maxChanges = 4096
	maxErrors  = 20
)

// script is one that is read.
type script struct {
	line    int
	errors  []error
	changes []change
	every   time.Duration
	everyAt word
	on      int // the line of every
	rules   []Rule
	faults  []Fault
}

// change is a statement about the link.
type change struct {
	at   time.Duration
	line int
	word word  // where it stands
	way  uint8 // onlyUp, onlyDown or 0: both
	do   func(*state) error
}

// statements are those that are known by their first word alone. All others are changes or rules.
var statements = map[string]func(s *script, words []word) error{
	"profile": func(s *script, words []word) error { return s.change(0, 0, words[0], words) },
	"every":   (*script).repeat,
	faultWord: (*script).fault,
}

// wrong notes what is wrong with a line.
func (s *script) wrong(line int, err error) {
	if e, ok := err.(*TextError); ok {
		e.Line = line
		s.errors = append(s.errors, e)
	}
}

// uncommented returns a line up to its comment.
func uncommented(line string) string {
	quoted, begins := false, true
	for i, c := range line {
		switch {
		case quoted:
			quoted = c != '"'
		case c == '#' && begins:
			return line[:i]
		default:
			quoted = c == '"' && begins
		}
		begins = unicode.IsSpace(c)
	}
	return line
}

func (s *script) statement(words []word) error {
	first := strings.ToLower(words[0].text)
	if f := statements[first]; f != nil {
		return f(s, words)
	}
	if at, way, rest, ok, err := timed(words); ok {
		if err != nil {
			return err
		}
		return s.change(at, way, words[0], rest)
	}
	way, rest := uint8(0), words
	if len(words) > 1 && (first == "up" || first == "down") {
		way, rest = map[string]uint8{"up": onlyUp, "down": onlyDown}[first], words[1:]
	}
	switch name := strings.ToLower(rest[0].text); {
	case slices.Contains(effects(), name):
		return s.change(0, way, words[0], rest)
	case len(rest) == 1 && (name == "heal" || name == "clear"):
		return rest[0].fault("%s undoes what was before, at a time: at 22s: %s", name, name)
	}
	return s.rule(words)
}

// timed reads the condition of a change, a time and perhaps a direction, and returns what is behind the colon. Not ok: it is
// another one.
func timed(words []word) (at time.Duration, way uint8, rest []word, ok bool, err error) {
	var when *word
	for i := 0; i < len(words); i++ {
		bare, ends := strings.CutSuffix(words[i].text, ":")
		switch name := strings.ToLower(bare); {
		case bare == "" && ends:
		case name == "at" && !ends && when == nil && i+1 < len(words):
			i++
			v := words[i]
			v.text, ends = strings.CutSuffix(v.text, ":")
			when = &v
		case name == "up" && way == 0:
			way = onlyUp
		case name == "down" && way == 0:
			way = onlyDown
		default:
			return 0, 0, nil, false, nil
		}
		if ends {
			if when == nil {
				return 0, 0, nil, false, nil
			}
			at, err = parseTime(when)
			if rest = words[i+1:]; err == nil && len(rest) == 0 {
				err = words[i].fault("what is the link from then on? Such as profile slow-3g, delay 100ms, cut, heal or clear")
			}
			return at, way, rest, true, err
		}
	}
	return 0, 0, nil, false, nil
}

// repeat is every TIME.
func (s *script) repeat(words []word) error {
	w := words[0]
	if slices.ContainsFunc(words, func(w word) bool { return strings.HasSuffix(w.text, ":") }) {
		return s.rule(words)
	}
	if len(words) != 2 {
		return w.fault("every takes one time, such as every 60s; a rule has a colon")
	}
	if s.on != 0 {
		return w.fault("every is there twice; line %d has it", s.on)
	}
	d, err := parseTime(&words[1])
	if err != nil {
		return err
	}
	if d == 0 {
		return words[1].fault("every %v is never done", d)
	}
	s.every, s.on, s.everyAt = d, s.line, words[1]
	return nil
}

// rule reads the words of a rule.
func (s *script) rule(words []word) error {
	r, err := ruleOf(words)
	if err != nil {
		return err
	}
	if len(s.rules) == MaxRules {
		return words[0].fault("this is rule %d; up to %d are possible", MaxRules+1, MaxRules)
	}
	s.rules = append(s.rules, r)
	return nil
}

// MaxFaults is how many faults a script, or a run, has at most.
const MaxFaults = 256

const faultWord = "fault"

// fault reads a fault behind that word.
func (s *script) fault(words []word) error {
	if len(words) == 1 {
		return words[0].fault("which fault? Such as fault connect refused to api.test:443")
	}
	f, err := faultOf(words[1:])
	if err != nil {
		return err
	}
	if len(s.faults) == MaxFaults {
		return words[0].fault("this is fault %d; up to %d are possible", MaxFaults+1, MaxFaults)
	}
	s.faults = append(s.faults, f)
	return nil
}

// state is what a link is between two changes.
type state struct {
	up, down link.Impairment
	within   *Course       // of the profile: how they change by themselves
	since    time.Duration // when that has begun
	cut      [2]bool
	rules    []Rule // of the profile
}

// change reads what a change does, and notes it.
func (s *script) change(at time.Duration, way uint8, first word, words []word) error {
	if len(s.changes) == maxChanges {
		return first.fault("this is change %d of the link; up to %d are possible", maxChanges+1, maxChanges)
	}
	c := change{at: at, line: s.line, word: words[0], way: way}
	name := strings.ToLower(words[0].text)
	switch name {
	case "profile":
		if len(words) == 1 {
			return words[0].fault("the name of a profile is missing; usock profiles lists them")
		}
		if len(words) > 2 {
			return words[2].fault("%q stands behind the profile, where nothing does; other options have a line of their own", words[2].text)
		}
		p, err := FindProfile(words[1].text)
		if err != nil {
			return words[1].fault("%v", err)
		}
		if way != 0 {
			return words[0].fault("a profile is of both directions")
		}
		c.do = func(x *state) error {
			*x = state{up: p.Shape.Up, down: p.Shape.Down, cut: x.cut, rules: p.Shape.Rules, since: at}
			if p.Shape.Course.Steps != nil {
				x.within = &p.Shape.Course
			}
			return nil
		}
	case faultWord:
		return words[0].fault("a fault has times of its own, at the end: fault connect refused from %v", max(at, time.Second))
	case "cut", "heal", "clear":
		if len(words) > 1 {
			return words[1].fault("%q stands behind %s, where nothing does", words[1].text, name)
		}
		c.do = func(x *state) error { return x.set(name, way) }
	default:
		m, err := options(words)
		if err != nil {
			return misplaced(at, words, err)
		}
		c.do = func(x *state) error { return x.each(way, m) }
	}
	s.changes = append(s.changes, c)
	return nil
}

// misplaced returns what is wrong with the words of a change for which there is an error: a rule stands there, or a time in which the change
// would end.
func misplaced(at time.Duration, words []word, err error) error {
	for i, w := range words {
		if bare, colon := strings.CutSuffix(w.text, ":"); i > 0 && colon {
			condition := ""
			for _, before := range words[:i] {
				condition += before.raw + " "
			}
			return words[0].fault("a rule has times of its own: %s%s from %v: ...", condition, bare, max(at, time.Second))
		}
		if name := strings.ToLower(w.text); i > 0 && i%2 == 0 && slices.Contains([]string{"until", "for", "from", "at"}, name) {
			return w.fault("a change holds until another one comes, which has a line of its own, such as at 5s: clear")
		}
	}
	return err
}

// set is cut, heal or clear.
func (x *state) set(name string, way uint8) error {
	for dir, not := range [2]uint8{onlyDown, onlyUp} {
		if way == not {
			continue
		}
		x.cut[dir] = name == "cut"
		if name == "clear" {
			m := [2]*link.Impairment{&x.up, &x.down}[dir]
			*m = link.Impairment{}
		}
	}
	if name == "clear" {
		if way == 0 {
			*x = state{}
			return nil
		}
		return x.within.each(func(up, down *link.Impairment) error {
			*[2]*link.Impairment{up, down}[way-onlyUp] = link.Impairment{}
			return nil
		}, &x.within)
	}
	return nil
}

// options reads options with their values, and returns what sets them.
func options(words []word) (func(*link.Impairment) error, error) {
	p := parser{words: words, given: make(map[string]bool)}
	known := slices.Concat(effects()[:len(effects())-1], []string{"profile", "cut", "heal", "clear"})
	var trial link.Impairment
	for p.at < len(words) {
		if w := &words[p.at]; p.at > 0 && slices.Contains(known[len(known)-4:], strings.ToLower(w.text)) {
			return nil, w.fault("%s stands alone", w.text)
		}
		if err := setEffect(&trial, &p, known); err != nil {
			return nil, err
		}
	}
	return func(m *link.Impairment) error {
		for i := 0; i+1 < len(words); i += 2 {
			if err := m.Set(strings.ToLower(words[i].text), words[i+1].text); err != nil {
				return err
			}
		}
		return m.Check()
	}, nil
}

// each has f change the link, as it is now and as it changes by itself.
func (x *state) each(way uint8, f func(*link.Impairment) error) error {
	both := func(up, down *link.Impairment) error {
		if way != onlyDown {
			if err := f(up); err != nil {
				return err
			}
		}
		if way != onlyUp {
			return f(down)
		}
		return nil
	}
	if err := both(&x.up, &x.down); err != nil {
		return err
	}
	return x.within.each(func(up, down *link.Impairment) error {
		cut := [2]bool{up.Loss == 1, down.Loss == 1}
		if err := both(up, down); err != nil {
			return err
		}
		for dir, m := range [2]*link.Impairment{up, down} {
			if cut[dir] { // it stays so: a share of loss in its place would join it
				m.Loss, m.Burst = 1, link.Burst{}
			}
		}
		return nil
	}, &x.within)
}

// step is the state from a time on.
func (x *state) step(at time.Duration) Step {
	s := Step{At: at, Up: x.up, Down: x.down, Within: x.within, Since: at - x.since}
	cut := func(up, down *link.Impairment) error {
		for dir, m := range [2]*link.Impairment{up, down} {
			if x.cut[dir] {
				m.Loss, m.Burst = 1, link.Burst{}
			}
		}
		return nil
	}
	cut(&s.Up, &s.Down)
	if x.cut != [2]bool{} {
		s.Within.each(cut, &s.Within)
	}
	return s
}

// shape makes the shape of all statements.
func (s *script) shape() Shape {
	out := Shape{Rules: s.rules}
	slices.SortStableFunc(s.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	if n := len(s.changes); s.on > 0 && (n == 0 || s.changes[n-1].at >= s.every) {
		what := "nothing has a time that would come again"
		if n > 0 {
			what = fmt.Sprintf("line %d comes at %v, which is not before %v", s.changes[n-1].line, s.changes[n-1].at, s.every)
		}
		s.wrong(s.on, s.everyAt.fault("%s", what))
		return out
	}
	var x state
	var steps []Step
	var held []profileRules
	for i, c := range s.changes {
		if err := c.do(&x); err != nil {
			s.wrong(c.line, c.word.fault("%v", err))
			return out
		}
		if i+1 < len(s.changes) && s.changes[i+1].at == c.at {
			continue
		}
		steps = append(steps, x.step(c.at))
		if n := len(held); n == 0 && len(x.rules) > 0 || n > 0 && !sameRules(held[n-1].rules, x.rules) {
			held = append(held, profileRules{c.at, x.rules})
		}
	}
	out.Rules = append(out.Rules, s.whileHeld(held)...)
	if len(out.Rules) > MaxRules {
		s.wrong(s.line, &TextError{Column: 1, What: fmt.Sprintf("%d rules, with those of profiles; up to %d are possible", len(out.Rules), MaxRules)})
	}
	if len(steps) > 0 && steps[0].At == 0 {
		out.Up, out.Down = steps[0].Up, steps[0].Down
	}
	switch {
	case len(steps) == 1 && steps[0].At == 0 && steps[0].Within == nil:
	case len(steps) == 1 && steps[0].At == 0:
		out.Course = *steps[0].Within
	default:
		out.Course = Course{steps, s.every}
	}
	return out
}

// profileRules are rules of a profile, from when on it holds.
type profileRules struct {
	at    time.Duration
	rules []Rule
}

func sameRules(a, b []Rule) bool {
	return slices.EqualFunc(a, b, func(a, b Rule) bool { return a.text == b.text })
}

// whileHeld returns the rules of profiles, for the times of these.
func (s *script) whileHeld(held []profileRules) (list []Rule) {
	for i, h := range held {
		var times string
		switch next := i + 1; {
		case s.every > 0 && len(held) > 1:
			end := held[0].at + s.every
			if next < len(held) {
				end = held[next].at
			}
			times = fmt.Sprintf(" at %v every %v for %v", h.at, s.every, end-h.at)
		case next < len(held) && h.at == 0:
			times = fmt.Sprintf(" until %v", held[next].at)
		case next < len(held):
			times = fmt.Sprintf(" from %v until %v", h.at, held[next].at)
		case h.at > 0:
			times = fmt.Sprintf(" from %v", h.at)
		}
		for _, r := range h.rules {
			timed, err := ParseRule(r.text + times)
			if err != nil {
				panic(err) // profiles' rules have no times
			}
			list = append(list, timed)
		}
	}
	return list
}

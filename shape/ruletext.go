package shape

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"usock/internal/target"
	"usock/link"
)

// parser reads the words of a rule.
type parser struct {
	words []word
	at    int
	r     Rule

	given  map[string]bool // which words of those below have been
	timing timing
}

// timing is what a text says of times.
type timing struct {
	words [lastTime]*word // those before times that are there
	times [lastTime]time.Duration
	texts [lastTime]string // as they are written
}

// The words of a condition that have no value and those that have one, and all words of times.
var (
	plainWords = []string{"any", "up", "down", "tcp", "udp", "sctp", "icmp"}
	valueWords = []string{"to", "from", "process", "pid", "connection"}
	timeWords  = []string{fromTime: "from", untilTime: "until", atTime: "at", forTime: "for", everyTime: "every"}
)

const (
	fromTime = iota
	untilTime
	atTime
	forTime
	everyTime
	lastTime
)

// protocols are those that a rule can name.
var protocols = []string{"tcp", "udp", "sctp", "icmp"}

const ruleForm = "a rule is a condition, a colon and an effect, such as 'udp: delay 200ms'"

// effects are the words that begin an effect.
func effects() (list []string) {
	for _, o := range link.ImpairmentOptions() {
		list = append(list, o.Name)
	}
	return append(list, "cut")
}

// fault returns an error at the next word, or behind the last one.
func (p *parser) fault(format string, args ...any) error {
	w := word{column: 1}
	if p.at < len(p.words) {
		w = p.words[p.at]
	} else if p.at > 0 {
		last := &p.words[p.at-1]
		w.column = last.column + utf8.RuneCountInString(last.raw)
	}
	return w.fault(format, args...)
}

func (p *parser) rule() (Rule, error) {
	if len(p.words) == 0 {
		return Rule{}, p.fault("it is empty; %s", ruleForm)
	}
	p.given = make(map[string]bool)
	for ends := false; !ends; {
		if p.at == len(p.words) {
			return Rule{}, p.fault("the colon is missing, and the effect; %s", ruleForm)
		}
		var err error
		if ends, err = p.condition(); err != nil {
			return Rule{}, err
		}
	}
	if err := p.checkTargets(); err != nil {
		return Rule{}, err
	}
	if err := p.effect(); err != nil {
		return Rule{}, err
	}
	return p.r, p.timing.set(&p.r.times)
}

// take returns the next word, without the colon that ends the conditions. Before an address that ends with colons itself there
// is none.
func (p *parser) take(address bool) (w *word, ends bool) {
	w = &p.words[p.at]
	p.at++
	if address && p.at < len(p.words) && strings.HasSuffix(w.text, "::") {
		if t, err := target.Parse(w.text); err == nil && t.Host == target.ByAddr {
			return w, false
		}
	}
	bare, ends := strings.CutSuffix(w.text, ":")
	return &word{text: bare, raw: w.raw, column: w.column, quoted: w.quoted}, ends
}

// condition reads one part of a condition, and reports whether it was the last one.
func (p *parser) condition() (ends bool, err error) {
	w, ends := p.take(false)
	switch name := strings.ToLower(w.text); {
	case w.text == "" && ends && !w.quoted:
		if p.at == 1 {
			return false, w.fault("a condition is missing before the colon; any stands for all packets")
		}
		return true, nil
	case w.quoted:
		return false, w.fault("%s stands alone; a name in quotes is a process's: process %s", strings.TrimSuffix(w.raw, ":"), strings.TrimSuffix(w.raw, ":"))
	case slices.Contains(plainWords, name):
		return ends, p.plain(w, name)
	case slices.Contains(valueWords, name) || slices.Contains(timeWords, name):
		if ends || p.at == len(p.words) {
			return false, w.fault("%s what? A value stands behind it, such as %s", name, valueExamples[name])
		}
		v, ends := p.take(name == "to" || name == "from")
		if v.text == "" {
			return false, v.fault("%s what? A value stands behind it, such as %s", name, valueExamples[name])
		}
		return ends, p.value(w, name, v)
	default:
		return false, p.unknown(w)
	}
}

var valueExamples = map[string]string{
	"to": "to api.test:443", "from": "from 10.0.0.0/8 or from 10s", "process": "process curl", "pid": "pid 4711", "connection": "connection 2 or connection 2-4",
	"until": "until 20s", "at": "at 5s", "for": "for 2s", "every": "every 30s",
}

// unknown is the error about a word that begins no part of a condition.
func (p *parser) unknown(w *word) error {
	before, after, colon := strings.Cut(w.text, ":")
	all := slices.Concat(plainWords, valueWords, timeWords[1:])
	switch {
	case slices.Contains(effects(), w.text):
		return w.fault("%q is an effect, and a colon stands before that; %s", w.text, ruleForm)
	case colon && slices.Contains(all, before) && slices.Contains(effects(), after):
		return w.fault("a space stands behind the colon: %s: %s", before, after)
	case strings.Trim(w.text, "0123456789") == "":
		return w.fault("%q is no condition; a port stands with its host, and a colon before it: to api.test:%s", w.text, w.text)
	case strings.ContainsAny(w.text, ".:/*"):
		return w.fault("%q is no condition; where packets go to is said by to %s, where they come from by from %s", w.text, w.text, w.text)
	}
	return w.fault("%q is no condition; %s", w.text, meant(w.text, all))
}

// once reports with an error that a part is there for the second time.
func (p *parser) once(w *word, part string) error {
	if p.given[part] {
		return w.fault("%s is there twice", part)
	}
	p.given[part] = true
	return nil
}

func (p *parser) plain(w *word, name string) error {
	switch name {
	case "up", "down":
		if err := p.once(w, "a direction"); err != nil {
			return err
		}
		p.r.way = map[string]uint8{"up": onlyUp, "down": onlyDown}[name]
	case "any":
		return p.once(w, name)
	default:
		if err := p.once(w, "a protocol"); err != nil {
			return err
		}
		p.r.proto = target.Protocol(name)
	}
	return nil
}

func (p *parser) value(w *word, name string, v *word) (err error) {
	if i := slices.Index(timeWords, name); i >= 0 && (name != "from" || isTime(v.text)) {
		return p.timing.add(w, i, v)
	}
	if err := p.once(w, name); err != nil {
		return err
	}
	switch name {
	case "to", "from":
		t, err := parseTarget(name, v, protocols)
		if name == "to" {
			p.r.to = t
		} else {
			p.r.from = t
		}
		return err
	case "process":
		name, err := parseProcess(v)
		p.r.process = programName(name)
		return err
	case "pid":
		p.r.pid, err = parsePID(v)
		return err
	case "connection":
		return p.connection(v)
	}
	return nil
}

// parseProcess reads what stands behind process.
func parseProcess(v *word) (string, error) {
	if _, err := strconv.Atoi(v.text); err == nil && !v.quoted {
		return "", v.fault("%s is a number; a process of that number is pid %s, a program of that name process %q", v.text, v.text, v.text)
	}
	return v.text, nil
}

// parsePID reads what stands behind pid.
func parsePID(v *word) (int32, error) {
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err != nil || n < 1 {
		return 0, v.fault("%q is no process's number; a program is meant by its name: process %s", v.text, v.text)
	}
	return int32(n), nil
}

// parseTarget reads what stands behind to or from. It may name those protocols.
func parseTarget(name string, v *word, protocols []string) (*target.Target, error) {
	switch {
	case name == "to" && isTime(v.text):
		return nil, v.fault("%q is a time: until %s is meant? (A host of that name has a dot at its end: to %s.)", v.text, v.text, v.text)
	case strings.Trim(v.text, "0123456789") == "" && name == "from":
		return nil, v.fault("%q is neither a time, which has a unit (from %ss), nor a port, which has a colon (from :%s), nor an address", v.text, v.text, v.text)
	case strings.Trim(v.text, "0123456789") == "":
		return nil, v.fault("%q is no address; a port has a colon before it: to :%s", v.text, v.text)
	case v.quoted:
		return nil, v.fault("a host stands without quotes")
	}
	t, err := target.Parse(v.text, protocols...)
	if err != nil {
		return nil, v.fault("%v", err)
	}
	return &t, nil
}

func (p *parser) connection(v *word) error {
	first, last, span := strings.Cut(v.text, "-")
	a, err := strconv.ParseUint(first, 10, 32)
	b := a
	if span && err == nil {
		b, err = strconv.ParseUint(last, 10, 32)
	}
	switch {
	case err != nil || a == 0:
		return v.fault("%q is no connection; they are counted from 1: connection 2, or connection 2-4", v.text)
	case b < a:
		return v.fault("%q ends before it begins", v.text)
	}
	p.r.first, p.r.last = a, b
	return nil
}

// checkTargets looks whether protocols and ports fit together.
func (p *parser) checkTargets() error {
	for _, t := range []*target.Target{p.r.to, p.r.from} {
		switch w := &p.words[0]; {
		case t == nil || p.r.proto == 0:
		case t.Proto != 0 && t.Proto != p.r.proto:
			return w.fault("no packet is of two protocols")
		case t.Ports != nil && p.r.proto == target.ICMP:
			return w.fault("icmp has no ports")
		}
	}
	if to, from := p.r.to, p.r.from; to != nil && from != nil && to.Proto != 0 && from.Proto != 0 && to.Proto != from.Proto {
		return p.words[0].fault("no packet is of two protocols")
	}
	for _, part := range slices.Concat([]string{"a protocol"}, valueWords) {
		if p.given["any"] && p.given[part] {
			return p.words[0].fault("any stands for all packets, and %s is for some: leave any out", part)
		}
	}
	return nil
}

// isTime reports whether a word is a number with a unit of time.
func isTime(text string) bool {
	_, err := time.ParseDuration(text)
	return err == nil && strings.Trim(text, "0123456789.") != ""
}

// longest is the longest time that is taken.
const longest = 366 * 24 * time.Hour

// parseTime reads a time of a rule or of a script.
func parseTime(v *word) (time.Duration, error) {
	d, err := time.ParseDuration(v.text)
	switch {
	case strings.Trim(v.text, "0123456789.") == "":
		return 0, v.fault("the unit of %q is missing, as in %ss", v.text, v.text)
	case err != nil:
		return 0, v.fault("%q is no time; that is a number with a unit, such as 500ms, 10s or 2m", v.text)
	case d < 0:
		return 0, v.fault("%q is before the beginning", v.text)
	case d > longest:
		return 0, v.fault("%q is too long; up to a year is possible", v.text)
	}
	return d, nil
}

// add reads a time behind the word of that index.
func (k *timing) add(w *word, i int, v *word) (err error) {
	if k.words[i] != nil {
		return w.fault("%s TIME is there twice", timeWords[i])
	}
	k.words[i], k.texts[i] = w, v.text
	k.times[i], err = parseTime(v)
	return err
}

// set looks whether the times fit together, and sets them.
func (k *timing) set(w *times) error {
	d, c, text := &k.times, &k.words, &k.texts
	if c[atTime] != nil && c[fromTime] != nil {
		return c[atTime].fault("at %s or from %s? One of them is when it begins", text[atTime], text[fromTime])
	}
	begins := fromTime
	if c[atTime] != nil {
		begins = atTime
	}
	w.from, w.until = d[begins], d[untilTime]
	length := d[forTime]
	switch {
	case c[forTime] != nil && length == 0:
		return c[forTime].fault("for no time it is never; give for 2s")
	case c[untilTime] != nil && w.until <= w.from:
		return c[untilTime].fault("until %s ends before it begins", text[untilTime])
	case c[everyTime] != nil && c[forTime] == nil:
		return c[everyTime].fault("every %s for how long? Give every %s for 2s", text[everyTime], text[everyTime])
	case c[everyTime] != nil && length >= d[everyTime]:
		return c[forTime].fault("for %s of every %s is always", text[forTime], text[everyTime])
	case c[everyTime] != nil:
		w.every, w.length = d[everyTime], length
	case c[forTime] == nil:
	case c[begins] == nil:
		return c[forTime].fault("for %s from when on? Give at 5s for %s, or every 30s for %s", text[forTime], text[forTime], text[forTime])
	case c[untilTime] != nil:
		return c[forTime].fault("for %s or until %s? One of them is when it ends", text[forTime], text[untilTime])
	default:
		w.until = w.from + length
	}
	return nil
}

// effect reads what stands behind the colon.
func (p *parser) effect() error {
	begins := p.at
	if begins == len(p.words) {
		return p.fault("an effect is missing behind the colon, such as delay 200ms, loss 30%% or cut")
	}
	done := false
	for p.at < len(p.words) {
		w := &p.words[p.at]
		name := strings.ToLower(w.text)
		if i := slices.Index(timeWords, name); i >= 0 {
			if p.at++; p.at == len(p.words) {
				return w.fault("%s what? A value stands behind it, such as %s 2s", name, name)
			}
			p.at++
			if err := p.timing.add(w, i, &p.words[p.at-1]); err != nil {
				return err
			}
			continue
		}
		done = true
		if err := setEffect(&p.r.Impairment, p, effects()); err != nil {
			return err
		}
	}
	if !done {
		return p.words[begins].fault("an effect is missing, such as delay 200ms, loss 30%% or cut")
	}
	if err := p.r.Impairment.Check(); err != nil {
		return p.words[begins].fault("%v", err)
	}
	return nil
}

// setEffect reads one option with its value, or cut.
func setEffect(m *link.Impairment, p *parser, known []string) error {
	w := &p.words[p.at]
	name := strings.ToLower(w.text)
	switch {
	case !slices.Contains(known, name):
		return w.fault("%q is no effect; %s", w.text, meant(w.text, known))
	case p.given["!"+name], name == "cut" && p.given["!loss"], name == "loss" && p.given["!cut"]:
		if name == "cut" || p.given["!cut"] {
			return w.fault("cut is a loss of all packets, and there is one already")
		}
		return w.fault("%s is there twice", name)
	}
	p.given["!"+name] = true
	p.at++
	if name == "cut" {
		m.Loss, m.Burst = 1, link.Burst{}
		return nil
	}
	if p.at == len(p.words) {
		return p.fault("a value is missing behind %s", name)
	}
	v := &p.words[p.at]
	p.at++
	if err := m.Set(name, v.text); err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return v.fault("%s %s: %v", name, v.text, err)
	}
	return nil
}

// programName returns as much of a program's name as Linux keeps.
func programName(name string) string {
	const taskCommLen = 15 // TASK_COMM_LEN without its NUL
	return name[:min(len(name), taskCommLen)]
}

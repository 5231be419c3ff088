package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"usock"
	"usock/inspect"
	"usock/link"
	"usock/shape"
)

// live changes what is done to a run's links while it goes on.
type live struct {
	host   *usock.Host
	s      *conditions
	ifaces []string // that the shape acts on
	traps  shape.Traps

	mu  sync.Mutex
	now wishes // mu
}

// newLive returns what changes the links of host.
func newLive(host *usock.Host, s *conditions, out *outside) *live {
	l := &live{host: host, s: s, now: s.wishes, traps: s.calls.Traps()}
	if s.on != onOutside {
		l.ifaces = append(l.ifaces, loName)
	}
	if s.on != onLoopback && out.gateway != nil && !out.isolated {
		l.ifaces = append(l.ifaces, out.gateway.Interface().Link.Info().Name)
	}
	return l
}

const loName = "lo"

// none is what takes a profile or an option away.
const none = "none"

// change carries out what usock set asks for, all of it or nothing.
func (l *live) change(c inspect.Change) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.now
	if c.Reset {
		w = l.s.wishes
	}
	w.options = slices.Clone(w.options)
	w.traces, w.faults.list = slices.Clone(w.traces), slices.Clone(w.faults.list)
	w.rules.list, w.since.list = slices.Clone(w.rules.list), slices.Clone(w.since.list)
	if err := w.change(c); err != nil {
		return "", err
	}
	s, err := w.build()
	if err == nil && len(c.Traces) > 0 {
		err = w.tracesAct(&s)
	}
	if err != nil {
		return "", err
	}
	for _, f := range w.strikers() {
		if !l.traps.Suffice(f) {
			return "", fmt.Errorf("fault '%s': a run that was started without a fault of %[2]s leaves these calls to the kernel, where none strikes; "+
				"one that was started with --fault 'interrupt %[2]s from 24h' does not, and can have it", &f, f.Traps())
		}
	}
	if w.impaired() {
		if err := l.attach(); err != nil {
			return "", err
		}
	}
	for _, m := range l.s.links.all() {
		if err := m.SetShape(s); err != nil {
			return "", err
		}
	}
	l.s.calls.Set(w.strikers()...)
	before := l.text()
	l.now = w
	text := l.text()
	if l.s.w != nil && text != before {
		l.s.w.Note("links are shaped: " + text)
	}
	return text, nil
}

// text is what is done to the links, as flags. The caller holds mu.
func (l *live) text() string {
	return l.s.mtu.behind(l.now.String())
}

// change makes of wishes what usock set asks for.
func (w *wishes) change(c inspect.Change) error {
	switch c.Profile {
	case "":
	case none:
		w.profile = profileValue{}
	default:
		if err := w.profile.Set(c.Profile); err != nil {
			return err
		}
	}
	for _, o := range c.Options {
		if err := w.set(o); err != nil {
			return err
		}
	}
	for _, t := range c.Traces {
		if err := w.trace(t); err != nil {
			return err
		}
	}
	for _, text := range c.NoFaults {
		if !w.faults.remove(text) {
			return fmt.Errorf("there is no fault '%s' but what a script has; usock set without a change shows those that there are", text)
		}
	}
	for _, text := range c.Faults {
		if err := w.faults.Set(text); err != nil {
			return fmt.Errorf("fault '%s': %w", text, err)
		}
	}
	for _, text := range c.NoRules {
		if !remove(&w.since.list, text) && !remove(&w.rules.list, text) {
			return fmt.Errorf("there is no rule '%s'; usock set without a change shows those that there are", text)
		}
	}
	if c.Heal {
		w.since.list = slices.DeleteFunc(w.since.list, cuts)
	}
	for _, text := range c.Rules {
		if err := w.since.Set(text); err != nil {
			return fmt.Errorf("rule '%s': %w", text, err)
		}
	}
	return nil
}

// set sets an option, or takes it away.
func (w *wishes) set(x inspect.Option) error {
	o := &option{of: new(wishes), text: x.Value}
	o.direction, o.name = ofDirection(x.Name)
	if o.name == traceFlag && x.Value == none {
		w.traces = slices.DeleteFunc(w.traces, func(v *traceValue) bool { return v.direction == o.direction })
		return nil
	}
	if !slices.Contains(optionNames(), o.name) {
		return noSuchOption(x.Name)
	}
	w.options = slices.DeleteFunc(w.options, func(k *option) bool { return k.direction == o.direction && k.name == o.name })
	if x.Value == none {
		return nil
	}
	if err := o.Set(x.Value); err != nil {
		return fmt.Errorf("%s %q: %w", x.Name, x.Value, err)
	}
	w.options = append(w.options, o)
	return nil
}

// ofDirection takes apart an option's name: which direction it is of, if of one, and what it is there.
func ofDirection(option string) (direction, name string) {
	for _, direction := range []string{upward, downward} {
		if rest, ok := strings.CutPrefix(option, direction); ok {
			return direction, rest
		}
	}
	return "", option
}

// settable reports whether usock set has an option of the name.
func settable(option string) bool {
	_, name := ofDirection(option)
	return option == profileFlag || name == traceFlag || slices.Contains(optionNames(), name)
}

func noSuchOption(name string) error {
	return fmt.Errorf("%s: no such option of a link; there are profile, trace, %s, each also with up- or down- before it", name, strings.Join(optionNames(), ", "))
}

// trace has the links be as a file says.
func (w *wishes) trace(t inspect.Trace) error {
	direction, ok := strings.CutSuffix(t.Option, traceFlag)
	if !ok || direction != "" && direction != upward && direction != downward {
		return fmt.Errorf("%s: no such option of a link; a trace is one of %[2]s, up-%[2]s and down-%[2]s", t.Option, traceFlag)
	}
	v := &traceValue{direction: direction, name: t.Name}
	var err error
	if v.trace, err = shape.ParseTrace(bytes.NewReader(t.Text)); err != nil {
		return v.fail(err)
	}
	w.traces = append(slices.DeleteFunc(w.traces, func(v *traceValue) bool { return v.direction == direction }), v)
	return nil
}

func optionNames() (list []string) {
	for _, o := range link.ImpairmentOptions() {
		list = append(list, o.Name)
	}
	return list
}

// remove takes the last rule of that text out of a list.
func remove(list *[]shape.Rule, text string) bool {
	if r, err := shape.ParseRule(text); err == nil {
		text = r.String()
	}
	for i := len(*list) - 1; i >= 0; i-- {
		if (*list)[i].String() == text {
			*list = slices.Delete(*list, i, i+1)
			return true
		}
	}
	return false
}

// cut is a rule's effect that heal takes away.
const cut = "cut"

// cuts reports whether a rule does nothing but cut.
func cuts(r shape.Rule) bool { return strings.HasSuffix(r.String(), ": "+cut) }

// attach has all interfaces that the shape acts on be shaped: one that was left alone so far gets another link, and packets of the size that
// impaired links have. The caller holds mu.
func (l *live) attach() error {
	s := l.s
	s.exact()
	for _, iface := range l.ifaces {
		if slices.ContainsFunc(s.links.all(), func(m shapedLink) bool { return m.iface == iface }) {
			continue
		}
		c := s.config()
		c.Loopback, c.Standby = iface == loName, true
		err := l.host.Wrap(iface, func(inner link.Link) link.Link { return s.impair(inner, shape.Shape{OneWay: true}, c) })
		if err != nil {
			return fmt.Errorf("%s: %w", iface, err)
		}
	}
	if s.mtu != 0 {
		return nil
	}
	for _, iface := range l.ifaces {
		// EINVAL: the link carries no packets as large.
		if err := l.host.SetMTU(iface, impairedMTU); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("%s: %w", iface, err)
		}
	}
	s.mtu = impairedMTU
	return nil
}

package inspect

import (
	"time"

	"usock/internal/control"
	"usock/link"
	"usock/trace"
)

// Change is what a client wants to be done to the host's links otherwise. What is empty stays as it is.
type Change struct {
	Reset   bool     // first of all, what was done at the start
	Profile string   // a profile's name; "none": no profile
	Options []Option // in their order
	Rules   []string // more of them, behind the others
	NoRules []string // those of these texts are taken away before
	Heal    bool     // and those, since the start, that cut
}

// Option is an option of the command's about links, without its dashes: "delay", "up-rate". The value "none" takes it away.
type Option struct{ Name, Value string }

// set has something else be done to the host's links.
func (c *client) set(q *control.Request) error {
	if c.s.config.Change == nil {
		return c.fail(q.ID, control.Refused, "what is done to the links of this host cannot be changed from outside")
	}
	x := Change{Reset: q.Reset, Profile: q.Profile, Rules: q.Rules, NoRules: q.NoRules, Heal: q.Heal}
	for _, o := range q.Options {
		x.Options = append(x.Options, Option{o.Name, o.Value})
	}
	text, err := c.s.change(x)
	if err != nil {
		return c.fail(q.ID, control.Invalid, err.Error())
	}
	return c.write(&control.Reply{ID: q.ID, Shape: &control.Shape{Text: text}, Done: true})
}

// change carries a change out, and tells of it those who listen to events, and captures.
func (s *Server) change(x Change) (string, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	text, err := s.config.Change(x)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == s.shape {
		return text, nil
	}
	e := []trace.Event{{Time: time.Since(s.config.Host.Epoch()), Kind: trace.Shaped, Before: s.shape, State: text}}
	s.shape = text
	for st := range s.streams {
		st.put(e)
	}
	for w := range s.writers {
		w.Note(e[0].Text())
	}
	return text, nil
}

// shaped is what is done to the links.
func (s *Server) shaped() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shape
}

// tells has a stream be told of changes, until stop is called.
func (s *Server) tells(st *stream) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.streams, st)
	}
}

// notes has a capture be told of changes, until stop is called.
func (s *Server) notes(w *link.PcapWriter) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers[w] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.writers, w)
	}
}

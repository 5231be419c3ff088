package inspect

import (
	"fmt"
	"net/netip"
	"time"

	"usock/internal/control"
	"usock/link"
	"usock/trace"
)

// Change is what a client wants to be done to the host's links otherwise. What is empty stays as it is.
type Change struct {
	Reset    bool     // first of all, what was done at the start
	Profile  string   // a profile's name; "none": no profile
	Options  []Option // in their order
	Rules    []string // more of them, behind the others
	NoRules  []string // those of these texts are taken away before
	Heal     bool     // and those, since the start, that cut
	Traces   []Trace
	Faults   []string // more of them
	NoFaults []string // those of these texts are taken away before
}

// Trace is the text of a trace's file, for an option of the command's: "trace", "up-trace" or "down-trace".
type Trace struct {
	Option, Name string // the file's name is for people
	Text         []byte
}

// Option is an option of the command's about links, without its dashes: "delay", "up-rate". The value "none" takes it away.
type Option struct{ Name, Value string }

// set has something else be done to the host's links.
func (c *client) set(q *control.Request) error {
	if c.s.config.Change == nil {
		return c.fail(q.ID, control.Refused, "what is done to the links of this host cannot be changed from outside")
	}
	x := Change{Reset: q.Reset, Profile: q.Profile, Rules: q.Rules, NoRules: q.NoRules, Heal: q.Heal, Faults: q.Faults, NoFaults: q.NoFaults}
	for _, o := range q.Options {
		x.Options = append(x.Options, Option{o.Name, o.Value})
	}
	pieces := c.pieces
	c.pieces = nil
	for _, t := range q.Traces {
		if t.Size < 0 || t.Size > len(pieces) {
			return c.fail(q.ID, control.Invalid, fmt.Sprintf("%s %q: of its %d bytes %d have come", t.Name, t.File, t.Size, len(pieces)))
		}
		x.Traces = append(x.Traces, Trace{t.Name, t.File, pieces[:t.Size]})
		pieces = pieces[t.Size:]
	}
	text, err := c.s.change(x)
	if err != nil {
		return c.fail(q.ID, control.Invalid, err.Error())
	}
	return c.write(&control.Reply{ID: q.ID, Shape: &control.Shape{Text: text}, Done: true})
}

// maxPieces bounds the traces of a change, in bytes.
const maxPieces = 8 << 20

// piece takes a piece of a trace that set is to have.
func (c *client) piece(q *control.Request) error {
	if c.s.config.Change == nil {
		return c.fail(q.ID, control.Refused, "what is done to the links of this host cannot be changed from outside")
	}
	if len(c.pieces)+len(q.Piece) > maxPieces {
		c.pieces = nil
		return c.fail(q.ID, control.Invalid, fmt.Sprintf("the traces of a change have more than %d MiB", maxPieces>>20))
	}
	c.pieces = append(c.pieces, q.Piece...)
	return c.write(&control.Reply{ID: q.ID, Done: true})
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

// Note says something of this moment: the next packet of each capture has it as a comment. It may be called with the host's locks held.
func (s *Server) Note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.writers {
		w.Note(text)
	}
}

// Resolved tells captures which name an address was given for.
func (s *Server) Resolved(addr netip.Addr, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.writers {
		w.Resolved(addr, name)
	}
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

// notes has a capture be told of changes and names, until stop is called.
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

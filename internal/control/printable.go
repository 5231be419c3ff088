package control

import (
	"strings"
	"unicode"
)

// What a server says may be anything, as a program of this user's may pretend to be one. It
// goes to a terminal, so that whatever would change that is left out.

// Printable is a text without what would change a terminal or end a line.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// tame makes a run's texts printable. Its program's arguments may have line breaks of their own.
func (r *Run) tame() {
	r.ID, r.Name, r.Shape = Printable(r.ID), Printable(r.Name), Printable(r.Shape)
}

// tame makes a reply's texts printable.
func (r *Reply) tame() {
	for i := range r.Sockets {
		s := &r.Sockets[i]
		for _, text := range []*string{&s.Proto, &s.State, &s.Local, &s.Peer, &s.Program, &s.Device, &s.Congestion, &s.Stall} {
			*text = Printable(*text)
		}
	}
	if r.Traffic != nil {
		for i := range r.Traffic.Interfaces {
			name := &r.Traffic.Interfaces[i].Name
			*name = Printable(*name)
		}
	}
	for i := range r.Events {
		e := &r.Events[i]
		e.Text, e.Program = Printable(e.Text), Printable(e.Program)
	}
	if r.Shape != nil {
		r.Shape.Text = Printable(r.Shape.Text)
	}
	r.Error.tame()
}

func (e *Error) tame() {
	if e != nil {
		e.Text = Printable(e.Text)
	}
}

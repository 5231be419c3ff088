package control

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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

// Visible is a text of lines, such as a message about what a user has given, in which what would change a terminal is written as Go
// writes it: \x1b.
func Visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if c := s[:n]; r == '\n' || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(c)
		} else {
			q := strconv.Quote(c)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
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

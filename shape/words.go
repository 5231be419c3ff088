package shape

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextError says what is wrong with a rule's or a script's text, and where.
type TextError struct {
	Line   int // counted from 1; 0: the text is of one line
	Column int // in characters, counted from 1
	What   string
}

// Error implements error.
func (e *TextError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("column %d: %s", e.Column, e.What)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.What)
}

// word is a word of a text: what stands between spaces, or in quotes.
type word struct {
	text   string // without quotes
	raw    string // as it is written
	column int
	quoted bool
}

// fault returns an error at the word.
func (w *word) fault(format string, args ...any) error {
	return &TextError{Column: w.column, What: fmt.Sprintf(format, args...)}
}

// maxText bounds a line, in bytes.
const maxText = 1024

// split takes a line of text apart.
func split(text string) (list []word, err error) {
	if len(text) > maxText {
		return nil, &TextError{Column: maxText + 1, What: fmt.Sprintf("it has %d bytes; up to %d are read", len(text), maxText)}
	}
	column := 0
	var w *word
	for at, c := range text {
		column++
		switch {
		case c == utf8.RuneError:
			return nil, &TextError{Column: column, What: "this is no UTF-8"}
		case c != '\t' && !unicode.IsPrint(c) && !unicode.IsSpace(c), c == '\n', c == '\r':
			return nil, &TextError{Column: column, What: fmt.Sprintf("there is a %q in it", c)}
		}
		inside := w != nil && w.quoted && !(len(w.raw) > 1 && strings.Contains(w.raw[1:], `"`))
		switch {
		case unicode.IsSpace(c) && !inside:
			w = nil
			continue
		case w == nil:
			list = append(list, word{column: column, quoted: c == '"'})
			w = &list[len(list)-1]
		}
		w.raw += text[at : at+utf8.RuneLen(c)]
	}
	for i := range list {
		w := &list[i]
		if w.text = w.raw; !w.quoted {
			continue
		}
		inner, rest, ends := strings.Cut(w.raw[1:], `"`)
		if !ends {
			return nil, w.fault("the quotes do not end")
		}
		if w.text = inner + rest; rest != "" && rest != ":" {
			return nil, w.fault("%s stands behind the quotes, where there is a space or a colon", rest)
		}
	}
	return list, nil
}

// nearest returns the word of a list that may be meant, "" if none is near.
func nearest(given string, list []string) string {
	best, least := "", 3
	given = strings.ToLower(given)
	for _, word := range list {
		w := strings.ToLower(word)
		d := distance(given, w)
		if len(w) > 1 && len(given) > 1 && (strings.HasPrefix(w, given) || strings.HasPrefix(given, w)) {
			d = min(d, 1)
		}
		if d < least && d < max(len(w), len(given)) && d*2 <= max(len(w), 2) {
			best, least = word, d
		}
	}
	return best
}

// distance is how many letters are to be put in, left out, changed, or exchanged with their neighbours.
func distance(a, b string) int {
	if len(a) > 32 {
		return len(a)
	}
	var before, last []int
	for i := -1; i < len(a); i++ {
		row := make([]int, len(b)+1)
		for j := range row {
			switch {
			case i < 0:
				row[j] = j
				continue
			case j == 0:
				row[j] = i + 1
				continue
			}
			d := last[j-1]
			if a[i] != b[j-1] {
				d = 1 + min(d, last[j], row[j-1])
			}
			if i > 0 && j > 1 && a[i] == b[j-2] && a[i-1] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
		before, last = last, row
	}
	return last[len(b)]
}

// meant is the end of a message about a word that is not known.
func meant(given string, known []string) string {
	if near := nearest(given, known); near != "" {
		return near + " is meant?"
	}
	last := len(known) - 1
	return "there are " + strings.Join(slices.Clone(known[:last]), ", ") + " and " + known[last]
}

package pcapfilter

import (
	"fmt"
	"strings"
)

// Error says what is wrong with a filter, and where.
type Error struct {
	Filter string // the whole of it
	Offset int    // bytes before the place
	Text   string // what is wrong, and what to write instead
}

// Error implements error. The place is marked by the words that stand there.
func (e *Error) Error() string {
	if rest := strings.TrimSpace(e.Filter[min(e.Offset, len(e.Filter)):]); rest != "" {
		return fmt.Sprintf("filter %q, at %q: %s", e.Filter, rest, e.Text)
	}
	return fmt.Sprintf("filter %q, at its end: %s", e.Filter, e.Text)
}

// token is a word, a number, an address or a sign.
type token struct {
	text string
	at   int
}

// signs are those of several characters, before their beginnings.
var signs = []string{"&&", "||", "<<", ">>", "<=", ">=", "==", "!="}

// inWord reports whether a word, number or address may have c.
func inWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '_'
}

// lex cuts a filter into tokens; the last one is the end.
//
// A hyphen within a word is the word's (tcp-syn, http-alt, 6000-6010), as in tcpdump. A colon belongs to an address
// of IPv6, but between brackets it is a sign (tcp[12:1]). What is between quotation marks is a word.
func lex(filter string) ([]token, error) {
	var tokens []token
	depth := 0
	for i := 0; i < len(filter); {
		if strings.IndexByte(" \t\r\n", filter[i]) >= 0 {
			i++
			continue
		}
		if q := filter[i]; q == '"' || q == '\'' {
			n := strings.IndexByte(filter[i+1:], q)
			if n < 0 {
				return nil, &Error{filter, i, "a quotation is not closed; add the mark again"}
			}
			if n == 0 {
				return nil, &Error{filter, i, "there is nothing between the marks"}
			}
			tokens = append(tokens, token{filter[i+1 : i+1+n], i})
			i += n + 2
			continue
		}
		n := wordLen(filter[i:], depth == 0)
		if n == 0 {
			if n = signLen(filter[i:]); n == 0 {
				return nil, &Error{filter, i, "this character has no meaning in a filter"}
			}
			switch filter[i] {
			case '[':
				depth++
			case ']':
				depth--
			}
		}
		tokens = append(tokens, token{filter[i : i+n], i})
		i += n
	}
	return append(tokens, token{"", len(filter)}), nil
}

// wordLen is how many bytes the word has with which s begins, 0 if none does.
func wordLen(s string, colons bool) int {
	n := 0
	for n < len(s) {
		hyphen := s[n] == '-' && n > 0 && n+1 < len(s) && inWord(s[n+1])
		if !inWord(s[n]) && !(colons && s[n] == ':') && !hyphen {
			break
		}
		n++
	}
	return n
}

// signLen is how many bytes the sign has with which s begins, 0 if none does.
func signLen(s string) int {
	for _, sign := range signs {
		if strings.HasPrefix(s, sign) {
			return len(sign)
		}
	}
	if strings.IndexByte("()[]!&|+-*/%^<>=:\\", s[0]) >= 0 {
		return 1
	}
	return 0
}

// isName reports whether a word begins with a letter, as names do.
func isName(word string) bool {
	c := word[0] | 0x20
	return c >= 'a' && c <= 'z'
}

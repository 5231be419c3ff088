package main

import (
	"bufio"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed rfc*.txt
var tables embed.FS

// rfc is one document and what it requires.
type rfc struct {
	number, title string
	rules         []*rule
}

// rule is one requirement. In its table it is a line of id, section and words, and
// below it indented lines of a key and its value:
//
//	MUST-18 3.8.1 a segment sent twice gives no sample of the round trip
//		code tcp.rtt.sample
//		test tcp.TestKarn
//
// Besides code and test, 'linux' says what is done instead because Linux does it, 'free'
// why nothing is to be done, and 'gap' what is lacking.
type rule struct {
	id, section, words string
	code, test         []string
	linux, free, gap   string
}

// status is what the page says of a rule.
func (r *rule) status() string {
	switch {
	case r.gap != "":
		return "gap"
	case r.linux != "":
		return "as Linux"
	case r.free != "":
		return "no case"
	case len(r.code) == 0:
		return "gap"
	case len(r.test) == 0:
		return "no test"
	}
	return "held"
}

// remark is what is to be said beside the status.
func (r *rule) remark() string { return r.gap + r.linux + r.free }

// idForm is what a requirement is called: RFC 9293 numbers its own, those of the others
// are called by their section and a letter where it has several.
var idForm = regexp.MustCompile(`^MUST-[0-9]+(\.[0-9]+)*[a-z]?$`)

func readTables() ([]*rfc, error) {
	entries, err := tables.ReadDir(".")
	if err != nil {
		return nil, err
	}

	var out []*rfc
	for _, e := range entries {
		text, err := tables.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		doc, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		out = append(out, doc)
	}
	return out, nil
}

// parse reads one table. Its first line is the RFC's number and title.
func parse(text string) (*rfc, error) {
	doc := &rfc{}
	seen := map[string]bool{}

	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		first, rest, _ := strings.Cut(strings.TrimSpace(line), " ")

		switch {
		case first == "" || first[0] == '#':
		case doc.number == "":
			doc.number, doc.title = first, rest
		case line[0] != '\t':
			section, words, _ := strings.Cut(rest, " ")
			if !idForm.MatchString(first) || seen[first] || words == "" {
				return nil, fmt.Errorf("line %d: not a new id, a section and words: %q", n, line)
			}
			seen[first] = true
			doc.rules = append(doc.rules, &rule{id: first, section: section, words: words})
		case len(doc.rules) == 0:
			return nil, fmt.Errorf("line %d: no requirement to belong to", n)
		default:
			if err := doc.rules[len(doc.rules)-1].set(first, rest); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	return doc, lines.Err()
}

func (r *rule) set(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s has no value", key)
	}

	switch key {
	case "code":
		r.code = append(r.code, strings.Fields(value)...)
	case "test":
		r.test = append(r.test, strings.Fields(value)...)
	case "linux":
		r.linux = value
	case "free":
		r.free = value
	case "gap":
		r.gap = value
	default:
		return fmt.Errorf("no such key: %s", key)
	}
	return nil
}

// find returns a rule by RFC and id.
func find(docs []*rfc, number, id string) *rule {
	for _, d := range docs {
		if d.number != number {
			continue
		}
		if i := slices.IndexFunc(d.rules, func(r *rule) bool { return r.id == id }); i >= 0 {
			return d.rules[i]
		}
	}
	return nil
}

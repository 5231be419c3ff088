// Command gen makes of the table const.txt the constants of package abi and of the package at the
// top, abi's table of options, and the list of what is not built in docs/CONFORMANCE.md. It is run by go generate
// ./internal/abi, in that folder.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"strings"
)

func main() {
	files, err := generate("const.txt", "../..")
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(name, text, 0o666)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// group is the rows under one heading, all options of the level if it has one.
type group struct {
	heading, level string
	rows           []row
}

type row struct{ name, value, note string }

// parse reads the table.
func parse(text string) ([]group, error) {
	var out []group
	for n, line := range strings.Split(text, "\n") {
		if head, ok := strings.CutPrefix(line, "= "); ok {
			head, level, _ := strings.Cut(head, " [")
			out = append(out, group{heading: head, level: strings.TrimSuffix(level, "]")})
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(out) == 0 || len(f) < 2 || len(f) > 3 || len(f) == 3 && f[2] != "absent" && f[2] != "message" {
			return nil, fmt.Errorf("line %d: %q", n+1, line)
		}
		g := &out[len(out)-1]
		g.rows = append(g.rows, row{f[0], f[1], strings.Join(f[2:], "")})
	}
	return out, nil
}

// generate returns the files that follow from the table, by name. root is the module's folder.
func generate(table, root string) (map[string][]byte, error) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	groups, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", table, err)
	}
	conformance := root + "/docs/CONFORMANCE.md"
	doc, err := os.ReadFile(conformance)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	if out[conformance], err = listed(doc, groups); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"/internal/abi/const.go":   constants("abi", groups),
		"/internal/abi/options.go": options(groups),
		"/const.go":                constants("usock", groups),
	} {
		if out[root+name], err = format.Source([]byte(text)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// head returns how a file of the package begins.
func head(pkg string) string {
	return "// Code generated from internal/abi/const.txt by go generate ./internal/abi. DO NOT EDIT.\n\npackage " + pkg + "\n"
}

// constants returns the declarations of all rows.
func constants(pkg string, groups []group) string {
	var b strings.Builder
	b.WriteString(head(pkg))
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s\nconst (\n", wrap("//", "//", g.heading))
		for _, r := range g.rows {
			fmt.Fprintf(&b, "\t%s = %s", r.name, r.value)
			switch r.note {
			case "absent":
				b.WriteString(" // not built: ENOPROTOOPT")
			case "message":
				b.WriteString(" // the control message alone")
			}
			b.WriteByte('\n')
		}
		b.WriteString(")\n")
	}
	return b.String()
}

// wrap returns text in lines of up to 110 bytes, of which the first begins with first and the
// others with next.
func wrap(first, next, text string) string {
	var b strings.Builder
	line := first
	for _, w := range strings.Fields(text) {
		if len(line)+1+len(w) > 110 {
			b.WriteString(line + "\n")
			line = next
		}
		line += " " + w
	}
	return b.String() + line
}

// options returns the declaration of the table's options.
func options(groups []group) string {
	var b strings.Builder
	b.WriteString(head("abi") + `
// Option is an option of getsockopt(2) and setsockopt(2).
type Option struct {
	Level, Number int
	Name          string
	Built         bool // some socket has it
}

// Options are those of Linux, level by level.
var Options = []Option{
`)
	for _, g := range groups {
		for _, r := range g.rows {
			if g.level != "" {
				fmt.Fprintf(&b, "\t{%s, %s, %q, %v},\n", g.level, r.name, r.name, r.note == "")
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}

const (
	begin = "<!-- options that are not built: go generate ./internal/abi -->\n"
	end   = "<!-- end -->\n"
)

// listed returns the page with the list of options that are not built in its place.
func listed(doc []byte, groups []group) ([]byte, error) {
	before, rest, ok := bytes.Cut(doc, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, fmt.Errorf("docs/CONFORMANCE.md has no place for the list of options")
	}
	var b strings.Builder
	for _, g := range groups {
		noted := map[string][]string{}
		for _, r := range g.rows {
			noted[r.note] = append(noted[r.note], r.name)
		}
		line := strings.Join(noted["absent"], ", ")
		if m := noted["message"]; m != nil {
			line += ". Control messages alone: " + strings.Join(m, ", ")
		}
		if line != "" {
			b.WriteString(wrap("- "+g.level+":", " ", line+".") + "\n")
		}
	}
	return bytes.Join([][]byte{before, []byte(begin), []byte(b.String()), []byte(end), after}, nil), nil
}

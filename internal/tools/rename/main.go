// Command rename gives the module another path: in the imports of every Go file, in every
// go.mod, and where comments and documents name a package by its path.
//
//	go run ./internal/tools/rename example.org/you/usock
//
// It changes the tree that it is called in, whose root it must be called in; 'git diff' shows
// what it did, and it can be called again to change the path once more. The path must end in
// usock, or in a version below that, so that the package keeps its name.
package main

import (
	"errors"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/tools/rename PATH")
		os.Exit(2)
	}
	n, err := rename(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files changed\n", n)
}

var valid = regexp.MustCompile(`^[a-z0-9.~_-]+(/[A-Za-z0-9.~_-]+)*/usock(/v[0-9]+)?$`)

// rename gives the module at root the path to and returns how many files it changed.
func rename(root, to string) (int, error) {
	if !valid.MatchString(to) {
		return 0, fmt.Errorf("%q is no module path that ends in /usock", to)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(mod)
	if m == nil {
		return 0, errors.New("go.mod names no module")
	}
	r := renamer{from: string(m[1]), to: to}

	changed := 0
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		edit := r.editor(name)
		if !d.Type().IsRegular() || edit == nil {
			return nil
		}
		was, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		is, err := edit(was)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if string(is) == string(was) {
			return nil
		}
		changed++
		return os.WriteFile(name, is, 0o644) // a file that is there keeps its mode
	})
	return changed, err
}

// renamer changes one path into another.
type renamer struct{ from, to string }

// editor returns what is done with a file; nil: nothing.
func (r renamer) editor(name string) func([]byte) ([]byte, error) {
	switch {
	case path.Base(filepath.ToSlash(name)) == "go.mod":
		return r.mod
	case strings.HasSuffix(name, ".go"):
		return r.source
	case strings.HasSuffix(name, ".md"):
		return func(b []byte) ([]byte, error) { return r.text(b), nil }
	}
	return nil
}

// path returns what becomes of an import path.
func (r renamer) path(p string) (string, bool) {
	if rest, ok := strings.CutPrefix(p, r.from); ok && (rest == "" || rest[0] == '/') {
		return r.to + rest, true
	}
	return p, false
}

// mod changes the words of a go.mod that are paths of the module or of those below it.
func (r renamer) mod(b []byte) ([]byte, error) {
	word := regexp.MustCompile(`(?m)(^|[ \t])(` + regexp.QuoteMeta(r.from) + `(?:/\S+)?)([ \t]|$)`)
	return word.ReplaceAllFunc(b, func(w []byte) []byte {
		m := word.FindSubmatch(w)
		to, _ := r.path(string(m[2]))
		return slices.Concat(m[1], []byte(to), m[3])
	}), nil
}

// text changes the paths of packages that a text names: of folders of the module, so that a
// sentence about usock stays one.
func (r renamer) text(b []byte) []byte {
	folders := `(?:link|sim|run|gateway|clock|trace|shape|inspect|internal|examples|bench|e2e)`
	word := regexp.MustCompile(`(^|[^A-Za-z0-9_./-])` + regexp.QuoteMeta(r.from) + `/(` + folders + `)\b`)
	return word.ReplaceAll(b, []byte("${1}"+r.to+"/${2}"))
}

// source changes the imports and the comments of a Go file.
func (r renamer) source(b []byte) ([]byte, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", b, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	type edit struct {
		from, to int
		text     string
	}
	var edits []edit
	at := func(p token.Pos) int { return set.Position(p).Offset }
	for _, s := range f.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			return nil, err
		}
		if p, ok := r.path(p); ok {
			edits = append(edits, edit{at(s.Path.Pos()), at(s.Path.End()), strconv.Quote(p)})
		}
	}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if text := string(r.text([]byte(c.Text))); text != c.Text {
				edits = append(edits, edit{at(c.Pos()), at(c.Pos()) + len(c.Text), text})
			}
		}
	}
	if len(edits) == 0 {
		return b, nil
	}

	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	last := 0
	for _, e := range edits {
		out = append(append(out, b[last:e.from]...), e.text...)
		last = e.to
	}
	return format.Source(append(out, b[last:]...)) // imports are sorted by their paths
}

package main

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"

	"usock/internal/tools/tree"
)

// size is what is counted of one package's code, tests left out.
type size struct {
	dir            string
	files, lines   int
	file           *tree.File
	function       tree.Func
	largest        string // the type with the most methods
	methods        int
	body, comments int // lines inside functions, and those of them with a comment
}

// sizes counts each package, in the order of their folders.
func sizes(t *tree.Tree) []*size {
	byDir := map[string]*size{}
	for _, f := range t.Files {
		if f.Test() || strings.HasPrefix(f.Dir, "examples") {
			continue
		}
		s := byDir[f.Dir]
		if s == nil {
			s = &size{dir: f.Dir}
			byDir[f.Dir] = s
		}
		s.files++
		s.lines += f.Lines
		if s.file == nil || f.Lines > s.file.Lines {
			s.file = f
		}
	}

	methods := map[string]map[string]int{}
	for _, f := range t.Funcs() {
		s := byDir[f.File.Dir]
		if s == nil || f.File.Test() {
			continue
		}
		if f.Lines > s.function.Lines {
			s.function = f
		}
		s.countBody(t, f)
		if f.Receiver != "" {
			if methods[s.dir] == nil {
				methods[s.dir] = map[string]int{}
			}
			methods[s.dir][f.Receiver]++
		}
	}

	var out []*size
	for dir, s := range byDir {
		for name, n := range methods[dir] {
			if n > s.methods || n == s.methods && name < s.largest {
				s.largest, s.methods = name, n
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *size) int { return strings.Compare(a.dir, b.dir) })
	return out
}

// countBody adds a function's body: its lines, and the lines with a comment.
func (s *size) countBody(t *tree.Tree, f tree.Func) {
	line := func(n ast.Node, end bool) int {
		if end {
			return t.Fset.Position(n.End()).Line
		}
		return t.Fset.Position(n.Pos()).Line
	}
	body := f.Decl.Body
	s.body += max(line(body, true)-line(body, false)-1, 0)
	for _, c := range f.File.AST.Comments {
		if body.Pos() < c.Pos() && c.End() < body.End() {
			s.comments += line(c, true) - line(c, false) + 1
		}
	}
}

func (s *size) row() string {
	longest, methods := "–", "–"
	if s.function.Decl != nil {
		longest = fmt.Sprintf("`%s` %d", s.function.Name, s.function.Lines)
	}
	if s.largest != "" {
		methods = fmt.Sprintf("`%s` %d", s.largest, s.methods)
	}
	share := 0
	if s.body > 0 {
		share = (100*s.comments + s.body/2) / s.body
	}
	return fmt.Sprintf("| `%s` | %d | %d | `%s` %d | %s | %s | %d |",
		s.dir, s.files, s.lines, s.file.Name, s.file.Lines, longest, methods, share)
}

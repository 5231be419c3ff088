package main

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"

	"usock/internal/tools/tree"
)

// tagForm is a requirement's name in a comment.
var tagForm = regexp.MustCompile(`RFC (\d+) (MUST-[0-9.]*[0-9][a-z]?)\b`)

// collect adds to the rules what comments say, and returns what is wrong with them: a
// requirement that no table has.
func collect(docs []*rfc, t *tree.Tree) (wrong []string) {
	for _, f := range t.Files {
		if f.Dir == "internal/tools/requirements" { // which explains the form
			continue
		}
		for _, group := range f.AST.Comments {
			for _, tag := range tagForm.FindAllStringSubmatch(group.Text(), -1) {
				r := find(docs, tag[1], tag[2])
				if r == nil {
					wrong = append(wrong, fmt.Sprintf("%s: no such requirement: %s", f.Path(), tag[0]))
					continue
				}
				r.note(f, owner(f, group))
			}
		}
	}
	return wrong
}

// note adds a declaration to what implements or tests a rule.
func (r *rule) note(f *tree.File, name string) {
	if name == "" {
		return
	}

	list := &r.code
	if f.Test() {
		list = &r.test
	}
	ref := tree.Package(f.Dir) + "." + name
	if !slices.Contains(*list, ref) {
		*list = append(*list, ref)
	}
}

// owner is the declaration at the top of a file that a comment documents or is inside of.
func owner(f *tree.File, group *ast.CommentGroup) string {
	for _, d := range f.AST.Decls {
		var doc *ast.CommentGroup
		var name string
		switch d := d.(type) {
		case *ast.FuncDecl:
			doc, name = d.Doc, d.Name.Name
		case *ast.GenDecl:
			doc, name = d.Doc, specName(d)
		}
		if doc == group || d.Pos() <= group.Pos() && group.End() <= d.End() {
			return name
		}
	}
	return ""
}

func specName(d *ast.GenDecl) string {
	if len(d.Specs) == 0 {
		return ""
	}
	switch s := d.Specs[0].(type) {
	case *ast.TypeSpec:
		return s.Name.Name
	case *ast.ValueSpec:
		return s.Names[0].Name
	}
	return ""
}

// missing returns what the rules name and the module does not have. What is named as
// a test must be one.
func missing(docs []*rfc, t *tree.Tree) (wrong []string) {
	for _, d := range docs {
		for _, r := range d.rules {
			for _, ref := range r.code {
				if !slices.ContainsFunc(t.Find(ref), func(f *tree.File) bool { return !f.Test() }) {
					wrong = append(wrong, fmt.Sprintf("RFC %s %s: no code is called %s", d.number, r.id, ref))
				}
			}
			for _, ref := range r.test {
				if !slices.ContainsFunc(t.Find(ref), (*tree.File).Test) {
					wrong = append(wrong, fmt.Sprintf("RFC %s %s: no test is called %s", d.number, r.id, ref))
				}
			}
		}
	}
	return wrong
}

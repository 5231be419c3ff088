// Package tree reads the module's Go files for the programs that write pages about
// them and for the tests that hold those pages to the code. A function is named
// without its file, as docs name it: package and function, "tcp.ResetFor", or
// package, type and method, "tcp.Conn.Poll"; a method's type may be left out.
package tree

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is the parsed module, without modules of their own inside it.
type Tree struct {
	Root  string
	Fset  *token.FileSet
	Files []*File
}

// File is one Go file.
type File struct {
	Dir, Name string // Dir is relative to the root, "." at the top
	Lines     int
	AST       *ast.File
}

// Test reports whether the file belongs to tests alone.
func (f *File) Test() bool { return strings.HasSuffix(f.Name, "_test.go") }

// Path is the file's path from the root, with slashes.
func (f *File) Path() string { return path.Join(f.Dir, f.Name) }

// Func is a function or method with a body.
type Func struct {
	File     *File
	Receiver string // its type, or ""
	Name     string
	Lines    int
	Decl     *ast.FuncDecl
}

// Parse reads all Go files under root.
func Parse(root string) (*Tree, error) {
	t := &Tree{Root: root, Fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		name := d.Name()
		if d.IsDir() {
			if p != root && (name == "testdata" || name[0] == '.' || name[0] == '_' || isModule(p)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}

		return t.add(p)
	})
	return t, err
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) add(p string) error {
	text, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.Fset, p, text, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.Root, p)
	if err != nil {
		return err
	}

	rel = filepath.ToSlash(rel)
	t.Files = append(t.Files, &File{Dir: path.Dir(rel), Name: path.Base(rel), Lines: bytes.Count(text, []byte("\n")), AST: parsed})
	return nil
}

// Funcs returns the functions and methods that have a body.
func (t *Tree) Funcs() []Func {
	var out []Func
	for _, f := range t.Files {
		for _, d := range f.AST.Decls {
			decl, ok := d.(*ast.FuncDecl)
			if !ok || decl.Body == nil {
				continue
			}
			out = append(out, Func{f, receiver(decl), decl.Name.Name, t.span(decl), decl})
		}
	}
	return out
}

func (t *Tree) span(n ast.Node) int {
	return t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
}

// receiver returns the name of a method's type, without pointer and type parameters.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}

	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// Package returns the name by which docs call a folder's package.
func Package(dir string) string {
	if dir == "." {
		return "usock"
	}
	return path.Base(dir)
}

// Find returns what is named ref: functions, methods, types, constants and variables at
// the top of a file, as the positions of their names in their files.
func (t *Tree) Find(ref string) []*File {
	parts := strings.Split(ref, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return nil
	}

	var out []*File
	for _, f := range t.Files {
		if Package(f.Dir) == parts[0] && declares(f.AST, parts[1:]) {
			out = append(out, f)
		}
	}
	return out
}

// declares reports whether a file declares a name, or a type's method or field.
func declares(f *ast.File, name []string) bool {
	last := name[len(name)-1]
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.FuncDecl:
			return d.Name.Name == last && (len(name) == 1 || receiver(d) == name[0])
		case *ast.GenDecl:
			return slices.ContainsFunc(d.Specs, func(s ast.Spec) bool { return specifies(s, name) })
		}
		return false
	})
}

func specifies(s ast.Spec, name []string) bool {
	switch s := s.(type) {
	case *ast.ValueSpec:
		return len(name) == 1 && slices.ContainsFunc(s.Names, func(n *ast.Ident) bool { return n.Name == name[0] })
	case *ast.TypeSpec:
		if s.Name.Name != name[0] {
			return false
		}
		return len(name) == 1 || hasField(s.Type, name[1])
	}
	return false
}

func hasField(e ast.Expr, name string) bool {
	var fields *ast.FieldList
	switch x := e.(type) {
	case *ast.StructType:
		fields = x.Fields
	case *ast.InterfaceType:
		fields = x.Methods
	default:
		return false
	}
	return slices.ContainsFunc(fields.List, func(f *ast.Field) bool {
		return slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.Name == name })
	})
}

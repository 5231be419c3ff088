package tree

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Importer returns the compiler's export data of the packages in folders of the module at root, and
// of all that they import.
func Importer(root string, dirs ...string) (types.Importer, error) {
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, d := range dirs {
		args = append(args, "./"+d)
	}
	var complaints bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = root, &complaints
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, complaints.Bytes())
	}

	files := map[string]string{}
	for line := range strings.Lines(string(list)) {
		p, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[p] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(p string) (io.ReadCloser, error) {
		return os.Open(files[p])
	}), nil
}

// Typed is a package, without its tests, and the types of what it says.
type Typed struct {
	*build.Package
	Fset  *token.FileSet
	Files []*ast.File // in the order of GoFiles
	Info  types.Info  // Types and Selections; the package's own path is its folder
}

// Check reads the package in a folder of the module at root, with what it imports from in.
func Check(root, dir string, in types.Importer) (*Typed, error) {
	b, err := build.Default.ImportDir(filepath.Join(root, dir), 0)
	if err != nil {
		return nil, err
	}
	t := &Typed{Package: b, Fset: token.NewFileSet(), Info: types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	for _, name := range b.GoFiles {
		f, err := parser.ParseFile(t.Fset, filepath.Join(root, dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		t.Files = append(t.Files, f)
	}
	cfg := types.Config{Importer: in}
	_, err = cfg.Check(dir, t.Fset, t.Files, &t.Info)
	return t, err
}

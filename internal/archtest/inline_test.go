package archtest

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// The compiler has the body of a short method at hand, to inline it, where the package of the
// method is imported by name: through another package's alias or field it makes a call of it. On
// a packet's way, which is made of short methods, that cost 15 percent of the TCP core's speed.
func TestMethodsAreOfImportedPackages(t *testing.T) {
	var dirs []string
	for dir := range house {
		if dir == "link" || strings.HasPrefix(dir, "internal/") && !strings.HasPrefix(dir, "internal/tools/") {
			if _, err := build.Default.ImportDir(filepath.Join(root, dir), 0); err == nil {
				dirs = append(dirs, dir)
			}
		}
	}
	in := exports(t, dirs)

	seen := 0
	for _, dir := range dirs {
		b, err := build.Default.ImportDir(filepath.Join(root, dir), 0)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{strings.TrimSuffix(module+"/"+dir, "/."): true}
		for _, p := range b.Imports {
			named[p] = true
		}

		set := token.NewFileSet()
		var files []*ast.File
		for _, name := range b.GoFiles {
			f, err := parser.ParseFile(set, filepath.Join(root, dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		cfg := types.Config{Importer: in}
		if _, err := cfg.Check(module+"/"+dir, set, files, &info); err != nil {
			t.Fatal(err)
		}

		for at, s := range info.Selections {
			if s.Kind() != types.MethodVal || types.IsInterface(s.Recv()) {
				continue
			}
			seen++
			p := s.Obj().Pkg()
			if p != nil && strings.HasPrefix(p.Path(), module+"/") && !named[p.Path()] {
				t.Errorf("%s: %s is of %s, which the package does not import", set.Position(at.Pos()), s.Obj().Name(), p.Path())
			}
		}
	}
	if seen < 1000 {
		t.Errorf("%d methods seen: are the packages where they were?", seen)
	}
}

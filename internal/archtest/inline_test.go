package archtest

import (
	"go/build"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"usock/internal/tools/tree"
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
		p, err := tree.Check(root, dir, in)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, path := range p.Imports {
			named[path] = true
		}

		for at, s := range p.Info.Selections {
			if s.Kind() != types.MethodVal || types.IsInterface(s.Recv()) {
				continue
			}
			seen++
			of := s.Obj().Pkg()
			if of != nil && strings.HasPrefix(of.Path(), module+"/") && !named[of.Path()] {
				t.Errorf("%s: %s is of %s, which the package does not import", p.Fset.Position(at.Pos()), s.Obj().Name(), of.Path())
			}
		}
	}
	if seen < 1000 {
		t.Errorf("%d methods seen: are the packages where they were?", seen)
	}
}

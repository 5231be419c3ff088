package archtest

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

// timed are the packages whose time comes from a clock: those of hosts, links and networks,
// with all below them.
var timed = []string{".", "link", "sim", "gateway", "run", "internal"}

// calls are what package time has of a clock and of timers.
var calls = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "Tick": true,
	"After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true,
}

// real are files that may use package time's clock all the same, each with its reason.
var real = map[string]string{
	"dialer.go": "a context's time is package time's: its deadline is divided among addresses",
}

// Nothing but package clock reads package time's clock or sets its timers.
func TestOneClock(t *testing.T) {
	used := map[string]bool{}
	seen := 0
	fset := parseModule(t).Fset
	for _, s := range sources(t) {
		if !inside(s.Dir, timed) || inside(s.Dir, []string{"internal/tools"}) { // programs for the developer
			continue
		}
		local := nameOf(s.AST, "time")
		if local == "" {
			continue
		}
		seen++
		file := s.Path()
		ast.Inspect(s.AST, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if !ok || !calls[x.Sel.Name] {
				return true
			}
			if p, ok := x.X.(*ast.Ident); !ok || p.Name != local {
				return true
			}
			if real[file] == "" {
				t.Errorf("%s:%d: time.%s: take the time from a clock (package clock)", file, fset.Position(x.Pos()).Line, x.Sel.Name)
			}
			used[file] = true
			return true
		})
	}
	if seen == 0 {
		t.Error("no file imports package time: is the root where it was?")
	}
	for file := range real {
		if !used[file] {
			t.Errorf("%s is an exception for nothing", file)
		}
	}
}

// inside reports whether a folder is one of those, or in one of them; "." is the top alone.
func inside(dir string, in []string) bool {
	for _, d := range in {
		if dir == d || d != "." && strings.HasPrefix(dir, d+"/") {
			return true
		}
	}
	return false
}

// nameOf returns the name under which a file imports a package; "" if it does not.
func nameOf(f *ast.File, path string) string {
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err != nil || p != path {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path
	}
	return ""
}

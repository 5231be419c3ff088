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

// calls are what package time has of a clock and of timers, and what package context makes of them.
var calls = map[string]map[string]bool{
	"time": {
		"Now": true, "Since": true, "Until": true, "Sleep": true, "Tick": true,
		"After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true,
	},
	"context": {"WithTimeout": true, "WithTimeoutCause": true, "WithDeadline": true, "WithDeadlineCause": true},
}

// Nothing but package clock reads package time's clock or sets its timers, and a context has no
// deadline of ours.
func TestOneClock(t *testing.T) {
	seen := map[string]bool{}
	fset := parseModule(t).Fset
	for _, s := range sources(t) {
		if !inside(s.Dir, timed) || inside(s.Dir, []string{"internal/tools"}) { // programs for the developer
			continue
		}
		for pkg, forbidden := range calls {
			local := nameOf(s.AST, pkg)
			if local == "" {
				continue
			}
			seen[pkg] = true
			ast.Inspect(s.AST, func(n ast.Node) bool {
				x, ok := n.(*ast.SelectorExpr)
				if !ok || !forbidden[x.Sel.Name] {
					return true
				}
				if p, ok := x.X.(*ast.Ident); ok && p.Name == local {
					t.Errorf("%s:%d: %s.%s: take the time from a clock (package clock)", s.Path(), fset.Position(x.Pos()).Line, pkg, x.Sel.Name)
				}
				return true
			})
		}
	}
	for pkg := range calls {
		if !seen[pkg] {
			t.Errorf("no file imports package %s: is the root where it was?", pkg)
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

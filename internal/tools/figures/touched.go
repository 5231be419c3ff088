package main

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"

	"usock/internal/tools/tree"
)

// example is something that was added to usock, and the identifiers by which it is
// known: the files that have one of them, and that no program has written, are those that it
// took. docs/HACKING.md names each behind the steps.
type example struct {
	what, name  string
	identifiers []string
	under       []string // folders to look in; nil: all that is not an example or a test
}

var examples = []example{
	{"socket option", "TCP_LINGER2", []string{"TCP_LINGER2", "SetLinger2", "Linger2"}, nil},
	{"link", "Switch", []string{"Switch", "NewSwitch"}, []string{"link"}},
	{"protocol", "ping", []string{"pingProto", "newPing", "Ping"}, []string{".", "internal/inet"}},
	{"congestion control", "Reno", []string{"Reno"}, []string{"internal/congestion", "cc"}},
	{"call that `usock run` traps", "shutdown", []string{"callShutdown"}, []string{"run"}},
	{"command", "demo", []string{"demoCmd"}, []string{"cmd/usock"}},
}

// files returns the files that have one of an example's identifiers.
func (e *example) files(t *tree.Tree) []string {
	var out []string
	for _, f := range t.Files {
		if f.Test() || strings.HasPrefix(f.Dir, "examples") || strings.HasPrefix(f.Dir, "internal/tools") {
			continue
		}
		if e.under != nil && !slices.Contains(e.under, f.Dir) {
			continue
		}
		if !ast.IsGenerated(f.AST) && mentions(f.AST, e.identifiers) {
			out = append(out, f.Path())
		}
	}
	slices.Sort(out)
	return out
}

func mentions(f *ast.File, names []string) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && slices.Contains(names, id.Name) {
			found = true
		}
		return !found
	})
	return found
}

func (e *example) row(t *tree.Tree) string {
	files := e.files(t)
	quoted := make([]string, len(files))
	for i, f := range files {
		quoted[i] = "`" + f + "`"
	}
	return fmt.Sprintf("| %s | %s | %d | %s |", e.what, e.name, len(files), strings.Join(quoted, " "))
}

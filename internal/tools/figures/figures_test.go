package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"usock/internal/tools/tree"
)

const root = "../../.."

// The limits of a file and of a function, in lines. A function of a test may have a table
// of cases at its head.
const (
	maxFile     = 800
	maxFunc     = 85 // about 80
	maxTestFunc = 100
)

// longer are the files and functions that exceed a limit, each with the reason. One that
// no longer does is to be taken out.
var longer = map[string]string{
	"e2e/policyGroups":   "a table of cases, one a line, that is read as one",
	"shape/TestRules":    "a table of cases, one a line, that is read as one",
	"run/player_test.go": "the scripted kernel that the tests of package run play against",
}

// once reads the module once.
var once = sync.OnceValues(func() (*tree.Tree, error) { return tree.Parse(root) })

func parsed(t *testing.T) *tree.Tree {
	t.Helper()
	module, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestLimits(t *testing.T) {
	module, used := parsed(t), map[string]bool{}
	judge := func(name string, lines, limit int) {
		if lines <= limit {
			return
		}
		used[name] = true
		if longer[name] == "" {
			t.Errorf("%s has %d lines, more than %d: divide it by its subjects, or give the reason here", name, lines, limit)
		}
	}

	for _, f := range module.Files {
		judge(f.Path(), f.Lines, maxFile)
	}
	for _, f := range module.Funcs() {
		limit := maxFunc
		if f.File.Test() {
			limit = maxTestFunc
		}
		judge(f.File.Dir+"/"+f.Name, f.Lines, limit)
	}

	for name := range longer {
		if !used[name] {
			t.Errorf("%s is within its limit now, or gone: take it out of the list", name)
		}
	}
}

// What the page says of packages may lag behind by a tenth, or by ten, so that not each
// change is one of the page; the way and the files are what the tree has.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(pagePath(root))
	if err != nil {
		t.Fatal(err)
	}
	_, old, _, err := cut(string(page))
	if err != nil {
		t.Fatal(err)
	}

	got, want := strings.Split(old, "\n"), strings.Split(figures(parsed(t)), "\n")
	if len(got) != len(want) {
		t.Fatalf("docs/ARCHITECTURE.md has figures of %d lines, not %d: go run ./internal/tools/figures", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] && !near(got[i], want[i]) {
			t.Errorf("docs/ARCHITECTURE.md is out of date: go run ./internal/tools/figures\nit has    %s\nand not  %s", got[i], want[i])
		}
	}
}

var number = regexp.MustCompile(`(?:^|\s)(\d+)(?:\s|$)`)

// near reports whether two rows about the same package have figures that are close.
func near(a, b string) bool {
	rowA, rowB := strings.Split(a, "|"), strings.Split(b, "|")
	if len(rowA) != 9 || len(rowB) != 9 || rowA[1] != rowB[1] { // seven columns
		return false
	}

	for i := 2; i < 8; i++ {
		x, y := figure(rowA[i]), figure(rowB[i])
		if d := max(x-y, y-x); d > 10 && d > y/10 {
			return false
		}
	}
	return true
}

// figure is the number of a cell, behind a name or alone.
func figure(cell string) int {
	m := number.FindStringSubmatch(cell)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

func TestNear(t *testing.T) {
	const row = "| `p` | 10 | 1000 | `a.go` 300 | `f` 40 | `T` 20 | 5 |"
	for _, c := range []struct {
		other string
		want  bool
	}{
		{"| `p` | 11 | 1099 | `b.go` 310 | `g` 44 | `T` 22 | 6 |", true},
		{"| `p` | 10 | 1200 | `a.go` 300 | `f` 40 | `T` 20 | 5 |", false},
		{"| `p` | 10 | 1000 | `a.go` 400 | `f` 40 | `T` 20 | 5 |", false},
		{"| `q` | 10 | 1000 | `a.go` 300 | `f` 40 | `T` 20 | 5 |", false},
		{"| option | TCP | 4 | `a.go` |", false},
	} {
		if got := near(row, c.other); got != c.want {
			t.Errorf("near(%s) = %v", c.other, got)
		}
	}
}

// Each function on the way calls the next one, and a call that is not there is found.
func TestSendPath(t *testing.T) {
	module := parsed(t)
	for _, wrong := range broken(module, sendPath) {
		t.Error(wrong)
	}

	short := []step{{"usock.Socket.Send", -1}, {"ip.Lane.Output", 0}, {"ip.Lane.noSuchThing", 1}}
	if got := broken(module, short); len(got) != 2 {
		t.Errorf("broken = %q, want the call that is not made and the name that is not there", got)
	}
}

// docs/HACKING.md names each worked example.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/HACKING.md")
	if err != nil {
		t.Fatal(err)
	}
	module := parsed(t)
	for _, e := range examples {
		if len(e.files(module)) == 0 {
			t.Errorf("%s: no file has %v", e.name, e.identifiers)
		}
		if line := "\n- " + e.what + ": " + e.name + "\n"; !strings.Contains(string(text), line) {
			t.Errorf("docs/HACKING.md does not have the worked example %q", line)
		}
	}
}

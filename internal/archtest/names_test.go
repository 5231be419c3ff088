package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"usock/internal/tools/tree"
)

// codeName is a name of the module in a page: package and identifier, or package, type and
// method. A file's path has a slash, and is not.
var codeName = regexp.MustCompile("`([a-z]+(?:\\.[A-Za-z][A-Za-z0-9]*){1,2})`")

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parsed is the module, read once.
var parsed = sync.OnceValues(func() (*tree.Tree, error) { return tree.Parse(root) })

func parseModule(t *testing.T) *tree.Tree {
	t.Helper()
	module, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// section returns what is between a heading and the next one.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/ARCHITECTURE.md has no section %q", heading)
	}
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

// The map of behaviours in docs/ARCHITECTURE.md names what is there.
func TestBehavioursExist(t *testing.T) {
	module := parseModule(t)
	names := codeName.FindAllStringSubmatch(section(t, readPage(t, "ARCHITECTURE.md"), "Where a behaviour is"), -1)
	if len(names) < 40 {
		t.Errorf("%d names found", len(names))
	}
	for _, n := range names {
		if len(module.Find(n[1])) == 0 {
			t.Errorf("docs/ARCHITECTURE.md: nothing is called %s", n[1])
		}
	}
}

// Each of the twenty questions has an answer that is there, and a clue that the page
// with the architecture has: the answer itself, or what is in the same package.
func TestQuestions(t *testing.T) {
	module := parseModule(t)
	architecture, _, _ := strings.Cut(readPage(t, "ARCHITECTURE.md"), "\n## Figures\n")

	asked := 0
	for line := range strings.Lines(readPage(t, "QUESTIONS.md")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.Contains(cells[3], "`") {
			continue
		}
		asked++

		answer, clue := strings.Trim(cells[3], " `"), strings.Trim(cells[4], " `")
		if len(module.Find(answer)) == 0 {
			t.Errorf("%s: nothing is called %s", strings.TrimSpace(cells[2]), answer)
		}
		if !strings.Contains(architecture, "`"+clue+"`") {
			t.Errorf("%s: docs/ARCHITECTURE.md does not have %s", strings.TrimSpace(cells[2]), clue)
		}
		pkg, _, _ := strings.Cut(answer, ".")
		if place := strings.TrimPrefix(clue, "internal/"); place != pkg && !strings.HasPrefix(place, pkg+".") && !strings.HasPrefix(place, pkg+"/") {
			t.Errorf("%s: %s does not lead to %s", strings.TrimSpace(cells[2]), clue, answer)
		}
	}
	if asked < 20 {
		t.Errorf("%d questions", asked)
	}
}

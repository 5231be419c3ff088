package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pageLink is a link of a page, without its fragment.
var pageLink = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// Links from page to page lead somewhere, and every decision is in the list of them.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}

	linked := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range pageLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(page), l[1])
			linked[target] = true
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, l[1])
			}
		}
	}

	for _, page := range pages {
		if filepath.Base(filepath.Dir(page)) == "decisions" && filepath.Base(page) != "README.md" && !linked[page] {
			t.Errorf("%s is not in docs/decisions/README.md", page)
		}
	}
}

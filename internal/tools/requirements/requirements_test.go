package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"usock/internal/tools/tree"
)

const root = "../../.."

// Every name on the page is there, and the page is what the program writes.
func TestPage(t *testing.T) {
	want, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pagePath(root))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/REQUIREMENTS.md is out of date: go run ./internal/tools/requirements")
	}
}

// RFC 9293's own numbers are all there.
func TestAllNumbersOf9293(t *testing.T) {
	docs, err := readTables()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 69; n++ {
		if find(docs, "9293", fmt.Sprintf("MUST-%d", n)) == nil {
			t.Errorf("RFC 9293 MUST-%d is not in the table", n)
		}
	}
}

// A rule says what is done about it, and not two things.
func TestEveryRuleIsJudged(t *testing.T) {
	docs, err := readTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		for _, r := range d.rules {
			said := 0
			for _, s := range []string{r.gap, r.linux, r.free} {
				if s != "" {
					said++
				}
			}
			if said > 1 || said == 0 && len(r.code) == 0 {
				t.Errorf("RFC %s %s: code, or one of gap, linux and free, must say what is done", d.number, r.id)
			}
		}
	}
}

// What does not exist is found missing: a test under a code's name, and code under a test's, too.
func TestMissing(t *testing.T) {
	module, err := tree.Parse(root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := parse("9293 TCP\nMUST-1 3.1 words\n\tcode tcp.Conn.Poll tcp.noSuchThing tcp.TestKarn\n\ttest tcp.TestKarn tcp.TestNoSuchThing tcp.ResetFor\n")
	if err != nil {
		t.Fatal(err)
	}

	wrong := missing([]*rfc{doc}, module)
	if len(wrong) != 4 {
		t.Errorf("missing = %q, want noSuchThing, TestKarn as code, TestNoSuchThing and ResetFor as a test", wrong)
	}
}

func TestMalformedTables(t *testing.T) {
	for _, text := range []string{
		"9293 TCP\nMUST-1 3.1\n",                     // no words
		"9293 TCP\nMAY-1 3.1 words\n",                // not a MUST
		"9293 TCP\nMUST-1 3.1 a\nMUST-1 3.1 b\n",     // twice
		"9293 TCP\n\tcode tcp.Conn\n",                // belongs to nothing
		"9293 TCP\nMUST-1 3.1 a\n\tcode\n",           // no value
		"9293 TCP\nMUST-1 3.1 a\n\tcodes tcp.Conn\n", // no such key
	} {
		if doc, err := parse(text); err == nil {
			t.Errorf("%s was read as %v", strings.ReplaceAll(text, "\n", "⏎"), doc)
		}
	}
}

package main

import (
	"fmt"
	"strings"
)

// intro is the head of the page.
const intro = `# Requirements

What the RFCs of TCP say that an implementation must do or must not do, in our own short words. Each row says which code does it
and which tests hold the code to it. ` + "`go run ./internal/tools/requirements`" + ` writes this page from the tables beside
that program, and from comments that name a requirement (` + "`RFC 9293 MUST-14`" + `). A test fails when code or a test that is named
here is gone, or when the page is not what the program writes. Names are package and function; a method's type is left out
where it is plain.

RFC 9293 numbers its requirements. Those of the others are called by their section, and a letter where a section has several;
a row may stand for several sentences. Tests that are named by ` + "`oracle`" + ` are call sequences compared with the kernel's.

- **held**: the code does it, and the tests are about it.
- **as Linux**: it is done otherwise, as Linux does, and said how.
- **no case**: what it is about does not arise.
- **no test**: the code does it, and no test of its own shows it.
- **gap**: it is not done, or not wholly.

`

// statuses are the columns of the page's first table.
var statuses = []string{"held", "as Linux", "no case", "no test", "gap"}

func page(docs []*rfc) string {
	var b strings.Builder
	b.WriteString(intro)
	summary(&b, docs)
	open(&b, docs)

	for _, d := range docs {
		fmt.Fprintf(&b, "\n## RFC %s: %s\n\n| id | § | what | code | tests | |\n|---|---|---|---|---|---|\n", d.number, d.title)
		for _, r := range d.rules {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.id, r.section, r.words, names(r.code), names(r.test), verdict(r))
		}
	}
	return b.String()
}

func summary(b *strings.Builder, docs []*rfc) {
	fmt.Fprintf(b, "| RFC | requirements | %s |\n|---|---|%s\n", strings.Join(statuses, " | "), strings.Repeat("---|", len(statuses)))
	for _, d := range docs {
		count := map[string]int{}
		for _, r := range d.rules {
			count[r.status()]++
		}
		fmt.Fprintf(b, "| %s | %d |", d.number, len(d.rules))
		for _, s := range statuses {
			fmt.Fprintf(b, " %d |", count[s])
		}
		b.WriteByte('\n')
	}
}

// open lists what is lacking, so that nobody has to look for it.
func open(b *strings.Builder, docs []*rfc) {
	b.WriteString("\n## Gaps\n\n")
	none := true
	for _, d := range docs {
		for _, r := range d.rules {
			if s := r.status(); s == "gap" || s == "no test" {
				fmt.Fprintf(b, "- RFC %s %s, %s: %s\n", d.number, r.id, r.words, verdict(r))
				none = false
			}
		}
	}
	if none {
		b.WriteString("None is known.\n")
	}
}

func names(refs []string) string {
	quoted := make([]string, len(refs))
	for i, ref := range refs {
		quoted[i] = "`" + ref + "`"
	}
	return strings.Join(quoted, " ")
}

func verdict(r *rule) string {
	if r.remark() == "" {
		return r.status()
	}
	return r.status() + ": " + r.remark()
}

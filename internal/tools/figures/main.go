package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"usock/internal/tools/tree"
)

// The figures stand between these lines of the page.
const (
	begin = "<!-- figures: go run ./internal/tools/figures -->"
	end   = "<!-- end of figures -->"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	t, err := tree.Parse(root)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(pagePath(root))
	if err != nil {
		return err
	}
	head, _, tail, err := cut(string(page))
	if err != nil {
		return err
	}
	return os.WriteFile(pagePath(root), []byte(head+begin+"\n"+figures(t)+end+tail), 0o644)
}

func pagePath(root string) string { return filepath.Join(root, "docs", "ARCHITECTURE.md") }

// cut divides the page into what is before, between and behind the two lines.
func cut(page string) (head, old, tail string, err error) {
	head, rest, ok := strings.Cut(page, begin+"\n")
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", "", "", errors.New("the page has no place for the figures")
	}
	return head, old, tail, nil
}

// figures is what stands between the lines.
func figures(t *tree.Tree) string {
	var b strings.Builder
	b.WriteString("\n| package | files | lines | longest file | longest function | most methods | comments in bodies, % |\n|---|---|---|---|---|---|---|\n")
	for _, s := range sizes(t) {
		b.WriteString(s.row() + "\n")
	}

	fmt.Fprintf(&b, "\nNamed functions from `Socket.Send` to the link, of a write on a TCP connection, %s.\n", pathText())

	b.WriteString("\n| new | for example | files | which |\n|---|---|---|---|\n")
	for _, e := range examples {
		b.WriteString(e.row(t) + "\n")
	}
	return b.String() + "\n"
}

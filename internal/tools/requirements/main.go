package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"usock/internal/tools/tree"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	text, err := build(root)
	if err != nil {
		return err
	}
	return os.WriteFile(pagePath(root), []byte(text), 0o644)
}

func pagePath(root string) string { return filepath.Join(root, "docs", "REQUIREMENTS.md") }

// build returns the page for the module at root.
func build(root string) (string, error) {
	docs, err := readTables()
	if err != nil {
		return "", err
	}
	t, err := tree.Parse(root)
	if err != nil {
		return "", err
	}

	wrong := append(collect(docs, t), missing(docs, t)...)
	if len(wrong) > 0 {
		return "", errors.New(strings.Join(wrong, "\n"))
	}
	return page(docs), nil
}

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The path changes where it is one, and nowhere else; a second call changes it again.
func TestRename(t *testing.T) {
	root := t.TempDir()
	files := map[string][2]string{
		"go.mod":   {"module usock\n\ngo 1.26.0\n", "module example.org/usock/v2\n\ngo 1.26.0\n"},
		"x/go.mod": {"module usock/x\n\nrequire usock v0.0.0\n\nreplace usock => ..\n", "module example.org/usock/v2/x\n\nrequire example.org/usock/v2 v0.0.0\n\nreplace example.org/usock/v2 => ..\n"},
		"a.go": {
			"// Package a is usock's, and uses usock/link.\npackage a\n\nimport (\n\t\"io\"\n\n\t\"usock\"\n\tl \"usock/link\"\n)\n\nvar _, _ = io.EOF, \"usock\"\n\nvar _ l.Link\nvar _ usock.Host\n",
			"// Package a is usock's, and uses example.org/usock/v2/link.\npackage a\n\nimport (\n\t\"io\"\n\n\t\"example.org/usock/v2\"\n\tl \"example.org/usock/v2/link\"\n)\n\nvar _, _ = io.EOF, \"usock\"\n\nvar _ l.Link\nvar _ usock.Host\n",
		},
		"b.md":  {"usock has `usock/sim`; ./usock run; cmd/usock/run.go\n", "usock has `example.org/usock/v2/sim`; ./usock run; cmd/usock/run.go\n"},
		"c.txt": {"usock/link\n", "usock/link\n"},
	}
	for name, f := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f[0]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, to := range []string{"example.org/you/usock", "example.org/usock/v2"} {
		if n, err := rename(root, to); n != 4 || err != nil {
			t.Fatalf("call %d: %d files, %v, want 4", i+1, n, err)
		}
	}
	for name, f := range files {
		if b, err := os.ReadFile(filepath.Join(root, name)); string(b) != f[1] || err != nil {
			t.Errorf("%s, %v:\n%swant\n%s", name, err, b, f[1])
		}
	}
	for _, to := range []string{"usock", "example.org/other", "exa mple/usock"} {
		if _, err := rename(root, to); err == nil {
			t.Errorf("%q was taken", to)
		}
	}
}

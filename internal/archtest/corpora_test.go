package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)

// Each fuzz target has inputs in the repository, in testdata/fuzz, which every run of the tests tries:
// what a fuzzer has found out about a parser is not found out anew.
func TestFuzzCorpora(t *testing.T) {
	n := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range fuzzTarget.FindAllStringSubmatch(string(src), -1) {
			n++
			dir := filepath.Join(filepath.Dir(path), "testdata", "fuzz", m[1])
			if inputs, err := os.ReadDir(dir); err != nil || len(inputs) == 0 {
				t.Errorf("%s of %s has no inputs in %s: run `go test -fuzz '^%s$' -fuzztime 1m` and keep some of what it finds",
					m[1], path, dir, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatal("no fuzz target was found")
	}
}

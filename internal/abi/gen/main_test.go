package main

import (
	"bytes"
	"os"
	"testing"
)

// What is generated is what the table says today.
func TestCurrent(t *testing.T) {
	files, err := generate("../const.txt", "../../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what const.txt makes: go generate ./internal/abi", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"A\t1", "= g\nA", "= g\nA\t1\tsoon", "= g\nA 1"} {
		if g, err := parse(text); err == nil {
			t.Errorf("%q: %v", text, g)
		}
	}
}

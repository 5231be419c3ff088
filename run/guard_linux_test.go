//go:build amd64 || arm64

package run

import (
	"errors"
	"io/fs"
	"testing"
)

func TestGuardThatDoesNotStart(t *testing.T) {
	g, err := startGuard([]string{"/bin/false"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.await(); err != errGuard {
		t.Errorf("one that ends at once: %v", err)
	}
	g.stop()
	if _, err := startGuard([]string{"/nonexistent"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	if g, err := startGuard(nil); g != nil || err != nil {
		t.Errorf("none: %v, %v", g, err)
	}
}

//go:build amd64 || arm64

package run

import (
	"errors"
	"io/fs"
	"testing"
)

func TestGuardThatDoesNotStart(t *testing.T) {
	if _, err := startGuard([]string{"/bin/false"}); err != errGuard {
		t.Errorf("one that ends at once: %v", err)
	}
	if _, err := startGuard([]string{"/nonexistent"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	if g, err := startGuard(nil); g != nil || err != nil {
		t.Errorf("none: %v, %v", g, err)
	}
}

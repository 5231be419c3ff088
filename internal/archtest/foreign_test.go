package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A module of somebody else's, with a clock, a link and a congestion control of its own, is built
// against this one as a user would, and runs.
func TestForeignModule(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/foreign")); err != nil {
		t.Fatal(err)
	}
	// The sums of what usock needs are usock's: nothing is fetched.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "edit", "-replace", module + "=" + here},
		{"build", "-mod=mod", "-o", "foreign.exe", "."},
	} {
		goIn(t, dir, args...)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "foreign.exe")).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%s%v", out, err)
	}
}

// goIn runs the go command in a folder.
func goIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

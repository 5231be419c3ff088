package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKeyLogFollows has a log treated as programs do that are not careful with it: it is begun anew, replaced, removed, a FIFO.
func TestKeyLogFollows(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir()))
	l, err := openKeyLog(nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(flag int, text string) {
		f, err := os.OpenFile(l.path, os.O_WRONLY|flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		if got := string(l.news()); got != text {
			t.Errorf("news %q, not %q", got, text)
		}
	}
	want("")
	put(os.O_APPEND, "FIRST line\nhalf")
	want("FIRST line\n")
	put(os.O_APPEND, " a line\r\nbin\x00ary\n\xff\n"+strings.Repeat("x", maxKeyLine)+"\nSECOND\n")
	want("half a line\r\nSECOND\n")
	put(os.O_TRUNC, "NEW\n")
	want("NEW\n")
	put(os.O_APPEND, "LAST\n")
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	put(os.O_CREATE, "OTHER\n")
	want("LAST\nOTHER\n")
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(l.path, 0o600); err != nil {
		t.Fatal(err)
	}
	want("")
	l.close()
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestKeyLogsLeft: what a killed run has left behind goes, and not what another one uses.
func TestKeyLogsLeft(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	left := filepath.Join(tmp, keyDir+"1")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "keys"), []byte("SECRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, err := openKeyLog(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := openKeyLog(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("secrets are left")
	}
	for _, l := range []*keyLog{one, other} {
		if _, err := os.Stat(l.path); err != nil {
			t.Error(err)
		}
		l.close()
	}
}

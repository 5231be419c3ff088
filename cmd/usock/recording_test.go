package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOldFiles: of too many files the first are removed, and what has come to have their names is not.
func TestOldFiles(t *testing.T) {
	dir := t.TempDir()
	r := recording{pcap: fileValue{name: filepath.Join(dir, "trace.pcapng")}, size: 1, most: 1, tlsKeys: true}
	file := func(n string) string { return filepath.Join(dir, "trace-0000"+n+".pcapng") }
	if err := r.openFile(); err != nil {
		t.Fatal(err)
	}
	next := func() {
		t.Helper()
		if _, err := r.nextFile(); err != nil {
			t.Fatal(err)
		}
	}
	next()
	if _, err := os.Stat(file("1")); err == nil {
		t.Error("the first file is still there")
	}
	if err := os.Remove(file("2")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(file("2"), "of the user"), 0o755); err != nil {
		t.Fatal(err)
	}
	next()
	if err := os.Remove(file("3")); err != nil {
		t.Fatal(err)
	}
	next()
	for _, n := range []string{"2", "4"} {
		if _, err := os.Stat(file(n)); err != nil {
			t.Error(err)
		}
	}
	r.file.Close()
}

// TestFileNumbers puts numbers in front of extensions.
func TestFileNumbers(t *testing.T) {
	for name, want := range map[string]string{
		"trace.pcapng": "trace-00001.pcapng", "trace": "trace-00001", ".trace": ".trace-00001", "a.b/trace": "a.b/trace-00001", "x.tar.gz": "x.tar-00001.gz",
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "a.b"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := recording{pcap: fileValue{name: filepath.Join(dir, name)}, size: 1}
		if err := r.openFile(); err != nil {
			t.Fatal(err)
		}
		r.file.Close()
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIsExtcap tells Wireshark's calls from programs with flags of such names.
func TestIsExtcap(t *testing.T) {
	for _, x := range []struct {
		want bool
		args []string
	}{
		{true, []string{"--extcap-interfaces", "--extcap-version=4.4"}},
		{true, []string{"--capture", "--extcap-interface", "usock-1", "--fifo", "/tmp/x"}},
		{true, []string{"--log-level=info", "--extcap-interface=usock-1", "--extcap-dlts"}},
		{false, nil},
		{false, []string{"run", "--", "ffmpeg", "--capture"}},
		{false, []string{"run", "tshark", "--extcap-interfaces"}},
		{false, []string{"--help"}},
	} {
		if got := isExtcap(x.args); got != x.want {
			t.Errorf("%q: %v", x.args, got)
		}
	}
}

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFIFO opens a FIFO whose reader comes late: that it is waited for is told.
func TestFIFO(t *testing.T) {
	for flag, reader := range map[string]string{pcapFlag: "tshark -i", stdoutFlag: "cat"} {
		t.Run(flag, func(t *testing.T) { lateReader(t, flag, reader) })
	}
}

func lateReader(t *testing.T, flag, reader string) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	said, tell := io.Pipe()
	read := make(chan string, 1)
	go func() {
		line := make([]byte, 1000)
		n, _ := said.Read(line) // the reader begins when it is told
		f, err := os.Open(name)
		if err != nil {
			t.Error(err)
		}
		defer f.Close()
		b, _ := io.ReadAll(f)
		read <- string(line[:n]) + string(b)
	}()
	f, err := openOutput(flag, name, anyMode, tell)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "packets")
	f.Close()
	want := "usock: " + flag + " " + name + ": waiting for who reads this FIFO, such as " + reader + " " + name + "; Ctrl-C gives up\npackets"
	if got := <-read; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestFIFOWithReader records to a FIFO that is read already: nothing is said.
func TestFIFOWithReader(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var said bytes.Buffer
	begin := time.Now()
	f, err := openOutput(pcapFlag, name, anyMode, &said)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if said.Len() > 0 && time.Since(begin) < fifoPatience {
		t.Errorf("said: %s", &said)
	}
}

// TestDescriptors opens outputs by the number of a descriptor, of a pipe, a socket and a
// file, whose position goes on.
func TestDescriptors(t *testing.T) {
	inherited := func(fd int) string { // as from a shell
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			t.Fatal(err)
		}
		return "/dev/fd/" + strconv.Itoa(fd)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for _, x := range [][2]int{{pair[0], pair[1]}, {ends[0], ends[1]}} {
		f, err := openOutput(pcapFlag, inherited(x[1]), anyMode, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, "packets")
		f.Close()
		b := make([]byte, 20)
		if n, err := unix.Read(x[0], b); err != nil || string(b[:n]) != "packets" {
			t.Errorf("%q, %v", b[:max(n, 0)], err)
		}
	}
	if _, err := openOutput(pcapFlag, inherited(ends[0]), anyMode, io.Discard); err == nil || !strings.Contains(err.Error(), "open for reading only") {
		t.Errorf("the end of a pipe that is read: %v", err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	io.WriteString(file, "head ")
	name := strings.Replace(inherited(int(file.Fd())), "/dev/fd", "/proc/self/fd", 1)
	f, err := openOutput(pcapFlag, name, anyMode, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "packets")
	f.Close()
	if b, _ := os.ReadFile(file.Name()); string(b) != "head packets" {
		t.Errorf("%q", b)
	}
	own, err := os.Open("/dev/null") // one of this process's own: closed on exec
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := openOutput(pcapFlag, "/dev/fd/"+strconv.Itoa(int(own.Fd())), anyMode, io.Discard); err == nil || !strings.Contains(err.Error(), "no such descriptor is open") {
		t.Errorf("a descriptor of one's own: %v", err)
	}
	for _, fd := range []int{pair[0], pair[1], ends[0], ends[1]} {
		unix.Close(fd)
	}
}

// TestApart looks for recordings that would be mixed with what the program writes.
func TestApart(t *testing.T) {
	create := func(name string) *os.File {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	dir := t.TempDir()
	a, again, other, null := create(dir+"/a"), create(dir+"/a"), create(dir+"/b"), create("/dev/null")
	s := &conditions{recording: recording{pcap: fileValue{name: "-"}}}
	for _, c := range []struct {
		capture, stdout, stderr *os.File
		line                    string
	}{
		{a, other, other, ""},
		{null, null, null, ""},
		{a, again, other, "--pcap -: the program's stdout goes there, too; give the program another, such as --stdout /dev/stderr or --stdout FILE, or record to a file"},
		{a, other, again, "--pcap -: the program's stderr goes there, too; send that elsewhere (2>FILE), or record to a file"},
	} {
		got := ""
		if err := apart(c.capture, c.stdout, c.stderr, s); err != nil {
			got = err.Error()
		}
		if got != c.line {
			t.Errorf("%s\nwant %s", got, c.line)
		}
	}
}

// TestFlowLogApart has the recording and the log of flows go to one file, by two names.
func TestFlowLogApart(t *testing.T) {
	dir := t.TempDir()
	recording, err := os.Create(dir + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer recording.Close()
	if err := os.Link(dir+"/a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	l := flowLog{path: dir + "/b"}
	if err := l.open(recording); err == nil || err.Error() != "--log-flows "+dir+"/b: the recording goes there, too; name another file" {
		t.Errorf("%v", err)
	}
	l.path = dir + "/c"
	if err := l.open(recording); err != nil {
		t.Error(err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

func TestIsStdout(t *testing.T) {
	for name, want := range map[string]bool{
		"-": true, "/dev/stdout": true, "/dev/fd/1": true, "/proc/self/fd/1": true, "/dev//fd/1": true,
		"/dev/stderr": false, "/dev/fd/2": false, "./-": false, "x": false, "/dev/fd/x": false, "/dev/fd/-1": false,
	} {
		if isStdout(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

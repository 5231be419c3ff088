package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// A capture and the program's output may go to any file, to a FIFO, and to a descriptor
// that this process was given, by its number:
//
//	-  /dev/stdout  /dev/fd/N  /proc/self/fd/N
//
// A descriptor is duplicated and not opened anew: it may be a socket, and a file's
// position is shared with whoever else has it. It is never 1 or 2, so that a reader who has
// gone is an error and no SIGPIPE (package os/signal).

// descriptor returns the number of the descriptor that the name stands for.
func descriptor(name string) (int, bool) {
	if name == "-" {
		return 1, true // ./- is a file
	}
	switch name = filepath.Clean(name); name {
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	case "/dev/stdin":
		return 0, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if text, ok := strings.CutPrefix(name, dir); ok {
			n, err := strconv.ParseUint(text, 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}

// isStdout reports whether the name stands for stdout.
func isStdout(name string) bool {
	n, ok := descriptor(name)
	return ok && n == 1
}

// fifoPatience is how long a FIFO's reader may take before it is told that it is waited
// for.
const fifoPatience = 300 * time.Millisecond

// fifoReader is a program that reads what a flag's FIFO is given.
func fifoReader(flag string) string {
	if isRecording(flag) {
		return "tshark -i"
	}
	return "cat"
}

// openOutput opens what a flag names for writing; a file that is not there gets the mode, less the umask. A FIFO without
// reader is waited for, which says, after a moment.
func openOutput(flag, name string, mode fs.FileMode, say io.Writer) (*os.File, error) {
	bad := func(err error, what string) error {
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return fmt.Errorf("%s %s: %w; %s", flag, name, err, what)
	}
	if n, ok := descriptor(name); ok {
		f, err := duplicate(n, name)
		if err != nil {
			return nil, bad(err, "name a file that you can write, or a descriptor that is open for writing")
		}
		if term.IsTerminal(int(f.Fd())) && isRecording(flag) {
			f.Close()
			return nil, fmt.Errorf("%s %s: a recording is not for a terminal; pipe it into a reader, such as tshark -r -, or name a file", flag, name)
		}
		return f, nil
	}
	if st, err := os.Stat(name); err == nil && st.Mode()&fs.ModeNamedPipe != 0 {
		note := time.AfterFunc(fifoPatience, func() {
			tell(say, fmt.Sprintf("%s %s: waiting for who reads this FIFO, such as %s %s; Ctrl-C gives up", flag, name, fifoReader(flag), name))
		})
		defer note.Stop()
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, bad(err, "make the folder first, or name a file that you can write")
	case errors.Is(err, syscall.ENXIO):
		return nil, bad(err, "this is a socket, which cannot be opened; name a file, a FIFO or a descriptor")
	}
	return nil, bad(err, "name a file that you can write")
}

// anyMode is the mode of files that are for whom the umask lets.
const anyMode = 0o666

const (
	pcapFlag   = "--pcap"
	writeFlag  = "--write"
	stdoutFlag = "--stdout"
)

// isRecording reports whether a flag names a recording.
func isRecording(flag string) bool { return flag == pcapFlag || flag == writeFlag }

// apart looks whether the capture has its file for itself: stdout and stderr are the
// program's.
func apart(capture, stdout, stderr *os.File, s *conditions) error {
	for _, x := range []struct {
		f       *os.File
		name    string
		instead string
	}{
		{stdout, "stdout", "give the program another, such as --stdout /dev/stderr or --stdout FILE, or record to a file"},
		{stderr, "stderr", "send that elsewhere (2>FILE), or record to a file"},
	} {
		if same(capture, x.f) {
			return fmt.Errorf("%s %s: the program's %s goes there, too; %s", pcapFlag, s.pcap.name, x.name, x.instead)
		}
	}
	return nil
}

// same reports whether two files are one, into which the bytes of both would go.
func same(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	if errX != nil || errY != nil || x.Mode()&fs.ModeCharDevice != 0 && !term.IsTerminal(int(a.Fd())) {
		return false // a device such as /dev/null mixes nothing up
	}
	return os.SameFile(x, y)
}

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Programs log the secrets of their TLS connections to the file that this variable names (draft-ietf-tls-keylogfile);
// Node does so by an option of its own.
const (
	keyLogVariable = "SSLKEYLOGFILE"
	nodeVariable   = "NODE_OPTIONS"
)

// Bounds of what is read of a log: at once, and of a line.
const (
	maxKeys    = 1 << 20
	maxKeyLine = 4096
)

// keyLog is the file to which programs log secrets.
type keyLog struct {
	path string
	dir  *os.File // made for it, and locked; nil: the user's environment named it
	f    *os.File // nil: it is not there yet
	rest []byte   // a line that has not ended
}

// keyDir is how the names of folders begin that are made for logs.
const keyDir = "usock-tls-"

// keyDirTries is how often one is made.
const keyDirTries = 8

// openKeyLog makes a log that only this user can read, or takes the one that the environment names, from its end on.
func openKeyLog(env []string) (*keyLog, error) {
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, keyLogVariable+"="); ok && path != "" {
			l := &keyLog{path: path}
			if l.follow() {
				_, err := l.f.Seek(0, io.SeekEnd)
				return l, err
			}
			return l, nil
		}
	}
	removeKeyDirs()
	dir, err := makeKeyDir()
	if err != nil {
		return nil, err
	}
	l := &keyLog{path: filepath.Join(dir.Name(), "keys"), dir: dir}
	if l.f, err = os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// makeKeyDir makes a folder and locks it. Another usock may find it in between, and take it for one that was left behind.
func makeKeyDir() (*os.File, error) {
	for range keyDirTries {
		name, err := os.MkdirTemp("", keyDir)
		if err != nil {
			return nil, err
		}
		dir, err := os.Open(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, errors.Join(err, os.Remove(name))
		}
		locked := lock(dir)
		if _, err := os.Lstat(name); err == nil && locked {
			return dir, nil
		}
		dir.Close()
	}
	return nil, errors.New("folders for the log of secrets are removed as soon as they are made")
}

// removeKeyDirs removes the folders of runs that were killed, with the secrets in them: nobody has those locked.
func removeKeyDirs() {
	list, _ := os.ReadDir(os.TempDir())
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), keyDir) || !e.IsDir() {
			continue
		}
		name := filepath.Join(os.TempDir(), e.Name())
		dir, err := os.Open(name)
		if err != nil {
			continue // another user's
		}
		if owns(dir) && lock(dir) {
			os.RemoveAll(name)
		}
		dir.Close()
	}
}

// follow has f be the file that has the log's name now, as programs may put another in its place, or begin it anew. It reports
// whether there is something to read from its beginning.
func (l *keyLog) follow() bool {
	now, err := os.Stat(l.path)
	if err != nil || !now.Mode().IsRegular() {
		return false
	}
	if l.f != nil {
		if was, err := l.f.Stat(); err == nil && os.SameFile(was, now) {
			if at, err := l.f.Seek(0, io.SeekCurrent); err != nil || at <= was.Size() {
				return false
			}
			_, err := l.f.Seek(0, io.SeekStart)
			l.rest = nil
			return err == nil
		}
	}
	f, err := os.OpenFile(l.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // by now it may be a FIFO
	if err != nil {
		return false
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return false
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.rest = f, nil
	return true
}

// news returns the whole lines that have come. What cannot be read is not there.
func (l *keyLog) news() []byte {
	lines := l.read()
	if l.follow() {
		lines = append(lines, l.read()...)
	}
	return lines
}

// read reads on in the file.
func (l *keyLog) read() (lines []byte) {
	if l.f == nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(l.f, maxKeys))
	all := append(l.rest, b...)
	n := bytes.LastIndexByte(all, '\n') + 1
	if l.rest = bytes.Clone(all[n:]); len(l.rest) > maxKeyLine {
		l.rest = nil // no line of a log is as long
	}
	for line := range bytes.Lines(all[:n]) {
		if len(line) <= maxKeyLine && !bytes.ContainsFunc(line[:len(line)-1], notInKeys) {
			lines = append(lines, line...)
		}
	}
	return lines
}

// notInKeys reports whether a line of a log cannot have c: it is of words in ASCII.
func notInKeys(c rune) bool { return (c < ' ' || c > '~') && c != '\r' }

// environ returns an environment by which programs log their secrets.
func (l *keyLog) environ(env []string) []string {
	node := `--tls-keylog="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(l.path) + `"`
	var out []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case keyLogVariable:
			continue
		case nodeVariable:
			node = value + " " + node
			continue
		}
		out = append(out, e)
	}
	return append(out, keyLogVariable+"="+l.path, nodeVariable+"="+node)
}

// close removes the file if it was made here.
func (l *keyLog) close() {
	if l == nil {
		return
	}
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	if l.dir != nil {
		os.RemoveAll(l.dir.Name())
		l.dir.Close()
		l.dir = nil
	}
}

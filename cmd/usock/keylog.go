package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
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
	dir  string   // made for it; "": the user's environment named it
	f    *os.File // nil: it is not there yet
	rest []byte   // a line that has not ended
}

// openKeyLog makes a log that only this user can read, or takes the one that the environment names, from its end on.
func openKeyLog(env []string) (*keyLog, error) {
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, keyLogVariable+"="); ok && path != "" {
			l := &keyLog{path: path}
			if l.open() {
				_, err := l.f.Seek(0, io.SeekEnd)
				return l, err
			}
			return l, nil
		}
	}
	dir, err := os.MkdirTemp("", "usock-tls-")
	if err != nil {
		return nil, err
	}
	l := &keyLog{path: filepath.Join(dir, "keys"), dir: dir}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	l.f = f
	return l, nil
}

// open opens the file, and reports whether it is there.
func (l *keyLog) open() bool {
	if l.f == nil {
		if st, err := os.Stat(l.path); err == nil && st.Mode().IsRegular() {
			l.f, _ = os.Open(l.path)
		}
	}
	return l.f != nil
}

// news returns the whole lines that have come. What cannot be read is not there.
func (l *keyLog) news() []byte {
	if !l.open() {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(l.f, maxKeys))
	all := append(l.rest, b...)
	n := bytes.LastIndexByte(all, '\n') + 1
	if l.rest = bytes.Clone(all[n:]); len(l.rest) > maxKeyLine {
		l.rest = nil // no line of a log is as long
	}
	return all[:n]
}

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
	if l.dir != "" {
		os.RemoveAll(l.dir)
	}
}

//go:build !linux || !(amd64 || arm64)

package run

import (
	"errors"
	"io"
	"os"
	"runtime"

	"usock"
)

// Run fails: it needs Linux's seccomp notifications.
func Run(Options) (Status, error) {
	_, err := Prepare(nil)
	return Status{}, err
}

// Prepared is nothing.
type Prepared struct{}

// Prepare fails as Run does.
func Prepare([]string) (*Prepared, error) {
	return nil, errors.New("running programs needs Linux on amd64 or arm64, and this is " + runtime.GOOS + " on " + runtime.GOARCH)
}

// Stop does nothing.
func (*Prepared) Stop() {}

// Caller would be the program's thread that calls: there is none.
type Caller struct{}

// Capable reports that nobody has a capability.
func (*Caller) Capable(int) bool { return false }

// Ends would tell of the programs' ends of sockets: there are none.
type Ends struct{}

// List returns what tells nothing.
func (*Ends) List() func(list []usock.SocketInfo, inodes []uint32) {
	return func([]usock.SocketInfo, []uint32) {}
}

// ProgramName returns no name: nothing runs.
func ProgramName(int32) string { return "?" }

// Exit ends this process with the program's exit status.
func Exit(st Status) { os.Exit(st.Code) }

// Guard returns at once: there is nothing to guard.
func Guard(io.Reader, io.Writer) {}

//go:build !linux

package control

import (
	"errors"
	"net"
)

// Dir would be a directory of control sockets: they are there on Linux only, whose kernel says
// who connects.
type Dir struct{}

var (
	errSystem = errors.New("control sockets need Linux")
	errEnded  = errors.New("that run has ended")
)

const connectTime = 0

// Paths is empty.
func Paths() []string { return nil }

// Dirs is empty.
func Dirs() []*Dir { return nil }

// MakeDir fails.
func MakeDir() (*Dir, error) { return nil, errSystem }

// Close does nothing.
func (*Dir) Close() {}

// Path is empty.
func (*Dir) Path() string { return "" }

// IDs fails.
func (*Dir) IDs() ([]string, error) { return nil, errSystem }

// Listen fails.
func (*Dir) Listen() (*net.UnixListener, string, error) { return nil, "", errSystem }

// Remove does nothing.
func (*Dir) Remove(string) {}

func (*Dir) connect(string) (*net.UnixConn, error) { return nil, errSystem }

// Judge refuses everybody.
func Judge(*net.UnixConn) *Error { return &Error{Refused, errSystem.Error()} }

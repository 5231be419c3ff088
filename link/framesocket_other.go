//go:build !linux

package link

import (
	"fmt"
	"runtime"
)

// FrameListener waits for those who want to exchange Ethernet frames by a socket. There is none
// on this system.
type FrameListener struct{}

// ListenFrames listens at a path of the file system. It fails on this system.
func ListenFrames(string, FrameSocketConfig) (*FrameListener, error) { return nil, errNoFrameSocket() }

// DialFrames connects to a listener for Ethernet frames. It fails on this system.
func DialFrames(string, FrameSocketConfig) (Link, error) { return nil, errNoFrameSocket() }

// Accept returns ErrClosed.
func (*FrameListener) Accept() (Link, error) { return nil, ErrClosed }

// Close does nothing.
func (*FrameListener) Close() error { return nil }

func errNoFrameSocket() error {
	return fmt.Errorf("sockets that carry frames are made on Linux only, and this is %s", runtime.GOOS)
}

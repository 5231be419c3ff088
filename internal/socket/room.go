package socket

import "runtime"

// room has the goroutine's stack grow to what a call that sends, receives or closes takes, unless it is as large. It would grow
// all the same, further down, where the runtime has twenty more frames to look through and to move; a server does that for each
// connection, on a goroutine that begins with 2 KiB.
//
// A stack grows for the whole frame of a function that is called, whatever this does then: nothing is, as used is false.
// The frame is larger than what is left of a stack of half the size, and with what the runtime keeps free (some 900 bytes) and the
// frames above it fits into the size that is meant: 4 KiB.
//
//go:noinline
func room(used bool) {
	if used {
		var frame [1280]byte
		runtime.KeepAlive(&frame)
	}
}

// roomToConnect is room for a call that connects, whose handshake is carried by the same goroutine: 8 KiB.
//
//go:noinline
func roomToConnect(used bool) {
	if used {
		var frame [3072]byte
		runtime.KeepAlive(&frame)
	}
}

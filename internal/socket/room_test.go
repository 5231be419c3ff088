package socket

import (
	"testing"
	"unsafe"
)

// The stack of a goroutine that begins is moved to a larger one by room, and no more by what room is for.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		room func(bool)
		used func() byte
	}{
		{"a call", room, func() byte { return spend[[1000]byte](1) }},
		{"a connect", roomToConnect, func() byte { return spend[[2500]byte](1) }},
	} {
		moved := make(chan [2]bool)
		go func() {
			var here byte
			at := func() uintptr { return uintptr(unsafe.Pointer(&here)) }
			before := at()
			c.room(false)
			after := at()
			here = c.used()
			moved <- [2]bool{before != after, after != at()}
		}()
		if got := <-moved; got != [2]bool{true, false} {
			t.Errorf("%s: the stack moves: %v, and %v after it", c.name, got[0], got[1])
		}
	}
}

// spend takes a frame that has a T.
//
//go:noinline
func spend[T [1000]byte | [2500]byte](n int) byte {
	var b T
	return *(*byte)(unsafe.Add(unsafe.Pointer(&b), n))
}

package socket

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

// The stack of a goroutine that begins is moved to a larger one by room, and no more by what room is for. It is looked at where
// goroutines begin with 2 KiB, whatever those before them have had.
func TestRoom(t *testing.T) {
	const small = "adaptivestackstart=0"
	if !strings.Contains(os.Getenv("GODEBUG"), small) {
		c := exec.Command(os.Args[0], "-test.run=^TestRoom$", "-test.v")
		c.Env = append(os.Environ(), "GODEBUG="+small)
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestRoom") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
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

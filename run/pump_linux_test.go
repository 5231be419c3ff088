//go:build linux && (amd64 || arm64)

package run

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestWideBuffers fills a connection in one direction and the other: the program's end and the
// far end get larger buffers, those of small transfers stay as they are, and nothing is lost.
func TestWideBuffers(t *testing.T) {
	p := newPlayer(t)
	buffer := func(fd int) int {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c, s := p.pair()
	small := buffer(c)
	p.says(c, s, "little")
	if n := buffer(c); n != small {
		t.Errorf("after a small transfer the program's buffer is %d, before it was %d", n, small)
	}
	sent := p.fill(c)
	if n := buffer(c); n < 2*small {
		t.Errorf("the buffer of a program that has filled it is %d, before it was %d", n, small)
	}
	if n := buffer(p.sock(s).far.fd); n < 2*small {
		t.Errorf("the buffer of a far end that was full is %d, before it was %d", n, small)
	}
	if b, e := p.readAll(s, sent); len(b) != sent || e != 0 {
		t.Errorf("%d of %d bytes arrived: %v", len(b), sent, e)
	}
	if n := buffer(s); n != small {
		t.Errorf("the buffer of a program that sends nothing is %d, before it was %d", n, small)
	}
}

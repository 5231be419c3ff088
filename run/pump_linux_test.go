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

// TestSmallWrites has a program whose calls wait send byte after byte, of which nobody receives any: as many as its buffer has
// room for at once, then more. A byte has a buffer of the kernel's of its own there, and those that stay where they are while
// the program waits for an answer leave no room for others.
func TestSmallWrites(t *testing.T) {
	p := newPlayer(t)
	c, s := p.pair()
	sent := 0
	for range 5 {
		for full := false; !full; {
			_, err := unix.SendmsgN(c, []byte{byte(sent)}, nil, nil, unix.MSG_DONTWAIT)
			if full = err == unix.EAGAIN; !full {
				p.must(errno(err))
				sent++
			}
		}
		p.until("there is room again", func() bool { return pollNow(c, unix.POLLOUT)&unix.POLLOUT != 0 })
	}
	b, e := p.readAll(s, sent)
	if len(b) != sent || e != 0 {
		t.Fatalf("%d of %d bytes arrived: %v", len(b), sent, e)
	}
	for i, x := range b {
		if x != byte(i) {
			t.Fatalf("byte %d is %d", i, x)
		}
	}
}

//go:build linux && (amd64 || arm64)

package run

import (
	"testing"

	"golang.org/x/sys/unix"
)

// socketOf makes a socket of SCTP's, and returns its number.
func (p *player) socketOf(typ int) int {
	p.t.Helper()
	c := p.call("socket", unix.AF_INET, uint64(typ), unix.IPPROTO_SCTP)
	p.must(c.err)
	return int(c.val)
}

// TestMarked gives SCTP's sockets the first numbers of the range that are free, and the kernel's own choice where
// there is none, or where another could get the number.
func TestMarked(t *testing.T) {
	p := newPlayer(t)
	a, b := p.socketOf(unix.SOCK_STREAM), p.socketOf(unix.SOCK_SEQPACKET)
	if a != firstMarked || b != firstMarked+1 {
		t.Errorf("they are %d and %d", a, b)
	}
	p.close(a)
	if c := p.socketOf(unix.SOCK_STREAM); c != a {
		t.Errorf("the number that was closed is not used again, but %d", c)
	}
	near := firstMarked - 2
	if err := unix.Dup3(b, near, 0); err != nil {
		t.Fatal(err)
	}
	if c := p.socketOf(unix.SOCK_STREAM); isMarked(c) {
		t.Errorf("it is %d, though a file is as far as %d", c, near)
	}
	p.fds[near] = true
	p.close(near)
	for n := firstMarked; n < firstMarked+markedRange; n++ {
		if !p.fds[n] {
			if err := unix.Dup3(b, n, 0); err != nil {
				t.Fatal(err)
			}
			p.fds[n] = true
		}
	}
	if c := p.socketOf(unix.SOCK_STREAM); isMarked(c) {
		t.Errorf("it is %d of a range that is full", c)
	}
}

//go:build amd64 || arm64

package run

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"usock"
)

// untraceable has all looks at descriptors and memory fail until the test ends.
func untraceable(t *testing.T) {
	last := fault
	fault = func(o op) syscall.Errno {
		if o == opGetFD || o == opMemory {
			return unix.EPERM
		}
		return last(o)
	}
	t.Cleanup(func() { fault = last })
}

// Where the supervisor cannot look at a descriptor, what it has not given is the
// kernel's, and so is a number that it has given once, and the program has used again.
func TestUntraced(t *testing.T) {
	for _, typ := range []int{usock.SOCK_STREAM, usock.SOCK_DGRAM} {
		p := newPlayer(t)
		fd, e := p.socket(typ)
		p.must(e)
		untraceable(t)
		p.wants(p.bind(fd, 0), unix.EPERM)
		if !p.call("ioctl", uint64(fd), unix.SIOCGIFINDEX, 0).byKernel {
			t.Error("a question about interfaces is not the kernel's")
		}
		if c := p.call("ioctl", uint64(fd), unix.SIOCOUTQ, 0); c.byKernel || c.err != unix.EPERM {
			t.Errorf("SIOCOUTQ: by the kernel %t, %v", c.byKernel, c.err)
		}
		own, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(own)
		if !p.call("listen", uint64(own), 1).byKernel {
			t.Error("a call on a socket of the kernel's is not carried out by it")
		}
		if err := unix.Dup3(own, fd, unix.O_CLOEXEC); err != nil { // it closes the other
			t.Fatal(err)
		}
		if !p.call("listen", uint64(fd), 1).byKernel {
			t.Error("a number that was used again stands for the first socket")
		}
	}
}

// Landlock's rules that cannot be read are the kernel's to judge where there is no room for
// the network's among them.
func TestUntracedLandlock(t *testing.T) {
	p := newPlayer(t)
	untraceable(t)
	at := uint64(0x1000)
	if !p.call("landlock_create_ruleset", at, landlockSize, 0).byKernel {
		t.Error("rules for files alone are not the kernel's")
	}
	if c := p.call("landlock_create_ruleset", at, landlockSize+8, 0); c.byKernel || c.err != unix.EPERM {
		t.Errorf("rules with room for the network's: by the kernel %t, %v", c.byKernel, c.err)
	}
}

// A process that has not executed a program has the descriptors of the one that it was
// forked from.
func TestLineage(t *testing.T) {
	const gone = 1 << 30 // no process has this number
	for _, x := range []struct {
		line lineage
		pid  int32
		want bool
	}{
		{lineage{7}, 7, true},
		{lineage{7}, 1, false},
		{lineage{7}, gone, false},
		{lineage{7, 5}, 5, true},
		{lineage{7, 5}, 1, false},
		{lineage{7, 5}, gone, true},
	} {
		if got := x.line.has(x.pid); got != x.want {
			t.Errorf("%v has %d: %t", x.line, x.pid, got)
		}
	}
}

//go:build linux && (amd64 || arm64)

package run

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// receiving is a recvmsg of the player's, with room for control messages.
type receiving struct {
	fd, flags     int
	head, control []byte
}

// receives prepares a receive of n bytes on fd.
func (p *player) receives(fd, n, flags int) *receiving {
	r := &receiving{fd, flags, p.alloc(msghdrSize), p.alloc(200)}
	iov := p.alloc(iovecSize)
	binary.NativeEndian.PutUint64(iov, at(p.alloc(n)))
	binary.NativeEndian.PutUint64(iov[8:], uint64(n))
	binary.NativeEndian.PutUint64(r.head[16:], at(iov))
	binary.NativeEndian.PutUint64(r.head[24:], 1)
	binary.NativeEndian.PutUint64(r.head[32:], at(r.control))
	binary.NativeEndian.PutUint64(r.head[offControlLen:], uint64(len(r.control)))
	return r
}

func (p *player) startReceive(r *receiving) *played {
	return p.start("recvmsg", uint64(r.fd), at(r.head), uint64(r.flags))
}

// came returns the descriptors that have come, whose closing is the test's, and the message's flags.
func (r *receiving) came(t *testing.T) (fds []int, flags int) {
	t.Helper()
	n := binary.NativeEndian.Uint64(r.head[offControlLen:])
	list, err := unix.ParseSocketControlMessage(r.control[:n])
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		some, err := unix.ParseUnixRights(&list[i])
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, some...)
	}
	return fds, int(binary.NativeEndian.Uint32(r.head[offMsgFlags:]))
}

// open returns how many descriptors this process has.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestPassed has SCTP's sockets come in messages, to a call that waits for them and to one that finds them, with each step of the
// supervisor's failing, or no room for them: then nothing is left open, and a message is received or stays where it is.
func TestPassed(t *testing.T) {
	p := newPlayer(t)
	sctp := p.socketOf(unix.SOCK_STREAM)
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	pass := func() {
		if err := unix.Sendmsg(ends[0], []byte("text"), unix.UnixRights(sctp, ends[0]), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	take := func(c *played, r *receiving) {
		t.Helper()
		if p.end(c); c.err != 0 || c.val != 4 || c.byKernel {
			t.Fatalf("%d, %v, the kernel's: %v", c.val, c.err, c.byKernel)
		}
		fds, flags := r.came(t)
		if len(fds) != 2 || !isMarked(fds[0]) || isMarked(fds[1]) || flags != 0 {
			t.Errorf("descriptors %v, flags %#x", fds, flags)
		}
		for _, fd := range fds {
			p.close(fd)
		}
	}
	r := p.receives(ends[1], 100, 0)
	c := p.startReceive(r)
	if !p.blocked(c) {
		t.Fatalf("with nothing there it is %d, %v", c.val, c.err)
	}
	before := open(t)
	pass()
	take(c, r)
	if n := open(t); n != before-1 { // the call's
		t.Errorf("%d descriptors are open, want %d", n, before-1)
	}
	c = p.startReceive(p.receives(ends[1], 100, 0))
	if !p.blocked(c) {
		t.Fatalf("with nothing there it is %d, %v", c.val, c.err)
	}
	limit := p.l.space.limit
	p.l.space.limit = p.l.space.used // none is left for what comes
	pass()
	p.end(c)
	p.l.space.limit = limit
	if n, _, _, _, err := unix.Recvmsg(ends[1], make([]byte, 100), nil, unix.MSG_DONTWAIT); !c.byKernel || n != 4 {
		t.Errorf("without room it is %d, %v, the kernel's: %v, and %d bytes are left: %v", c.val, c.err, c.byKernel, n, err)
	}
	last := fault
	defer func() { fault = last }()
	for _, o := range []op{opRecv, opMemory, opAddFD, opEpollCtl, opGetFD} {
		for _, nth := range []int{1, 2, 3, 4} {
			fault = last
			pass()
			before, left := open(t), nth
			fault = func(did op) syscall.Errno {
				if did == o {
					left--
				}
				if left == 0 && did == o {
					return unix.EMFILE
				}
				return 0
			}
			r := p.receives(ends[1], 100, unix.MSG_DONTWAIT)
			c := p.startReceive(r)
			p.end(c)
			fault = last
			if c.err == 0 && !c.byKernel {
				fds, _ := r.came(t)
				for _, fd := range fds {
					p.close(fd)
				}
			}
			p.idle()
			if n := open(t); n > before {
				t.Errorf("op %d fails the %d. time: %v, %d descriptors are open, want %d", o, nth, c.err, n, before)
			}
			unix.Recvmsg(ends[1], make([]byte, 100), make([]byte, 0), unix.MSG_DONTWAIT) // if it is there
		}
	}
}

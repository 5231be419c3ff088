//go:build amd64 || arm64

package run

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// transfer moves bytes between p and the spans of the thread's memory, which
// together are at least as long as p. It moves all of p or fails with EFAULT.
//
// A page may be served as late as a program likes: the call is away meanwhile, and
// p must be the caller's own.
func (c *call) transfer(write bool, p []byte, spans []span) (e syscall.Errno) {
	if len(p) == 0 {
		return 0
	}
	if e := failing(opMemory); e != 0 {
		return c.l.lack(c.row, e)
	}
	t := c.t
	if gone := c.away(func() { e = t.transfer(write, p, spans) }); gone != 0 {
		return gone
	}
	return c.l.lack(c.row, e)
}

func (t *task) transfer(write bool, p []byte, spans []span) syscall.Errno {
	local := unix.Iovec{Base: unsafe.SliceData(p)}
	local.SetLen(len(p))
	nr := uintptr(unix.SYS_PROCESS_VM_READV)
	if write {
		nr = unix.SYS_PROCESS_VM_WRITEV
	}
	// struct iovec of the remote side has a span's layout.
	n, _, e := unix.Syscall6(nr, uintptr(t.tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(unsafe.SliceData(spans))), uintptr(len(spans)), 0)
	switch {
	case e == unix.EPERM || e == unix.ENOSYS:
		return t.transferFile(write, p, spans)
	case e != 0:
		return e
	case int(n) != len(p):
		return syscall.EFAULT
	}
	return 0
}

// transferFile is transfer where a container's profile denies the call and allows the
// file. The file is opened anew each time: it stays that of the program that ran when
// it was opened, and the thread may have executed another one since.
func (t *task) transferFile(write bool, p []byte, spans []span) syscall.Errno {
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(t.tid)+"/mem", flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return unix.EPERM
	}
	defer sysClose(fd)
	for _, s := range spans {
		part := p[:min(uint64(len(p)), s.size)]
		if len(part) == 0 {
			continue
		}
		nr := uintptr(unix.SYS_PREAD64)
		if write {
			nr = unix.SYS_PWRITE64
		}
		n, _, e := unix.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&part[0])), uintptr(len(part)), uintptr(s.addr), 0, 0)
		if e != 0 || int(n) != len(part) {
			return syscall.EFAULT
		}
		p = p[len(part):]
	}
	if len(p) > 0 {
		return syscall.EFAULT
	}
	return 0
}

// errGone is the error of a call that nobody waits for any more.
const errGone = syscall.ESTALE

// read fills p from the thread's memory at addr.
func (c *call) read(addr uint64, p []byte) syscall.Errno {
	one := [1]span{{addr, uint64(len(p))}}
	return c.transfer(false, p, one[:])
}

// write stores p at addr, if the call still waits.
func (c *call) write(addr uint64, p []byte) syscall.Errno {
	one := [1]span{{addr, uint64(len(p))}}
	return c.writev(p, one[:])
}

func (c *call) writev(p []byte, spans []span) syscall.Errno {
	if len(p) == 0 {
		return 0
	}
	if !c.l.notify.valid(c.n.id) {
		return errGone
	}
	return c.transfer(true, p, spans)
}

// writable fails with EFAULT if one of the first n bytes of the spans cannot be stored. It
// stores in each page what is there: what has been taken off a stream cannot be put back.
func (c *call) writable(spans []span, n int) syscall.Errno {
	var ones []span // a byte of each page
	for _, s := range spans {
		at, left := s.addr, min(s.size, uint64(n))
		n -= int(left)
		for left > 0 { // the last page of all ends where addresses begin again
			step := min(pageSize-at&(pageSize-1), left)
			ones = append(ones, span{at, 1})
			at, left = at+step, left-step
		}
	}
	for len(ones) > 0 {
		k := min(len(ones), maxIovec)
		if e := c.touch(ones[:k]); e != 0 {
			return e
		}
		ones = ones[k:]
	}
	return 0
}

// touch stores in single bytes what they hold.
func (c *call) touch(ones []span) syscall.Errno {
	b := make([]byte, len(ones))
	if e := c.transfer(false, b, ones); e != 0 {
		return e
	}
	return c.writev(b, ones)
}

const pageSize = 4096 // the smallest

// bytes reads n bytes at addr, or fewer than that if limit is less.
func (c *call) bytes(addr, n uint64, limit int) ([]byte, syscall.Errno) {
	p := make([]byte, min(n, uint64(limit)))
	return p, c.read(addr, p)
}

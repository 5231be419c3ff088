//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// namespace returns the identity of a thread's namespace of a kind.
func namespace(tid, kind string) (inode, bool) {
	var st unix.Stat_t
	if unix.Stat("/proc/"+tid+"/ns/"+kind, &st) != nil {
		return inode{}, false
	}
	return inode{uint64(st.Dev), st.Ino}, true
}

// elsewhere reports whether the calling thread is in a network namespace other than
// usock's, one that it has made or joined by itself: a socket that it makes there is
// the kernel's. Where that cannot be seen, it is the host's.
func (c *call) elsewhere() bool {
	t := c.t
	if t.here {
		return false
	}
	ns, ok := namespace(strconv.Itoa(t.tid), "net")
	if !ok || ns == c.l.netns {
		// A thread leaves by calls of its own only, which are trapped; but where it is not known
		// by a descriptor of its own, another one may come to have its number.
		t.here = ok && !t.leaves && t.alive == ""
		return false
	}
	return true
}

// callNamespace is unshare(flags) and setns(fd, nstype), with which a thread may come to
// another network namespace a moment later.
func callNamespace(c *call) result {
	c.t.here, c.t.leaves = false, true
	return result{how: byKernel}
}

// callSocketpair is socketpair(domain, type, protocol, fds). The Internet's families
// have no pairs, as the kernel says itself. Others do (TIPC), and their sockets reach a network.
func callSocketpair(c *call) result {
	domain := int32(c.n.data.args[0])
	if domain == unix.AF_INET || domain == unix.AF_INET6 || c.elsewhere() {
		return result{how: byKernel}
	}
	return c.refuseFamily()
}

// refuseFamily refuses a socket of a family that reaches the machine's network.
func (c *call) refuseFamily() result {
	if e := badSocket(int(int32(c.n.data.args[0])), int(int32(c.n.data.args[1]))); e != 0 {
		return c.fail(e)
	}
	return c.failErr(unix.EAFNOSUPPORT)
}

// typeLimit is one more than the highest type of a socket (SOCK_MAX in linux/net.h).
const typeLimit = 11

// badSocket judges what Linux does before it asks a family: the type's flags, the
// family's number and the type's (net/socket.c, __sys_socket and __sock_create).
func badSocket(domain, typ int) syscall.Errno {
	switch {
	case typ&^(usock.SOCK_TYPE_MASK|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0:
		return unix.EINVAL
	case domain < 0 || domain >= unix.AF_MAX:
		return unix.EAFNOSUPPORT
	case typ&usock.SOCK_TYPE_MASK >= typeLimit:
		return unix.EINVAL
	}
	return 0
}

// Of landlock_create_ruleset(2).
const (
	landlockVersion = 1         // LANDLOCK_CREATE_RULESET_VERSION
	landlockABI     = 3         // the last one without rules for the network
	landlockFS      = 1<<15 - 1 // its rights on files
	landlockSize    = 8         // of its struct landlock_ruleset_attr
	landlockMost    = pageSize  // of any
)

// kernelLandlock returns the ABI of the kernel's Landlock.
func kernelLandlock() (int64, syscall.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, landlockVersion)
	return int64(n), e
}

// oldLandlock reports whether the kernel has no rules for the network either.
func oldLandlock() bool {
	n, e := kernelLandlock()
	return e != 0 || n <= landlockABI
}

// callLandlock is landlock_create_ruleset(attr, size, flags). Landlock's rules for
// the network judge the kernel's sockets, and the program has none: rules that are
// taken and do nothing would leave it open where it thinks itself closed. So the program
// finds a kernel whose Landlock is of ABI 3, which has none of them and says so.
func callLandlock(c *call) result {
	args := &c.n.data.args
	attr, size, flags := args[0], args[1], uint32(args[2])
	switch {
	case flags == landlockVersion && attr == 0 && size == 0:
		n, e := kernelLandlock()
		if e != 0 {
			return c.fail(e)
		}
		return c.answer(min(n, landlockABI))
	case flags != 0 || size < landlockSize:
		return result{how: byKernel}
	case size > landlockMost:
		return c.fail(unix.E2BIG)
	}
	b, e := c.bytes(attr, size, landlockMost)
	if e == unix.EPERM && size == landlockSize {
		return result{how: byKernel} // it cannot be read, and has no room for the network's rights
	}
	if e != 0 {
		return c.fail(e)
	}
	for _, x := range b[landlockSize:] {
		if x != 0 {
			c.l.log.note(c.t, "landlock_create_ruleset: rules for the network are not supported: E2BIG", oldLandlock)
			return c.fail(unix.E2BIG) // copy_struct_from_user: what it does not know is set
		}
	}
	if binary.NativeEndian.Uint64(b)&^landlockFS != 0 {
		return c.fail(syscall.EINVAL)
	}
	return result{how: byKernel}
}

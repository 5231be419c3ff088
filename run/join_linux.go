//go:build amd64 || arm64

package run

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	mathrand "math/rand/v2"
	"syscall"

	"golang.org/x/sys/unix"
)

// How the two ends become a pair. An AF_UNIX stream is connected to a listener only,
// and what accept gives may be anybody's: a connection of an earlier attempt that
// failed half-way, or one that a stranger has made by way of the supervisor's
// descriptors in /proc. So the end that connects has a name of its own, which its peer
// tells, and no two ends are taken for a pair unless it does. Strangers are closed.

// name is the number of an abstract AF_UNIX name.
type name uint64

const nobody = ^name(0) // no end has this name

// naming gives names and reads them. The key keeps those of two runs apart. Names are
// there for everybody to see, so none says what the next will be: who could tell would take
// that before.
type naming struct {
	addr    [nameSize]byte // struct sockaddr_un with the name given last
	numbers *mathrand.ChaCha8
}

// "\0usock-", the key and the number, each as 16 hexadecimal digits.
const (
	nameKey  = 3 + len("usock-")
	nameNum  = nameKey + 16
	nameSize = nameNum + 16
)

func (n *naming) init() error {
	var key [8]byte
	var seed [32]byte
	for _, b := range [][]byte{key[:], seed[:]} {
		if _, err := rand.Read(b); err != nil {
			return err
		}
	}
	n.numbers = mathrand.NewChaCha8(seed)
	binary.NativeEndian.PutUint16(n.addr[:], unix.AF_UNIX)
	copy(n.addr[3:], "usock-")
	hex.Encode(n.addr[nameKey:], key[:])
	return nil
}

// give binds fd to a new name.
func (n *naming) give(fd int) (name, syscall.Errno) {
	next := name(n.numbers.Uint64()>>1 + 1) // never 0, nor nobody
	var num [8]byte
	binary.BigEndian.PutUint64(num[:], uint64(next))
	hex.Encode(n.addr[nameNum:], num[:])
	if e := sysBind(fd, n.addr[:]); e != 0 {
		return 0, e
	}
	return next, 0
}

// accept accepts a connection at fd and returns the name of the end that has connected; 0 for
// a stranger's.
func (n *naming) accept(fd, flags int) (int, name, syscall.Errno) {
	var b [nameSize + 1]byte
	got, raw, e := sysAccept(fd, flags, b[:])
	if e != 0 || len(raw) != nameSize || !bytes.Equal(raw[:nameNum], n.addr[:nameNum]) {
		return got, 0, e
	}
	var num [8]byte
	if _, err := hex.Decode(num[:], raw[nameNum:]); err != nil {
		return got, 0, 0
	}
	return got, name(binary.BigEndian.Uint64(num[:])), 0
}

// hidden is the listener that the program's ends are connected to. It has no path
// any more: an O_PATH descriptor leads to it.
type hidden struct {
	fd   int
	path int
}

func (h *hidden) open(dir *hiddenDir) (err error) {
	if h.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if h.path, err = dir.bind(h.fd); err != nil {
		return err
	}
	return unix.Listen(h.fd, hiddenBacklog)
}

const hiddenBacklog = 128

func (h *hidden) close() {
	sysClose(h.fd)
	sysClose(h.path)
	h.fd, h.path = -1, -1
}

// accept takes the connection of the end with the name, and closes those before it,
// which are nobody's.
func (h *hidden) accept(l *loop, want name) (int, syscall.Errno) {
	for {
		fd, from, e := l.naming.accept(h.fd, unix.SOCK_NONBLOCK)
		switch {
		case e == unix.EAGAIN:
			return -1, unix.ECONNABORTED // somebody has taken it
		case e == unix.EINTR:
			continue
		case e != 0:
			return -1, e
		}
		if from == want {
			return fd, 0
		}
		sysClose(fd)
	}
}

// shortest is the value of SO_SNDTIMEO and SO_RCVTIMEO with which a call waits no
// longer than a tick of the kernel.
var shortest = binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 0), 1)

// join connects the program's end, of which dup is a duplicate, and makes what
// accept gives the far end. A connect of a socket that blocks waits while the hidden
// listener's queue is full, with strangers: for a tick, and then they are closed.
func (s *sock) join(dup int, blocks bool) syscall.Errno {
	l := s.l
	if s.name == 0 {
		n, e := l.naming.give(dup)
		if e != 0 {
			return e
		}
		s.name = n
		s.touch()
	}
	if e := l.room(); e != 0 {
		return e // for the far end, before anything is done
	}
	if blocks {
		sysSetOpt(dup, unix.SOL_SOCKET, unix.SO_SNDTIMEO, shortest)
	}
	s.waits = blocks
	e := connectHidden(dup, l.hidden.path)
	if e == unix.EAGAIN {
		l.hidden.accept(l, nobody) // closes all that is there
		e = connectHidden(dup, l.hidden.path)
	}
	if blocks {
		sysSetOpt(dup, unix.SOL_SOCKET, unix.SO_SNDTIMEO, s.nativeValue(unix.SO_SNDTIMEO))
	}
	if e == unix.EAGAIN {
		e = unix.ENOBUFS
	}
	if e != 0 {
		return e
	}
	fd, e := l.hidden.accept(l, s.name)
	if e == 0 {
		if e = s.setFar(fd); e != 0 {
			sysClose(fd)
		}
	}
	if e != 0 {
		s.spoiled() // what is left in the queue is nobody's
		return e
	}
	s.hush(false)
	return 0
}

// fill makes the joined program's end not writable, as a connecting socket is.
func (s *sock) fill(dup int) {
	sysSetInt(dup, unix.SO_SNDBUF, 1)
	var junk [2048]byte
	for {
		n, e := sysSend(dup, junk[:])
		if e != 0 {
			return
		}
		s.filler += n
	}
}

// unfill takes the filler out again, and pumps.
func (s *sock) unfill() {
	s.reach(func(dup int) {
		if dup >= 0 {
			sysSetInt(dup, unix.SO_SNDBUF, defaultSndBuf)
		}
		for s.filler > 0 && s.far.fd >= 0 {
			n, e := sysRecv(s.far.fd, s.l.control[:min(s.filler, len(s.l.control))], 0)
			if e != 0 || n == 0 {
				break
			}
			s.filler -= n
		}
		s.pump()
		s.wakeAll()
	})
}

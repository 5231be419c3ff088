package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/offload"
	"usock/packet"
)

// FrameListener waits for those who want to exchange Ethernet frames by a socket of
// AF_UNIX and SOCK_SEQPACKET, each record of which is one frame: the network cards of
// virtual machines (transport bess of User-mode Linux), and DialFrames. Its methods may be
// called by any goroutine.
type FrameListener struct {
	listener *net.UnixListener
	config   FrameSocketConfig
}

// ListenFrames listens at a path of the file system. A socket that is left there by a
// listener that has died is replaced; EADDRINUSE if somebody listens, or if there is
// something else. The links of those who connect are as c says, each with an address of its own if
// that is zero. It does not block.
func ListenFrames(path string, c FrameSocketConfig) (*FrameListener, error) {
	if _, err := c.info(); err != nil {
		return nil, err
	}
	addr := &net.UnixAddr{Name: path, Net: seqpacket}
	l, err := net.ListenUnix(seqpacket, addr)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		// Whoever else finds it abandoned at the same time listens now, or is about to and fails.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("a socket that nobody listens at any more: %w", err)
		}
		l, err = net.ListenUnix(seqpacket, addr)
	}
	if err != nil {
		return nil, err
	}
	return &FrameListener{l, c}, nil
}

// seqpacket is package net's name for AF_UNIX and SOCK_SEQPACKET.
const seqpacket = "unixpacket"

// abandoned reports whether the path is a socket that refuses connections.
func abandoned(path string) bool {
	if i, err := os.Lstat(path); err != nil || i.Mode()&fs.ModeSocket == 0 {
		return false
	}
	c, err := net.Dial(seqpacket, path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Accept waits for somebody to connect and returns the link to them. After Close it
// returns ErrClosed.
func (l *FrameListener) Accept() (Link, error) {
	c, err := l.listener.AcceptUnix()
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			err = ErrClosed
		}
		return nil, err
	}
	return newFrameSocket(c, l.config)
}

// Close ends the listener and removes its path. The links that Accept has returned go on.
func (l *FrameListener) Close() error { return l.listener.Close() }

// DialFrames connects to a listener for Ethernet frames at a path of the file system, be
// it a FrameListener, and returns the link to it. It does not block. Errors are those of
// connect(2): ENOENT, ECONNREFUSED if nobody listens, EAGAIN if the listener's queue is full.
func DialFrames(path string, c FrameSocketConfig) (Link, error) {
	if _, err := c.info(); err != nil {
		return nil, err
	}
	s, err := net.DialUnix(seqpacket, nil, &net.UnixAddr{Name: path, Net: seqpacket})
	if err != nil {
		return nil, err
	}
	return newFrameSocket(s, c)
}

// frameSocket is a link over a connected socket. Receiving waits in the runtime's poller; what
// the socket has no room for at once is dropped, as by a network card.
type frameSocket struct {
	conn   *net.UnixConn
	raw    syscall.RawConn
	info   Info
	closed atomic.Bool

	in  frameIn
	out frameOut
}

// frameIn is the receiving side. Nobody but the Recv that runs touches it, and Close when
// there is none any more.
type frameIn struct {
	batchIn
	block *packet.Block // for the next frame
}

// frameOut is the sending side. Nobody but the Send that runs touches it.
type frameOut struct {
	batchOut
	iov [1 + packet.VecCap]unix.Iovec
}

func newFrameSocket(c *net.UnixConn, config FrameSocketConfig) (Link, error) {
	info, err := config.info()
	if err != nil {
		c.Close()
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	// As much as is allowed: a window of large frames should find room.
	c.SetWriteBuffer(frameBuffer)
	s := &frameSocket{conn: c, raw: raw, info: info}
	s.in.read, s.out.write = s.read, s.write
	return s, nil
}

// frameBuffer is the room that is asked for frames that the peer has not taken yet, in bytes.
const frameBuffer = 1 << 20

// Info implements Link.
func (s *frameSocket) Info() Info { return s.info }

// Recv implements Link. When the peer is gone it returns ErrPeerClosed.
func (s *frameSocket) Recv(batch []*Packet) (int, error) { return s.in.recv(s.raw, &s.closed, batch) }

// read reads frames until there are no more, and reports whether it met any, or the end.
func (s *frameSocket) read(fd uintptr) bool {
	in := &s.in
	met := false
	for in.n < len(in.batch) {
		if in.block == nil {
			// One byte more than the largest frame: what fills it was too long, and the rest of its
			// record is gone.
			in.block = packet.NewBlock(ethernetLen + s.info.MTU + 1)
		}
		b := in.block.Bytes()[:ethernetLen+s.info.MTU+1]

		// The descriptor does not block: the runtime need not be told of a call that returns at
		// once.
		n, _, err := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case err == unix.EAGAIN:
			return met
		case err == unix.EINTR:
		case err == unix.ECONNRESET || err == 0 && n == 0 && hungUp(int(fd)):
			in.err = ErrPeerClosed
			return true
		case err != 0:
			in.err = fmt.Errorf("read %s: %w", s.info.Name, err)
			return true
		default:
			met = true
			s.take(b, int(n))
		}
	}
	return true
}

// take makes a packet of a frame of n bytes in b, the next block's. One without data or with too
// much is dropped.
func (s *frameSocket) take(b []byte, n int) {
	in := &s.in
	if n <= ethernetLen || n == len(b) {
		return
	}
	p := packet.New()
	if in.block.Cap() > smallBlock && n <= copyLarge {
		p.Payload.Append(packet.Copy(b[:n]))
	} else {
		p.Payload.Append(in.block.View(0, n))
		in.block = nil
	}
	in.batch[in.n] = p
	in.n++
}

// hungUp reports whether nothing comes any more: a record may be empty, which reads as the end does.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err != nil || n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// Send implements Link. Frames that the socket has no room for are dropped, and so is all when
// the peer is gone.
func (s *frameSocket) Send(batch []*Packet) int { return s.out.send(s.raw, batch) }

// write writes the batch.
func (s *frameSocket) write(fd uintptr) bool {
	out := &s.out
	for _, p := range out.batch {
		if p.Len() <= ethernetLen+s.info.MTU && offload.Complete(p, -ethernetLen) && s.writeOne(fd, p) {
			out.n++
		}
		p.Free()
	}
	return true
}

// writeOne writes p and reports whether the socket took it.
func (s *frameSocket) writeOne(fd uintptr, p *Packet) bool {
	n := gather(s.out.iov[:], p)
	for {
		_, _, err := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&s.out.iov[0])), uintptr(n))
		if err != unix.EINTR {
			clear(s.out.iov[:n])
			return err == 0
		}
	}
}

// Close implements Link. When the connection is closed no read goes on or begins any more.
func (s *frameSocket) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.conn.Close()
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.block != nil {
		s.in.block.Release()
		s.in.block = nil
	}
	return err
}

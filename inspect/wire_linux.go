package inspect

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// gate bounds how many goroutines are in a system call for clients at one time. Each of those
// holds a thread, and a run has those that it has begun with (run's keepThreads): its program may
// leave no room for more. Who waits for a client is not in a call.
type gate chan struct{}

// inCalls is how many may be.
const inCalls = 2

func (g gate) do(f func()) {
	g <- struct{}{}
	f()
	<-g
}

// wire reads and writes a client's connection through the gate.
type wire struct {
	*net.UnixConn
	raw  syscall.RawConn
	gate gate
}

func newWire(c *net.UnixConn, g gate) (*wire, error) {
	raw, err := c.SyscallConn()
	return &wire{c, raw, g}, err
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (n int, err error) {
	e := w.raw.Read(func(fd uintptr) bool {
		w.gate.do(func() { n, err = again(func() (int, error) { return unix.Read(int(fd), p) }) })
		return err != unix.EAGAIN
	})
	switch {
	case e != nil:
		return 0, e
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (w *wire) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n := 0
		e := w.raw.Write(func(fd uintptr) bool {
			w.gate.do(func() {
				n, err = again(func() (int, error) { return unix.SendmsgN(int(fd), p[done:], nil, nil, unix.MSG_NOSIGNAL) })
			})
			return err != unix.EAGAIN
		})
		if e != nil {
			return done, e
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// again makes a call again that a signal has ended.
func again(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != unix.EINTR {
			return n, err
		}
	}
}

// readFile is os.ReadFile through the gate, for files of /proc.
func (g gate) readFile(name string) (b []byte, err error) {
	g.do(func() { b, err = os.ReadFile(name) })
	return b, err
}

// mostClients is maxClients where this process may have many descriptors, and less where a run
// has use for them.
func mostClients() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return maxClients
	}
	return int(min(max(2, l.Cur/64), maxClients))
}

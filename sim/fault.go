package sim

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"

	"usock"
)

// fault is an error that a test has calls return. Its zero value is none. Calls that wait
// have a context of it, which ends when the error changes.
type fault struct {
	mu      sync.Mutex
	err     error                   // mu
	changed context.CancelCauseFunc // mu; nil: nobody waits
	ctx     context.Context         // mu
}

var errChanged = errors.New("sim: the error to be returned has changed")

func (f *fault) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	if f.changed != nil {
		f.changed(errChanged)
		f.changed = nil
	}
}

// get returns the error, and a context that lasts as long as that is it.
func (f *fault) get() (context.Context, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.ctx, f.changed = context.WithCancelCause(context.Background())
	}
	return f.ctx, f.err
}

// read waits with receive until there is something, an error of the socket's or the fault. What
// is there comes before the fault. receive is called with MSG_DONTWAIT or a context.
func (f *fault) read(receive func(ctx context.Context, flags int) (int, error)) (int, error) {
	for {
		ctx, fault := f.get()
		if fault != nil {
			n, err := receive(context.Background(), usock.MSG_DONTWAIT)
			if err == syscall.EAGAIN {
				err = fault
			}
			return n, err
		}
		n, err := receive(ctx, 0)
		if !errors.Is(err, errChanged) {
			return n, err
		}
	}
}

// netError is err with the shape that package net's errors have. What a test has put in is
// left as it is.
func netError(c interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}, op, call string, err error) error {
	if err == nil {
		return nil
	}
	out := &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
	switch e := err.(type) {
	case syscall.Errno:
		if out.Err = os.NewSyscallError(call, e); e == syscall.EBADF {
			out.Err = net.ErrClosed
		}
	}
	return out
}

// canRead reports whether a receive on s would return at once.
func (f *fault) canRead(s *usock.Socket) bool {
	if _, err := f.get(); err != nil {
		return true
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Poll(ended, usock.POLLIN)
	return !errors.Is(err, context.Canceled)
}

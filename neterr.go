package usock

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// Errors of the net types are those of package net, so that programs cannot tell the
// difference: a *net.OpError about an *os.SyscallError about a syscall.Errno; net.ErrClosed
// after Close; os.ErrDeadlineExceeded after a deadline; and what errors.Is takes for the
// context's error where a context has ended a dial. neterr_test.go compares them method by
// method.

// timedOut and canceled are what package net makes of the errors of contexts.
type (
	timedOut struct{}
	canceled struct{}
)

func (timedOut) Error() string        { return "i/o timeout" }
func (timedOut) Timeout() bool        { return true }
func (timedOut) Temporary() bool      { return true }
func (timedOut) Is(target error) bool { return target == context.DeadlineExceeded }

func (canceled) Error() string        { return "operation was canceled" }
func (canceled) Is(target error) bool { return target == context.Canceled }

// errMissingAddress is the error of a send without address on a socket without peer.
var errMissingAddress = errors.New("missing address")

// contextError gives the error of a context that has ended the shape that package net has
// for it.
func contextError(err error) error {
	switch err {
	case context.DeadlineExceeded:
		return timedOut{}
	case context.Canceled:
		return canceled{}
	}
	return err
}

// callError gives the error of a call with a context the shape that package net's have.
func callError(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return contextError(endedBy(ctx))
	}
	return sysError(call, err)
}

// sysError gives a call's error the shape that package net's have; nil stays nil.
func sysError(call string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err == syscall.EBADF:
		return net.ErrClosed
	case call == "bind" && err == syscall.EACCES:
		err = forbiddenPort{}
	}
	return os.NewSyscallError(call, err)
}

package run

import (
	"errors"
	"syscall"
)

func unwrapErrno(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return syscall.EIO
}

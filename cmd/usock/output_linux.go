package main

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// duplicate duplicates a descriptor that this process was given and that is open for
// writing. Its own are not meant: they are closed on exec.
func duplicate(n int, name string) (*os.File, error) {
	flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 && n > 2 {
		return nil, errors.New("no such descriptor is open")
	}
	if mode, err := unix.FcntlInt(uintptr(n), unix.F_GETFL, 0); err != nil || mode&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, errors.New("this descriptor is open for reading only")
	}
	fd, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// surviveWriting has failures to write be errors, and not this process's end: a reader of
// stderr that has gone, a file that is as large as it may be. Programs find these signals
// as they were: exec takes handlers away.
func surviveWriting() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE, unix.SIGXFSZ)
}

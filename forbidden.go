package usock

import "syscall"

// forbiddenPort is EACCES of a bind to a port that takes a privilege, and says where a host gets
// that: who calls the net package's functions has not seen Config.
type forbiddenPort struct{}

// Error tells the errno's text first.
func (forbiddenPort) Error() string {
	return syscall.EACCES.Error() + ": ports below 1024 take CAP_NET_BIND_SERVICE, which usock.Config.Privileged gives"
}

// Unwrap has errors.Is find syscall.EACCES, and fs.ErrPermission.
func (forbiddenPort) Unwrap() error { return syscall.EACCES }

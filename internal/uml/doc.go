// Package uml starts User-mode Linux for tests: a Linux kernel that is an ordinary program of an
// ordinary user (Debian's package user-mode-linux), with this machine's files as its root. Its
// network card connects to a socket at which link.ListenFrames listens, so that usock has a
// real kernel as its neighbour where there is neither root nor a TUN device.
//
// [Command] is the kernel with a program of the caller's as its init. [Boot] has the calling
// program itself be the init, which is what a test binary calls [Init] for: it then carries out
// calls of sockets and ioctls, one line of JSON each, that [Machine] and [Socket] ask for
// over a serial line, and what the program has given to [Answer]. Nothing but the kernel's package is
// needed in there.
//
// It may import usock/clock and usock/internal/abi. Begin with uml.go.
package uml

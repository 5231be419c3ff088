// Package control is what views of a host and the host's process say to each other: where
// control sockets are, who may use them, and the messages. docs/CONTROL.md describes it for
// programs in other languages.
//
// A control socket is an AF_UNIX stream in a directory of its user's (Dir), with the id of
// its run for a name. Package inspect serves one, Dial and Client use one. Who connects is
// judged by what the kernel knows of it (judge, peer_linux.go).
//
// The package imports the clock and x/sys/unix. Begin with message.go.
package control

// Package e2e runs real programs under usock run, as an ordinary user: the C
// programs of examples/c, Python, Node, Go, and servers and clients of Debian.
//
// Its tests need Linux, a C compiler and the programs. One that is not installed
// skips its test; with CI=true in the environment it fails it, with the package's
// name. Begin with main_test.go, which builds what is needed and has the helpers.
//
// A test that mostly waits, for servers to start or timers to expire, is parallel where it
// shares nothing with others but loopback's free ports. One that measures time, counts a user's
// processes or changes the machine is not: the parallel ones run when all others are done.
package e2e

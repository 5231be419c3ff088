// Package e2e runs real programs under usock run, as an ordinary user: the C
// programs of examples/c, Python, Node, Go, and servers and clients of Debian.
//
// Its tests need Linux, a C compiler and the programs. One that is not installed
// skips its test; with CI=true in the environment it fails it, with the package's
// name. Begin with main_test.go, which builds what is needed and has the helpers.
package e2e

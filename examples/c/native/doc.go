// Package native holds the tests that run the C example programs on the kernel's
// own sockets: what they do there is what they must do under usock run.
package native

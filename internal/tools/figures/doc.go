// Package figures writes the figures of the house at the end of docs/ARCHITECTURE.md:
// the longest file and function of each package, the methods of its largest type, the
// named functions between Socket.Send and a link, and the files that belong to an
// option, a link, a protocol and a call.
//
//	go run ./internal/tools/figures
//
// Its tests hold the page to the tree, and files and functions to their limits.
package main

//go:build !linux

package main

// kernelRelease is the running Linux's: there is none.
func kernelRelease() string { return "" }

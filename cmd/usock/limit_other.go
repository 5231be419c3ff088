//go:build !linux

package main

// enoughDescriptors has nothing to look for where no programs are run.
func enoughDescriptors() error { return nil }

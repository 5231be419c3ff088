//go:build !linux

package main

import "os"

// lock is only for usock run, which other systems have not got.
func lock(*os.File) bool { return true }

// owns, too.
func owns(*os.File) bool { return false }

package main

import "golang.org/x/sys/unix"

// kernelRelease is the running kernel's, as uname -r prints it; "" if it does not tell.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

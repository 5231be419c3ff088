package ip

import "syscall"

// errHostIsolated stands in for ENONET, which this system has no number for.
const errHostIsolated = syscall.EHOSTUNREACH

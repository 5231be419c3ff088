//go:build !darwin

package ip

import "syscall"

// errHostIsolated is Linux's errno for a host that is isolated.
const errHostIsolated = syscall.ENONET

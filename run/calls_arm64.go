//go:build linux

package run

import "golang.org/x/sys/unix"

// native is this machine. The foreign calls are those of 32-bit ARM: socket to
// recvmsg, accept4, recvmmsg and sendmmsg.
var native = machine{
	arm:         true,
	arch:        unix.AUDIT_ARCH_AARCH64,
	foreignArch: unix.AUDIT_ARCH_ARM,
	foreign:     []uint32{281, 282, 283, 284, 285, 286, 287, 290, 292, 293, 294, 295, 296, 297, 365, 366, 374, 417, 425},
}

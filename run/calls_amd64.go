//go:build linux

package run

import "golang.org/x/sys/unix"

// native is this machine. The foreign calls are i386's: socketcall, and socket to
// shutdown by their own numbers, recvmmsg and sendmmsg among them.
var native = machine{
	arch:        unix.AUDIT_ARCH_X86_64,
	x32:         0x40000000,
	foreignArch: unix.AUDIT_ARCH_I386,
	foreign:     []uint32{102, 337, 345, 359, 361, 362, 363, 364, 365, 366, 367, 368, 369, 370, 371, 372, 373, 417, 425},
}

//go:build linux

package run

import "golang.org/x/sys/unix"

// native are this machine's calls. The foreign ones are i386's: socketcall, and
// socket to shutdown by their own numbers, recvmmsg and sendmmsg among them.
var native = calls{
	arch:         unix.AUDIT_ARCH_X86_64,
	x32:          0x40000000,
	socket:       unix.SYS_SOCKET,
	sendto:       unix.SYS_SENDTO,
	recvfrom:     unix.SYS_RECVFROM,
	setsockopt:   unix.SYS_SETSOCKOPT,
	ioctl:        unix.SYS_IOCTL,
	ioURingSetup: unix.SYS_IO_URING_SETUP,
	notify:       trapped,
	foreignArch:  unix.AUDIT_ARCH_I386,
	foreign:      []uint32{102, 337, 345, 359, 361, 362, 363, 364, 365, 366, 367, 368, 369, 370, 371, 372, 373, 417, 425},
}

//go:build linux

package run

import "golang.org/x/sys/unix"

// native are this machine's calls. The foreign ones are those of 32-bit ARM:
// socket to recvmsg, accept4, recvmmsg and sendmmsg.
var native = calls{
	arch:         unix.AUDIT_ARCH_AARCH64,
	socket:       unix.SYS_SOCKET,
	sendto:       unix.SYS_SENDTO,
	recvfrom:     unix.SYS_RECVFROM,
	setsockopt:   unix.SYS_SETSOCKOPT,
	ioctl:        unix.SYS_IOCTL,
	ioURingSetup: unix.SYS_IO_URING_SETUP,
	notify:       trapped,
	foreignArch:  unix.AUDIT_ARCH_ARM,
	foreign:      []uint32{281, 282, 283, 284, 285, 286, 287, 290, 292, 293, 294, 295, 296, 297, 365, 366, 374, 417, 425},
}

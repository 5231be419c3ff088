// Command sctp measures usock's SCTP beside libusrsctp and github.com/pion/sctp, on the same work,
// and prints one table.
//
//	cd bench/sctp && go run . [-runs 5] [-time 1s] [-way regexp] [-work regexp] [-md file] [-cpuprofile prefix]
//
// The ways:
//
//	usock       two sockets of one host, over its loopback
//	usock-udp   two hosts, whose link is a pair of the kernel's UDP sockets on loopback, MTU 1500
//	usrsctp     two processes, UDP encapsulation on loopback (RFC 6951); its path MTU is in the table
//	pion        two associations in one process, over a pair of the kernel's UDP sockets on loopback
//
// The first is how usock is used in place of the kernel's loopback. The second does per packet what the
// others do: a system call, a checksum.
//
// Every measurement is a process of its own. For each work the ways take turns, and the one that
// begins moves on with every round; a figure is the median of the rounds, beside it stands half the
// distance between the quartiles. Buffers of all are of 1 MiB. SCTP_NODELAY is set where a message is
// waited for, and not, as by default, where messages are sent as fast as they go.
//
// libusrsctp's side is a C program, testdata/usrsctp.c, which is compiled when the bench runs: it takes
// a C compiler and libusrsctp-dev. It is a module of its own, for pion.
package main

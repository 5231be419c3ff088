// Package interop holds tests of usock against the Linux kernel's stack, over a link with
// link.Impair and captures that tshark judges. There are two kernels:
//
//   - this machine's, in a network namespace that the test makes, over a TUN device: that
//     needs root, /dev/net/tun and ip(8);
//   - User-mode Linux (package internal/uml), an older one that is a program of an ordinary
//     user, over Ethernet frames: that needs Debian's package user-mode-linux. All tests
//     share one, which starts in about three seconds.
//
// SCTP is tested beside User-mode Linux alone (sctplab_test.go): over one network between the two
// or two, with either stack as the one that connects; tshark finds no malformed packet and no wrong
// checksum in any capture. Its second peer is libusrsctp, a program's own stack, to which it goes in UDP by a
// gateway (usrsctp_test.go); the third one, pion's, is in a module of its own (pion).
//
// Tests skip what cannot be had; with CI=true in the environment User-mode Linux must be.
// Large transfers are asked for by a flag:
//
//	go test ./interop -run TestTransfer -size 1GiB -timeout 30m
package interop

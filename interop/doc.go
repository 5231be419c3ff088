// Package interop holds tests of usock against the Linux kernel's stack: TCP
// between a usock host and kernel sockets in a network namespace that the test
// makes, over a TUN device, through link.Impair, with captures that tshark judges.
//
// The tests need root, /dev/net/tun and ip(8); without those they are skipped.
// Large transfers are asked for by a flag:
//
//	go test ./interop -run TestTransfer -size 1GiB -timeout 30m
package interop

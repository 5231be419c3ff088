// Command outside measures the way from a program to a server outside: of `usock run`, and of
// the tools that do the same for a network namespace: pasta, slirp4netns and gvisor-tap-vsock.
//
//	cd bench/outside && go run . [-runs 5] [-time 1s] [-way regexp] [-work regexp] [-md file]
//
// It runs as root, in a network namespace that it makes: a link with an address and a default
// route, and the servers on it. Each way gives the same client programs a path to the same
// servers:
//
//	direct            the client on the machine itself
//	usock             usock run -- CLIENT
//	usock-1500        the same with --mtu 1500: each segment is a packet
//	pasta             pasta --config-net, MTU 65520
//	pasta-1500
//	slirp4netns       --configure, MTU 65520
//	slirp4netns-1500
//	gvisor-tap-vsock  its virtualnetwork, with a TAP device's frames copied to it, MTU 65520
//	gvisor-tap-vsock-1500
//
// The ways take turns, and the one that begins moves on with every round; a figure is the
// median of the rounds, beside it the least and the most. TCP uses Reno on all ways,
// inside (iperf3 -C reno) and outside (net.ipv4.tcp_congestion_control): the tools' TAP devices inherit
// the kernel's default, with some of which (BBR) they are several times slower.
//
// Bulk to a published port (usock run -p, pasta -t) comes from the machine's own address, at which
// the port is bound.
//
// It is a module of its own, for gvisor-tap-vsock and its gVisor.
package main

// Command lossy compares the goodput of TCP connections over a path that loses
// packets: of usock's TCP, and of the kernel's through the same impaired link, in
// one run.
//
// The path has 10 ms of delay each way, an MTU of 1500, and loses the same share of
// the packets in both directions. usock's hosts are joined by a pipe with
// link.Impair on it. The kernel's are two network namespaces that the command makes,
// with a TUN device each, whose packets it carries from one to the other through
// link.Impair. The command must be run by root.
//
//	go run ./lossy -time 5s -runs 3
package main

// Package inet is the Internet domains: TCP, UDP, SCTP, ping and raw endpoints, which
// bind protocol cores to sockets, the allocation of ports, and the tables by which
// an arriving packet finds its endpoint.
//
// Everything is guarded by the host's lock, but for what says otherwise. Each
// change to a TCP connection is followed by tcpEndpoint.update, which polls its
// segments out, re-arms its timer, wakes those who wait and looks after its life.
//
// inet may import socket, ip, tcp, sctp, wire, abi, buf, host, relay, timer and wait.
// Begin with stack.go: Protocol is what a protocol over IP has, Register adds one.
package inet

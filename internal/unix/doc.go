// Package unix is AF_UNIX: sockets that connect the programs of one host by names
// of their own, without an IP address. It has STREAM, DGRAM and SEQPACKET, path
// names, abstract names, autobind and socket pairs, with the rules of Linux's
// unix(7) and, where the manual is silent, of its kernel.
//
// # Names
//
// Path names are in a table of the host, not in a file system: directories need
// not exist and permissions are not checked. As on Linux a path stays taken when
// its socket is closed, until it is unlinked; an abstract name is free again.
//
// # How data travels
//
//	Send ── message ──► the receiver's queue ── Recv
//	         │  charged to the sender: block size and overhead
//	         ▼
//	receiver takes it: the charge is given back, the sender becomes writable
//
// There is one queue for each direction, at the receiver. It is bounded by the
// sender's SO_SNDBUF and, between datagram sockets that are not each other's
// peers, by eleven messages (net.unix.max_dgram_qlen). A message keeps the blocks
// that Send copied the bytes into; Recv hands out views of them.
//
// # Life of a connection
//
//	        Connect: both ends exist at once; the far one has no socket yet
//	client ─────────────────────► listener's queue ── Accept ──► its socket
//
// A client may send before the server has accepted. A listener that is closed
// resets those who still wait. Closing with unread data gives the peer
// ECONNRESET.
//
// Everything is guarded by the host's lock. unix may import socket, abi, buf, host
// and wait. Begin with endpoint.go, then connect.go.
package unix

// Package socket is the socket: the data structure that every domain, type and
// protocol shares, how a call blocks, readiness, options and poll sets.
//
// # How a call blocks
//
//	call ── do ── Enter ── proto.Recv ──► done ── Leave ── return
//	        ▲                 │ EAGAIN
//	        │                 ▼
//	        │          add a waiter to the socket's queue (same lock)
//	        │          Leave
//	        │          wait for the waiter's channel, or the context
//	        └───────── Enter, take the waiter out, try again
//
// The attempt and the registration happen under one lock, so no wake-up can fall
// between them. A deadline is a timer of the host that wakes the queue.
//
// # Data
//
// Bytes are copied into blocks before the lock is taken and out of blocks after
// it is released. A protocol sees and hands out views (package buf).
//
// socket may import host, abi, buf, wait and timer. Begin with socket.go, then
// call.go. kind.go is the facts of a protocol's row, registry.go a host's open sockets.
package socket

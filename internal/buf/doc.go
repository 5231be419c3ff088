// Package buf holds the queues that streams are made of: what a sender keeps until it is
// acknowledged, what a receiver keeps until it is read, and what came out of order. They refer to
// the blocks and views of package packet.
//
// buf imports packet and the standard library. Begin with queue.go.
package buf

// Package buf holds the bytes that travel: reference-counted blocks, views into
// them, and the queues that streams are made of.
//
// A byte is copied into a [Block] once, by the program that sends it, and out of
// it once, by the program that receives it. Everything between refers to the
// block through a [View]. Reference counts live here and nowhere else; they are
// atomic because the two ends of an in-memory link are hosts with two locks.
//
// buf imports only the standard library. Begin with block.go.
package buf

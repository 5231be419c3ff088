// Package relay carries packets from one place to another: a [Relay] is a queue that several
// goroutines push to and one at a time hands on, and a [Spread] is several of them, which hand on at once.
//
// relay may import packet and the standard library.
package relay

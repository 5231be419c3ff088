// Package host is the lock domain: the one lock under which every control block,
// table and timer of a network host lives, its clock, its deadlines, its loopback
// queue, the ports through which packets leave, and the wake-ups to be carried
// out.
//
// # Life of an entry
//
// Whoever touches protocol state calls Enter, does its work, and calls Leave.
// Leave, in this order:
//
//	drains the loopback queue into Input (still locked; what that sends to the
//	   host itself goes to the end of the same queue)
//	re-arms the clock's one timer if an earlier deadline has come up
//	unlocks
//	signals the goroutines that became ready
//	flushes the ports that have packets: Link.Send, with no lock held
//
// A flush may carry packets into another host of the same process on the same
// goroutine. That host's Leave flushes its own ports, which may lead back here: a
// port that is being flushed further up the stack is left to that flush, so the
// depth is bounded by the number of links in a row and no host is ever entered
// from inside another.
//
// # Time
//
// Now is a duration since the clock's epoch, read from the clock once an entry.
// The clock is the machine's, which testing/synctest makes virtual, or another one
// (package clock).
//
// host may import clock, timer, wait, relay. Begin with host.go.
package host

// Package host is the lock domains of a network host, and what an entry into them works with: the clock, the
// deadlines, the loopback queues, the ports through which packets leave, and the wake-ups to be carried out.
//
// # Domains and lanes
//
// A Domain is what has one lock: a connection with both its ends, a socket. A Lane is what one entry works with;
// there are a few for each processor. Host is all of them, and what is rare is done with all lanes taken, as if
// there were one lock. Who owns what is a table in docs/ARCHITECTURE.md, why it is so docs/decisions/0013.
//
// # Life of an entry
//
// Whoever touches protocol state calls Domain.Enter, does its work, and calls Leave. Others call EnterWhole, and who
// brings a packet from outside Host.EnterLane. Leave, in this order:
//
//	hands the packets that the host has sent to itself to Input, in the lane: what these send to the
//	   host goes to the end of the same queue. Where one belongs to another domain, the lane leaves
//	   its own and goes there (Visit), or leaves the packet in its box (Post). Tasks may stand for
//	   the first of them (LoopFirst)
//	empties the boxes of the domains that it has been in or has left something for, but for those that
//	   somebody else is in
//	unlocks
//	signals the goroutines that became ready
//	flushes the ports that have packets: Link.Send, with no lock held
//
// An entry waits for a domain only before it has a lane, and has one domain at a time. So it never waits while
// others wait for it, and whoever wants the whole host waits for entries that are under way, and for nobody else.
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
// (package clock). Timers are in as many parts as there are lanes, each with an alarm; an alarm goes off on a goroutine
// of its own, which enters the domain of each owner that is due (Homed), a lane (Loose), or the whole host.
//
// host may import clock, timer, wait, relay, rank. Begin with host.go and lane.go.
package host

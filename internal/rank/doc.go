// Package rank names the locks of a host by the order in which they may be taken: a goroutine takes a lock only
// while all those that it has are of lower ranks.
//
//	Domain      what one connection or socket is
//	Gate        who waits for the whole host
//	Lane        an entry; the whole host is all of them, in their order
//	Set         a poll set
//	TimeWait    a connection in TIME-WAIT
//	Ports       the ports of a protocol
//	Leaf        a part of a table, a queue, a cache: nothing is taken within
//
// The types are those of package sync, but that who waits for what is held briefly looks again before he is parked. Built
// with the tag lockrank they are ones that panic where somebody waits in another order (amd64 and arm64): `go test -tags lockrank . ./internal/...`. TryLock, which waits for nobody, is free: so whoever is in
// a lane goes into domains, and the table of ports looks at a connection in TIME-WAIT. But what it has locked counts
// for what is waited for next.
//
// rank imports only the standard library.
package rank

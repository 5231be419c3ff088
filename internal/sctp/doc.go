// Package sctp is the Stream Control Transmission Protocol of RFC 9260 as a pure state machine: one
// [Assoc] is one association. It knows no lock, goroutine, clock or socket; the time is an argument
// of every call, and nothing is called back.
//
// The owner of an Assoc feeds it with [Assoc.Packet], [Assoc.ICMP] and [Assoc.Expire] and with the
// calls of the program ([Assoc.Send], [Assoc.Recv], [Assoc.Shutdown] and so on). After each of these
// he says how its peer's addresses are reached, and polls:
//
//	for dst, ok := a.Unrouted(); ok; dst, ok = a.Unrouted() {
//		a.SetRoute(dst, the route's source address and MTU)
//	}
//	for a.Poll(now, &out) {
//		send out
//	}
//	arm the one timer for a.Deadline()
//
// Poll is the only builder of packets. A packet for which there is no association goes to the
// [Endpoint] on its port, which answers an INIT with a signed cookie and keeps nothing, and makes an
// Assoc of the cookie when it comes back (endpoint.go, cookie.go); or to [OutOfTheBlue].
//
// TSNs, stream sequence numbers and message identifiers are 64-bit numbers inside; in packets alone
// they are 32 or 16 bits.
//
// An association has two halves, which do not know each other: a sender and a receiver, each with
// an essay at the head of its file. Assoc joins them: it takes the states' transitions, keeps the
// paths to the peer's addresses, calls the half that is concerned, and builds what leaves.
//
// The files of the halves, by what they are about:
//
//	sender.go message.go                        the sender: messages that wait
//	outstream.go scheduler.go                   which of them is next
//	transmit.go                                 chunks that leave
//	outstanding.go sack.go                      what became of them
//	flow.go rtt.go                              what a path carries
//	abandon.go                                  what is given up
//
//	receiver.go tsnmap.go                       the receiver: what has come
//	run.go runtree.go reassembly.go             messages that are put together
//	delivery.go                                 messages that are read
//	rcvack.go rcvwindow.go                      what it tells, and what there is room for
//
//	serial.go ecn.go renumber.go                both
//
// The files, by what they are about:
//
//	assoc.go api.go notify.go setopt.go calls.go         what an association is and can be told
//	endpoint.go cookie.go params.go random.go            answers without state
//	input.go chunks.go handshake.go collision.go         packets that arrive, and the states
//	shutdown.go abort.go                                 the end
//	poll.go                                              packets that leave
//	path.go heartbeat.go pmtu.go timers.go               paths, and time
//	reconf.go auth.go asconf.go ecn.go zerosum.go        what is agreed to beside
//	events.go stats.go                                   what the program is told
//
//	sender.go message.go outstream.go scheduler.go       the sender: messages that wait
//	transmit.go outstanding.go flow.go rtt.go            what leaves, on which path, and when
//	sack.go abandon.go                                   what became of it
//
//	receiver.go tsnmap.go reassembly.go run.go           the receiver: what has come
//	delivery.go rcvack.go rcvwindow.go                   who gets it, and what the peer is told
//	renumber.go serial.go                                numbers
//
// sctp may import packet, wire, wait, timer (for Never) and the standard library. Begin with
// assoc.go, then input.go and poll.go.
package sctp

// Package tcp is the Transmission Control Protocol of RFC 9293 as a pure state
// machine: one [Conn] is one connection. It knows no lock, goroutine, clock,
// address or packet queue; the time is an argument of every call, and nothing is
// called back.
//
// The owner of a Conn feeds it with [Conn.Segment], [Conn.ICMP] and
// [Conn.Expire] and with the calls of the program ([Conn.Write], [Conn.Read],
// [Conn.Close] and so on). After each of these it polls:
//
//	for c.Poll(now, &s) {
//		send s
//	}
//	arm the one timer for c.Deadline()
//
// Poll is the only builder of segments: data, acknowledgements, probes,
// handshake, resets and retransmissions all come out of it.
//
// The send queue is the retransmission queue: [buf.Queue] holds the bytes from
// snd.una on, and a [scoreboard] beside it holds when each range was sent and what
// became of it. A retransmission is built again from the queue.
//
// Sequence numbers are 64-bit stream offsets inside, with the SYN at the offset
// origin and the first byte of data behind it; they are 32-bit numbers in segments
// alone (wire.go).
//
// A connection has two halves, which do not know each other: a sender (sender.go) and a
// receiver (receiver.go), each with an essay at its head. What both go by, the state, what
// was agreed, the timers and what is to be sent, stands in the tcb, which is an argument of
// their methods as now is. [Conn] joins them: it takes the states' transitions, calls the
// half that is concerned, and finishes what leaves.
//
// The files, by what they are about:
//
//	conn.go state.go api.go options.go setopt.go         what a connection is and can be told
//	lazystate.go                                         what few connections need
//	input.go handshake.go close.go urgent.go fastopen.go segments that arrive, and the states
//	poll.go wire.go                                      segments that leave
//	timers.go keepalive.go timewait.go                   time, and the end
//	memory.go info.go chrono.go                          accounts
//
//	receiver.go rcvbuf.go outoforder.go                  the receiver: what has come
//	rcvwindow.go ack.go                                  what it tells, and when
//
//	sender.go sndbuf.go record.go output.go pacing.go            the sender: what leaves, and when
//	scoreboard.go sack.go loss.go rtt.go                 what became of it
//	rack.go tlp.go rto.go recovery.go retransmit.go      what is lost, and what follows
//	windowprobe.go mtu.go ecn.go                         what the path and the peer allow
//
// Where the RFCs leave a choice, and in a few places where they do not, the choice
// is Linux's: timing of acknowledgments, the estimate of the RTO, when to give up,
// what the first windows are. Tests that say "was seen" record what a kernel did
// with the same segments.
//
// tcp may import buf, cc, wire, wait, timer (for Never) and the standard library.
// Begin with conn.go, sender.go and receiver.go, then input.go and poll.go.
package tcp

// Package tcp is the Transmission Control Protocol of RFC 9293 as a pure state
// machine: one [Conn] is one connection. It knows no lock, goroutine, clock,
// address or packet queue; the time is an argument of every call, and nothing is
// called back.
//
// The owner of a Conn feeds it with [Conn.Segment], [Conn.ICMP] and
// [Conn.Expire] and with the calls of the program ([Conn.Write], [Conn.Read],
// [Conn.Close] and so on). After each of these it pumps:
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
// The files, by what they are about:
//
//	conn.go state.go api.go options.go setopt.go   what a connection is and can be told
//	program.go urgent.go close.go                  the program's calls
//	input.go handshake.go disorder.go              segments that arrive
//	output.go wire.go                              segments that leave
//	ack.go window.go                               what the receiver tells, and when
//	loss.go sack.go rack.go recover.go rtt.go      what the sender makes of it
//	scoreboard.go pace.go ecn.go mtu.go fastopen.go     and with what
//	timers.go timewait.go info.go chrono.go        time, the end, and accounts
//
// Where the RFCs leave a choice, and in a few places where they do not, the choice
// is Linux's: timing of acknowledgments, the estimate of the RTO, when to give up,
// what the first windows are. Tests that say "was seen" record what a kernel did
// with the same segments.
//
// tcp may import buf, cc, wire, wait, timer (for Never) and the standard library.
// Begin with conn.go, then input.go and output.go.
package tcp

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
// snd.una on, and a [board] beside it holds when each range was sent and what
// became of it. A retransmission is built again from the queue.
//
// Sequence numbers are 64-bit stream offsets inside, with the SYN at offset 0
// and the first byte of data at offset 1; they become 32-bit numbers in wire.go
// and nowhere else.
//
// tcp may import buf, cc, wire, wait, timer (for Never) and the standard library.
// Begin with conn.go, then input.go and output.go.
package tcp

package tcp

import "time"

// Covers reports whether seq is the sequence number of something sent and not
// acknowledged: what an ICMP message must quote to be believed (RFC 5927,
// section 4.1).
func (c *Conn) Covers(seq uint32) bool {
	off := c.snd.sndOff(seq)
	return c.state != Closed && off >= c.snd.una && off < c.snd.nxt
}

// Reusable reports whether a new active open may take the tuple over now, and with
// which initial sequence number: the old connection used timestamps, and the clock
// that they come from has moved on since the last of them, so that every segment of
// the new one is newer by PAWS (RFC 6191, section 2; Linux, tcp_twsk_unique). Where the
// program has chosen the port, the sequence numbers, which are newer, are enough.
func (t *TimeWaitState) Reusable(now time.Duration, chosen bool) (iss uint32, ok bool) {
	return t.NextISS(), t.hasTS && (chosen || now-(t.expires-t.length) >= time.Millisecond)
}

// LowerPathMSS tells the connection that the path takes less than it thought: what
// another connection to the same host has learnt (RFC 8201, section 5.2). mss is
// what the path's MTU leaves for data and TCP options; a larger one than before has
// no effect.
func (c *Conn) LowerPathMSS(now time.Duration, mss int) {
	if c.state != Closed {
		c.snd.tooBig(&c.tcb, now, mss)
	}
}

package tcp

import (
	"syscall"
	"testing"

	"usock/internal/wait"
	"usock/packet"
)

func newBlock(n int) *packet.Block { return packet.NewBlock(n) }

// RFC 6093 and Linux: urgent data.

func wantUrgent(tc *script, peek bool, b byte, err error) {
	tc.t.Helper()
	got, e := tc.c.ReadUrgent(peek)
	if e != err || err == nil && got != b {
		tc.t.Fatalf("urgent byte %#x, %v; want %#x, %v", got, e, b, err)
	}
}

func TestUrgentReceive(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	wantUrgent(tc, false, 0, syscall.EINVAL)
	tc.recv("PU. 1+10 ack 1 urg 6") // the sixth byte
	tc.want(". 1 ack 11")
	tc.wantEvents(wait.Pri | wait.In)
	tc.wantReady(wait.In | wait.Out | wait.Pri)
	if n := tc.c.InQueue(); n != 5 {
		t.Fatalf("%d before the mark", n)
	}
	tc.read(100, 5)
	if !tc.c.AtMark() {
		t.Fatal("not at the mark")
	}
	wantUrgent(tc, true, streamByte(6), nil)
	wantUrgent(tc, false, streamByte(6), nil)
	wantUrgent(tc, false, 0, syscall.EINVAL)
	if n := tc.c.Buffered(); n != 4 {
		t.Fatalf("%d bytes behind the mark", n)
	}
	tc.read(100, 4)
	if tc.c.AtMark() {
		t.Fatal("still at the mark")
	}
	tc.wantReady(wait.Out)
}

// SO_OOBINLINE: the byte is in the stream, and reading stops before it once.
func TestUrgentInline(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetOOBInline(tc.now, true)
	tc.connect()
	tc.recv("PU. 1+10 ack 1 urg 6")
	tc.want(". 1 ack 11")
	wantUrgent(tc, false, 0, syscall.EINVAL)
	tc.read(100, 5)
	if !tc.c.AtMark() {
		t.Fatal("not at the mark")
	}
	tc.read(100, 5)
	if tc.c.AtMark() {
		t.Fatal("still at the mark")
	}
}

// Announced and not arrived: EAGAIN.
func TestUrgentNotYet(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("PU. 1+10 ack 1 urg 20")
	tc.want(". 1 ack 11")
	tc.wantReady(wait.In | wait.Out)
	wantUrgent(tc, false, 0, syscall.EAGAIN)
	tc.recv("P. 11+10 ack 1")
	tc.want(". 1 ack 21")
	wantUrgent(tc, false, streamByte(20), nil)
	tc.read(100, 19)
	tc.wantReady(wait.Out) // the urgent byte itself is not read
}

// A repeated announcement of what was read changes nothing.
func TestUrgentOld(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("PU. 1+10 ack 1 urg 10")
	tc.want(". 1 ack 11")
	wantUrgent(tc, false, streamByte(10), nil)
	tc.recv("U. 1+10 ack 1 urg 10")
	tc.want(". 1 ack 11")
	wantUrgent(tc, false, 0, syscall.EINVAL)
}

// MSG_OOB: the pointer is behind the last byte (RFC 6093, section 2.1, Linux).
func TestUrgentSend(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	b := newBlock(10)
	for i := range 10 {
		b.Bytes()[i] = streamByte(uint64(1 + i))
	}
	tc.call(func(c *Conn) { c.WriteUrgent(tc.now, b.View(0, 10)) })
	tc.want("PU. 1+10 ack 1 urg 10")
	tc.recv(". 1 ack 11")
	tc.write(10)
	tc.want("P. 11+10 ack 1")
}

// The pointer stays in retransmissions.
func TestUrgentRetransmission(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	b := newBlock(10)
	for i := range 10 {
		b.Bytes()[i] = streamByte(uint64(1 + i))
	}
	tc.call(func(c *Conn) { c.WriteUrgent(tc.now, b.View(0, 10)) })
	tc.want("PU. 1+10 ack 1 urg 10")
	tc.wantAfter(leastRTO, "PU. 1+10 ack 1 urg 10")
}

// A read passes over an urgent byte that nobody has looked at, alone as it is, so that
// nothing is left for poll, nor for close to reset for (Linux, tcp_recvmsg_locked).
func TestUrgentPassed(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("PU. 1+1 ack 1 urg 1")
	tc.want(". 1 ack 2")
	tc.wantReady(wait.Out | wait.Pri)
	tc.read(100, 0)
	tc.wantReady(wait.Out)
	wantUrgent(tc, false, 0, syscall.EINVAL)
	tc.call(func(c *Conn) { c.Close(tc.now) })
	tc.want("F. 1 ack 2")
}

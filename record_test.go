package usock_test

import (
	"testing"

	"usock"
	"usock/internal/wire"
)

// What MSG_EOR and MSG_MORE make of a socket's sends, as its peer sees them.
func TestRecordsAndMore(t *testing.T) {
	_, p, l := listenRaw(t, usock.Config{}, 5)
	ack := p.handshake(1)
	s, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	base := ack.Ack
	send := func(data string, flags int, want ...uint32) {
		t.Helper()
		p.got = nil
		if n, err := s.Send([]byte(data), flags); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
		wantSeqs(t, p.got, base, want...)
	}
	acked := func(n uint32, want ...uint32) {
		t.Helper()
		ack.Ack = base + n
		wantSeqs(t, p.send(ack, ""), base, want...)
	}
	send("ab", usock.MSG_EOR, 0)
	send("cd", usock.MSG_EOR) // Nagle's rule
	send("e", 0, 2)
	acked(4, 4)
	acked(5)
	send("f", usock.MSG_MORE)
	if v, err := s.GetSockOptInt(usock.SOL_TCP, usock.TCP_CORK); v != 0 || err != nil {
		t.Errorf("TCP_CORK is %d, %v", v, err)
	}
	send("", 0) // a call that sends nothing pushes nothing
	acked(5, 5)
	send("g", usock.MSG_MORE)
	acked(6, 6)

	// Only the end of a long call ends a record. What does not fit is let go, and the rest follows.
	acked(7)
	long := make([]byte, 100_000)
	n, err := s.Send(long, usock.MSG_DONTWAIT|usock.MSG_EOR)
	if n >= len(long) || n < 10_000 || err != nil {
		t.Fatalf("%d bytes of %d: %v", n, len(long), err)
	}
}

// wantSeqs asserts where the segments begin that came, as offsets from base.
func wantSeqs(t *testing.T, got []wire.TCP, base uint32, want ...uint32) {
	t.Helper()
	for i := range got {
		if i >= len(want) || got[i].Seq-base != want[i] {
			t.Fatalf("segments %+v, want them to begin at %v behind %d", got, want, base)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d segments, want them to begin at %v", len(got), want)
	}
}

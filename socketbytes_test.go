package usock_test

import (
	"testing"

	"usock"
)

// bytesOf returns what a socket has received and sent, as lists tell.
func bytesOf(t *testing.T, h *usock.Host, s *usock.Socket) (rx, tx uint64) {
	t.Helper()
	for _, in := range h.Sockets() {
		if in.ID == s.ID() {
			for page := range h.SocketPages(7) {
				for _, brief := range page {
					if brief.ID == in.ID && (brief.RxBytes != in.RxBytes || brief.TxBytes != in.TxBytes) {
						t.Errorf("pages say %d and %d", brief.RxBytes, brief.TxBytes)
					}
				}
			}
			return in.RxBytes, in.TxBytes
		}
	}
	t.Fatal("it is not listed")
	return 0, 0
}

// TestSocketBytes counts what sockets of UDP and SCTP have received and sent.
func TestSocketBytes(t *testing.T) {
	h := newHost(t, usock.Config{Privileged: true})
	wants := func(what string, s *usock.Socket, rx, tx uint64) {
		t.Helper()
		if gotRx, gotTx := bytesOf(t, h, s); gotRx != rx || gotTx != tx {
			t.Errorf("%s: received %d and sent %d, want %d and %d", what, gotRx, gotTx, rx, tx)
		}
	}
	a, b := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM), mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	to := mustAddr(t, "127.0.0.1:4000")
	if err := b.Bind(to); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{100, 0, 300} {
		if _, err := a.SendTo(make([]byte, n), 0, to); err != nil {
			t.Fatal(err)
		}
	}
	wants("a sender", a, 0, 400)
	wants("a receiver that has not read", b, 400, 0)
	b.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 1) // the least that there is
	for range 100 {
		a.SendTo(make([]byte, 1000), 0, to)
	}
	wants("a receiver without room", b, 400, 0)
	if _, err := a.SendTo(make([]byte, 70_000), 0, to); err == nil {
		t.Error("too large a datagram was sent")
	}
	wants("a sender, after a failure", a, 0, 100_400)

	x, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	l, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_SCTP)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Bind(to)
	l.Listen(1)
	if err := x.Connect(to); err != nil {
		t.Fatal(err)
	}
	y, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if _, err := x.Send(make([]byte, 5000), 0); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3000)
	y.Recv(buf, usock.MSG_PEEK)
	wants("SCTP, sent", x, 0, 5000)
	wants("SCTP, looked at", y, 0, 0)
	y.Recv(buf, 0)
	wants("SCTP, read in part", y, 3000, 0)
	y.Recv(buf, 0)
	wants("SCTP, read", y, 5000, 0)
}

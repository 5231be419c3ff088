package usock_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"

	"usock"
	"usock/internal/abi"
	"usock/link"
	"usock/packet"
)

// groPair returns a socket that sends and one that receives with UDP_GRO, joined by a
// link that carries no large packets.
func groPair(t *testing.T) (a, b *usock.Socket) {
	t.Helper()
	ha, hb := twoHosts(t, link.PipeConfig{MTU: 1500})
	a, b = mustSocket(t, ha, usock.AF_INET, usock.SOCK_DGRAM), mustSocket(t, hb, usock.AF_INET, usock.SOCK_DGRAM)
	if err := b.Bind(mustAddr(t, "10.0.0.2:7000")); err != nil {
		t.Fatal(err)
	}
	if err := b.SetSockOptInt(usock.SOL_UDP, usock.UDP_GRO, 1); err != nil {
		t.Fatal(err)
	}
	if err := b.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := a.Connect(mustAddr(t, "10.0.0.2:7000")); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// sendSegments sends p in datagrams of size.
func sendSegments(t *testing.T, s *usock.Socket, p []byte, size int) {
	t.Helper()
	v := binary.NativeEndian.AppendUint16(nil, uint16(size))
	m := usock.Msg{Bufs: [][]byte{p}, Control: abi.AppendCmsg(nil, usock.SOL_UDP, usock.UDP_SEGMENT, v)}
	if n, err := s.SendMsg(context.Background(), &m, 0); n != len(p) || err != nil {
		t.Fatalf("sent %d of %d, %v", n, len(p), err)
	}
}

// recvSegments receives once and returns what came and the size that is told, 0 if none.
func recvSegments(t *testing.T, s *usock.Socket, flags int) ([]byte, int) {
	t.Helper()
	m := usock.Msg{Bufs: [][]byte{make([]byte, 1<<16)}, Control: make([]byte, 200)}
	n, err := s.RecvMsg(context.Background(), &m, flags)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	list, err := abi.ParseCmsgs(m.Control)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Level == usock.SOL_UDP && c.Type == usock.UDP_GRO {
			size, _ = abi.ParseInt(c.Data)
		}
	}
	return m.Bufs[0][:n], size
}

func numbered(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Append(b, i, " ")
	}
	return b[:n]
}

// Datagrams that a link brings in one go are received in one go: as many as there are of
// one size and one shorter, 64 at most.
func TestUDPCoalesce(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	live := packet.Live()
	t.Run("", func(t *testing.T) {
		a, b := groPair(t)
		for _, c := range []struct {
			n, size int
			want    []int // bytes of each receive
		}{
			{5000, 1000, []int{5000}},
			{4500, 1000, []int{4500}},
			{1000, 1000, []int{1000}},
			{70 * 100, 100, []int{6400, 600}},
			{60000, 1472, []int{60000}},
		} {
			data := numbered(c.n)
			sendSegments(t, a, data, c.size)
			var all []byte
			for _, want := range c.want {
				got, size := recvSegments(t, b, 0)
				if len(got) != want || len(got) > c.size && size != c.size || len(got) <= c.size && size != 0 {
					t.Errorf("%d bytes by %d: received %d bytes of size %d, want %d", c.n, c.size, len(got), size, want)
				}
				all = append(all, got...)
			}
			if !bytes.Equal(all, data) {
				t.Errorf("%d bytes by %d: other bytes", c.n, c.size)
			}
			if _, err := b.Recv(make([]byte, 1), usock.MSG_DONTWAIT); err != syscall.EAGAIN {
				t.Errorf("%d bytes by %d: there is more: %v", c.n, c.size, err)
			}
		}
	})
	if n := packet.Live() - live; n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}

// A datagram that was seen does not change, and one that follows a shorter one begins anew.
func TestUDPCoalesceStops(t *testing.T) {
	a, b := groPair(t)
	sendSegments(t, a, numbered(2500), 1000)
	if got, size := recvSegments(t, b, usock.MSG_PEEK); len(got) != 2500 || size != 1000 {
		t.Fatalf("%d bytes of size %d", len(got), size)
	}
	sendSegments(t, a, numbered(3000), 1000)
	for _, want := range []int{2500, 3000} {
		if got, size := recvSegments(t, b, 0); len(got) != want || size != 1000 || !bytes.Equal(got, numbered(want)) {
			t.Errorf("%d bytes of size %d, want %d", len(got), size, want)
		}
	}
	// Without the option each datagram is received by itself.
	if err := b.SetSockOptInt(usock.SOL_UDP, usock.UDP_GRO, 0); err != nil {
		t.Fatal(err)
	}
	sendSegments(t, a, numbered(2500), 1000)
	for _, want := range []int{1000, 1000, 500} {
		if got, size := recvSegments(t, b, 0); len(got) != want || size != 0 {
			t.Errorf("%d bytes of size %d, want %d", len(got), size, want)
		}
	}
}

package usock_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"usock"
)

// backlogged returns a UDP socket connected to a port where nobody is, and n
// datagrams "0", "1", … in its queue, of which it has received the first: others may
// have been set aside for the calls to come.
func backlogged(t *testing.T, n int) (h *usock.Host, s *usock.Socket) {
	t.Helper()
	h = newHost(t, usock.Config{})
	s = mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	s.SetDeadline(time.Time{})
	if err := s.Bind(mustAddr(t, "127.0.0.1:6000")); err != nil {
		t.Fatal(err)
	}
	peer := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if err := peer.Bind(mustAddr(t, "127.0.0.1:6001")); err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(mustAddr(t, "127.0.0.1:6001")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := peer.SendTo(fmt.Append(nil, i), 0, mustAddr(t, "127.0.0.1:6000")); err != nil {
			t.Fatal(err)
		}
	}
	peer.Close()
	wantDatagram(t, s, 0)
	return h, s
}

func wantDatagram(t *testing.T, s *usock.Socket, i int) {
	t.Helper()
	buf := make([]byte, 16)
	n, from, err := s.RecvFrom(buf, usock.MSG_DONTWAIT)
	if err != nil || string(buf[:n]) != fmt.Sprint(i) || from.Port != 6001 {
		t.Fatalf("received %q from %v, %v; want %d", buf[:n], from, err, i)
	}
}

func TestBacklogOrder(t *testing.T) {
	_, s := backlogged(t, 100)
	for i := 1; i < 100; i++ {
		wantDatagram(t, s, i)
	}
	if _, err := s.Recv(make([]byte, 1), usock.MSG_DONTWAIT); err != syscall.EAGAIN {
		t.Errorf("recv of an empty queue: %v", err)
	}
}

func TestBacklogPeek(t *testing.T) {
	_, s := backlogged(t, 40)
	buf := make([]byte, 16)
	for i := 1; i < 40; i++ {
		if k, err := s.InQueue(); k != len(fmt.Sprint(i)) || err != nil {
			t.Fatalf("SIOCINQ %d, %v, before %d", k, err, i)
		}
		n, err := s.Recv(buf, usock.MSG_PEEK)
		if err != nil || string(buf[:n]) != fmt.Sprint(i) {
			t.Fatalf("peeked at %q, %v; want %d", buf[:n], err, i)
		}
		if s.Events()&usock.POLLIN == 0 {
			t.Fatalf("not readable before %d", i)
		}
		wantDatagram(t, s, i)
	}
	if ev := s.Events(); ev&usock.POLLIN != 0 {
		t.Errorf("events %#x with an empty queue", ev)
	}
}

// A pending error comes before the datagrams that arrived before it.
func TestBacklogError(t *testing.T) {
	_, s := backlogged(t, 20)
	wantDatagram(t, s, 1)
	if _, err := s.Send([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(make([]byte, 16), 0); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("recv: %v, want ECONNREFUSED", err)
	}
	for i := 2; i < 20; i++ {
		wantDatagram(t, s, i)
	}
}

// A deadline that has passed comes before what could be received.
func TestBacklogDeadline(t *testing.T) {
	_, s := backlogged(t, 20)
	s.SetReadDeadline(time.Unix(1, 0))
	for range 3 {
		if _, err := s.Recv(make([]byte, 16), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("recv: %v, want ErrDeadlineExceeded", err)
		}
	}
	s.SetReadDeadline(time.Time{})
	for i := 1; i < 20; i++ {
		wantDatagram(t, s, i)
	}
}

func TestBacklogClose(t *testing.T) {
	_, s := backlogged(t, 20)
	s.Close()
	if _, err := s.Recv(make([]byte, 16), 0); err != syscall.EBADF {
		t.Errorf("recv: %v, want EBADF", err)
	}
}

// Several receivers share one backlog: each datagram reaches one of them, and none
// waits while there is something to be received.
func TestBacklogReceivers(t *testing.T) {
	const n, receivers, underWay = 2000, 4, 200
	h := newHost(t, usock.Config{})
	a := mustAddr(t, "127.0.0.1:6000")
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	s.SetDeadline(time.Time{})
	if err := s.Bind(a); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	for range receivers {
		go func() {
			buf := make([]byte, 16)
			for {
				k, err := s.Recv(buf, 0)
				if err != nil {
					return
				}
				got <- string(buf[:k])
			}
		}()
	}
	cli := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	room := make(chan struct{}, underWay)
	go func() {
		for i := range n {
			room <- struct{}{}
			cli.SendTo(fmt.Append(nil, i), 0, a)
		}
	}()
	seen := make(map[string]bool)
	late := time.After(10 * time.Second)
	for len(seen) < n {
		select {
		case d := <-got:
			if seen[d] {
				t.Fatalf("%q came twice", d)
			}
			seen[d] = true
			<-room
		case <-late:
			t.Fatalf("%d of %d datagrams came; %+v", len(seen), n, h.Sockets())
		}
	}
	s.Close()
}

package usock_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
)

// A deadline in the past ends the calls that wait, at once and without a timer, and
// those to come, until it is taken off.
func TestPassedDeadline(t *testing.T) {
	clock := new(clock.Manual) // no timer goes off
	h := newHost(t, usock.Config{Clock: clock})
	s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	receive := func() {
		_, err := s.Recv(make([]byte, 1), 0)
		got <- err
	}
	past := time.Unix(1, 0)
	go receive()
	for range 2 { // under way, and begun after
		if err := s.SetReadDeadline(past); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		go receive()
	}
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	a, _ := s.GetSockName()
	if _, err := s.SendTo([]byte("x"), 0, a); err != nil {
		t.Fatal(err)
	}
	go receive()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.SetDeadline(time.Time{}); err != syscall.EBADF {
		t.Errorf("deadline of a closed socket: %v", err)
	}
}

// What is not set is taken off without a wait for the host's lock, which net/http
// does for each request.
func TestNoDeadline(t *testing.T) {
	h := newHost(t, usock.Config{})
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	set := func() error {
		return errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.SetDeadline(time.Time{}))
	}
	if n := testing.AllocsPerRun(100, func() { err = set() }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	c.Close()
	if err := set(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("of a closed connection: %v", err)
	}
}

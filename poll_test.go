package usock_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"

	"usock"
)

// A socket that is closed is out of its poll sets: whoever closes it in the loop that waits
// hears no more of it, not even of what it had told before.
func TestPollSetForgetsClosedSocket(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b, err := h.SocketPair(usock.AF_UNIX, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	set := h.NewPollSet()
	defer set.Close()
	if err := set.Add(a, usock.POLLIN, nil); err != nil {
		t.Fatal(err)
	}
	b.Send([]byte("x"), 0)
	var out [4]usock.Event
	if n, err := set.Wait(t.Context(), out[:]); n != 1 || err != nil {
		t.Fatalf("%d events, %v before the close", n, err)
	}
	a.Close()
	var now context.Context // nil: do not wait
	if n, err := set.Wait(now, out[:]); n != 0 || err != nil {
		t.Errorf("%d events, %v of a closed socket", n, err)
	}
	if err := set.Modify(a, usock.POLLIN, nil); err != syscall.ENOENT {
		t.Errorf("Modify: %v, want ENOENT", err)
	}
	if err := set.Add(a, usock.POLLIN, nil); err != syscall.EBADF {
		t.Errorf("Add: %v, want EBADF", err)
	}
}

// A Wait goes on when a socket of its set is closed, and ends when the host does.
func TestPollSetEndsWithHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := usock.NewHost(usock.Config{})
		if err != nil {
			t.Fatal(err)
		}
		set := h.NewPollSet()
		first, second := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM), mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
		for _, s := range []*usock.Socket{first, second} {
			if err := set.Add(s, usock.POLLIN, nil); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := set.Wait(context.Background(), make([]usock.Event, 1))
			done <- err
		}()
		synctest.Wait()
		first.Close()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("the close of a socket ended Wait: %v", err)
		default:
		}
		h.Close()
		synctest.Wait()
		select {
		case err := <-done:
			if err != syscall.EBADF {
				t.Errorf("%v, want EBADF", err)
			}
		default:
			t.Error("Wait goes on without the host")
		}
	})
}

package usock_test

import (
	"encoding/binary"
	"io"
	"sync"
	"testing"

	"usock"
	"usock/link"
	"usock/trace"
)

// TestDatagramsInOrder has senders of small datagrams to the own host, while what makes packets of them comes and goes: recordings,
// listeners, filters, UDP_GRO, and other sockets of the port. Each sender's come whole, in order, and none is missing.
func TestDatagramsInOrder(t *testing.T) {
	h := newHost(t, usock.Config{})
	const senders, each, window = 3, 1000, 16
	r := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if err := r.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	to, _ := r.GetSockName()

	turns := make(chan struct{}) // one for each datagram that finds somebody waiting
	var all, toggles sync.WaitGroup
	toggle := func(f func()) {
		toggles.Go(func() {
			for range turns {
				f()
			}
		})
	}
	toggle(func() { h.Trace(func([]trace.Event) {})() })
	toggle(func() {
		stop, err := h.Record(link.NewPcapWriter(io.Discard, 0))
		if err != nil {
			t.Error(err)
			return
		}
		stop()
	})
	keep := []byte{6, 0, 0, 0, 0, 1, 0, 0} // 256 bytes
	toggle(func() {
		r.SetSockOpt(usock.SOL_UDP, usock.UDP_GRO, []byte{1, 0, 0, 0})
		r.SetSockOpt(usock.SOL_UDP, usock.UDP_GRO, []byte{0, 0, 0, 0})
	})
	toggle(func() {
		r.SetSockOpt(usock.SOL_SOCKET, usock.SO_ATTACH_FILTER, keep)
		r.SetSockOpt(usock.SOL_SOCKET, usock.SO_DETACH_FILTER, []byte{0, 0, 0, 0})
	})
	toggle(func() {
		o := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
		o.Bind(mustAddr(t, "127.0.0.1:0"))
		a, _ := o.GetSockName()
		o.SendTo(make([]byte, 8), 0, a)
		o.Close()
	})

	var windows [senders]chan struct{}
	for i := range windows {
		windows[i] = make(chan struct{}, window)
		s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
		all.Go(func() {
			for n := range each {
				windows[i] <- struct{}{}
				b := make([]byte, 16+n%200)
				binary.BigEndian.PutUint64(b, uint64(i))
				binary.BigEndian.PutUint64(b[8:], uint64(n))
				if _, err := s.SendTo(b, 0, to); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [senders]uint64
	b := make([]byte, 1000)
	for left := senders * each; left > 0; {
		n, err := r.Recv(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := binary.BigEndian.Uint64(b)
		if k := binary.BigEndian.Uint64(b[8:]); k != next[i] || n != 16+int(k)%200 {
			t.Fatalf("of sender %d comes %d of %d bytes, want %d", i, k, n, next[i])
		}
		next[i]++
		left--
		<-windows[i]
		select {
		case turns <- struct{}{}:
		default:
		}
	}
	all.Wait()
	close(turns)
	toggles.Wait()
}

package usock_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"usock"
	"usock/packet"
)

// TestData has a relay hand on a stream without copying it.
func TestData(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	h := newHost(t, usock.Config{})
	a, b := pair(t, h, "127.0.0.1:5100")
	c, d := pair(t, h, "[::1]:5101")
	const size = 5 << 20
	want := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(want)
	go func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(usock.MaxData))
			x := usock.NewData(usock.MaxData)
			copy(x.Room(), rest[:n])
			x.Cut(n)
			if left, err := a.SendData([]usock.Data{x}, 0); err != nil || len(left) != 0 {
				t.Errorf("%d of %d bytes left: %v", left[0].Len(), n, err)
			}
			rest = rest[n:]
		}
		a.Shutdown(usock.SHUT_WR)
	}()
	go func() {
		for {
			got, err := b.RecvData(200_000, 0, nil)
			if err != nil {
				t.Error(err)
			}
			if len(got) == 0 {
				c.Shutdown(usock.SHUT_WR)
				return
			}
			if left, err := c.SendData(got, 0); err != nil || len(left) != 0 {
				t.Errorf("%d pieces left: %v", len(left), err)
			}
		}
	}()
	if got := recvAll(t, d, size); !bytes.Equal(got, want) {
		t.Error("the bytes differ")
	}
	if n, err := d.Recv(make([]byte, 1), 0); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
	for _, s := range []*usock.Socket{a, b, c, d} {
		s.Close()
	}
	within(t, "all blocks are given back", func() error {
		if n := packet.Live(); n != 0 {
			return errors.New("blocks are left")
		}
		return nil
	})
}

func TestDataNonblocking(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b := pair(t, h, "127.0.0.1:5100")
	if _, err := b.RecvData(10, usock.MSG_DONTWAIT, nil); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("nothing to receive: %v", err)
	}
	a.SetNonblock(true)
	sent := 0
	for full := false; !full; {
		pieces := []usock.Data{usock.NewData(usock.MaxData), {}, usock.NewData(usock.MaxData), usock.NewData(10)}
		left, err := a.SendData(pieces, 0)
		sent += 2*usock.MaxData + 10
		full = len(left) > 0
		for i := range left {
			sent -= left[i].Len()
			left[i].Release()
		}
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
	}
	if most := 4<<20 + usock.MaxData; sent > most {
		t.Errorf("%d bytes were taken: more than a piece beyond the buffer", sent)
	}
	if got := recvAll(t, b, sent); len(got) != sent {
		t.Errorf("%d bytes of %d", len(got), sent)
	}
	a.Close()
	x := usock.NewData(3)
	if left, err := a.SendData([]usock.Data{x}, 0); !errors.Is(err, syscall.EBADF) || len(left) != 1 || x.Len() != 3 {
		t.Errorf("on a closed socket: %v, %d bytes left", err, x.Len())
	}
	x.Trim(1)
	if x.Len() != 2 {
		t.Error("Trim")
	}
	x.Release()
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if _, err := u.RecvData(10, 0, nil); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("of a datagram socket: %v", err)
	}
}

// TestDataTogether sends pieces together: whoever waits for them is told once, and finds all.
func TestDataTogether(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, b := pair(t, h, "127.0.0.1:5100")
	set := h.NewPollSet()
	defer set.Close()
	if err := set.Add(b, usock.POLLIN|usock.EPOLLET, b); err != nil {
		t.Fatal(err)
	}
	told := 0
	set.AfterReady(func() { told++ })
	const size, count = 8 << 10, 4
	pieces := make([]usock.Data, count)
	for i := range pieces {
		pieces[i] = usock.NewData(size)
	}
	if left, err := a.SendData(pieces, 0); err != nil || len(left) > 0 {
		t.Fatalf("%d pieces are left: %v", len(left), err)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	got, err := b.RecvData(2*count*size, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range got {
		n += got[i].Len()
		got[i].Release()
	}
	if n != count*size {
		t.Errorf("%d bytes of %d are there", n, count*size)
	}
}

package link

import (
	"errors"
	"testing"
	"testing/synctest"

	"usock/packet"
)

// leakCheck fails the test if a block made during it is not released.
func leakCheck(t *testing.T) {
	packet.Track(true)
	live := packet.Live()
	t.Cleanup(func() {
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
}

func numbered(from, n int) []*packet.Packet {
	out := make([]*packet.Packet, n)
	for i := range out {
		out[i] = packet.FromBytes([]byte{byte(from + i), byte((from + i) >> 8)})
	}
	return out
}

func number(p *packet.Packet) int {
	b := p.AppendTo(nil)
	return int(b[0]) | int(b[1])<<8
}

func TestPipeRecv(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(PipeConfig{})
		defer a.Close()
		done := make(chan error)
		go func() {
			batch := make([]*packet.Packet, 3)
			want := 0
			for {
				n, err := b.Recv(batch)
				if err != nil {
					done <- err
					return
				}
				for _, p := range batch[:n] {
					if got := number(p); got != want {
						t.Errorf("packet %d, want %d", got, want)
					}
					want++
					p.Free()
				}
			}
		}()
		if n := a.Send(numbered(0, 10)); n != 10 {
			t.Fatalf("accepted %d of 10", n)
		}
		synctest.Wait()
		b.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Fatalf("Recv after Close: %v", err)
		}
		if n := a.Send(numbered(0, 1)); n != 0 {
			t.Fatal("accepted for a closed end")
		}
	})
}

func TestPipeDeliver(t *testing.T) {
	leakCheck(t)
	a, b := Pipe(PipeConfig{Names: [2]string{"left", "right"}, MTU: 1500, SmallSegments: true})
	if i := a.Info(); i.Name != "left" || i.MTU != 1500 || i.Segments || !i.Checksum {
		t.Fatalf("%+v", i)
	}
	var got []int
	a.Send(numbered(0, 100)) // before Deliver: kept
	b.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			got = append(got, number(p))
			p.Free()
		}
	})
	a.Send(numbered(100, 5))
	if len(got) != 105 {
		t.Fatalf("%d packets, want 105", len(got))
	}
	for i, n := range got {
		if i != n {
			t.Fatalf("packet %d at %d", n, i)
		}
	}
	b.Close()
	a.Send(numbered(0, 1))
	if len(got) != 105 {
		t.Fatal("delivered after Close")
	}
	a.Close()
}

func TestPipeBound(t *testing.T) {
	leakCheck(t)
	a, b := Pipe(PipeConfig{})
	if n := a.Send(numbered(0, queueBound+10)); n != queueBound {
		t.Fatalf("accepted %d, want %d", n, queueBound)
	}
	a.Close()
	b.Close()
}

// Hosts answer while they are being delivered to: an answer comes back on the same
// goroutine.
func TestPipeAnswersInside(t *testing.T) {
	leakCheck(t)
	a, b := Pipe(PipeConfig{})
	var back []int
	a.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			back = append(back, number(p))
			p.Free()
		}
	})
	b.Deliver(func(batch []*packet.Packet) { b.Send(batch) })
	a.Send(numbered(7, 3))
	if len(back) != 3 || back[0] != 7 || back[2] != 9 {
		t.Fatal(back)
	}
	a.Close()
	b.Close()
}

func TestLoopback(t *testing.T) {
	leakCheck(t)
	l := Loopback()
	if i := l.Info(); i.Name != "lo" || i.MTU != 65536 || !i.Segments || !i.Checksum || i.Medium != IP {
		t.Fatalf("%+v", i)
	}
	l.Send(numbered(0, 2))
	batch := make([]*packet.Packet, 4)
	n, err := l.Recv(batch)
	if n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, p := range batch[:n] {
		p.Free()
	}
	l.Close()
	if _, err := l.Recv(batch); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

package usock_test

import (
	"io"
	"testing"

	"usock"
	"usock/link"
	"usock/trace"
)

func benchBulk(b *testing.B, x, y stream, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, size)
		for {
			_, err := y.Read(buf)
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				done <- err
				return
			}
		}
	}()
	buf := make([]byte, size)
	b.ResetTimer()
	for range b.N {
		if _, err := x.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	x.CloseWrite()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBulkLoopback(b *testing.B) {
	h := newHost(b, usock.Config{})
	x, y := connPair(b, h, h, "127.0.0.1:0")
	benchBulk(b, x, y, 128<<10)
}

func BenchmarkBulkPipe1500(b *testing.B) {
	p, q := twoHosts(b, link.PipeConfig{MTU: 1500, SmallSegments: true})
	x, y := connPair(b, p, q, "10.0.0.2:0")
	benchBulk(b, x, y, 128<<10)
}

func BenchmarkBulkPipe65535(b *testing.B) {
	p, q := twoHosts(b, link.PipeConfig{MTU: 65535})
	x, y := connPair(b, p, q, "10.0.0.2:0")
	benchBulk(b, x, y, 128<<10)
}

// roundTrips returns a function that sends a byte over a connection of h and takes the answer.
func roundTrips(t testing.TB, h *usock.Host) func() {
	x, y := connPair(t, h, h, "127.0.0.1:0")
	t.Cleanup(func() { x.Close() })
	go func() {
		p := make([]byte, 1)
		for {
			if _, err := y.Read(p); err != nil {
				return
			}
			y.Write(p)
		}
	}()
	p := make([]byte, 1)
	return func() {
		x.Write(p)
		x.Read(p)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	trip := roundTrips(b, newHost(b, usock.Config{}))
	b.ReportAllocs()
	for b.Loop() {
		trip()
	}
}

// What it costs that somebody listens to a host's events (Host.Trace).
func BenchmarkTraced(b *testing.B) {
	ignore := func([]trace.Event) {}
	b.Run("RoundTrip", func(b *testing.B) {
		h := newHost(b, usock.Config{})
		trip := roundTrips(b, h)
		defer h.Trace(ignore)()
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
	b.Run("BulkPipe1500", func(b *testing.B) {
		p, q := twoHosts(b, link.PipeConfig{MTU: 1500, SmallSegments: true})
		x, y := connPair(b, p, q, "10.0.0.2:0")
		defer p.Trace(ignore)()
		defer q.Trace(ignore)()
		benchBulk(b, x, y, 128<<10)
	})
}

func BenchmarkConnect(b *testing.B) {
	h := newHost(b, usock.Config{})
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		p := make([]byte, 1)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(p)
			c.Write(p)
			c.Close()
		}
	}()
	p := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		c, err := h.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		c.Write(p)
		c.Read(p)
		c.Close()
	}
	l.Close()
}

func BenchmarkUDP64(b *testing.B) {
	h := newHost(b, usock.Config{})
	srv, err := h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cli, err := h.Dial("udp", srv.LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	got := make(chan int)
	go func() {
		n, p := 0, make([]byte, 2048)
		for {
			if _, _, err := srv.(*usock.UDPConn).ReadFromUDPAddrPort(p); err != nil {
				got <- n
				return
			}
			n++
		}
	}()
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		cli.Write(p)
	}
	srv.Close()
	b.ReportMetric(float64(<-got)/float64(b.N), "received/op")
}

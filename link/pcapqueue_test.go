package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"usock/packet"
)

// gated is a writer whose Write waits until the gate is opened.
type gated struct {
	gate chan struct{}
	file bytes.Buffer
}

func (g *gated) Write(b []byte) (int, error) {
	<-g.gate
	return g.file.Write(b)
}

// counted returns a pipe whose first end is recorded to w, and how many packets came
// out of the other.
func counted(w *PcapWriter) (l Link, n *int, end func()) {
	a, b := Pipe(PipeConfig{})
	n = new(int)
	b.Deliver(func(batch []*packet.Packet) {
		for _, p := range batch {
			*n++
			p.Free()
		}
	})
	l = Pcap(a, w, Sent)
	return l, n, func() { l.Close(); b.Close() }
}

// TestPcapSlowWriter: a writer that is too slow holds no packet up. What is recorded is
// in order and has the time at which it passed, and what is left out is counted.
func TestPcapSlowWriter(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		g := &gated{gate: make(chan struct{})}
		w := NewPcapWriter(g, 0)
		l, n, end := counted(w)
		defer end()
		began := time.Now()
		const sent = 1000
		data := make([]byte, 30_000)
		for i := range sent {
			binary.BigEndian.PutUint32(data, uint32(i))
			l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", data)})
			if *n != i+1 {
				t.Fatal("a packet is held up")
			}
			time.Sleep(time.Millisecond)
		}
		dropped := int(w.Dropped())
		if kept := (sent - dropped) * len(data); kept > 16<<20 || kept < 15<<20 {
			t.Errorf("%d bytes are kept", kept)
		}
		close(g.gate)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(&g.file, pcapgo.NgReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range sent - dropped {
			b, ci, err := r.ReadPacketData()
			if err != nil {
				t.Fatal(i, err)
			}
			if k := int(binary.BigEndian.Uint32(b[28:])); k != i {
				t.Fatalf("packet %d is the one sent as number %d", i, k)
			}
			if at := ci.Timestamp.Sub(began); at != time.Duration(i)*time.Millisecond {
				t.Fatalf("packet %d passed after %v", i, at)
			}
		}
		if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last packet: %v", err)
		}
		i, err := r.Interface(0)
		if err != nil {
			t.Fatal(err)
		}
		if s := i.Statistics; s.PacketsReceived != sent || s.PacketsDropped != uint64(dropped) {
			t.Errorf("statistics: %+v, %d were left out", s, dropped)
		}
	})
}

// TestPcapCatchesUp: after packets were left out the recording goes on.
func TestPcapCatchesUp(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		g := &gated{gate: make(chan struct{})}
		w := NewPcapWriter(g, 0)
		l, _, end := counted(w)
		defer end()
		send := func() { l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", make([]byte, 60_000))}) }
		for w.Dropped() == 0 {
			send()
		}
		close(g.gate)
		synctest.Wait() // all is written, and the goroutine has ended
		size := g.file.Len()
		send()
		synctest.Wait()
		if w.Dropped() != 1 || g.file.Len() < size+60_000 {
			t.Errorf("%d left out, %d bytes written after %d", w.Dropped(), g.file.Len(), size)
		}
		w.Close()
	})
}

// TestPcapStuckWriter: Close gives a stuck writer up, and nothing is left when its Write
// returns.
func TestPcapStuckWriter(t *testing.T) {
	leakCheck(t)
	synctest.Test(t, func(t *testing.T) {
		g := &gated{gate: make(chan struct{})}
		w := NewPcapWriter(g, 0)
		l, n, end := counted(w)
		defer end()
		for range 5 {
			l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", []byte("data"))})
		}
		began := time.Now()
		if err := w.Close(); err != ErrPcapStuck {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("Close took %v", d)
		}
		if w.Dropped() != 5 {
			t.Errorf("%d packets were left out", w.Dropped())
		}
		l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", []byte("data"))})
		if *n != 6 {
			t.Errorf("%d packets passed", *n)
		}
		if err := w.Close(); err != ErrPcapStuck {
			t.Errorf("Close again: %v", err)
		}
		close(g.gate) // the bubble ends when the goroutine has
	})
}

// TestPcapRegularFile: a file is written to on the way, and misses nothing.
func TestPcapRegularFile(t *testing.T) {
	leakCheck(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "x.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := NewPcapWriter(f, 0)
	l, _, end := counted(w)
	defer end()
	const sent, size = 2000, 50_000
	for range sent {
		l.Send([]*packet.Packet{datagram("10.0.0.1", "10.0.0.2", make([]byte, size))})
	}
	i, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(sent * size); i.Size() < n-pcapBehind-2*pcapChunk {
		t.Errorf("%d of more than %d bytes are in the file before it is closed", i.Size(), n)
	}
	if err := w.Close(); err != nil || w.Dropped() != 0 {
		t.Error(err, w.Dropped())
	}
}

// TestPcapFileHasAll records to a file from several goroutines more than may wait for it: all of it is there, each goroutine's
// packets in their order.
func TestPcapFileHasAll(t *testing.T) {
	leakCheck(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "x.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := NewPcapWriter(f, 0)
	to := w.Interface(Info{Name: "x"})
	const goroutines, packets, size = 3, 40, 40_000 // pcapBehind a few times
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			data := make([]byte, size)
			for i := range packets {
				data[0], data[1] = byte(g), byte(i)
				p := datagram("10.0.0.1", "10.0.0.2", data)
				to.Record(Sent, []*packet.Packet{p})
				p.Free()
			}
		})
	}
	all.Wait()
	if err := w.Close(); err != nil || w.Dropped() != 0 {
		t.Fatal(err, w.Dropped())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var next [goroutines]byte
	for range goroutines * packets {
		data, _, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(next, err)
		}
		g := data[28]
		if data[29] != next[g] {
			t.Fatalf("packet %d of goroutine %d, after %d", data[29], g, next[g])
		}
		next[g]++
	}
}

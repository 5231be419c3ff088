package link

import (
	"fmt"
	"os"
	"testing"

	"usock/packet"
)

// BenchmarkPcap is what passes a link that is recorded to a file, on tmpfs where there is one: bytes of packets a second, of
// which none may be missing in the file.
func BenchmarkPcap(b *testing.B) {
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = b.TempDir()
	}
	for _, size := range []int{1500, 65535} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f, err := os.CreateTemp(dir, "pcap")
			if err != nil {
				b.Fatal(err)
			}
			defer os.Remove(f.Name())
			defer f.Close()
			w := NewPcapWriter(f, 0)
			x, y := Pipe(PipeConfig{})
			y.Deliver(sink)
			l := Pcap(x, w, Sent)
			block := packet.NewBlock(size - 28)
			defer block.Release()
			b.SetBytes(int64(size))
			written := int64(0)
			kept := 0
			for range b.N {
				p := datagram("10.0.0.1", "10.0.0.2", nil)
				block.Retain()
				p.Payload.Append(block.View(0, size-28))
				p.Owner = packet.Owner{PID: 7, Socket: 3}
				l.Send([]*packet.Packet{p})

				// The file is kept small: what is measured is not how much memory there is.
				if kept += size; kept >= 32<<20 {
					kept = 0
					b.StopTimer()
					w.writing.Lock()
					written += truncated(b, f)
					w.writing.Unlock()
					b.StartTimer()
				}
			}
			if err := w.Close(); err != nil || w.Dropped() != 0 {
				b.Fatal(err, w.Dropped())
			}
			written += truncated(b, f)
			if written < int64(b.N*size) {
				b.Errorf("%d bytes are written of %d packets", written, b.N)
			}
			l.Close()
			y.Close()
		})
	}
}

// truncated empties a file and returns how large it was.
func truncated(b *testing.B, f *os.File) int64 {
	n, err := f.Seek(0, 1)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}

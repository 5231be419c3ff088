package offload

import (
	"bytes"
	"slices"
	"testing"

	"usock/packet"
)

// place takes packets, but for the first few of each batch.
type place struct {
	refuses int
	fails   bool // panics, once it has taken them
	sizes   []int
	got     [][]byte
	left    int // with a checksum that is to be completed
}

func (l *place) Send(batch []*packet.Packet) int {
	l.sizes = append(l.sizes, len(batch))
	refused := min(l.refuses, len(batch))
	for i, p := range batch {
		if i >= refused {
			if p.ChecksumOffset != 0 {
				l.left++
				Complete(p, 0)
			}
			l.got = append(l.got, p.AppendTo(nil))
		}
		p.Free()
	}
	if l.fails {
		panic("place")
	}
	return len(batch) - refused
}

// batchOf returns packets with so many pieces each; 0: a small one. data is what those have together.
func batchOf(v6 bool, pieces ...int) (batch []*packet.Packet, data []byte) {
	for i, n := range pieces {
		d, size := pattern(100), 0
		if n > 0 {
			d, size = pattern(n*100-i), 100
		}
		p := segment(v6, size, d)
		if size == 0 {
			Complete(p, 0)
		}
		batch, data = append(batch, p), append(data, d...)
	}
	return batch, data
}

// What a Cutter is sent comes in order, in batches of at most 64, the pieces of one together where they can be, and counts for as many packets
// as Pieces says.
func TestCutter(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, checksum := range []bool{false, true} {
			leakCheck(t)
			to := new(place)
			c := &Cutter{To: to, Checksum: checksum}
			for range 2 { // the second time it is as the first
				*to = place{}
				batch, data := batchOf(v6, 0, 30, 33, 0, 40, 64, 1, 150, 2, 0)
				packets, size := 0, 0
				for _, p := range batch {
					n, b := Pieces(p)
					packets, size = packets+n, size+b
				}
				if n := c.Send(batch); n != len(batch) {
					t.Errorf("%d of %d were taken", n, len(batch))
				}
				var got []byte
				sent := 0
				for _, b := range to.got {
					_, _, d := check(t, b)
					got, sent = append(got, d...), sent+len(b)
				}
				if !bytes.Equal(got, data) || len(to.got) != packets || sent != size {
					t.Errorf("%d packets of %d bytes, want %d of %d, and their data in order", len(to.got), sent, packets, size)
				}
				if want := []int{1 + 30, 33 + 1, 40, 64, 1, 64, 64, 22 + 2 + 1}; !slices.Equal(to.sizes, want) {
					t.Errorf("batches of %v, want %v", to.sizes, want)
				}
				if left := packets - 3; checksum && to.left != left || !checksum && to.left != 0 {
					t.Errorf("%d checksums are left of %d", to.left, packets)
				}
			}
		}
	}
}

// Each piece that is refused is one packet less, and so is a packet that cannot be cut.
func TestCutterLoses(t *testing.T) {
	leakCheck(t)
	to := &place{refuses: 40}
	c := &Cutter{To: to}
	batch, _ := batchOf(false, 0, 150)
	if n := c.Send(batch); n != 2-40-40-23 || len(to.got) != 151-103 {
		t.Errorf("%d, and %d packets", n, len(to.got))
	}
	to.refuses = 0
	batch, _ = batchOf(true, 3, 2, 0, 5)
	udp := batch[1]
	udp.Front()[6] = 17
	if n, size := Pieces(udp); n != 1 || size != udp.Len() {
		t.Errorf("one that is not cut is %d packets of %d bytes", n, size)
	}
	to.got = nil
	if n := c.Send(batch); n != 3 || len(to.got) != 3+1+5 {
		t.Errorf("%d, and %d packets", n, len(to.got))
	}
	if n := c.Send(nil); n != 0 {
		t.Errorf("%d of none", n)
	}
}

// A place that has panicked is sent nothing twice.
func TestCutterPlacePanics(t *testing.T) {
	to := &place{fails: true}
	c := &Cutter{To: to}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		batch, _ := batchOf(false, 70)
		c.Send(batch)
	}()
	*to = place{}
	batch, data := batchOf(false, 2)
	if n := c.Send(batch); n != 1 || len(to.got) != 2 {
		t.Fatalf("%d, and %d packets", n, len(to.got))
	}
	if _, _, d := check(t, to.got[0]); !bytes.Equal(d, data[:100]) {
		t.Error("other data")
	}
}

// However its headers lie, a packet is as many as it is cut into.
func TestPieces(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{0, 1, 99, 100, 101, 5000} {
			for _, head := range []int{0, 10, 20, 40, 50, 1000} { // bytes of the front, the rest is in views
				leakCheck(t)
				whole := segment(v6, 100, pattern(n))
				b := whole.AppendTo(nil)
				whole.Free()
				head = min(head, len(b))
				p := packet.New()
				copy(p.Prepend(min(head, 100)), b)
				for rest := b[min(head, 100):]; len(rest) > 0; {
					k := len(rest)
					if len(p.Payload.Views()) < 4 {
						k = min(30, k)
					}
					p.Payload.Append(packet.Copy(rest[:k]))
					rest = rest[k:]
				}
				p.SegmentSize = 100
				packets, size := Pieces(p)
				if !Segment(p, func(s *packet.Packet) {
					packets, size = packets-1, size-s.Len()
					s.Free()
				}) || packets != 0 || size != 0 {
					t.Errorf("IPv6 %v, %d bytes, %d in front: %d packets and %d bytes too many", v6, n, head, packets, size)
				}
			}
		}
	}
}

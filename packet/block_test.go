package packet

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestBlockSizes(t *testing.T) {
	for _, n := range []int{0, 1, 256, 257, 2048, 16 << 10, MaxBlock} {
		b := NewBlock(n)
		if b.Cap() < n {
			t.Errorf("block of %d bytes for %d", b.Cap(), n)
		}
		b.Release()
	}
	for _, f := range []func(){
		func() { NewBlock(MaxBlock + 1) },
		func() { NewBlock(-1) },
		func() { b := NewBlock(1); b.Release(); b.Release() },
		func() { NewBlock(1).View(0, 1000) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("misuse was not noticed")
				}
			}()
			f()
		}()
	}
}

// TestVec compares a Vec with a plain slice of bytes, and counts the references.
func TestVec(t *testing.T) {
	Track(true)
	defer Track(false)
	start := Live()
	rapid.Check(t, func(t *rapid.T) {
		var x Vec
		var want []byte
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				p := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "p")
				v := Copy(p)
				if x.Append(v) {
					want = append(want, p...)
				} else {
					if len(x.Views()) != VecCap && !x.Full() {
						t.Fatal("refused though there is room")
					}
					v.Release()
				}
			},
			"join": func(t *rapid.T) {
				// Two views of one block, of which the second one needs no place.
				p := rapid.SliceOfN(rapid.Byte(), 2, 50).Draw(t, "p")
				v := Copy(p)
				if x.Room() == 0 {
					if x.Join(v) {
						t.Fatal("taken though there is no room")
					}
					v.Release()
					return
				}
				v.Retain()
				k := rapid.IntRange(1, len(p)-1).Draw(t, "k")
				room := x.Room()
				if !x.Join(v.Slice(0, k)) || !x.Join(v.Slice(k, len(p))) || x.Room() != room-1 {
					t.Fatalf("room for %d views, then for %d", room, x.Room())
				}
				want = append(want, p...)
			},
			"trim": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				x.TrimFront(n)
				want = want[n:]
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)+5).Draw(t, "n")
				x.Truncate(n)
				want = want[:min(n, len(want))]
			},
			"release": func(t *rapid.T) {
				x.Release()
				want = nil
			},
			"": func(t *rapid.T) {
				if x.Len() != len(want) || !bytes.Equal(x.AppendTo(nil), want) {
					t.Fatalf("%q, want %q", x.AppendTo(nil), want)
				}
				off := rapid.IntRange(0, len(want)).Draw(t, "off")
				p := make([]byte, 20)
				n := x.CopyTo(p, off)
				if !bytes.Equal(p[:n], want[off:min(len(want), off+20)]) {
					t.Fatalf("copied %q from %d of %q", p[:n], off, want)
				}
				if want == nil && Live() < 0 {
					t.Fatal("more blocks released than made")
				}
			},
		})
		x.Release()
	})
	if n := Live() - start; n != 0 {
		t.Errorf("%d blocks left", n)
	}
}

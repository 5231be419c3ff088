package sctp

import (
	"strings"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// arwnd returns the window of the next SACK.
func (r *receives) arwnd() uint32 {
	k, err := wire.ParseSack(r.appendSack(nil, 1400)[wire.ChunkHeaderLen:])
	if err != nil {
		r.t.Fatal(err)
	}
	return k.ARwnd
}

// TestReceiveWindow: the window is half of the buffer less what is not read, and opens by a packet at
// least (6.2).
func TestReceiveWindow(t *testing.T) {
	r := newReceives(t)
	if w := r.initialWindow(); w != 1<<15 {
		t.Fatal(w)
	}
	data := strings.Repeat("x", 1000)
	for i := range 30 {
		r.message(i+1, 0, uint32(i), "BE", data)
		if w := r.arwnd(); w != uint32(1<<15-1000*(i+1)) {
			t.Fatalf("%d messages: window %d", i+1, w)
		}
	}
	r.message(31, 0, 30, "BE", data)
	r.message(32, 0, 31, "BE", data)
	if w := r.arwnd(); w != 768 {
		t.Fatal(w)
	}

	// What is read opens it by little steps that nobody is told of, and then by one that the peer is
	// told of at once.
	for n, want := range []uint32{768, 2768, 2768, 4768} {
		r.takeMessage(1000)
		if w := r.arwnd(); w != want {
			t.Fatalf("%d messages are read: window %d, want %d", n+1, w, want)
		}
	}
	for range 4 {
		r.takeMessage(1000)
		if r.sackDue(r.now) {
			t.Fatal("the window is told too early")
		}
	}
	r.takeMessage(1000)
	if !r.sackDue(r.now) || r.arwnd() != 9768 {
		t.Fatal("the window is not told")
	}
}

// TestWindowStep: the window grows by a packet to the byte, and not by less.
func TestWindowStep(t *testing.T) {
	for _, n := range []int{testMTU - 1, testMTU} {
		r := newReceives(t)
		r.message(1, 0, 0, "BE", strings.Repeat("x", n))
		told := r.arwnd()
		r.takeMessage(1 << 20)
		want := r.initialWindow()
		if n < testMTU {
			want = told
		}
		if w := r.arwnd(); told != r.initialWindow()-uint32(n) || w != want {
			t.Fatalf("%d bytes are read: window %d, then %d", n, told, w)
		}
	}
}

// TestWaitedFor: what all wait for is taken though the memory is full of what nobody can read, once.
func TestWaitedFor(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.bufSize, r.interleaved = 2000, true })
	tsn := 0
	for {
		tsn++
		before := r.cum
		r.chunk(tsn, uint32(tsn%10), 1, "B", strings.Repeat("x", 500)) // message 0 has not come
		if r.cum == before || r.charged > r.memory() {
			break
		}
	}
	if r.charged <= r.memory() || r.readable() {
		t.Fatalf("charged %d of %d", r.charged, r.memory())
	}
	r.chunk(tsn+1, 1, 0, "BE", "x")
	r.want("1.0:x", "1.1:"+strings.Repeat("x", 500)+"...")
}

// TestLargeBlocks: a small message does not keep a large block for long, and a large message is not copied.
func TestLargeBlocks(t *testing.T) {
	r := newReceives(t)
	send := func(tsn, n int) packet.View {
		b := packet.NewBlock(packet.MaxBlock)
		v := b.View(0, n)
		var p packet.Vec
		p.Append(v)
		d := inData{Data: wire.Data{Flags: wire.DataB | wire.DataE, TSN: uint32(r.first) + uint32(tsn) - 1, SSN: uint16(tsn - 1), PPID: 77}}
		if r.data(&d, &p, 0, n) != dataTaken {
			t.Fatal("refused")
		}
		p.Release()
		return v
	}
	for tsn := 1; tsn <= 100; tsn++ {
		send(tsn, 10)
	}
	if r.stored > uint64(r.bufSize)+100*256 {
		t.Fatalf("%d bytes of blocks are held for 1000 bytes", r.stored)
	}
	v := send(101, packet.MaxBlock/2)
	for range 100 {
		r.takeMessage(100)
	}
	var m inMessage
	views, _ := r.take(1<<20, nil, &m)
	if len(views) != 1 || &views[0].Bytes()[0] != &v.Bytes()[0] {
		t.Fatal("a large message was copied")
	}
	packet.ReleaseAll(views)
}

// TestTinyChunks: a peer that sends single bytes cannot have more memory held than twice SO_RCVBUF, is
// told of a smaller window, and goes on when the program reads.
func TestTinyChunks(t *testing.T) {
	r := newReceives(t)
	tsn := 0
	for range 10000 {
		before := r.cum
		r.message(tsn+1, 0, uint32(tsn), "BE", "x")
		if r.cum == before {
			break
		}
		tsn++
	}
	if most := r.memory(); r.charged > most || r.charged < most-2*pieceCost {
		t.Fatalf("charged %d of %d", r.charged, most)
	}
	if w := r.arwnd(); w != 0 {
		t.Fatalf("window %d", w)
	}
	if r.stored > 2*uint64(r.bufSize) {
		t.Fatalf("%d bytes of blocks are held", r.stored)
	}
	for range tsn {
		if _, ok := r.takeMessage(10); !ok {
			t.Fatal("not there")
		}
	}
	if w := r.arwnd(); w != r.widest() || w < 446 || w > 460 { // bytes, of one each, in seven eighths of the memory
		t.Fatalf("window %d", w)
	}
	for range 40 {
		r.message(tsn+1, 0, uint32(tsn), "BE", strings.Repeat("x", 500))
		tsn++
		r.takeMessage(500)
	}
	if w := r.arwnd(); w != r.initialWindow() {
		t.Fatalf("window %d behind large chunks", w)
	}
}

// TestShutWindow: 6.2. A window that is shut takes no probe, however much memory there is, and says so; the same chunk
// is taken once the program has read.
func TestShutWindow(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.bufSize = 10_000 })
	data := strings.Repeat("x", 1000)
	tsn := 1
	for ; tsn <= 5; tsn++ {
		r.message(tsn, 0, uint32(tsn-1), "BE", data)
	}
	if w := r.arwnd(); w != 0 || r.charged > r.memory()/2 {
		t.Fatalf("window %d, charged %d", w, r.charged)
	}
	for range 3 {
		r.message(tsn, 0, uint32(tsn-1), "BE", data)
		if s := r.anySack(100); s != "5" || r.payload != 5000 {
			t.Fatalf("%s, %d bytes", s, r.payload)
		}
	}
	for range 5 {
		if _, ok := r.takeMessage(10_000); !ok {
			t.Fatal("not there")
		}
	}
	r.message(tsn, 0, uint32(tsn-1), "BE", data)
	if s := r.anySack(100); s != "6" {
		t.Fatal(s)
	}
}

// TestMakeRoom: 6.2. In a buffer for six messages the chunk that all wait for finds room: what came
// highest goes, and is no longer told of.
func TestMakeRoom(t *testing.T) {
	for _, interleaved := range []bool{false, true} {
		r := newReceives(t, func(r *receives) { r.bufSize, r.interleaved = 11_800, interleaved })
		data := strings.Repeat("x", 1000)
		for i := 2; i <= 7; i++ {
			if i != 4 {
				r.message(i, 0, uint32(i-1), "BE", data)
			}
		}
		if s := r.anySack(100); s != "0 2-3 5-7" {
			t.Fatal(s)
		}
		r.message(8, 0, 7, "BE", data)
		r.message(9, 0, 8, "BE", data) // the highest finds no room
		if s := r.anySack(100); s != "0 2-3 5-8" {
			t.Fatal(s)
		}
		r.message(4, 0, 3, "BE", data)
		if s := r.anySack(100); s != "0 2-7" {
			t.Fatal(s)
		}
		r.message(1, 0, 0, "BE", data)
		if s := r.anySack(100); s != "6" {
			t.Fatal(s)
		}
		for i := range 6 {
			if have, ok := r.takeMessage(10000); !ok || len(have) < 1000 {
				t.Fatalf("message %d is not there", i)
			}
		}
		if r.charged != 0 || r.tsns.a != nil {
			t.Fatalf("charged %d", r.charged)
		}
	}
}

// TestPartialDelivery: 6.9. A message that the window has no room for is given to the program in parts.
func TestPartialDelivery(t *testing.T) {
	r := newReceives(t)
	data := strings.Repeat("x", 1000)
	tsn := 0
	for !r.readable() {
		tsn++
		flags := ""
		if tsn == 1 {
			flags = "B"
		}
		if r.chunk(tsn, 0, 0, flags, data); tsn > 100 {
			t.Fatal("the window stays shut")
		}
	}
	if r.payload < r.initialWindow() || r.payload >= r.initialWindow()+1000 {
		t.Fatalf("delivered in part with %d bytes held", r.payload)
	}
	have, _ := r.takeMessage(1 << 20)
	if len(have) != 4+tsn*1000+3 || !strings.HasSuffix(have, "...") || r.parts != 1 {
		t.Fatalf("%d bytes", len(have))
	}

	// Nothing else is read until it is over.
	r.chunk(tsn+2, 1, 0, "BE", "other")
	r.want()
	r.chunk(tsn+1, 0, 0, "E", "end")
	r.want("0.0:end", "1.0:other")
	if r.parts != 0 || r.charged != 0 {
		t.Fatal(r.parts, r.charged)
	}
}

// TestPartialDeliveryPoint: SCTP_PARTIAL_DELIVERY_POINT; with mixed others may be read meanwhile.
func TestPartialDeliveryPoint(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		r := newReceives(t, func(r *receives) { r.pdPoint, r.mixed = 10, mixed })
		r.chunk(1, 0, 0, "B", "1234567")
		r.want()
		r.chunk(2, 0, 0, "", "89a")
		r.want("0.0:123456789a...")
		r.chunk(4, 1, 0, "BEU", "other")
		if mixed {
			r.want("1.0U:other")
		} else {
			r.want()
		}
		r.chunk(3, 0, 0, "E", "b")
		if mixed {
			r.want("0.0:b")
		} else {
			r.want("0.0:b", "1.0U:other")
		}
	}
}

// TestJoined: what comes in a row from one block is one piece.
func TestJoined(t *testing.T) {
	r := newReceives(t)
	b := packet.NewBlock(3000)
	for i := range 3 {
		d := inData{Data: wire.Data{TSN: uint32(r.first) + uint32(i), PPID: 77}}
		if i == 0 {
			d.Flags |= wire.DataB
		}
		if i == 2 {
			d.Flags |= wire.DataE
		}
		var p packet.Vec
		v := b.View(1000*i, 1000*i+1000)
		v.Retain()
		p.Append(v)
		r.data(&d, &p, 0, 1000)
		p.Release()
	}
	b.Release()
	var m inMessage
	views, _ := r.take(4000, nil, &m)
	if len(views) != 1 || views[0].Len() != 3000 || r.charged != 0 || r.stored != 0 {
		t.Fatalf("%d views, charged %d, stored %d", len(views), r.charged, r.stored)
	}
	packet.ReleaseAll(views)
}

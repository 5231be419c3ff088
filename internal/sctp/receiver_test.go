package sctp

import (
	"strings"
	"testing"
	"time"

	"usock/internal/wire"
)

// TestSackRule: 6.2. The first packet at once, then every second one, or after 200 ms.
func TestSackRule(t *testing.T) {
	r := newReceives(t)
	r.message(1, 0, 0, "BE", "a")
	r.wantSack("1")
	r.message(2, 0, 1, "BE", "b")
	r.wantSack("")
	if !r.sackPending() {
		t.Fatal("none can go with data")
	}
	r.message(3, 0, 2, "BE", "c")
	r.wantSack("3")
	r.message(4, 0, 3, "BE", "d")
	r.now += 199 * time.Millisecond
	r.wantSack("")
	r.now += time.Millisecond
	r.wantSack("4")
	if r.sackPending() || r.ack.at < r.now+time.Hour {
		t.Fatal("one is due still")
	}

	// Several chunks are one packet.
	r.chunk(5, 0, 4, "BE", "e")
	r.chunk(6, 0, 5, "BE", "f")
	r.packet(r.now)
	r.wantSack("")
	r.packet(r.now) // one without data
	r.wantSack("")
	r.message(7, 0, 6, "BEI", "g") // the I bit
	r.wantSack("7")
}

// TestSackFrequency: SCTP_DELAYED_SACK.
func TestSackFrequency(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.sackFreq = 3 })
	r.message(1, 0, 0, "BE", "a")
	r.wantSack("1")
	r.message(2, 0, 1, "BE", "b")
	r.message(3, 0, 2, "BE", "c")
	r.wantSack("")
	r.message(4, 0, 3, "BE", "d")
	r.wantSack("4")
	r.sackDelay = 0
	r.message(5, 0, 4, "BE", "e")
	r.wantSack("5")
}

// TestGaps: 6.7. While something is missing each packet is acknowledged at once, as is the one that
// fills the gap and each duplicate.
func TestGaps(t *testing.T) {
	r := newReceives(t)
	r.message(2, 0, 1, "BE", "b")
	r.wantSack("0 2-2")
	r.message(5, 0, 3, "BE", "d")
	r.wantSack("0 2-2 5-5")
	r.message(4, 1, 0, "BE", "x")
	r.wantSack("0 2-2 4-5")
	r.want("1.0:x")
	r.message(1, 0, 0, "BE", "a")
	r.wantSack("2 2-3")
	r.message(3, 0, 2, "BE", "c")
	r.wantSack("5")
	r.want("0.0:a", "0.1:b", "0.2:c", "0.3:d")
	r.message(5, 0, 3, "BE", "d")
	r.message(1, 0, 0, "BE", "a")
	r.wantSack("5,5,1")
	r.message(6, 0, 4, "BE", "e")
	r.wantSack("")
	for range 20 {
		r.message(6, 0, 4, "BE", "e")
	}
	r.wantSack("6" + strings.Repeat(",6", maxDups))
}

// TestSackRoom: as many blocks as there is room for, those nearest to the Cumulative TSN, and no
// duplicates rather than no blocks.
func TestSackRoom(t *testing.T) {
	r := newReceives(t)
	for i := 2; i <= 20; i += 2 {
		r.message(i, 0, uint32(i), "BE", "b")
	}
	r.message(20, 0, 20, "BE", "b")
	r.now++
	if s := r.anySack(16 + 4*3); s != "0 2-2 4-4 6-6" {
		t.Fatal(s)
	}
	r.message(20, 0, 20, "BE", "b")
	if s := r.anySack(16 + 4*11); s != "0 2-2 4-4 6-6 8-8 10-10 12-12 14-14 16-16 18-18 20-20,20" {
		t.Fatal(s)
	}
}

// TestGapsGone: what many gaps took is not kept.
func TestGapsGone(t *testing.T) {
	r := newReceives(t)
	for tsn := 2; tsn <= 160; tsn += 2 {
		r.message(tsn, 0, uint32(tsn-1), "BE", "b")
	}
	r.sack()
	if len(r.gaps) != 80 {
		t.Fatalf("%d gaps", len(r.gaps))
	}
	for tsn := 1; tsn <= 159; tsn += 2 {
		r.message(tsn, 0, uint32(tsn-1), "BE", "a")
	}
	r.wantSack("160")
	if r.gaps != nil {
		t.Fatalf("room for %d gaps is kept", cap(r.gaps))
	}
}

// TestFarAhead: a TSN that no gap block could tell of is dropped.
func TestFarAhead(t *testing.T) {
	r := newReceives(t)
	r.message(maxAhead+1, 0, 1, "BE", "b")
	r.wantSack("0")
	r.message(maxAhead, 0, 1, "BE", "b")
	r.wantSack("0 65535-65535")
}

// TestOrder: 6.6. Streams do not wait for each other, unordered messages for none.
func TestOrder(t *testing.T) {
	r := newReceives(t)
	r.message(3, 1, 1, "BE", "b1")
	r.message(4, 2, 0, "BE", "c0")
	r.message(5, 1, 9, "BEU", "u")
	r.want("2.0:c0", "1.0U:u")
	r.message(2, 1, 0, "BE", "b0")
	r.want("1.0:b0", "1.1:b1")
	r.message(1, 0, 0, "BE", "a0")
	r.want("0.0:a0")
	if r.payload != 0 || r.charged != 0 || r.stored != 0 || r.delivered != 5 || r.read != 5 {
		t.Fatalf("%+v", r.receiver)
	}
}

// TestSSNWraps: a Stream Sequence Number is 16 bits long.
func TestSSNWraps(t *testing.T) {
	r := newReceives(t)
	for i := range 1<<16 + 3 {
		r.message(i+1, 3, uint32(i)&0xffff, "BE", "a")
		if _, ok := r.takeMessage(10); !ok {
			t.Fatalf("message %d is not ready", i)
		}
	}
}

// TestReassembly: fragments come in every order.
func TestReassembly(t *testing.T) {
	for _, order := range [][]int{
		{1, 2, 3, 4}, {4, 3, 2, 1}, {1, 3, 2, 4}, {2, 4, 1, 3}, {3, 1, 4, 2}, {2, 3, 1, 4}, {1, 4, 2, 3}, {4, 1, 3, 2},
	} {
		for _, flag := range []string{"", "U"} {
			for _, interleaved := range []bool{false, true} {
				r := newReceives(t, func(r *receives) { r.interleaved = interleaved })
				for _, i := range order {
					f := flag
					if i == 1 {
						f += "B"
					}
					if i == 4 {
						f += "E"
					}
					if res := r.chunk(i, 1, 0, f, strings.Repeat("abcd"[i-1:i], i+1), uint32(i-1)); res != dataTaken {
						t.Fatalf("%v: fragment %d: %d", order, i, res)
					}
				}
				r.want("1.0" + flag + ":aabbbccccddddd")
				if r.payload != 0 || r.charged != 0 || r.holds() || r.tsns.a != nil {
					t.Fatalf("%v: something is left", order)
				}
			}
		}
	}
}

// TestInterleaved: RFC 8260. Messages of several streams, and unordered ones of one, come mixed.
func TestInterleaved(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.interleaved = true })
	r.chunk(1, 1, 0, "B", "a")
	r.chunk(2, 2, 0, "B", "b")
	r.chunk(3, 1, 0, "BU", "c")
	r.chunk(4, 1, 1, "BU", "d")
	r.chunk(5, 1, 1, "BE", "later")
	r.chunk(6, 2, 0, "E", "B", 1)
	r.chunk(7, 1, 1, "EU", "D", 1)
	r.want("2.0:bB", "1.1U:dD")
	r.chunk(8, 1, 0, "EU", "C", 1)
	r.chunk(9, 1, 0, "", "A", 1)
	r.chunk(10, 1, 0, "E", "!", 2)
	r.want("1.0U:cC", "1.0:aA!", "1.1:later")
}

// TestViolations: chunks that contradict others, by the TSNs of their neighbours and by what their
// message has already.
func TestViolations(t *testing.T) {
	type chunk struct {
		tsn            int
		stream, number uint32
		flags          string
		fsn            uint32
	}
	for _, c := range []struct {
		name        string
		interleaved bool
		chunks      []chunk
		want        dataResult
	}{
		{"first is no beginning", false, []chunk{{1, 0, 0, "E", 0}}, dataViolation},
		{"beginning inside", false, []chunk{{1, 0, 0, "B", 0}, {2, 0, 0, "B", 0}}, dataViolation},
		{"beginning inside, behind a gap", false, []chunk{{3, 0, 0, "B", 0}, {4, 0, 1, "BE", 0}}, dataViolation},
		{"beginning inside, found late", false, []chunk{{4, 0, 1, "BE", 0}, {3, 0, 0, "B", 0}}, dataViolation},
		{"goes on behind the end", false, []chunk{{1, 0, 0, "BE", 0}, {2, 0, 0, "E", 0}}, dataViolation},
		{"goes on in another stream", false, []chunk{{1, 0, 0, "B", 0}, {2, 1, 0, "E", 0}}, dataViolation},
		{"goes on in another stream, found late", false, []chunk{{3, 1, 0, "E", 0}, {2, 0, 0, "B", 0}}, dataViolation},
		{"goes on with another number", false, []chunk{{1, 0, 0, "B", 0}, {2, 0, 1, "E", 0}}, dataViolation},
		{"goes on unordered", false, []chunk{{1, 0, 0, "B", 0}, {2, 0, 0, "EU", 0}}, dataViolation},
		{"number twice", false, []chunk{{3, 0, 5, "BE", 0}, {4, 0, 5, "BE", 0}}, dataViolation},
		{"number of one that was delivered", false, []chunk{{1, 0, 0, "BE", 0}, {2, 0, 0, "BE", 0}}, dataViolation},
		{"no stream", false, []chunk{{1, 10, 0, "BE", 0}}, dataBadStream},
		{"fine", false, []chunk{{1, 0, 0, "B", 0}, {3, 0, 1, "BE", 0}, {2, 0, 0, "E", 0}}, dataTaken},
		{"fragment 0 that is no beginning", true, []chunk{{1, 0, 0, "E", 0}}, dataViolation},
		{"fragment twice", true, []chunk{{1, 0, 0, "B", 0}, {2, 0, 0, "", 1}, {3, 0, 0, "", 1}}, dataViolation},
		{"behind the end", true, []chunk{{1, 0, 0, "B", 0}, {2, 0, 0, "E", 1}, {3, 0, 0, "", 2}}, dataViolation},
		{"behind the end, with a hole", true, []chunk{{1, 0, 5, "BE", 0}, {2, 0, 5, "", 2}}, dataViolation},
		{"end before what is there", true, []chunk{{2, 0, 5, "", 4}, {3, 0, 5, "E", 2}}, dataViolation},
		{"beginning twice", true, []chunk{{1, 0, 5, "B", 0}, {2, 0, 5, "B", 0}}, dataViolation},
		{"MID of one that was delivered", true, []chunk{{1, 0, 0, "BE", 0}, {2, 0, 0, "BE", 0}}, dataViolation},
		{"other stream between", true, []chunk{{1, 0, 0, "B", 0}, {2, 1, 0, "B", 0}, {3, 0, 0, "E", 1}}, dataTaken},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceives(t, func(r *receives) { r.interleaved = c.interleaved })
			res := dataTaken
			for i, k := range c.chunks {
				if res = r.chunk(k.tsn, k.stream, k.number, k.flags, "x", k.fsn); i < len(c.chunks)-1 && res != dataTaken {
					t.Fatalf("chunk %d: %d", i, res)
				}
			}
			if res != c.want {
				t.Fatalf("%d, want %d", res, c.want)
			}
		})
	}
}

// TestNoData: a chunk without user data (6.2).
func TestNoData(t *testing.T) {
	r := newReceives(t)
	if res := r.chunk(1, 0, 0, "BE", ""); res != dataNone {
		t.Fatal(res)
	}
}

// TestBadStream: what is sent to a stream that there is not is acknowledged (6.5).
func TestBadStream(t *testing.T) {
	r := newReceives(t)
	r.chunk(1, 10, 0, "BE", "x")
	r.packet(r.now)
	r.wantSack("1")
	r.want()
}

// TestParts: a message is read in parts, and what is read is off the accounts.
func TestParts(t *testing.T) {
	r := newReceives(t)
	r.chunk(1, 0, 0, "B", "hello ")
	r.chunk(2, 0, 0, "E", "world")
	r.chunk(3, 0, 1, "BE", "next")
	var m inMessage
	if !r.front(&m) || m.length != 11 || !m.eor || uint64(m.tsn) != r.first&(1<<32-1) {
		t.Fatalf("%+v", m)
	}
	if !r.behind(&m) || m.length != 4 || m.mid != 1 {
		t.Fatalf("%+v", m)
	}
	s := ""
	for _, v := range r.peek(4, 5, nil) {
		s += string(v.Bytes())
		v.Release()
	}
	if s != "o wor" {
		t.Fatal(s)
	}
	for _, want := range []string{"0.0:hell...", "0.0:o wo...", "0.0:rld", "0.1:next"} {
		if have, ok := r.takeMessage(4); !ok || have != want {
			t.Fatalf("%q, want %q", have, want)
		}
	}
	if r.payload != 0 || r.charged != 0 || r.front(&m) || r.behind(&m) {
		t.Fatalf("payload %d, charged %d", r.payload, r.charged)
	}
}

// forwards takes a FORWARD-TSN.
func (r *receives) forwards(tsn int, streams ...wire.Skipped) bool {
	b := wire.AppendForwardTSN(nil, r.interleaved, uint32(r.first)+uint32(tsn)-1, streams)
	c, _, _ := wire.ParseChunk(b)
	f, err := wire.ParseForwardTSN(c.Type, c.Value)
	if err != nil {
		r.t.Fatal(err)
	}
	ok := r.forward(&f)
	r.packet(r.now)
	return ok
}

// TestForward: RFC 3758, 3.6. What is passed over is waited for no more.
func TestForward(t *testing.T) {
	r := newReceives(t)
	r.message(2, 1, 1, "BE", "b")
	r.message(4, 2, 0, "BE", "c")
	r.want("2.0:c")
	r.sack()
	if !r.forwards(1, wire.Skipped{Stream: 1, MID: 0}) {
		t.Fatal("refused")
	}
	r.wantSack("2 2-2")
	r.want("1.1:b")
	r.forwards(3)
	r.wantSack("4")
	r.forwards(2) // one that is old
	r.wantSack("4")
	r.message(5, 1, 2, "BE", "d")
	r.want("1.2:d")
	if r.forwards(100, wire.Skipped{Stream: 10}) || r.forwards(maxAhead+6) {
		t.Fatal("taken")
	}
	r.forwards(1000)
	r.wantSack("1000")
}

// TestForwardBounds: one that says what is known changes nothing, one that goes as far as a gap block
// could tell is taken, and where TSNs begin anew no chunk is late.
func TestForwardBounds(t *testing.T) {
	r := newReceives(t)
	r.message(1, 0, 0, "BE", "a")
	r.forwards(1)
	if res := r.chunk(2, 0, 1, "E", "b"); res != dataViolation {
		t.Fatal(res)
	}
	if !r.forwards(1 + maxAhead) {
		t.Fatal("refused")
	}
	r.begin(7, 10)
	r.first = r.cum + 1
	r.message(1, 0, 0, "BE", "c")
	if res := r.chunk(2, 0, 0, "BE", "d"); res != dataViolation {
		t.Fatal(res)
	}
}

// TestForwardPart: what was received of a message that is given up is dropped, also where the rest
// comes late.
func TestForwardPart(t *testing.T) {
	r := newReceives(t)
	r.chunk(2, 1, 0, "", "b")
	r.chunk(3, 1, 0, "", "c")
	r.chunk(7, 1, 1, "BEU", "u")
	if !r.forwards(2, wire.Skipped{Stream: 1}) || r.payload != 1 || r.cum != r.first+2 {
		t.Fatalf("payload %d, cum %d", r.payload, r.cum-r.first+1)
	}
	r.chunk(4, 1, 0, "", "d")
	r.chunk(5, 1, 0, "E", "e")
	if res := r.chunk(6, 1, 1, "BE", "f"); res != dataTaken {
		t.Fatal(res)
	}
	r.want("1.0U:u", "1.1:f")
	if r.charged != 0 || r.holds() {
		t.Fatalf("charged %d", r.charged)
	}
}

// TestForwardInterleaved: RFC 8260, 2.3.1. Messages are named, ordered and unordered ones.
func TestForwardInterleaved(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.interleaved = true })
	r.chunk(1, 1, 0, "B", "a")
	r.chunk(2, 1, 0, "BU", "b")
	r.chunk(3, 1, 1, "BU", "c")
	r.chunk(4, 1, 1, "BE", "d")
	r.forwards(5, wire.Skipped{Stream: 1, MID: 0}, wire.Skipped{Stream: 1, MID: 0, Unordered: true})
	r.want("1.1:d")
	r.chunk(6, 1, 1, "EU", "C", 1)
	r.want("1.1U:cC")
	r.chunk(7, 3, 0, "B", "goes ")
	r.forwards(8, wire.Skipped{Stream: 1, MID: 2})
	r.chunk(9, 3, 0, "E", "on", 1)
	r.want("3.0:goes on")
	if res := r.chunk(10, 1, 0, "E", "late", 3); res != dataTaken || r.charged != 0 {
		t.Fatalf("%d, charged %d", res, r.charged)
	}
}

// TestAbortedPart: the program is told when a message is given up that it has begun to read.
func TestAbortedPart(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.pdPoint = 4 })
	r.chunk(1, 1, 0, "B", "abcdef")
	r.want("1.0:abcdef...")
	r.forwards(2, wire.Skipped{Stream: 1})
	var m inMessage
	if !r.pdAborted(&m) || m.behind != 1 || r.read != 1 || m.stream != 1 || m.ssn != 0 || r.pdAborted(&m) || r.parts != 0 || r.ready.first != nil {
		t.Fatalf("%+v", m)
	}
	r.message(3, 1, 1, "BE", "next")
	r.want("1.1:next")
}

// TestAbortedUnread: of a part that was not read yet the program reads what there is, and is told then.
func TestAbortedUnread(t *testing.T) {
	r := newReceives(t, func(r *receives) { r.pdPoint = 4 })
	r.chunk(1, 1, 0, "B", "abcdef")
	r.message(3, 2, 0, "BE", "other")
	r.forwards(2, wire.Skipped{Stream: 1})
	var m inMessage
	if !r.pdAborted(&m) || m.behind != r.read+1 {
		t.Fatalf("%+v", m)
	}
	r.want("1.0:abcdef...", "2.0:other")
	if r.read != 2 || r.charged != 0 {
		t.Fatalf("read %d, charged %d", r.read, r.charged)
	}
}

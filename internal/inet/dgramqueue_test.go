package inet

import (
	"bytes"
	"slices"
	"testing"

	"usock/packet"

	"pgregory.net/rapid"
)

// TestDgramQueue compares a queue with a slice, and looks at its memory.
func TestDgramQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q dgramQueue
		var want []uint16
		next := uint16(0)
		push := func(t *rapid.T, n int) {
			for range n {
				next++
				g := q.push()
				if g.sport != 0 || g.options != nil || g.peeked {
					t.Fatalf("a new place holds %+v", *g)
				}
				*g = datagram{sport: next, options: []byte{1}, peeked: true}
				want = append(want, next)
			}
		}
		pop := func(t *rapid.T, n int) {
			for range min(n, len(want)) {
				if g := q.pop(); g.sport != want[0] {
					t.Fatalf("popped %d, want %d", g.sport, want[0])
				}
				want = want[1:]
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":      func(t *rapid.T) { push(t, rapid.IntRange(1, ownChunk+1).Draw(t, "n")) },
			"push many": func(t *rapid.T) { push(t, rapid.IntRange(1, 3*pooledChunk).Draw(t, "n")) },
			"pop":       func(t *rapid.T) { pop(t, rapid.IntRange(1, ownChunk+1).Draw(t, "n")) },
			"pop many":  func(t *rapid.T) { pop(t, rapid.IntRange(1, 3*pooledChunk).Draw(t, "n")) },
			"pop all":   func(t *rapid.T) { pop(t, len(want)) },
			"detach": func(t *rapid.T) {
				if q.len() == 0 {
					return
				}
				c, from, to := q.detach()
				if more := rapid.IntRange(0, 2*pooledChunk).Draw(t, "n"); more > 0 {
					push(t, more) // while the chunk is away
				}
				for i := range c.p[from:to] {
					if g := &c.p[from+i]; g.sport != want[i] {
						t.Fatalf("detached %d, want %d", g.sport, want[i])
					}
				}
				want = want[to-from:]
				q.takeBack(c)
			},
			"free": func(t *rapid.T) {
				q.free()
				want = nil
				if q != (dgramQueue{}) {
					t.Fatalf("after free: %+v", q)
				}
			},
			"": func(t *rapid.T) {
				checkDgramQueue(t, &q, want)
			},
		})
	})
}

func checkDgramQueue(t *rapid.T, q *dgramQueue, want []uint16) {
	var got []uint16
	for g := range q.all() {
		got = append(got, g.sport)
	}
	if !slices.Equal(got, want) || q.len() != len(want) {
		t.Fatalf("%d: %v, want %v", q.len(), got, want)
	}
	if len(want) > 0 && (q.front().sport != want[0] || q.back().sport != want[len(want)-1]) ||
		len(want) == 0 && (q.front() != nil || q.back() != nil) {
		t.Fatalf("front %v, back %v of %v", q.front(), q.back(), want)
	}
	for range q.all() {
		break // a loop may end before the queue does
	}

	held, places, free := 0, 0, 0
	for c := q.first; c != nil; c = c.next {
		held++
		places += len(c.p)
		for i := range c.p {
			if c.p[i].sport == 0 && c.p[i].options == nil {
				free++
			}
		}
	}
	if most := 2 + len(want)/pooledChunk; held > most {
		t.Fatalf("%d chunks for %d datagrams, want at most %d", held, len(want), most)
	}
	if free != places-len(want) {
		t.Fatalf("%d places of %d hold nothing, with %d datagrams", free, places, len(want))
	}
}

// A queue that is empty has its own chunk at most, and what goes to the pool is zero, linked with nothing
// and there once.
func TestDgramQueueGivesBack(t *testing.T) {
	var q dgramQueue
	var seen []*chunk
	fill := func(n int) {
		for range n {
			*q.push() = datagram{sport: 1, options: []byte{1}}
		}
		for c := q.first; c != nil; c = c.next {
			seen = append(seen, c)
		}
	}
	check := func(what string) {
		t.Helper()
		for _, c := range seen {
			if c.next != nil {
				t.Fatalf("%s: a chunk that is given back is linked", what)
			}
			for i := range c.p {
				if c.p[i].sport != 0 || c.p[i].options != nil {
					t.Fatalf("%s: a chunk that is given back holds %+v", what, c.p[i])
				}
			}
		}
		seen = nil
	}

	fill(ownChunk + 3*pooledChunk)
	if len(seen) != 4 {
		t.Fatalf("%d chunks, want 4", len(seen))
	}
	for q.len() > 0 {
		q.pop()
	}
	check("emptied")
	if q.first != nil || q.last != nil || q.own == nil || len(q.own.p) != ownChunk {
		t.Fatalf("an idle queue holds %+v", q)
	}

	fill(ownChunk + 2*pooledChunk + 1)
	q.pop()
	q.free()
	check("freed")
	q.free()
	if q != (dgramQueue{}) {
		t.Fatalf("freed twice: %+v", q)
	}

	// What is taken from the pool is nobody else's.
	have := map[*chunk]bool{}
	var a, b dgramQueue
	for _, q := range []*dgramQueue{&a, &b} {
		for range ownChunk + 5*pooledChunk {
			q.push()
		}
		for c := q.first; c != nil; c = c.next {
			if have[c] {
				t.Fatal("two queues have one chunk")
			}
			have[c] = true
		}
	}
}

// Small datagrams that wait with others are copied to one block, which is free once they all are, in whatever
// order, and the chunk is given back.
func TestDgramQueueCopies(t *testing.T) {
	packet.Track(true)
	t.Cleanup(func() { packet.Track(false) })
	before := packet.Live()
	var q dgramQueue
	var want [][]byte
	for i := range ownChunk + pooledChunk {
		b := bytes.Repeat([]byte{byte(i)}, i*maxCopied/(ownChunk+pooledChunk-1))
		g := q.push()
		g.one[0] = q.last.copy(b)
		want = append(want, b)
	}
	if got := packet.Live() - before; got != 2 {
		t.Fatalf("%d blocks for two chunks", got)
	}
	var held []packet.View
	for i := 0; q.len() > 0; i++ {
		g := q.pop()
		if v := g.one[0]; !bytes.Equal(v.Bytes(), want[i]) {
			t.Fatalf("datagram %d: %x, want %x", i, v.Bytes(), want[i])
		} else if i%7 == 0 {
			held = append(held, v)
		} else {
			v.Release()
		}
	}
	if got := packet.Live() - before; got != 2 {
		t.Fatalf("%d blocks with views of both", got)
	}
	for i, v := range held {
		if b := v.Bytes(); !bytes.Equal(b, want[7*i]) {
			t.Fatalf("view %d: %x", i, b)
		}
		v.Release()
	}
	if got := packet.Live() - before; got != 0 {
		t.Fatalf("%d blocks are left", got)
	}

	// A chunk that is not full gives back what nobody has used of its room.
	q.push().one[0] = q.last.copy([]byte("x"))
	c, from, _ := q.detach()
	v := c.p[from].one[0]
	q.takeBack(c)
	if got := packet.Live() - before; got != 1 || string(v.Bytes()) != "x" {
		t.Fatalf("%d blocks, %q", got, v.Bytes())
	}
	v.Release()
	if got := packet.Live() - before; got != 0 {
		t.Fatalf("%d blocks are left", got)
	}
}

// A socket that is closed with datagrams in its queue gives back their blocks (newPair looks at those) and
// the queue's memory; one that is idle after many has its own chunk alone.
func TestDgramQueueOfClosed(t *testing.T) {
	a, b := newPair(t, Config{})
	const n = 3 * pooledChunk
	fill := func(from *sock, data, to string, d *dgram) {
		t.Helper()
		for range n {
			if err := from.send(data, to); err != nil {
				t.Fatal(err)
			}
		}
		if d.queue.len() < n {
			t.Fatalf("%d datagrams wait, want %d", d.queue.len(), n)
		}
	}
	u := b.open("udp4").at(addrB + ":7")
	ping := a.open("ping4").at("0.0.0.0:9")
	raw := b.open("raw4:1")
	for _, c := range []struct {
		s, from  *sock
		d        *dgram
		data, to string
	}{
		{u, a.open("udp4"), &udpOf(u.Socket).dgram, "x", addrB + ":7"},
		{raw, ping, &rawOf(raw.Socket).dgram, "\x08\x00\x00\x00\x00\x00\x00\x00", addrB + ":0"},
		{ping, ping, &pingOf(ping.Socket).dgram, "\x08\x00\x00\x00\x00\x00\x00\x00", addrB + ":0"},
	} {
		for c.d.queue.len() > 0 {
			c.s.recv(0)
		}
		fill(c.from, c.data, c.to, c.d)
		for c.d.queue.len() > 0 {
			c.s.recv(0)
		}
		if q := &c.d.queue; q.first != nil || q.own == nil || len(q.own.p) != ownChunk {
			t.Fatalf("an idle queue: %+v", *q)
		}
		fill(c.from, c.data, c.to, c.d)
		c.s.recv(0)
		d := c.d
		c.s.Close()
		if d.queue != (dgramQueue{}) {
			t.Errorf("closed: %+v", d.queue)
		}
	}
}

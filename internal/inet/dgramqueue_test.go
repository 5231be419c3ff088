package inet

import (
	"slices"
	"testing"

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

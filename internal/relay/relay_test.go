package relay

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"usock/packet"
)

// place counts what it is sent and finds fault with two senders at once.
type place struct {
	t       *testing.T
	inside  atomic.Int32
	full    bool
	got     []uint32
	started chan struct{}
	proceed chan struct{}
}

func (p *place) Send(batch []*packet.Packet) int {
	if p.inside.Add(1) != 1 {
		p.t.Error("sent to by two goroutines at once")
	}
	defer p.inside.Add(-1)
	if p.started != nil {
		p.started <- struct{}{}
		<-p.proceed
	}
	for _, k := range batch {
		p.got = append(p.got, binary.BigEndian.Uint32(k.Front()))
		k.Free()
	}
	if p.full {
		return 0
	}
	return len(batch)
}

func numbered(n uint32) *packet.Packet {
	p := packet.New()
	binary.BigEndian.PutUint32(p.Prepend(4), n)
	return p
}

// What several goroutines push arrives once each, in each one's order, also beyond
// the turn of one goroutine.
func TestRelay(t *testing.T) {
	const pushers, each = 4, 3 * relayBatch * relayTurn
	to := &place{t: t}
	r := &Relay{To: to, Bound: pushers * each, Later: func(f func()) { go f() }}
	var wg sync.WaitGroup
	for g := range uint32(pushers) {
		wg.Go(func() {
			for i := range uint32(each) {
				if !r.Push(numbered(g<<24 | i)) {
					t.Error("dropped")
				}
				r.Flush()
			}
		})
	}
	wg.Wait()
	for busy := true; busy; runtime.Gosched() {
		r.mu.Lock()
		busy = r.busy || r.queue.len() > 0 // between two turns nobody is at it for a moment
		r.mu.Unlock()
	}
	var next [pushers]uint32
	for _, n := range to.got {
		if g := n >> 24; n&0xffffff != next[g] {
			t.Fatalf("pusher %d: %d instead of %d", g, n&0xffffff, next[g])
		} else {
			next[g]++
		}
	}
	for g, n := range next {
		if n != each {
			t.Errorf("pusher %d: %d of %d", g, n, each)
		}
	}
	if r.Dropped() != 0 {
		t.Errorf("%d dropped", r.Dropped())
	}
}

func TestRelayDrops(t *testing.T) {
	to := &place{t: t, started: make(chan struct{}), proceed: make(chan struct{})}
	r := &Relay{To: to, Bound: 2, Later: func(f func()) { go f() }}
	r.Push(numbered(0))
	done := make(chan struct{})
	go func() { r.Flush(); close(done) }()
	<-to.started
	for i := range uint32(3) {
		if ok := r.Push(numbered(1 + i)); ok != (i < 2) {
			t.Errorf("packet %d while the relay hands on: %v", 1+i, ok)
		}
	}
	r.Flush() // someone does already
	s := &Spread{To: []*Relay{{}, r}}
	to.proceed <- struct{}{}
	<-to.started
	if r.Idle() || s.Idle() {
		t.Error("idle while the place is sent to")
	}
	to.full = true
	to.proceed <- struct{}{}
	<-done
	if !r.Idle() || !s.Idle() {
		t.Error("not idle when all was handed on")
	}
	if len(to.got) != 3 || r.Dropped() != 3 {
		t.Errorf("%d arrived, %d dropped; want 3, and 1 for want of room and 2 by the place", len(to.got), r.Dropped())
	}
	r.Close()
	if r.Push(numbered(9)) {
		t.Error("a closed relay took a packet")
	}
}

// short is a place that makes ten packets of each, and loses all.
type short struct{}

func (short) Send(batch []*packet.Packet) int {
	for _, p := range batch {
		p.Free()
	}
	return len(batch) - 10*len(batch)
}

// What the place would have made many of is as many where it is dropped, by the place and for want of room.
func TestRelayCount(t *testing.T) {
	r := &Relay{To: short{}, Bound: 2, Count: func(*packet.Packet) int { return 10 }}
	for n := range uint32(3) {
		r.Push(numbered(n))
	}
	if r.Idle() {
		t.Error("idle while packets wait")
	}
	if r.Dropped() != 10 {
		t.Errorf("%d dropped for want of room, want 10", r.Dropped())
	}
	if r.Flush(); r.Dropped() != 30 {
		t.Errorf("%d dropped, want 30", r.Dropped())
	}
	r.Close()
	if r.Push(numbered(3)); r.Dropped() != 40 {
		t.Errorf("%d dropped with what came after the end, want 40", r.Dropped())
	}
}

// fickle is a place that does something before it takes what it is sent.
type fickle struct {
	place
	does func()
}

func (f *fickle) Send(batch []*packet.Packet) int {
	f.does()
	return f.place.Send(batch)
}

// A place that panics, or ends the goroutine that sends to it, is sent to again.
func TestPlacePanics(t *testing.T) {
	for name, does := range map[string]func(){"panic": func() { panic("place") }, "end": runtime.Goexit} {
		to := &fickle{place: place{t: t}, does: does}
		r := &Relay{To: to, Bound: 2, Later: func(f func()) { go f() }}
		r.Push(numbered(0))
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { recover() }()
			r.Flush()
		})
		wg.Wait()
		to.does = func() {}
		if !r.Push(numbered(1)) {
			t.Fatalf("%s: the relay has no room", name)
		}
		r.Flush()
		if len(to.got) != 1 || to.got[0] != 1 {
			t.Errorf("%s: %v arrived afterwards, want 1", name, to.got)
		}
	}
}

// What is beyond one goroutine's turn is carried when Later says so, and not before.
func TestRelayLater(t *testing.T) {
	const turn = relayBatch * relayTurn
	to := &place{t: t}
	var rest []func()
	r := &Relay{To: to, Bound: 2 * turn, Later: func(f func()) { rest = append(rest, f) }}
	for i := range uint32(turn + 1) {
		r.Push(numbered(i))
	}
	r.Flush()
	r.Flush() // somebody is at it
	if len(to.got) != turn || len(rest) != 1 {
		t.Fatalf("%d of %d carried, %d calls put off", len(to.got), turn+1, len(rest))
	}
	rest[0]()
	if len(to.got) != turn+1 || to.got[turn] != turn {
		t.Errorf("%d of %d carried", len(to.got), turn+1)
	}
}

// Each packet takes the relay that is chosen for it, and while one of the places is busy the others are sent to.
func TestSpread(t *testing.T) {
	busy := &place{t: t, started: make(chan struct{}), proceed: make(chan struct{})}
	free := &place{t: t}
	s := &Spread{Choose: func(p *packet.Packet) int { return int(binary.BigEndian.Uint32(p.Front()) & 1) }}
	for _, to := range []Sender{busy, free} {
		s.To = append(s.To, &Relay{To: to, Bound: 2})
	}
	pushTo(s, numbered(0))
	done := make(chan struct{})
	go func() { s.To[0].Flush(); close(done) }()
	<-busy.started
	for _, n := range []uint32{1, 3} {
		if !pushTo(s, numbered(n)) {
			t.Errorf("packet %d dropped", n)
		}
		s.To[1].Flush()
	}
	if len(free.got) != 2 {
		t.Errorf("%d packets came to one place while the other was busy, want 2", len(free.got))
	}
	for n := range uint32(3) { // the third does not fit
		if ok := pushTo(s, numbered(2*n)); ok != (n < 2) {
			t.Errorf("packet %d while its place is busy: %v", n, ok)
		}
	}
	free.full = true
	pushTo(s, numbered(5))
	s.To[1].Flush()
	if n := s.Dropped(); n != 2 {
		t.Errorf("%d dropped, want one by each", n)
	}
	busy.proceed <- struct{}{}
	<-busy.started
	busy.proceed <- struct{}{}
	<-done
	s.Close()
	if pushTo(s, numbered(6)) || pushTo(s, numbered(7)) {
		t.Error("a closed relay took a packet")
	}
}

func pushTo(s *Spread, p *packet.Packet) bool { return s.For(p).Push(p) }

package sctp

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// chance is a network of chance between two cores: packets are lost, doubled, and late. What it does follows
// from its seed.
type chance struct {
	*pair
	rnd       *rand.Rand
	flying    []flight
	loss, dup float64
	delay     time.Duration // least
	spread    time.Duration // added by chance: it reorders
	cut       map[int]bool  // networks that carry nothing
	lost      int
	nets      int
	cuts      bool // networks fail now and then, but for one
}

// flight is a packet on its way.
type flight struct {
	at time.Duration
	to int
	in In
}

func newChance(t testing.TB, seed uint64, nets int) *chance {
	rnd := rand.New(rand.NewPCG(seed, 7))
	mtus := []int{576, 1280, 1500, 9000}
	c := &chance{pair: newPair(t, mtus[rnd.IntN(len(mtus))], nets), rnd: rnd, cut: map[int]bool{}, nets: nets}
	c.delay = time.Duration(1+rnd.IntN(50)) * time.Millisecond
	c.spread = time.Duration(rnd.IntN(30)) * time.Millisecond
	c.loss, c.dup = rnd.Float64()*0.15, rnd.Float64()*0.05
	c.carry = c.launch
	for i := range c.end {
		o := c.end[i].e.Options
		o.Path.HBInterval = 5 * time.Second
		o.NoDelay = rnd.IntN(2) == 0
		o.OutStreams = uint16(1 + rnd.IntN(4))
		c.end[i].e.Buffers = Buffers{8192 << rnd.IntN(6), 65536 << rnd.IntN(3)}
		o.SackFreq = uint32(1 + rnd.IntN(3))
		o.MaxRetrans, o.MaxInitRetrans = 1000, 1000
		o.RTOMax = 4 * time.Second
		o.IData = rnd.IntN(2) == 0
		o.EDMID = uint32(seed / 4 % 2)
		if o.Auth = seed%4 == 3; o.Auth {
			o.AuthSetup = &AuthOptions{HMACs: []uint16{HMACSHA1}, Keys: []AuthKey{{ID: 1, Secret: []byte("x")}}, Active: 1}
			for _, t := range []wire.ChunkType{wire.ChunkData, wire.ChunkIData, wire.ChunkSack, wire.ChunkCookieEcho, wire.ChunkHeartbeat} {
				if rnd.IntN(2) == 0 {
					o.AuthSetup.Chunks = append(o.AuthSetup.Chunks, byte(t))
				}
			}
		}
	}
	return c
}

// launch takes a packet that leaves: it holds copies of the bytes, as a link between machines does.
func (c *chance) launch(from int, in *In) {
	b := in.Body.AppendTo(append([]byte(nil), in.Head...))
	in.Body.Release()
	if c.cut[network(in.Dst)] || c.rnd.Float64() < c.loss {
		c.lost++
		return
	}
	n := 1
	if c.rnd.Float64() < c.dup {
		n++
	}
	for range n {
		f := flight{at: c.now + c.delay + time.Duration(c.rnd.Int64N(int64(c.spread)+1)), to: 1 - from, in: *in}
		f.in.Head, f.in.Body = nil, packet.Vec{}
		c.split(&f.in, b)
		c.flying = append(c.flying, f)
	}
}

// split puts the bytes of a packet into a head and views, cut anywhere.
func (c *chance) split(in *In, b []byte) {
	if k := c.rnd.IntN(4); k == 0 {
		in.Head = append([]byte(nil), b[:c.rnd.IntN(len(b)+1)]...)
		b = b[len(in.Head):]
	}
	for range c.rnd.IntN(3) {
		k := c.rnd.IntN(len(b) + 1)
		in.Body.Append(packet.Copy(b[:k]))
		b = b[k:]
	}
	in.Body.Append(packet.Copy(b))
}

// step goes on to the next event.
func (c *chance) step() bool {
	next, at := -1, c.deadline()
	for i := range c.flying {
		if c.flying[i].at < at || next < 0 && c.flying[i].at == at {
			next, at = i, c.flying[i].at
		}
	}
	if at == never {
		return false
	}
	if c.cuts && c.rnd.IntN(300) == 0 {
		clear(c.cut)
		for k, alive := 0, c.rnd.IntN(c.nets); k < c.nets; k++ {
			c.cut[k] = k != alive && c.rnd.IntN(2) == 0
		}
	}
	c.now = max(c.now, at)
	if next < 0 {
		return c.pair.step()
	}
	f := c.flying[next]
	c.flying = append(c.flying[:next], c.flying[next+1:]...)
	c.arrive(f.to, &f.in)
	c.pump()
	return true
}

func (c *chance) drop() {
	for i := range c.flying {
		c.flying[i].in.Body.Release()
	}
	c.flying = nil
}

// talk is what one end says to the other: numbered messages on streams.
type talk struct {
	sent, total int
	next        map[uint16]uint32 // number of the next message of a stream, as sent
	due         map[uint16]uint32 // and as read
	loose       map[uint32]int    // unordered messages that are on their way, with their lengths
	got         int
}

// message makes the next message: its stream, number and length, and bytes that follow from these.
func (k *talk) message(rnd *rand.Rand, streams int) (b []byte, info SendInfo) {
	n := 12 + rnd.IntN(100)
	if rnd.IntN(4) == 0 {
		n = 12 + rnd.IntN(20000)
	}
	info.Stream = uint16(rnd.IntN(streams))
	info.Unordered = rnd.IntN(4) == 0
	b = make([]byte, n)
	number := k.next[info.Stream]
	if info.Unordered {
		number = 1<<31 | uint32(k.sent)
		k.loose[number] = n
	} else {
		k.next[info.Stream]++
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	binary.BigEndian.PutUint32(b[4:], number)
	binary.BigEndian.PutUint32(b[8:], uint32(info.Stream))
	for i := 12; i < n; i++ {
		b[i] = byte(number) + byte(i*i>>3)
	}
	info.PPID = number
	return b, info
}

// read checks a message that has come.
func (k *talk) read(t testing.TB, b []byte) {
	t.Helper()
	number, stream := binary.BigEndian.Uint32(b[4:]), uint16(binary.BigEndian.Uint32(b[8:]))
	if int(binary.BigEndian.Uint32(b)) != len(b) {
		t.Fatalf("a message of %d bytes has %d", binary.BigEndian.Uint32(b), len(b))
	}
	if number>>31 != 0 {
		if k.loose[number] != len(b) {
			t.Fatalf("unordered message %#x came twice, or was never sent", number)
		}
		delete(k.loose, number)
	} else {
		if number != k.due[stream] {
			t.Fatalf("message %d of stream %d comes in place of %d", number, stream, k.due[stream])
		}
		k.due[stream]++
	}
	for i := 12; i < len(b); i++ {
		if b[i] != byte(number)+byte(i*i>>3) {
			t.Fatalf("byte %d of message %d of stream %d", i, number, stream)
		}
	}
	k.got++
}

// converse has both ends send messages and read them, until all have come; then the first shuts down.
func (c *chance) converse(messages int) {
	var talks [2]talk              // by who sends
	var parts [2]map[uint16][]byte // with I-DATA those of several streams come mixed
	for i := range talks {
		parts[i] = map[uint16][]byte{}
		talks[i] = talk{total: messages, next: map[uint16]uint32{}, due: map[uint16]uint32{}, loose: map[uint32]int{}}
	}
	closed := false
	for n := 0; ; n++ {
		if n > 400000 {
			c.t.Fatalf("no end: %d %d of %d, states %v %v", talks[0].got, talks[1].got, messages, c.end[0].a.State(), c.end[1].a.State())
		}
		for i := range c.end {
			a, k := c.end[i].a, &talks[i]
			if a == nil {
				continue
			}
			for k.sent < k.total && a.State() == Established && a.SendSpace() > 30000 && c.rnd.IntN(3) > 0 {
				b, info := k.message(c.rnd, int(a.out))
				v := views(b)
				if _, err := a.Send(c.now, &info, v); err != 0 {
					c.t.Fatal(err)
				}
				k.sent++
			}
			c.read(i, &talks[1-i], parts[i])
		}
		c.pump()
		if done := talks[0].got == messages && talks[1].got == messages; done && !closed {
			closed = true
			c.end[0].a.Shutdown(c.now)
			c.pump()
		}
		if closed && c.end[0].a.State() == Closed && c.end[1].a.State() == Closed {
			break
		}
		if !c.step() {
			if closed {
				break
			}
			c.t.Fatalf("stuck: %d %d of %d, states %v %v", talks[0].got, talks[1].got, messages, c.end[0].a.State(), c.end[1].a.State())
		}
	}
	for i := range talks {
		if len(talks[i].loose) > 0 {
			c.t.Fatalf("%d unordered messages have not come", len(talks[i].loose))
		}
	}
}

// read reads some of what has come to end i.
func (c *chance) read(i int, k *talk, parts map[uint16][]byte) {
	a := c.end[i].a
	for range c.rnd.IntN(6) {
		v, r, ok := a.Recv(c.now, 1+c.rnd.IntN(1<<16), nil)
		if !ok {
			return
		}
		for _, x := range v {
			parts[r.Stream] = append(parts[r.Stream], x.Bytes()...)
			x.Release()
		}
		if r.EOR {
			k.read(c.t, parts[r.Stream])
			delete(parts, r.Stream)
		}
	}
}

// No message is lost, doubled or out of its stream's order, whatever the network does.
func TestChance(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	for seed := range uint64(tries(*seeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			before := packet.Live()
			c := newChance(t, seed, 1+int(seed%3))
			c.connect()
			for i := 0; c.end[0].a.State() != Established || c.end[1].a == nil; i++ {
				if i > 10000 || !c.step() {
					t.Fatal("not connected")
				}
			}
			c.cuts = seed%2 == 0
			c.converse(100)
			c.end[0].a.Release()
			c.end[1].a.Release()
			c.drop()
			if n := packet.Live() - before; n != 0 {
				t.Fatalf("%d blocks leak", n)
			}
		})
	}
}

// seeds is how many networks TestChance tries.
var seeds = flag.Int("seeds", 60, "networks of chance to try")

// tries is how many of n cases of chance are tried: all, or few with -short.
func tries(n int) int {
	if testing.Short() {
		return max(1, n/6)
	}
	return n
}

// A peer that loses its state in the middle of a conversation begins anew, and what is said then comes whole.
func TestChanceRestart(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	for seed := range uint64(tries(*seeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			before := packet.Live()
			c := newChance(t, seed, 1+int(seed%2))
			c.end[1].e.Options.Events = EventMask(0).With(EventAssocChange, true)
			c.connect()
			established := func() bool {
				a, b := c.end[0].a, c.end[1].a
				return b != nil && a.State() == Established && b.State() == Established && a.tag == b.peerTag && a.peerTag == b.tag
			}
			until := func(what string, done func() bool) {
				for i := 0; !done(); i++ {
					if i > 100000 || !c.step() {
						t.Fatal(what)
					}
				}
			}
			until("not connected", established)
			for i := range c.end {
				for n := range 20 {
					v := views(make([]byte, 1+n*n*20))
					if _, err := c.end[i].a.Send(c.now, &SendInfo{}, v); err != 0 {
						packet.ReleaseAll(v)
					}
				}
			}
			for range c.rnd.IntN(40) {
				c.step()
			}
			c.end[0].a.Release()
			c.connect()
			until("not connected again", established)

			// What was sent before is out of the way: all of it is either read or failed.
			old := c.end[1].a
			restarts := 0
			for {
				v, r, ok := old.Recv(c.now, 1<<20, nil)
				if !ok {
					break
				}
				packet.ReleaseAll(v)
				if n := r.Notification; n != nil && n.State == Restart {
					restarts++
				}
			}
			if restarts != 1 {
				t.Fatalf("%d restarts were told", restarts)
			}
			c.pump()
			c.converse(40)
			c.end[0].a.Release()
			c.end[1].a.Release()
			c.drop()
			if n := packet.Live() - before; n != 0 {
				t.Fatalf("%d blocks leak", n)
			}
		})
	}
}

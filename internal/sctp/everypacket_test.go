package sctp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"usock/packet"
)

// mishap is what becomes of one packet on an otherwise good network.
type mishap int

const (
	lost mishap = iota
	doubled
	late    // by more than the others take: they overtake it
	tooLate // by more than the sender waits
	mishaps
)

func (m mishap) String() string { return [...]string{"lost", "doubled", "late", "too late"}[m] }

// exchange is what two programs do from the first packet to the last: with what happens to which packets
// it follows from itself, and ends the same.
type exchange struct {
	name   string
	nets   int
	set    func(o *Options)
	rcvBuf int  // 0: as usual
	both   bool // both open
	says   [2][]said
	next   func(c *course) // once all of says is read
	loses  bool            // messages may be given up: what is read is in order all the same
}

// said is a message that a program sends.
type said struct {
	stream    uint16
	n         int
	unordered bool
	pr        PRPolicy
	value     uint32
}

// course is a run of an exchange.
type course struct {
	*pair
	x       *exchange
	happens map[int]mishap
	flying  []flight
	packets int
	spoken  [2]int
	read    [2]map[uint32]int // numbers of the messages that were read, by how often
	due     [2]map[uint16]uint32
	parts   [2]map[uint16][]byte
	turn    int
}

func newCourse(t testing.TB, x *exchange, happens map[int]mishap) *course {
	c := &course{pair: newPair(t, 1500, max(x.nets, 1)), x: x, happens: happens}
	for i := range c.end {
		c.read[i], c.due[i], c.parts[i] = map[uint32]int{}, map[uint16]uint32{}, map[uint16][]byte{}
		o := c.end[i].e.Options
		o.RTOInitial, o.RTOMin = time.Second, 200*time.Millisecond
		o.NoDelay = true
		if x.set != nil {
			x.set(o)
		}
		if x.rcvBuf != 0 {
			c.end[i].e.Buffers.RcvBuf = x.rcvBuf
		}
	}
	c.end[0].e.Listen = x.both
	c.carry = c.launch
	return c
}

func (c *course) launch(from int, in *In) {
	b := in.Body.AppendTo(append([]byte(nil), in.Head...))
	in.Body.Release()
	f := flight{at: c.now + 10*time.Millisecond, to: 1 - from, in: *in}
	f.in.Head, f.in.Body = b, packet.Vec{}
	m, ok := c.happens[c.packets]
	c.packets++
	switch {
	case ok && m == lost:
		return
	case ok && m == doubled:
		g := f
		g.in.Head = bytes.Clone(b)
		g.at += 15 * time.Millisecond
		c.flying = append(c.flying, g)
	case ok && m == late:
		f.at += 45 * time.Millisecond
	case ok && m == tooLate:
		f.at += 1500 * time.Millisecond
	}
	c.flying = append(c.flying, f)
}

// speak has the programs send what they have to say, as far as there is room, and read what is there.
func (c *course) speak() {
	for i := range c.end {
		a := c.end[i].a
		if a == nil {
			continue
		}
		for c.spoken[i] < len(c.x.says[i]) && a.State() == Established {
			m := c.x.says[i][c.spoken[i]]
			b := make([]byte, m.n)
			binary.BigEndian.PutUint32(b, uint32(c.spoken[i]))
			v := views(b)
			info := SendInfo{Stream: m.stream, Unordered: m.unordered, PR: m.pr, PRValue: m.value}
			if _, err := a.Send(c.now, &info, v); err != 0 {
				packet.ReleaseAll(v)
				break
			}
			c.spoken[i]++
		}
		for {
			v, r, ok := a.Recv(c.now, 1<<20, nil)
			if !ok {
				break
			}
			for _, x := range v {
				c.parts[i][r.Stream] = append(c.parts[i][r.Stream], x.Bytes()...)
				x.Release()
			}
			if r.Notification == nil && r.EOR {
				c.hear(i, &r, c.parts[i][r.Stream])
				delete(c.parts[i], r.Stream)
			}
		}
	}
}

// hear checks a message that end i has read.
func (c *course) hear(i int, r *Received, b []byte) {
	number := binary.BigEndian.Uint32(b)
	m := c.x.says[1-i][number]
	if c.read[i][number]++; c.read[i][number] > 1 || len(b) != m.n || r.Stream != m.stream {
		c.t.Fatalf("message %d of %d bytes on stream %d: read %d times, %d bytes on %d", number, m.n, m.stream, c.read[i][number], len(b), r.Stream)
	}
	if !m.unordered {
		if number < c.due[i][m.stream] {
			c.t.Fatalf("message %d comes too late", number)
		}
		c.due[i][m.stream] = number + 1
	}
}

// heard says that all has been read.
func (c *course) heard() bool {
	for i := range c.end {
		if c.spoken[i] < len(c.x.says[i]) {
			return false
		}
		if !c.x.loses && len(c.read[1-i]) < len(c.x.says[i]) {
			return false
		}
		if a := c.end[i].a; a == nil || c.x.loses && !a.snd.empty() {
			return false
		}
	}
	return true
}

// run goes through the exchange, which is over before so much time has passed.
func (c *course) run(limit time.Duration) {
	limit += c.now
	c.connect()
	if c.x.both {
		e := &c.end[1]
		e.a = new(Assoc)
		e.a.Connect(c.now, &e.e, &Params{Port: 1001, PeerPort: 1000, Peers: []netip.Addr{pairAddr(0, 0)}, Options: e.e.Options})
	}
	for {
		c.speak()
		c.pump()
		if c.heard() {
			c.x.next(c)
			c.pump()
		}
		if c.end[0].a.State() == Closed && c.end[1].a != nil && c.end[1].a.State() == Closed {
			break
		}
		next, at := -1, c.deadline()
		for i := range c.flying {
			if c.flying[i].at < at {
				next, at = i, c.flying[i].at
			}
		}
		if at >= limit {
			c.t.Fatalf("no end at %v: states %v %v, read %d of %d and %d of %d", c.now, c.end[0].a.State(), c.state(1),
				len(c.read[1]), len(c.x.says[0]), len(c.read[0]), len(c.x.says[1]))
		}
		c.now = max(c.now, at)
		if next < 0 {
			c.pair.step()
			continue
		}
		f := c.flying[next]
		c.flying = append(c.flying[:next], c.flying[next+1:]...)
		c.arrive(f.to, &f.in)
		c.pump()
	}
	if !c.heard() {
		c.t.Fatalf("read %d of %d and %d of %d", len(c.read[1]), len(c.x.says[0]), len(c.read[0]), len(c.x.says[1]))
	}
}

func (c *course) state(i int) State {
	if c.end[i].a == nil {
		return Closed
	}
	return c.end[i].a.State()
}

func shutdownBy(ends ...int) func(c *course) {
	return func(c *course) {
		if c.turn == 0 {
			for _, i := range ends {
				c.end[i].a.Shutdown(c.now)
			}
		}
		c.turn++
	}
}

func some(n, size int) (s []said) {
	for i := range n {
		s = append(s, said{stream: uint16(i % 3), n: size, unordered: i%5 == 4})
	}
	return s
}

var exchanges = []exchange{
	{name: "a message each way", says: [2][]said{some(1, 100), some(1, 200)}, next: shutdownBy(0)},
	{name: "no message", next: shutdownBy(1)},
	{name: "both shut down", says: [2][]said{some(3, 100), some(2, 4000)}, next: shutdownBy(0, 1)},
	{name: "fragments", says: [2][]said{some(4, 20000), some(10, 30)}, next: shutdownBy(0)},
	{name: "I-DATA", set: func(o *Options) { o.IData = true }, says: [2][]said{some(4, 20000), some(10, 30)}, next: shutdownBy(1)},
	{name: "two networks", nets: 2, says: [2][]said{some(4, 9000), some(10, 30)}, next: shutdownBy(1)},
	{name: "a small window", rcvBuf: 4096, says: [2][]said{some(4, 9000), some(20, 30)}, next: shutdownBy(1)},
	{name: "both open", both: true, says: [2][]said{some(2, 100), some(2, 200)}, next: shutdownBy(0)},
	{name: "resets", set: func(o *Options) { o.ReConf, o.Reset = true, 7 }, says: [2][]said{some(3, 60), some(3, 50)}, next: resets},
	{name: "resets with I-DATA", set: func(o *Options) { o.ReConf, o.Reset, o.IData = true, 7, true }, says: [2][]said{some(3, 60), some(3, 5000)}, next: resets},
	{name: "messages that are given up", loses: true, says: [2][]said{fickle(20, 900), fickle(6, 3000)}, next: shutdownBy(0)},
	{name: "I-DATA that is given up", loses: true, set: func(o *Options) { o.IData = true }, says: [2][]said{fickle(20, 900), fickle(6, 3000)}, next: shutdownBy(0)},
}

// resets has both ends ask for what RFC 6525 knows, one after the other, and shuts down.
func resets(c *course) {
	a, b := c.end[0].a, c.end[1].a
	if a.State() != Established || b.State() != Established {
		return
	}
	errno := syscall.Errno(0)
	switch c.turn {
	case 0:
		errno = a.ResetStreams(c.now, true, false, []uint16{0, 1})
	case 1:
		errno = b.ResetStreams(c.now, false, true, nil)
	case 2:
		errno = b.AddStreams(c.now, 3, 2)
	case 3:
		errno = a.ResetAssoc(c.now)
	case 4:
		errno = a.ResetStreams(c.now, true, true, []uint16{2})
	default:
		a.Shutdown(c.now)
		return
	}
	if errno == 0 {
		c.turn++
		for i := range c.x.says {
			c.x.says[i] = append(c.x.says[i], some(3, 50)...)
		}
	}
}

// fickle are messages that are not sent twice.
func fickle(n, size int) []said {
	s := some(n, size)
	for i := range s {
		if i%3 != 0 {
			s[i].pr = PRRtx
		}
	}
	return s
}

// Whatever happens to one packet, or to two of a short exchange, each message is read once and in its
// stream's order, and both ends are CLOSED in the end. With -short it happens to one packet only.
func TestEveryPacket(t *testing.T) {
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			run := func(happens map[int]mishap) int {
				y := x
				y.says = [2][]said{slices.Clone(x.says[0]), slices.Clone(x.says[1])}
				c := newCourse(t, &y, happens)
				defer func() {
					if t.Failed() {
						t.Log(happens)
					}
				}()
				c.run(4 * time.Minute)
				return c.packets
			}
			n := run(nil) + 3
			pairs := n < 30 && !testing.Short()
			for k := range n {
				for m := range mishaps {
					run(map[int]mishap{k: m})
					for l := k + 1; l < n && pairs; l++ {
						for o := range mishaps {
							run(map[int]mishap{k: m, l: o})
						}
					}
				}
			}
		})
	}
}

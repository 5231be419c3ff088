package link

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usock/clock"
	"usock/internal/offload"
)

// netem is one direction of an impaired link. A packet is admitted to the queue that
// the rate empties, departs from there into the delay, and is carried on when due:
//
//	push → admit → queue → sending ─depart→ line ─┐
//	                                   └──→ late ─┴→ carry
//
// All times are computed from one another; advance brings the state up to now,
// whenever it is called. One alarm is set for the next packet that is due or, so
// that the netem needs no more than one, for the next that departs.
type netem struct {
	carry func([]*Packet)
	seed  uint64
	given bool // the clock is that of the configuration

	source atomic.Pointer[source] // changes with mu held

	mu     sync.Mutex
	asOf   time.Duration // up to which the state has been brought
	imp    Impairment
	rnd    *rand.Rand
	bad    bool          // state of the bursts' channel
	env    qdiscEnv      // what the queue works with
	queue  qdisc         // waits for the rate; empty if nothing is being sent
	sends  *Packet       // what is being sent; nil: nothing
	done   time.Duration // when its last bit has left
	place  place         // in the trace: what is being sent leaves of it
	line   ring          // in the delay, in order of their times
	latest time.Duration // of the times in line, so far
	late   lateHeap      // held back to be overtaken
	held   int           // of line and late, as timed.size counts
	serial uint64
	alarm  clock.Alarm
	armed  time.Duration // when the alarm goes off; never: it is not set
	busy   bool          // a goroutine carries packets on; batch is its
	closed bool
	stats  ImpairStats
	batch  [64]*Packet

	watchers []*watcher
	whole    bool   // segments are not cut up as long as there is no impairment
	stage    string // the name of the stage that it is; "": it is what all packets pass at last
}

// What becomes of a packet that is not carried.
const (
	fateLoss = "loss"       // by chance
	fateFull = "queue full" // for want of room
)

// watcher is told of each packet as it comes, before it is changed, and of what becomes of it: "" if it is to be
// carried; and again of one that is lost later. It is called with the netem locked, and must not keep the packet.
type watcher struct {
	see func(p *Packet, fate string, again bool)
}

// watch has w told, until unwatch.
func (d *netem) watch(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = append(d.watchers, w)
}

func (d *netem) unwatch(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = slices.DeleteFunc(d.watchers, func(x *watcher) bool { return x == w })
}

const never = time.Duration(math.MaxInt64)

// maxUnderWay is how much is in the delay at most, as timed.size counts: what 10 Gbit/s carry in 150 ms in packets of 1,500 bytes. More is
// dropped as it comes: a delay without a rate would take as much memory as a sender fills in it.
const maxUnderWay = 256 << 20

// packetCost is about what a packet takes besides its bytes.
const packetCost = 512

// newNetem returns a netem on the clock c; nil: that of a host to come.
func newNetem(c clock.Clock, imp Impairment, seed, direction uint64, carry func([]*Packet)) *netem {
	d := &netem{
		carry: carry, given: c != nil, imp: imp, armed: never,
		rnd: rand.New(rand.NewPCG(seed, direction)),
	}
	if c == nil {
		c = clock.System()
	}

	// The jitter has a generator of its own for each point in time: it is the same whatever
	// packets come and draw.
	d.seed = d.rnd.Uint64()
	d.env = qdiscEnv{queueing: imp.queueing(), rnd: d.rnd, seed: d.seed, lost: d.lost, marked: func() { d.stats.Marked++ }}
	d.queue = newQdisc(&d.env)
	d.setClock(c)
	return d
}

func (d *netem) setClock(c clock.Clock) {
	d.source.Store(&source{c, c.Now()})
	d.alarm, d.asOf = c.NewAlarm(d.fire), 0
}

// source is where a netem's time comes from, and when that began there.
type source struct {
	clock.Clock
	epoch time.Duration
}

// moment is a time that was read from a source. Its zero value was read nowhere.
type moment struct {
	from *source
	at   time.Duration // on the clock
}

// moment reads the clock. It needs no lock.
func (d *netem) moment() moment {
	s := d.source.Load()
	return moment{s, s.Now()}
}

// useClock changes the clock, unless the configuration has named one or there are times
// of the old one.
func (d *netem) useClock(c clock.Clock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.given && d.stats.Packets == 0 {
		d.setClock(c)
	}
}

// now is the time since the netem was made. The caller holds mu.
func (d *netem) now() time.Duration { return d.since(d.moment()) }

// since is now as of a moment: what was read before a lock was waited for is not before what others have read. One of another clock is
// read anew. The caller holds mu.
func (d *netem) since(m moment) time.Duration {
	if m.from != d.source.Load() {
		m = d.moment()
	}
	return max(m.at-m.from.epoch, d.asOf)
}

// push takes over the packets of batch, which come at a moment; the zero one is now. Those that are fresh have passed no other netem.
func (d *netem) push(batch []*Packet, m moment, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.since(m)
	d.advance(now)
	for _, p := range batch {
		switch {
		case d.closed:
			p.Free()

		// Cut up first: a large segment is many packets, and chance, rate and queue are to
		// treat it so.
		case p.SegmentSize != 0 && !(d.whole && d.imp == (Impairment{})):
			offload.Segment(p, func(s *Packet) { d.admit(s, now, fresh) })
		default:
			d.admit(p, now, fresh)
		}
	}
	d.release(now)
}

// admit draws what becomes of p, and queues it.
func (d *netem) admit(p *Packet, now time.Duration, fresh bool) {
	d.stats.Packets++
	if d.lose() {
		d.tell(p, fateLoss, fresh)
		d.stats.Lost++
		p.Free()
		return
	}
	v := d.ask(p, now)
	d.tell(p, v.fate, fresh)
	if d.chance(d.imp.Corrupt) {
		d.stats.Corrupted++
		corrupt(p, d.rnd)
	}
	if d.chance(d.imp.Duplicate) {
		d.stats.Duplicated++

		// Behind the original, and through the rate as well: the network carries it twice.
		c := p.Clone()
		d.enqueue(p, v, now)
		d.enqueue(c, d.ask(c, now), now)
		return
	}
	d.enqueue(p, v, now)
}

// tell has the watchers told of p. Where it is not fresh, as it has waited or passed a stage, they know of it, and are told only that it is
// lost.
func (d *netem) tell(p *Packet, fate string, fresh bool) {
	if fate == "" && !fresh {
		return
	}
	if fate != "" && d.stage != "" {
		fate += " (" + d.stage + ")"
	}
	for _, w := range d.watchers {
		w.see(p, fate, !fresh)
	}
}

func (d *netem) chance(p float64) bool { return p > 0 && d.rnd.Float64() < p }

// lose draws whether a packet is lost, independently or by Gilbert and Elliott.
func (d *netem) lose() bool {
	b := &d.imp.Burst
	if b.Enter == 0 {
		return d.chance(d.imp.Loss)
	}

	// The state first, then the loss in it: a burst may begin with the packet that is drawn
	// for.
	if d.bad {
		d.bad = !d.chance(b.Leave)
	} else {
		d.bad = d.chance(b.Enter)
	}
	if d.bad {
		return d.chance(b.LossBad)
	}
	return d.chance(b.LossGood)
}

// unlimited reports whether packets go past the queue. Where the rate has just been taken away, what waits goes first.
func (d *netem) unlimited() bool { return !d.imp.queues() && d.sends == nil }

// ask asks what is to become of p: there has to be room in the delay and, if p is to wait for the rate, the queue has to take it.
func (d *netem) ask(p *Packet, now time.Duration) verdict {
	switch {
	case d.held >= maxUnderWay:
		return verdict{fate: fateFull}
	case d.unlimited():
		return verdict{}
	}
	return d.queue.admit(p, now)
}

// enqueue puts p into the rate's queue, or past it where there is no rate.
func (d *netem) enqueue(p *Packet, v verdict, now time.Duration) {
	switch {
	case v.fate != "":
		d.drop(p, v.fate)
		return
	case d.unlimited():
		d.depart(p, now)
		return
	}
	if v.mark && mark(p) {
		d.stats.Marked++
	}
	d.queue.push(p, now)
	if d.sends == nil {
		d.send(now, d.begins)
	}
}

// lost is called by the queue for a packet that it had taken and has dropped.
func (d *netem) lost(p *Packet, fate string) {
	d.tell(p, fate, false)
	d.drop(p, fate)
}

func (d *netem) drop(p *Packet, fate string) {
	d.stats.Dropped++
	if fate != fateFull {
		d.stats.Early++
	}
	p.Free()
}

// send begins to send the next packet of the queue at the time at: done tells when its last bit leaves.
func (d *netem) send(at time.Duration, done func(p *Packet, at time.Duration) time.Duration) {
	if d.sends = d.queue.pop(at); d.sends != nil {
		d.done = done(d.sends, at)
	}
}

// sending is how long the rate takes for p.
func (d *netem) sending(p *Packet) time.Duration {
	if d.imp.Rate == 0 {
		return 0
	}
	return time.Duration(float64(p.Len()) * 8e9 / float64(d.imp.Rate))
}

// advance has those packets depart whose last bit has left by now.
func (d *netem) advance(now time.Duration) {
	d.asOf = now
	for d.sends != nil && d.done <= now {
		// At the time when its last bit has left, and not now: a timer that is late must not
		// make the link slower.
		p, at := d.sends, d.done
		d.send(at, d.follows)
		d.depart(p, at)
	}
}

// depart starts the delay of p at the time at. What is not reordered arrives in
// order, also when the delay is made shorter meanwhile.
func (d *netem) depart(p *Packet, at time.Duration) {
	due, size := at+d.imp.Delay+d.wander(at), p.Len()+packetCost
	d.held += size
	if d.chance(d.imp.Reorder) {
		d.stats.Reordered++
		d.serial++
		heap.Push(&d.late, timed{due + d.imp.reorderBy(), d.serial, p, size})
		return
	}

	// A delay that was made shorter must not let packets overtake: reordering is an impairment
	// of its own.
	d.latest = max(d.latest, due)
	d.line.push(timed{at: d.latest, p: p, size: size})
}

// wander is by how much the delay strays at a time. It runs in straight lines
// between points that are drawn for each period of four times the jitter, so that
// it never falls faster than half as fast as time goes on.
func (d *netem) wander(at time.Duration) time.Duration {
	j := d.imp.Jitter
	if j == 0 {
		return 0
	}

	period := 4 * j
	n := uint64(at / period)
	from, to := d.point(n), d.point(n+1)
	part := float64(at%period) / float64(period)
	return time.Duration((from + float64((to-from)*part)) * float64(j))
}

// point returns the n-th of a sequence of random numbers from -1 to 1.
func (d *netem) point(n uint64) float64 {
	r := rand.NewPCG(d.seed, n)
	return float64(int64(r.Uint64())) / (1 << 63)
}

// next is when the netem has something to do.
func (d *netem) next() time.Duration {
	at := never
	if d.sends != nil {
		at = d.done
	}
	if d.line.len() > 0 {
		at = min(at, d.line.front().at)
	}
	if len(d.late) > 0 {
		at = min(at, d.late[0].at)
	}
	return at
}

// due takes the first packet whose time has come, nil if there is none.
func (d *netem) due(now time.Duration) *Packet {
	// The earlier of the two; of the same time the one in order.
	late := len(d.late) > 0 && d.late[0].at <= now
	if d.line.len() > 0 {
		if f := d.line.front(); f.at <= now && !(late && d.late[0].at < f.at) {
			return d.arrive(d.line.pop())
		}
	}
	if late {
		return d.arrive(heap.Pop(&d.late).(timed))
	}
	return nil
}

// arrive is the end of a packet's delay.
func (d *netem) arrive(t timed) *Packet {
	d.held -= t.size
	return t.p
}

// release carries on what is due and sets the alarm. It gives mu up meanwhile; what
// others push then, it carries too.
func (d *netem) release(now time.Duration) {
	// A carry may lead to another push, of this goroutine or another: what it brings is carried
	// by who is at it already, or the order would be lost and the stack deep.
	if d.busy {
		return
	}
	d.busy = true
	for d.next() <= now {
		d.advance(now)
		n := 0
		for n < len(d.batch) {
			p := d.due(now)
			if p == nil {
				break
			}
			d.batch[n] = p
			n++
		}
		if n > 0 {
			d.stats.Carried += uint64(n)
			d.mu.Unlock()
			d.carry(d.batch[:n])
			d.mu.Lock()
			clear(d.batch[:n])
		}

		// Carrying takes time, and more may be due.
		if d.next() != never {
			now = d.now()
		}
	}
	d.busy = false
	d.wake()
}

// wake sets the alarm for what is next.
func (d *netem) wake() {
	if at := d.next(); at < d.armed && !d.closed {
		d.armed = at
		d.alarm.Set(at - d.now())
	}
}

func (d *netem) fire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = never
	d.release(d.now())
}

func (d *netem) set(imp Impairment) {
	d.mu.Lock()
	defer d.mu.Unlock()

	// What has left under the old settings has left.
	now := d.now()
	d.advance(now)
	changed := d.imp.Trace != imp.Trace
	d.imp = imp
	d.setQueue(imp.queueing(), now)
	if changed {
		d.retrace(now)
	}
	if imp.Burst.Enter == 0 {
		d.bad = false
	}
}

// setQueue changes the queue's settings. What waits goes over to another discipline as if it came now.
func (d *netem) setQueue(q queueing, now time.Duration) {
	old := d.env.queueing
	d.env.queueing = q
	if q.fits(&old) {
		return
	}
	from := d.queue
	d.queue = newQdisc(&d.env)
	for p := from.take(); p != nil; p = from.take() {
		d.queue.push(p, now)
	}
}

func (d *netem) get() Impairment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.imp
}

func (d *netem) statistics() ImpairStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Waiting = d.queue.waiting().Packets + d.line.len() + len(d.late)
	if d.sends != nil {
		s.Waiting++
	}
	return s
}

func (d *netem) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.alarm.Stop()
	if d.sends != nil {
		d.sends.Free()
		d.sends = nil
	}
	for p := d.queue.take(); p != nil; p = d.queue.take() {
		p.Free()
	}
	for d.line.len() > 0 {
		d.line.pop().p.Free()
	}
	for _, t := range d.late {
		t.p.Free()
	}
	d.late, d.held = nil, 0
}

// timed is a packet and when it is due.
type timed struct {
	at     time.Duration
	serial uint64
	p      *Packet
	size   int // its bytes, and packetCost
}

// ring is a queue of packets with their times, which grows as it must.
type ring struct {
	buf     []timed // a power of two of them
	head, n int
}

func (r *ring) len() int { return r.n }

func (r *ring) front() *timed { return &r.buf[r.head] }

func (r *ring) push(t timed) {
	if r.n == len(r.buf) {
		b := make([]timed, max(2*r.n, 64))
		k := copy(b, r.buf[r.head:])
		copy(b[k:], r.buf[:r.head])
		r.buf, r.head = b, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = t
	r.n++
}

func (r *ring) pop() timed {
	t := r.buf[r.head]
	r.buf[r.head] = timed{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return t
}

// lateHeap orders packets by their times, and by their order for equal ones.
type lateHeap []timed

func (h lateHeap) Len() int { return len(h) }
func (h lateHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}
func (h lateHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)   { *h = append(*h, x.(timed)) }
func (h *lateHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = timed{}
	*h = old[:len(old)-1]
	return t
}

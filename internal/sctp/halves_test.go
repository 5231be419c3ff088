package sctp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// halves is a sender and a receiver with a network between them, in virtual time: enough of an
// association to carry data one way. Each path takes delay, and does to packets what net says.
type halves struct {
	t     testing.TB
	now   time.Duration
	snd   sender
	rcv   receiver
	paths []*flow
	net   func(f *flow) passage // nil: everything arrives
	delay time.Duration
	wires []flying
	order int
	stall bool // the program does not read

	read      []got // what the program has read
	parts     map[partKey]string
	aborted   []inMessage
	violation dataResult
	packets   int // of DATA that were sent
	sacks     int
	fails     []string // first bytes of what failed
}

// passage is what becomes of a packet.
type passage struct {
	lost  bool
	twice bool
	late  time.Duration
}

type flying struct {
	at    time.Duration
	order int
	data  []flyingData
	ctl   []byte // FORWARD-TSN, or a SACK
	back  bool
}

type flyingData struct {
	inData
	body packet.Vec
}

// partKey says of which message a part is.
type partKey struct {
	stream    uint16
	unordered bool
	mid       uint32
}

// got is a message that the program has read.
type got struct {
	inMessage
	data string
}

const (
	testMTU      = 1500
	testOverhead = 32
)

// newHalves returns an association with one path; set changes options before it begins.
func newHalves(t testing.TB, set ...func(h *halves)) *halves {
	h := &halves{t: t, delay: 10 * time.Millisecond, now: time.Second, parts: map[partKey]string{}}
	h.snd.rto = &RTOBounds{time.Second, 200 * time.Millisecond, 60 * time.Second}
	h.snd.noDelay = true
	h.snd.partial = true
	h.rcv.bufSize = 1 << 18
	h.rcv.mtu = testMTU
	h.rcv.sackDelay, h.rcv.sackFreq = 200*time.Millisecond, 2
	for _, f := range set {
		f(h)
	}
	const tsn, streams = 1<<32 - 5, 100
	h.rcv.interleaved = h.snd.interleaved
	h.rcv.mixed = h.rcv.mixed || h.snd.interleaved
	h.rcv.begin(tsn&(1<<32-1), streams)
	h.snd.begin(tsn & (1<<32 - 1))
	h.snd.agree(h.rcv.initialWindow(), streams)
	if h.paths == nil {
		h.path()
	}
	t.Cleanup(h.close)
	return h
}

// path adds a path.
func (h *halves) path() *flow {
	f := new(flow)
	h.snd.addFlow(f, testMTU, testOverhead)
	h.paths = append(h.paths, f)
	return f
}

func (h *halves) close() {
	h.snd.free()
	h.rcv.free()
	for _, w := range h.wires {
		w.release()
	}
	h.wires = nil
}

func (w *flying) release() {
	for i := range w.data {
		w.data[i].body.Release()
	}
}

// send pushes a message.
func (h *halves) send(o outMessage, data string) {
	h.t.Helper()
	h.snd.push(h.now, &o, []packet.View{packet.Copy([]byte(data))})
	h.check()
}

// poll has what is due leave.
func (h *halves) poll() {
	for again := true; again; {
		again = false
		for _, f := range h.paths {
			for h.packet(f) {
				again = true
			}
		}

		// What was to be sent again may have been given up instead.
		again = again || h.snd.forward
	}
	if h.rcv.sackDue(h.now) {
		h.sacks++
		h.launch(h.paths[0], flying{ctl: h.rcv.appendSack(nil, 1400), back: true})
	}
	for m := h.snd.takeFailed(); m != nil; m = h.snd.takeFailed() {
		h.fails = append(h.fails, string(m.views[0].Bytes()[:1]))
		m.free()
	}
	h.check()
}

// packet builds a packet for f, and reports whether there was something.
func (h *halves) packet(f *flow) bool {
	var w flying
	room := int(f.room)
	if f == h.snd.retran {
		w.ctl = h.snd.appendForward(h.now, f, nil, room)
		room -= len(w.ctl)
	}
	l := load{room: room, bare: len(w.ctl) == 0}
	var d outData
	for h.snd.next(h.now, f, &l, &d) {
		d.payload.Retain()
		in := inData{Data: d.Data, mid: d.mid, fsn: d.fsn}
		if d.interleaved {
			if in.SSN = 0; in.Flags&wire.DataB == 0 {
				in.PPID = 0
			}
		}
		w.data = append(w.data, flyingData{in, d.payload})
	}
	if l.n > 0 {
		h.packets++
	}
	if l.n == 0 && len(w.ctl) == 0 {
		return false
	}
	if l.room < 0 && l.n > 1 {
		h.t.Fatalf("a packet of %d chunks is %d bytes too long", l.n, -l.room)
	}
	h.launch(f, w)
	return true
}

func (h *halves) launch(f *flow, w flying) {
	what := passage{}
	if h.net != nil {
		what = h.net(f)
	}
	w.at = h.now + h.delay + what.late
	if what.twice {
		for i := range w.data {
			w.data[i].body.Retain()
		}
		h.order++
		w.order = h.order
		h.wires = append(h.wires, w)
		w.data = slices.Clone(w.data)
	}
	if what.lost {
		w.release()
		return
	}
	h.order++
	w.order = h.order
	h.wires = append(h.wires, w)
}

// next returns when something happens next.
func (h *halves) next() time.Duration {
	at := min(h.snd.deadline(), h.rcv.ack.at)
	for _, w := range h.wires {
		at = min(at, w.at)
	}
	return at
}

// step has the next thing happen, and reports false if there is none before the time.
func (h *halves) step(until time.Duration) bool {
	h.poll()
	at := h.next()
	if at == timer.Never || at > until {
		h.now = max(h.now, min(until, at))
		return false
	}
	h.now = max(h.now, at)
	for _, f := range h.paths {
		if f.t3 <= h.now {
			h.snd.timeout(h.now, f)
			h.check()
			h.poll()
			return true
		}
	}
	k := -1
	for i, w := range h.wires {
		if w.at <= h.now && (k < 0 || w.at < h.wires[k].at || w.at == h.wires[k].at && w.order < h.wires[k].order) {
			k = i
		}
	}
	if k >= 0 {
		w := h.wires[k]
		h.wires = slices.Delete(h.wires, k, k+1)
		h.arrive(&w)
		h.check()
	}
	h.poll()
	return true
}

func (h *halves) arrive(w *flying) {
	if w.back {
		c, _, err := wire.ParseChunk(w.ctl)
		if err != nil {
			h.t.Fatal(err)
		}
		k, err := wire.ParseSack(c.Value)
		if err != nil {
			h.t.Fatal(err)
		}
		if res := h.snd.onSACK(h.now, &k); res.invalid {
			h.t.Fatalf("SACK %+v is taken for invalid", k)
		}
		return
	}
	if len(w.ctl) > 0 {
		c, _, _ := wire.ParseChunk(w.ctl)
		f, err := wire.ParseForwardTSN(c.Type, c.Value)
		if err != nil || !h.rcv.forward(&f) {
			h.t.Fatalf("FORWARD-TSN %+v: %v", f, err)
		}
	}
	for i := range w.data {
		d := &w.data[i]
		if res := h.rcv.data(&d.inData, &d.body, 0, d.body.Len()); res != dataTaken {
			h.violation = res
		}
	}
	w.release()
	h.rcv.packet(h.now)
	if !h.stall {
		h.recv()
	}
}

// recv reads all there is.
func (h *halves) recv() {
	var m inMessage
	for {
		for h.rcv.pdAborted(&m) {
			h.aborted = append(h.aborted, m)
		}
		for len(h.aborted) > 0 && h.aborted[0].behind <= h.rcv.read {
			m = h.aborted[0]
			h.aborted = h.aborted[1:]
			delete(h.parts, partKey{m.stream, m.unordered, m.mid})
		}
		views, ok := h.rcv.take(1<<20, nil, &m)
		if !ok {
			break
		}
		key := partKey{m.stream, m.unordered, m.mid}
		for _, v := range views {
			h.parts[key] += string(v.Bytes())
			v.Release()
		}
		if m.eor {
			h.read = append(h.read, got{m, h.parts[key]})
			delete(h.parts, key)
		}
	}
	h.check()
}

// run lets time pass.
func (h *halves) run(d time.Duration) {
	until := h.now + d
	for n := 0; h.step(until); n++ {
		if n > 1e6 {
			h.t.Fatal("no end")
		}
	}
	h.now = until
	h.poll()
}

// finish runs until all is acknowledged.
func (h *halves) finish() {
	h.t.Helper()
	for n := 0; ; n++ {
		if !h.step(h.now+10*time.Minute) && h.snd.empty() {
			break
		}
		if n > 20000 || h.next() == timer.Never && !h.snd.empty() {
			h.t.Fatalf("stuck at %v: una %d nxt %d queued %d flight %d marked %d rwnd %d window %d", h.now, h.snd.una, h.snd.nxt,
				h.snd.queued, h.snd.inFlight, h.snd.marked, h.snd.rwnd(), h.rcv.window())
		}
	}
	if h.snd.queued != 0 || h.snd.waiting != 0 {
		h.t.Fatalf("something is left: queued %d, waiting %d", h.snd.queued, h.snd.waiting)
	}
	if o := h.snd.outgoing; o != nil && (o.inFlight != 0 || o.chunks.a != nil) {
		h.t.Fatalf("something is left: in flight %d", o.inFlight)
	}
}

// want fails unless the program has read messages of these bytes, in this order.
func (h *halves) want(data ...string) {
	h.t.Helper()
	have := []string{}
	for _, g := range h.read {
		have = append(have, g.data)
	}
	if !slices.Equal(have, data) {
		h.t.Fatalf("read %d messages %.60q, want %d %.60q", len(have), have, len(data), data)
	}
}

// check holds the halves to their invariants.
func (h *halves) check() {
	h.t.Helper()
	checkSender(h.t, &h.snd)
	checkReceiver(h.t, &h.rcv)
}

func checkSender(t testing.TB, s *sender) {
	t.Helper()
	if s.outgoing == nil {
		if s.una != s.nxt || s.queued != 0 || s.waiting != 0 || s.messages != 0 || s.held != 0 {
			t.Fatal("something is sent that was never queued")
		}
		return
	}
	flight, marked, count := map[*flow]uint32{}, uint32(0), map[*message]uint32{}
	queued, messages, waiting, unacked := uint32(0), uint32(0), uint32(0), map[uint16]uint32{}
	for tsn := s.una; tsn < s.nxt; tsn++ {
		c := s.chunks.at(tsn)
		count[c.msg]++
		unacked[c.msg.stream]++
		if c.outstanding() {
			flight[c.flow] += c.n
			if tsn < c.flow.low {
				t.Fatalf("TSN %d is outstanding below low %d", tsn, c.flow.low)
			}
		}
		if c.state&chunkMarked != 0 {
			marked++
			if tsn < s.markFrom {
				t.Fatalf("TSN %d is marked below %d", tsn, s.markFrom)
			}
		}
		if c.msg.fate&fateAbandoned == 0 {
			queued += c.n
		}
		if acked := c.state&chunkAcked != 0; acked != (s.chunks.seek(tsn, tsn+1, true) == tsn) {
			t.Fatalf("TSN %d: acknowledged %v, and not in the map", tsn, acked)
		}
		if c.outstanding() && c.state&chunkFast == 0 && tsn < s.missFrom {
			t.Fatalf("TSN %d can be missed below %d", tsn, s.missFrom)
		}
		if c.state&chunkAcked != 0 && tsn > s.highGap {
			t.Fatalf("TSN %d is acknowledged beyond %d", tsn, s.highGap)
		}
	}
	for m, n := range count {
		if m.chunks != n {
			t.Fatalf("a message counts %d chunks of %d", m.chunks, n)
		}
	}
	sum := uint32(0)
	for f := s.flows; f != nil; f = f.next {
		if f.flight != flight[f] {
			t.Fatalf("flight is %d, of chunks %d", f.flight, flight[f])
		}
		if f.flight > 0 && f.t3 == timer.Never {
			t.Fatal("something is outstanding, and T3-rtx does not run")
		}
		sum += f.flight
	}
	if sum != s.inFlight || marked != s.marked {
		t.Fatalf("in flight %d of %d, marked %d of %d", s.inFlight, sum, s.marked, marked)
	}
	s.eachStream(func(st *outStream) {
		if (st.head != nil && !st.held) != (st.place != 0) {
			t.Fatalf("stream %d: place %d", st.number, st.place)
		}
		if st.unacked != unacked[st.number] {
			t.Fatalf("stream %d: %d chunks of %d are not acknowledged", st.number, st.unacked, unacked[st.number])
		}
		for m := st.head; m != nil; m = m.next {
			messages++
			waiting += m.n - m.cut
		}
	})
	held := messages
	for m := range count {
		if m.fate&fateAbandoned == 0 && m.cut == m.n {
			held++
		}
	}
	if held != s.held {
		t.Fatalf("%d messages of %d are held", s.held, held)
	}
	if queued+waiting != s.queued || waiting != s.waiting || messages != s.messages {
		t.Fatalf("queued %d of %d, waiting %d of %d, messages %d of %d", s.queued, queued+waiting, s.waiting, waiting, s.messages, messages)
	}
	for i, st := range s.schedule.heap {
		if int(st.place) != i+1 || i > 0 && s.schedule.less(st, s.schedule.heap[(i-1)/2]) {
			t.Fatal("the schedule is no heap")
		}
	}
}

// checkRuns asserts that list and tree of a stream's runs are the same, that they are in order, and the tree
// balanced.
func checkRuns(t testing.TB, l *streamRuns) {
	t.Helper()
	x, prev := l.first, (*run)(nil)
	var walk func(*run) int8
	walk = func(o *run) int8 {
		if o == nil {
			return 0
		}
		left := walk(o.left)
		if o != x || o.sprev != prev || prev != nil && !prev.before(o.id, o.first) {
			t.Fatal("the runs of a stream are out of order")
		}
		x, prev = o.snext, o
		right := walk(o.right)
		if max(left, right)+1 != o.height || left-right > 1 || right-left > 1 {
			t.Fatalf("a tree of height %d has sides of %d and %d", o.height, left, right)
		}
		return o.height
	}
	if walk(l.root); x != nil {
		t.Fatal("a run is not in the tree")
	}
}

// holds says that there are runs that are not ready.
func (r *receiver) holds() bool { return r.incoming != nil && r.held.first != nil }

func checkReceiver(t testing.TB, r *receiver) {
	t.Helper()
	if r.incoming == nil {
		if r.payload != 0 || r.charged != 0 || r.high != r.cum {
			t.Fatal("something is held that has never come")
		}
		return
	}
	payload, charged, stored := uint32(0), uint32(0), uint64(0)
	blocks := map[*piece]int{}
	count := func(x *run) {
		n := uint32(0)
		for q := x.head; q != nil; q = q.next {
			n += uint32(q.view.Len())
			charged += pieceCost
			if blocks[q.first]++; blocks[q.first] == 1 {
				stored += uint64(q.view.Cap())
			}
			if q.next == nil && q != x.tail {
				t.Fatal("the last piece is not the tail")
			}
		}
		if n != x.n {
			t.Fatalf("a run has %d bytes of %d", x.n, n)
		}
		payload += n
	}
	n := 0
	for x := r.held.first; x != nil; x = x.hnext {
		if !x.ready {
			count(x)
		}
	}
	for x := r.ready.first; x != nil; x = x.rnext {
		count(x)
		n++
	}
	for first, n := range blocks {
		if first.pieces != n {
			t.Fatalf("%d pieces of a block, counted %d", n, first.pieces)
		}
	}
	r.streams.each(func(st *inStream) {
		checkRuns(t, &st.ordered)
		checkRuns(t, &st.unordered)
	})
	if charged += payload; payload != r.payload || charged != r.charged || stored != r.stored || n != r.ready.n {
		t.Fatalf("payload %d of %d, charged %d of %d, stored %d of %d", r.payload, payload, r.charged, charged, r.stored, stored)
	}
	if r.high < r.cum || (r.high > r.cum) != (r.tsns.a != nil) {
		t.Fatalf("high %d, cum %d, map %v", r.high, r.cum, r.tsns.a != nil)
	}
	if r.high > r.cum && (!r.tsns.seen(r.high, r.cum) || r.tsns.seen(r.cum+1, r.cum)) {
		t.Fatalf("the map does not fit cum %d and high %d", r.cum, r.high)
	}
}

// text returns n bytes that begin with b.
func text(b byte, n int) string { return string(bytes.Repeat([]byte{b}, n)) }

// lossy is a network that loses, doubles and delays packets by chance.
func lossy(rnd *rand.Rand, loss, twice, late float64) func(*flow) passage {
	return func(*flow) (f passage) {
		f.lost = rnd.Float64() < loss
		f.twice = rnd.Float64() < twice
		if rnd.Float64() < late {
			f.late = time.Duration(rnd.IntN(60)) * time.Millisecond
		}
		return f
	}
}

// TestTransfer has messages of all sizes and kinds arrive whole and in the order of their streams over
// networks that lose, double and reorder packets, with and without I-DATA, by every scheduler, over one
// path and two.
func TestTransfer(t *testing.T) {
	for seed := uint64(1); seed <= uint64(tries(60)); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { transfer(t, seed, 150, 0.03, 0.02, 0.1) })
	}
}

func transfer(t *testing.T, seed uint64, n int, loss, twice, late float64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	h := newHalves(t, func(h *halves) {
		h.snd.interleaved = seed%2 == 0
		h.snd.setScheduler(Sched(seed % uint64(numScheds)))
		h.snd.noDelay = seed%3 == 0
		h.snd.maxBurst = uint32(seed % 5)
		if seed%4 == 0 {
			h.rcv.bufSize = 1 << 14
		}
		if seed%7 == 0 {
			h.rcv.pdPoint = 4000
		}
	})
	if seed%5 == 0 {
		h.path()
		h.snd.retran = h.paths[1]
	}
	h.net = lossy(rnd, loss, twice, late)

	sent := map[string]int{}
	for i := 0; i < n; i++ {
		size := 1 + rnd.IntN(200)
		if rnd.IntN(4) == 0 {
			size = 1 + rnd.IntN(20000)
		}
		o := outMessage{stream: uint16(rnd.IntN(8)), unordered: rnd.IntN(5) == 0, ppid: uint32(i)}
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(rnd.Uint32())
		}
		h.send(o, string(data))
		sent[fmt.Sprintf("%d %v %d %s", o.stream, o.unordered, i, data)]++
		if rnd.IntN(3) == 0 {
			h.run(time.Duration(rnd.IntN(50)) * time.Millisecond)
		}
	}
	h.finish()
	if h.violation != dataTaken {
		t.Fatalf("violation %d", h.violation)
	}
	last := map[uint16]uint32{}
	for _, g := range h.read {
		key := fmt.Sprintf("%d %v %d %s", g.stream, g.unordered, g.ppid, g.data)
		if sent[key]--; sent[key] < 0 {
			t.Fatalf("a message of %d bytes of stream %d came that was not sent, or twice", len(g.data), g.stream)
		}
		if !g.unordered {
			if l, ok := last[g.stream]; ok && l > g.ppid {
				t.Fatalf("stream %d: %d came behind %d", g.stream, g.ppid, l)
			}
			last[g.stream] = g.ppid
		}
	}
	if len(h.read) != n {
		t.Fatalf("%d of %d messages came", len(h.read), n)
	}
}

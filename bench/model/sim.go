package main

import "math/rand/v2"

// All times are ns.

// class is a kind of lock, or of cache line that is written by all.
type class struct {
	name  string
	n     int     // how many there are; an operation uses one of them by chance
	hold  float64 // for a use
	lines float64 // that come along, where another core had it before
	line  bool    // no lock: nobody sleeps for it
}

// step is a part of an operation: work, and then a use of a class, the taking or the giving back of a lane.
type step struct {
	work float64
	use  int // index of the class
	kind int
}

const (
	uses = iota
	enters
	leaves
	works // nothing else
)

// machine is what the operations run on.
type machine struct {
	cores    int
	near     float64 // a line from a core of the same group
	far      float64 // and of another one
	group    int     // cores that share a cache
	wake     float64 // what a hand-over to one who sleeps for a lock takes besides
	lanes    int
	laneLine float64 // lines of a lane that come along
	slice    float64 // after which a goroutine loses its core, also in midst of an entry; 0: never
	away     float64 // for how long then
	soon     float64 // the same, where all others wait
	conns    int     // connections of a core
	apart    bool    // a lane is home to a core, not to connections

	classes []class
	op      []step

	wholeEvery float64 // between entries of the whole host; 0: there are none
	wholeWork  float64
	gate       bool // nobody enters while one waits for the whole host
}

// server is one lock or line.
type server struct {
	held   bool
	last   int // core that had it last; -1: none
	since  float64
	busy   float64
	queue  []int
	parked int // > 0: its holder is not running; the number tells one time from another
}

// result is what came of it.
type result struct {
	ops       float64   // a second
	busy      []float64 // by class: the share of the time in which the busiest of it was in use
	lanes     float64   // the same of lanes, the mean
	wholes    float64   // a second
	wholeTook float64   // mean
}

type event struct {
	at     float64
	seq    int
	core   int // or whole, or -2-lane: its holder goes on
	parked int
}

// events are a heap, the earliest first, and those of a time in the order in which they were put in.
type events []event

func (e events) less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}

func (e *events) push(x event) {
	*e = append(*e, x)
	h := *e
	for i := len(h) - 1; i > 0 && h.less(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (e *events) pop() event {
	h := *e
	first, n := h[0], len(h)-1
	h[0] = h[n]
	h = h[:n]
	for i := 0; 2*i+1 < n; {
		k := 2*i + 1
		if k+1 < n && h.less(k+1, k) {
			k++
		}
		if !h.less(k, i) {
			break
		}
		h[i], h[k] = h[k], h[i]
		i = k
	}
	*e = h
	return first
}

const whole = -1

// core is where a core is in its operation.
type core struct {
	pc      int
	holding bool // the class of the step
	which   *server
	lane    int
	conn    int
}

type sim struct {
	machine
	now     float64
	seq     int
	q       events
	rand    *rand.Rand
	all     [][]server
	lane    []server
	core    []core
	homes   []int // by connection
	done    int
	parks   int
	asking  bool // somebody wants the whole host
	next    int  // lane that he wants next
	waits   bool // for that
	working bool
	asked   float64
	took    float64
	wholes  int
	held    []int // cores that the gate holds up
}

// run simulates so many ns, after a tenth as warm-up.
func (m machine) run(length float64) result {
	s := &sim{machine: m, rand: rand.New(rand.NewPCG(1, 2)), lane: make([]server, m.lanes), core: make([]core, m.cores)}
	for _, c := range m.classes {
		s.all = append(s.all, make([]server, c.n))
		for i := range s.all[len(s.all)-1] {
			s.all[len(s.all)-1][i].last = -1
		}
	}
	for i := range s.lane {
		s.lane[i].last = -1
	}
	for range m.cores * m.conns {
		s.homes = append(s.homes, s.rand.IntN(m.lanes))
	}
	for i := range s.core {
		s.begin(i, s.rand.Float64()*1000)
	}
	if m.wholeEvery > 0 {
		s.push(m.wholeEvery, whole, 0)
	}
	for warm := false; len(s.q) > 0; {
		e := s.q.pop()
		if e.at > 1.1*length {
			break
		}
		s.now = e.at
		if !warm && e.at > length/10 {
			warm = true
			s.reset()
		}
		switch {
		case e.core == whole:
			s.stop()
		case e.core < whole:
			if l := &s.lane[-2-e.core]; l.parked == e.parked {
				l.parked = 0
				s.free(-2 - e.core)
			}
		default:
			s.advance(e.core)
		}
	}
	return s.result(length)
}

func (s *sim) reset() {
	s.done, s.wholes, s.took = 0, 0, 0
	for _, c := range append(s.all, s.lane) {
		for i := range c {
			c[i].busy, c[i].since = 0, s.now
		}
	}
}

func (s *sim) result(length float64) result {
	r := result{ops: float64(s.done) / length * 1e9, wholes: float64(s.wholes) / length * 1e9}
	end := 1.1 * length
	share := func(x *server) float64 {
		if x.held {
			x.busy += end - x.since
		}
		return x.busy / length
	}
	for _, c := range s.all {
		most := 0.0
		for i := range c {
			most = max(most, share(&c[i]))
		}
		r.busy = append(r.busy, most)
	}
	for i := range s.lane {
		r.lanes += share(&s.lane[i]) / float64(len(s.lane))
	}
	if s.wholes > 0 {
		r.wholeTook = s.took / float64(s.wholes)
	}
	return r
}

func (s *sim) push(in float64, core, parked int) {
	s.seq++
	s.q.push(event{s.now + in, s.seq, core, parked})
}

// transfer is what a line takes from the core that had it.
func (s *sim) transfer(x *server, to int) float64 {
	switch {
	case x.last < 0 || x.last == to:
		return 0
	case to >= 0 && x.last/s.group == to/s.group:
		return s.near
	}
	return s.far
}

// begin has a core begin an operation.
func (s *sim) begin(i int, in float64) {
	s.core[i] = core{conn: i*s.conns + s.rand.IntN(s.conns)}
	s.push(in+s.op[0].work, i, 0)
}

// advance has a core go on after its work, or after its use of something.
func (s *sim) advance(i int) {
	c, st := &s.core[i], s.op[s.core[i].pc]
	switch {
	case st.kind == uses && !c.holding:
		list := s.all[st.use]
		c.which, c.holding = &list[s.rand.IntN(len(list))], true
		if c.which.held {
			c.which.queue = append(c.which.queue, i)
			return
		}
		s.use(i, 0)
		return
	case st.kind == uses:
		x := c.which
		s.release(x)
		if len(x.queue) > 0 {
			n := x.queue[0]
			x.queue = x.queue[1:]
			wake := s.wake
			if s.classes[st.use].line {
				wake = 0
			}
			s.use(n, wake)
		}
	case st.kind == enters && !c.holding:
		s.enter(i)
		return
	case st.kind == leaves:
		s.leave(c.lane)
	}
	c.holding = false
	c.pc++
	if c.pc < len(s.op) {
		s.push(s.op[c.pc].work, i, 0)
		return
	}
	s.done++
	s.begin(i, 0)
}

func (s *sim) release(x *server) {
	x.held = false
	x.busy += s.now - x.since
}

func (s *sim) take(x *server, by int) {
	x.held, x.since, x.last = true, s.now, by
}

// use has a core use what is free.
func (s *sim) use(i int, wake float64) {
	x, c := s.core[i].which, s.classes[s.op[s.core[i].pc].use]
	took := c.hold + c.lines*s.transfer(x, i) + wake
	s.take(x, i)
	s.push(took, i, 0)
}

// enter looks for a lane, from its home on, and waits for that where all are taken.
func (s *sim) enter(i int) {
	if s.gate && s.asking {
		s.held = append(s.held, i)
		return
	}
	home := s.homes[s.core[i].conn]
	if s.apart {
		home = i * s.lanes / s.cores
	}
	for k := range s.lane {
		n := (home + k) % len(s.lane)
		if !s.lane[n].held {
			s.got(i, n, float64(k)*s.near)
			return
		}
	}
	s.lane[home].queue = append(s.lane[home].queue, i)
	s.hurry()
}

func (s *sim) got(i, n int, late float64) {
	s.core[i].lane, s.core[i].holding = n, true
	cost := late + s.laneLine*s.transfer(&s.lane[n], i)
	s.take(&s.lane[n], i)
	s.push(cost, i, 0)
}

// hurry has those go on soon who have lanes and no core: others wait for them, and leave them theirs.
func (s *sim) hurry() {
	for n := range s.lane {
		if s.lane[n].parked > 0 {
			s.push(s.soon, -2-n, s.lane[n].parked)
		}
	}
}

// leave gives a lane back, or leaves it with a goroutine that has just lost its core.
func (s *sim) leave(n int) {
	x := &s.lane[n]
	if s.slice > 0 && s.rand.Float64() < (s.now-x.since)/s.slice {
		s.parks++
		x.parked = s.parks
		s.push(s.away, -2-n, s.parks)
		if s.gate && s.asking {
			s.push(s.soon, -2-n, s.parks)
		}
		return
	}
	s.free(n)
}

func (s *sim) free(n int) {
	x := &s.lane[n]
	s.release(x)
	switch {
	case s.waits && s.next == n:
		s.stop()
	case len(x.queue) > 0:
		i := x.queue[0]
		x.queue = x.queue[1:]
		s.got(i, n, s.wake)
	}
}

// stop takes the next of the lanes for the whole host, or all back. Its goroutine needs no core of those.
func (s *sim) stop() {
	switch {
	case s.working:
		s.working, s.asking = false, false
		s.took += s.now - s.asked
		s.wholes++
		s.push(max(s.asked+s.wholeEvery-s.now, 0), whole, 0)
		for n := range s.lane {
			s.free(n)
		}
		for _, i := range s.held {
			s.enter(i)
		}
		s.held = s.held[:0]
		return
	case !s.asking:
		s.asking, s.next, s.asked = true, 0, s.now
		if s.gate {
			s.hurry()
		}
	}
	x := &s.lane[s.next]
	if s.waits = x.held; s.waits {
		return // free comes back here
	}
	cost := 2 * s.transfer(x, whole) // to take it, and to give it back
	s.take(x, whole)
	s.next++
	if s.next == len(s.lane) {
		s.working = true
		cost += s.wholeWork
	}
	s.push(cost, whole, 0)
}

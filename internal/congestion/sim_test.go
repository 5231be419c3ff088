package congestion

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"usock/cc"
)

// network is a packet-level model in manual time: senders with endless data share
// one bottleneck with a drop-tail queue. Every packet is acknowledged by itself
// (SACK), and acknowledgments are never lost.
type network struct {
	now     time.Duration
	events  eventHeap
	serial  int
	rnd     *rand.Rand
	rate    float64       // of the bottleneck, bytes a second
	delay   time.Duration // of the whole round trip, without queue
	limit   int           // packets in the queue
	loss    float64       // share of packets lost at random
	every   int           // if not 0, one packet in this many is lost
	count   int           // packets carried
	queued  int
	free    time.Duration // when the bottleneck is idle
	senders []*sender
}

type event struct {
	at     time.Duration
	serial int
	f      func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func (n *network) at(t time.Duration, f func()) {
	n.serial++
	heap.Push(&n.events, event{t, n.serial, f})
}

func (n *network) run(until time.Duration) {
	for len(n.events) > 0 && n.events[0].at <= until {
		e := heap.Pop(&n.events).(event)
		n.now = e.at
		e.f()
	}
	n.now = until
}

// carry takes a packet to the receiver and its acknowledgment back.
func (n *network) carry(size uint32, delivered func()) {
	if n.queued >= n.limit {
		return
	}
	n.queued++
	n.free = max(n.free, n.now) + time.Duration(float64(size)/n.rate*1e9)
	n.count++
	lost := n.rnd.Float64() < n.loss || n.every != 0 && n.count%n.every == 0
	n.at(n.free, func() {
		n.queued--
		if !lost {
			n.at(n.now+n.delay, delivered)
		}
	})
}

type segment struct {
	stamp   Stamp
	order   uint64 // of transmission
	retrans bool
	lost    bool
	acked   bool
}

// sender is a TCP sender reduced to what a controller sees of it. It paces if
// its controller wants it to, and reduces by staying silent, in place of PRR.
type sender struct {
	n         *network
	c         cc.Controller
	rate      Rate
	usage     Usage
	mss       uint32
	segs      []segment // by number
	una, nxt  int
	inFlight  uint32
	order     uint64
	newest    uint64 // order of the newest transmission delivered
	state     cc.State
	recover   int
	srtt, min time.Duration
	nextSend  time.Duration
	paced     bool // an event for nextSend is under way
	rto       int  // number of the timer under way
	appRate   int  // if not 0, segments in flight at most: the application's limit
	window    int  // if not 0, segments in flight at most: the receiver's
	delivered uint64
	lostBytes uint64
	events    int // Congestion calls
	timeouts  int
	highest   uint32 // window seen
}

func (n *network) add(name string, mss uint32) *sender {
	c, ok := New(name)
	if !ok {
		panic("no controller " + name)
	}
	s := &sender{n: n, c: c, mss: mss}
	c.Start(cc.Start{Now: n.now, MSS: mss, CWnd: cc.InitialWindow(mss)})
	n.senders = append(n.senders, s)
	n.at(n.now, s.send)
	return s
}

func (s *sender) send() {
	now := s.n.now
	full := false
	next := s.una
	for {
		if r := s.c.PacingRate(); r != 0 && now < s.nextSend {
			if !s.paced {
				s.paced = true
				s.n.at(s.nextSend, func() { s.paced = false; s.send() })
			}
			break
		}
		if s.appRate != 0 && int(s.inFlight/s.mss) >= s.appRate {
			s.rate.OnAppLimited(s.inFlight)
			break
		}
		if s.window != 0 && int(s.inFlight/s.mss) >= s.window {
			break
		}
		if s.inFlight+s.mss > s.c.CWnd() {
			full = true
			break
		}
		for next < s.nxt && (!s.segs[next].lost || s.segs[next].acked) {
			next++
		}
		s.transmit(next)
	}
	s.usage.Sent(s.offset(s.una), s.offset(s.nxt), s.inFlight, full)
}

func (s *sender) offset(i int) uint64 { return uint64(i) * uint64(s.mss) }

func (s *sender) transmit(i int) {
	now := s.n.now
	s.c.Sent(now, s.inFlight, s.mss)
	if i == s.nxt {
		s.segs = append(s.segs, segment{})
		s.nxt++
	}
	g := &s.segs[i]
	if g.lost {
		g.lost, g.retrans = false, true
	}
	s.order++
	g.order = s.order
	s.rate.OnSend(&g.stamp, now, s.inFlight, s.mss)
	s.inFlight += s.mss
	order := g.order
	s.n.carry(s.mss, func() { s.ack(i, order) })
	if r := s.c.PacingRate(); r != 0 {
		s.nextSend = max(s.nextSend, now) + time.Duration(uint64(s.mss)*1e9/r)
	}
	s.arm()
}

// arm sets the retransmission timer.
func (s *sender) arm() {
	s.rto++
	mine := s.rto
	s.n.at(s.n.now+200*time.Millisecond+2*s.srtt, func() {
		if mine == s.rto && s.una < s.nxt {
			s.timeout()
		}
	})
}

func (s *sender) timeout() {
	s.timeouts++
	e := cc.Event{Now: s.n.now, InFlight: uint32(s.offset(s.nxt) - s.offset(s.una)), SndNxt: s.offset(s.nxt), Repeated: s.state != cc.Open}
	for i := s.una; i < s.nxt; i++ {
		s.lose(i)
	}
	s.state, s.recover = cc.Loss, s.nxt
	s.c.Timeout(&e)
	s.arm()
	s.send()
}

func (s *sender) lose(i int) uint32 {
	g := &s.segs[i]
	if g.acked || g.lost {
		return 0
	}
	g.lost = true
	s.inFlight -= s.mss
	s.lostBytes += uint64(s.mss)
	l := s.rate.OnLost(&g.stamp, s.mss)
	if o, ok := s.c.(cc.LossObserver); ok {
		l.Now, l.Start, l.SACK = s.n.now, s.offset(i), true
		o.Lost(l)
	}
	return s.mss
}

func (s *sender) ack(i int, order uint64) {
	g := &s.segs[i]
	now := s.n.now
	a := cc.Ack{Now: now, PriorInFlight: s.inFlight}
	if g.acked {
		return
	}
	g.acked = true
	if !g.lost {
		s.inFlight -= s.mss
	}
	s.delivered += uint64(s.mss)
	a.Delivered = s.mss
	if !g.retrans {
		a.RTT = now - g.stamp.Sent
		if s.srtt == 0 {
			s.srtt, s.min = a.RTT, a.RTT
		}
		s.min = min(s.min, a.RTT)
		s.srtt += (a.RTT - s.srtt) / 8
	}
	s.rate.Begin()
	s.rate.OnDelivered(&g.stamp, now, s.mss, g.retrans)
	was := s.una
	for s.una < s.nxt && s.segs[s.una].acked {
		s.una++
	}
	a.Acked = uint32(s.una-was) * s.mss
	s.newest = max(s.newest, order)
	flight := uint32(s.offset(s.nxt) - s.offset(was))
	for j := s.una; j < s.nxt; j++ {
		if t := &s.segs[j]; !t.acked && !t.lost && t.order+3 <= s.newest {
			a.Lost += s.lose(j)
		}
	}
	if s.state != cc.Open && s.una >= s.recover {
		s.state = cc.Open
		s.c.Recovered(now)
	}
	if a.Lost > 0 && s.state == cc.Open {
		s.state, s.recover = cc.Recovery, s.nxt
		s.events++
		s.c.Congestion(&cc.Event{Now: now, InFlight: flight, SndNxt: s.offset(s.nxt)})
	}
	a.SRTT, a.MinRTT, a.InFlight, a.State = s.srtt, s.min, s.inFlight, s.state
	a.SndUna, a.SndNxt = s.offset(s.una), s.offset(s.nxt)
	a.CWndLimited, a.CWndFull = s.usage.Limited(s.c), s.usage.Full()
	a.Rate = s.rate.Sample(s.min)
	s.c.Ack(&a)
	s.highest = max(s.highest, s.c.CWnd())
	if a.Acked > 0 {
		s.arm()
	}
	s.send()
}

// goodput is the rate in bytes a second of what arrived between two times.
func goodput(delivered uint64, d time.Duration) float64 {
	return float64(delivered) / d.Seconds()
}

// newNetwork has a bottleneck of mbit Mbit/s.
func newNetwork(mbit float64, delay time.Duration, limit int, loss float64, seed uint64) *network {
	return &network{
		rnd: rand.New(rand.NewPCG(seed, 1)), rate: mbit * 1e6 / 8,
		delay: delay, limit: limit, loss: loss,
	}
}

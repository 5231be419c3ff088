//go:build linux

package gateway

import (
	"container/list"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/clock"
	"usock/link"
)

// Gateway is a way to the machine's networks. Make one with New, give the host its
// Interface and Flows, and then Start it.
type Gateway struct {
	turn

	router *usock.Host // stands in for the world
	inner  *usock.Host // whose gateway it is
	iface  usock.Interface
	addrs  addresses
	set    *usock.PollSet // of the router's sockets
	own    *usock.PollSet // of the inner host's

	epoll    int
	sources  []watched
	gen      int32
	events   [128]unix.EpollEvent
	again    []source     // with more to do
	buf      []byte       // what a datagram is received into
	spare    []byte       // a buffer for a train
	blocks   blocks       // what a stream is read into
	pieces   []usock.Data // what one gives
	control  [512]byte
	streams  map[*stream]struct{}
	byEnds   map[ends]*stream
	halfOpen int
	mappings map[mappingKey]*mapping
	echoes   map[echoKey]*echoSocket
	sctp     [2]*rawSCTP // of IPv4 and IPv6; nil: what the host sends of it does not leave
	ports    []*port
	behind   []*port // whose clients wait until there is room for more
	room     room
	arrivals map[arrival]*stream
	guests   map[arrival]*guest
	auto     map[autoKey][]*port
	publish  []Publish
	routes   routes
	clock    clock.Clock
	sweeper  clock.Alarm
	sweeps   bool // the sweeper is set
	closed   bool
	ttl      uint8 // defaultTTL; 0: not looked up yet
	isolated bool
	names    *names     // nil: none are known
	policy   *policy    // nil: all is allowed
	flowLog  *FlowLog   // nil: none
	table    *nameTable // nil: neither of these wants names
	recent   list.List  // of *account, of datagrams, the one that was used last in front
	denials  denials
	alerts   *lines // about what is denied; nil: nobody wants to know
	local    map[*nameStream]struct{}
	held     map[*clock.Alarm]struct{} // of questions that faults delay
	told     map[string]bool
	outside  Outside // so far
	warnTo   io.Writer
	logTo    io.Writer

	bell    bell        // in the epoll set: some have more to do
	polling atomic.Bool // a work is on its way
	stop    bell        // ends Run
	running sync.Mutex  // Run; guards epoll and stop when they end
}

// What a gateway holds at most. What is beyond it is refused in order: a connection is not
// answered and asks again, and the mapping that was used longest ago makes room.
const (
	maxStreams  = 16384
	maxHalfOpen = 1024
	maxMappings = 2048
	maxLeft     = 4096 // datagrams that wait for a turn
)

const bufSize = 1 << 16

// blocks are read into together.
type blocks [maxRead / usock.MaxData]usock.Data

// room returns a block's bytes. One that is empty is made.
func (b *blocks) room(i int) []byte {
	if b[i].Len() == 0 {
		b[i] = usock.NewData(usock.MaxData)
	}
	return b[i].Room()
}

// source is something that epoll watches.
type source interface{ ready(events uint32) }

type watched struct {
	src    source
	gen    int32 // tells a descriptor from an earlier one with its number
	events uint32
}

// event is what epoll is told of the descriptor. Its data's first half is negative
// (run.Worker).
func (w *watched) event(fd int) *unix.EpollEvent {
	return &unix.EpollEvent{Events: w.events | edge, Fd: ^int32(fd), Pad: w.gen}
}

// fdOf returns the descriptor of an event's data.
func fdOf(id int32) int { return int(^id) }

// New makes a gateway. It fails if the kernel refuses it an epoll set, or the
// configuration makes no sense.
func New(c Config) (*Gateway, error) {
	if len(c.Rules) > maxRules {
		return nil, fmt.Errorf("%d rules are more than the %d that there may be: join some by prefixes, ranges of ports or wildcards", len(c.Rules), maxRules)
	}
	g := &Gateway{
		buf: make([]byte, bufSize), streams: make(map[*stream]struct{}), byEnds: make(map[ends]*stream),
		mappings: make(map[mappingKey]*mapping), echoes: make(map[echoKey]*echoSocket),
		arrivals: make(map[arrival]*stream), guests: make(map[arrival]*guest), auto: make(map[autoKey][]*port),
		publish: c.Publish, logTo: c.Log, clock: c.Clock,
		local: make(map[*nameStream]struct{}), isolated: c.Isolated,
		told: make(map[string]bool), warnTo: c.Warn, epoll: -1, bell: -1, stop: -1,
	}
	g.routes.fd = -1
	if g.clock == nil {
		g.clock = clock.System()
	}
	g.sweeper = g.clock.NewAlarm(func() { g.leave(g.sweep) })
	var err error
	if g.names, err = readNames(c.Hosts, c.Isolated, g.watches(&c) || c.Faults != nil); err != nil {
		return nil, fmt.Errorf("names: %w", err)
	}
	if c.Faults != nil {
		g.names.faults = c.Faults
	}
	g.govern(&c)
	if !c.Isolated {
		if g.addrs, err = chooseAddresses(c.Network); err != nil {
			return nil, err
		}
	}
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("gateway: epoll: %w", err)
	}
	if g.bell, err = newBell(); err == nil {
		g.stop, err = newBell()
	}
	if err == nil {
		err = g.watch(int(g.bell), unix.EPOLLIN, g)
	}
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("gateway: eventfd: %w", err)
	}
	if !c.Isolated {
		if err := g.openLink(&c); err != nil {
			g.Close()
			return nil, err
		}
	}
	return g, nil
}

// openLink binds what is published, and makes the router and the link to it.
func (g *Gateway) openLink(c *Config) error {
	if err := g.publishAll(c.Publish); err != nil {
		return err
	}
	inside, outside := link.Pipe(link.PipeConfig{Names: [2]string{"eth0", "gw0"}})
	if c.SCTP {
		outside = g.openSCTP(outside)
	}
	var err error
	g.router, err = usock.NewHost(usock.Config{
		Name: "gateway", Flows: &side{g: g}, StandIn: true, Privileged: true, Clock: g.clock,
		Interfaces: []usock.Interface{{Link: outside, Addrs: []netip.Prefix{g.addrs.gateway4, g.addrs.gateway6}}},
	})
	if err != nil {
		return err
	}
	g.set = g.router.NewPollSet()
	g.set.AfterReady(func() { g.leave(func() { g.serve(g.set) }) })
	if err := g.startSCTP(); err != nil {
		return err
	}
	if err := g.watchSCTP(); err != nil {
		return err
	}
	var l link.Link = inside
	if c.Link != nil {
		l = c.Link(l)
	}
	g.iface = usock.Interface{Link: l}
	return nil
}

// Interface is the host's interface to the gateway, for its Config. An isolated one has none.
func (g *Gateway) Interface() usock.Interface { return g.iface }

// Flows is what the host asks about ports of its loopback addresses that nobody has, for its
// Config: those are the machine's. nil: it need not ask, as the gateway is isolated and has
// no question to answer.
func (g *Gateway) Flows() usock.FlowHandler {
	if g.isolated && !g.names.local() {
		return nil
	}
	return &side{g: g, own: true}
}

// Start begins to serve the host, which was made with Interface and Flows. It gives the host
// its addresses and routes: those of a family that the machine has a route for, now or later.
func (g *Gateway) Start(host *usock.Host) error {
	g.inner = host
	g.own = host.NewPollSet()
	g.own.AfterReady(func() { g.leave(func() { g.serve(g.own) }) })
	if g.isolated {
		return nil
	}
	g.leave(func() {
		for _, p := range g.ports {
			g.look(p.proto, p.inner) // of what the host itself listens on (usock.SCTPConfig.UDPPort)
		}
	})
	return g.routes.open(g)
}

// work does what there is to do, without waiting. Where another goroutine has the turn, it is
// left to that one.
func (g *Gateway) work() {
	if g.polling.CompareAndSwap(false, true) {
		g.leave(func() {
			g.polling.Store(false)
			g.poll()
		})
	}
}

// Run does what there is to do until Close is called, for a program that has no loop of its
// own (Attach).
func (g *Gateway) Run() {
	g.running.Lock() // Close waits
	defer g.running.Unlock()
	if g.epoll < 0 {
		return
	}
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		g.warn("usock: the gateway does not run: %v%s", err, limitHint(err.(syscall.Errno)))
		return
	}
	defer unix.Close(set)
	for _, fd := range []int{g.epoll, int(g.stop)} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | edge, Fd: int32(fd)}
		unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &ev)
	}
	var evs [2]unix.EpollEvent
	for {
		n, err := unix.EpollWait(set, evs[:], -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, ev := range evs[:max(n, 0)] {
			if ev.Fd == int32(g.stop) {
				return
			}
			g.work()
		}
	}
}

// poll handles what epoll tells.
func (g *Gateway) poll() {
	if g.closed {
		return
	}
	n, e := epollWait(g.epoll, g.events[:])
	if e != 0 {
		return
	}
	for i := range g.events[:n] {
		ev := &g.events[i]
		g.happened(ev.Events, ev.Fd, ev.Pad)
	}
	if n == len(g.events) {
		g.bell.ring() // there may be more
	}
}

// happened tells a source of an event, whose data name it.
func (g *Gateway) happened(events uint32, id, gen int32) {
	if g.closed {
		return
	}
	if w := g.sources[fdOf(id)]; w.src != nil && w.gen == gen {
		w.src.ready(events)
	}
}

// Attach moves what the gateway waits for to the epoll set of a loop, which then calls Event:
// Run is not to be called (run.Worker).
func (g *Gateway) Attach(epoll int) error {
	g.running.Lock()
	defer g.running.Unlock()
	if g.epoll < 0 {
		return net.ErrClosed
	}
	own, err := unix.FcntlInt(uintptr(epoll), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	g.leave(func() {
		defer close(done)
		for fd := range g.sources {
			if w := &g.sources[fd]; w.src != nil && err == nil {
				err = unix.EpollCtl(own, unix.EPOLL_CTL_ADD, fd, w.event(fd))
			}
		}
		if err == nil {
			g.epoll, own = own, g.epoll
		}
	})
	<-done
	unix.Close(own)
	return err
}

// Event does what is to be done at an event of the epoll set of Attach, without waiting, or
// leaves it to the goroutine that has the turn. Its data are given in two parts. An event of
// what is not watched any more is nothing.
func (g *Gateway) Event(events uint32, id, rest int32) {
	if g.take() {
		g.happened(events, id, rest)
		g.end()
		return
	}
	g.leave(func() { g.happened(events, id, rest) })
}

// insider has a socket of the hosts', and is told of its events.
type insider interface{ inside(usock.Events) }

// serve handles what the hosts' sockets have to say.
func (g *Gateway) serve(set *usock.PollSet) {
	var evs [32]usock.Event
	for !g.closed {
		n, _ := set.Wait(nil, evs[:]) //lint:ignore SA1012 without a context it does not wait
		for _, e := range evs[:n] {
			e.Data.(insider).inside(e.Events)
		}
		if n < len(evs) {
			return
		}
	}
}

// later has s told again that it is ready, of nothing in particular, by a later event: after
// the others, and after what else the loop has to do.
func (g *Gateway) later(s source) {
	if g.again = append(g.again, s); len(g.again) == 1 {
		g.bell.ring()
	}
}

// ready implements source for the bell.
func (g *Gateway) ready(uint32) {
	g.bell.quiet()
	again := g.again
	g.again = nil
	for begin := g.clock.Now(); len(again) > 0 && g.clock.Now()-begin < slice; {
		s := again[0]
		again = again[1:]
		s.ready(0)
	}
	if g.again = append(again, g.again...); len(g.again) > 0 {
		g.bell.ring()
	}
}

// slice is how long an event goes on with those that have more to do.
const slice = 500 * time.Microsecond

// watch has src told of the events of a descriptor: edges, the state now first.
func (g *Gateway) watch(fd int, events uint32, src source) error {
	for len(g.sources) <= fd {
		g.sources = append(g.sources, watched{})
	}
	g.gen++
	w := watched{src, g.gen, events}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, w.event(fd)); err != nil {
		return err
	}
	g.sources[fd] = w
	return nil
}

// rewatch changes the events of a descriptor that is watched.
func (g *Gateway) rewatch(fd int, events uint32) {
	w := &g.sources[fd]
	w.events = events
	unix.EpollCtl(g.epoll, unix.EPOLL_CTL_MOD, fd, w.event(fd)) // cannot fail: nothing is allocated for it
}

const edge = 1 << 31 // EPOLLET

// drop closes fd, which may be watched.
func (g *Gateway) drop(fd int) {
	if fd < 0 {
		return
	}
	if fd < len(g.sources) {
		g.sources[fd] = watched{}
	}
	sysClose(fd)
}

// warn tells the user something once, whatever its arguments: they may be others' to choose.
func (g *Gateway) warn(format string, args ...any) { g.warnOnce(format, format, args...) }

// warnOnce tells the user the first thing of a kind. There must not be many kinds.
func (g *Gateway) warnOnce(kind, format string, args ...any) {
	if g.warnTo != nil && !g.told[kind] {
		g.told[kind] = true
		fmt.Fprintf(g.warnTo, format+"\n", args...)
	}
}

func (g *Gateway) logf(format string, args ...any) {
	if g.logTo != nil {
		fmt.Fprintf(g.logTo, format+"\n", args...)
	}
}

// Close ends the gateway and all that it carries. The host is the caller's.
func (g *Gateway) Close() error {
	var alerts *lines
	done := make(chan struct{})
	g.leave(func() {
		defer close(done)
		if g.closed {
			return
		}
		g.closed = true
		g.sweeper.Stop()
		g.forgetHeld()
		for s := range g.streams {
			s.acc.is(FlowRunEnded, "")
			s.abort()
		}
		for s := range g.local {
			s.close()
		}
		for _, m := range g.mappings {
			m.close(FlowRunEnded)
		}
		for _, e := range g.echoes {
			e.close(FlowRunEnded)
		}
		for _, x := range g.sctp {
			if x != nil {
				x.close()
			}
		}
		for _, p := range g.ports {
			p.close(FlowRunEnded)
		}
		alerts = g.alerts
		g.alerts, g.flowLog = nil, nil
		g.routes.close()
		for i := range g.blocks {
			g.blocks[i].Release()
		}
		g.stop.ring()
		sysClose(int(g.bell))
	})
	<-done
	if alerts != nil {
		alerts.close(func() {})
	}
	g.running.Lock()
	sysClose(g.epoll)
	sysClose(int(g.stop))
	g.epoll, g.stop = -1, -1
	g.running.Unlock()
	if g.router != nil {
		return g.router.Close()
	}
	return nil
}

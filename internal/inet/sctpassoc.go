package inet

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/sctp"
	"usock/internal/timer"
	"usock/internal/wait"
)

// sctpAssoc is an association: the core, and what a host has around it.
type sctpAssoc struct {
	core   *sctp.Assoc
	proto  *sctpProto // never changed
	e      *sctpEndpoint
	timer  timer.Entry
	number int32 // by which the host knows it
	id     int32 // sctp_assoc_t: the same, once the peer has answered (Linux, sctp_process_init); 0 before
	sctpDefaults

	next, prev *sctpAssoc // of the endpoint's

	paths *sctpPath // a list
	gen   uint32    // of the routes when those of paths were looked up
	peer  uint16    // port

	state  sctp.State // as update has seen it last
	queued uint64     // messages and notifications that the endpoint has been told of
	unread int        // entries of the endpoint's queue
	wmem   int        // what it counts for in the endpoint's
	made   bool       // it was established
	late   bool       // it has ended as the peer did not answer
	over   bool       // it is no longer the endpoint's, but for what is to be read
}

// sctpPath is what a host knows of an address of an association's peer: its place in the table, and how it is
// reached.
type sctpPath struct {
	x      *sctpAssoc
	addr   netip.Addr
	route  *ip.Path  // nil: there is none
	next   *sctpPath // of the association
	behind *sctpPath // in the table
}

// path returns what is known of an address of the peer; nil: it is none.
func (x *sctpAssoc) path(addr netip.Addr) *sctpPath {
	p := x.paths
	for p != nil && p.addr != addr {
		p = p.next
	}
	return p
}

// adopt has e be the association's endpoint.
func (t *sctpProto) adopt(e *sctpEndpoint, core *sctp.Assoc) *sctpAssoc {
	x := &sctpAssoc{core: core, proto: t, sctpDefaults: e.own.sctpDefaults}
	if e.many && e.shutRD {
		core.Deafen()
	}
	x.timer.On = x
	for t.lastID++; t.lastID <= 0 || t.byID[t.lastID] != nil; t.lastID++ {
		t.lastID = max(t.lastID, 2)
	}
	x.number = t.lastID
	t.byID[x.number] = x
	_, x.peer = core.Ports()
	t.live(x)
	x.join(e)
	return x
}

// join puts x at the end of e's list.
func (x *sctpAssoc) join(e *sctpEndpoint) {
	x.e, x.prev, x.next = e, e.last, nil
	if e.last != nil {
		e.last.next = x
	} else {
		e.assocs = x
	}
	e.last = x
	e.count++
	e.wmem += x.wmem
}

// part takes x out of its endpoint's list.
func (x *sctpAssoc) part() {
	e := x.e
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		e.assocs = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		e.last = x.prev
	}
	x.next, x.prev = nil, nil
	e.count--
	e.wmem -= x.wmem
}

// only returns the association of a socket of one-to-one style, or that was peeled off; nil: none.
func (e *sctpEndpoint) only() *sctpAssoc {
	if e.many {
		return nil
	}
	return e.assocs
}

// one reports whether the socket is of one-to-one style. One of an association that was peeled off is
// of neither.
func (e *sctpEndpoint) one() bool { return !e.many && !e.peeled }

// now returns the time.
func (x *sctpAssoc) now() time.Duration { return x.proto.now() }

// Home implements host.Homed.
func (x *sctpAssoc) Home() *host.Domain { return x.proto.dom }

// Expired implements timer.Expirer.
func (x *sctpAssoc) Expired(_ *timer.Entry, now time.Duration) {
	x.proto.update(x, x.core.Expire(now))
}

// update follows every change to an association: it looks up routes, sends what is to be sent,
// re-arms the timer, tells those who wait, and looks after the association's life.
func (t *sctpProto) update(x *sctpAssoc, ev wait.Events) {
	if x.over {
		return
	}
	now := t.now()
	if x.core.AddrsChanged() {
		t.rehash(x)
	}
	x.route()
	f := t.faultyOf(x)
	for again := f == nil || !f.holds; again; again = f != nil && f.left(&ev) {
		for x.core.Poll(now, &t.out) {
			t.transmit(x, &t.out)
		}
	}
	e := x.e
	if st := x.core.State(); st != sctp.Closed && st != sctp.CookieWait {
		x.id = x.number
	}
	wmem := x.core.Sending()
	if wmem < x.wmem {
		ev |= wait.Out
	}
	e.wmem, x.wmem = e.wmem+wmem-x.wmem, wmem
	for q := x.core.Queued(); x.queued < q; x.queued++ {
		x.arrive()
		ev |= wait.In
	}
	if x.unread == 0 && x.core.Readable() {
		x.arrive() // the rest of a message that was read in part
		ev |= wait.In
	}
	if st := x.core.State(); st != x.state {
		ev |= t.entered(x, st)
	}
	if !x.over {
		t.dom.SetTimer(&x.timer, x.core.Deadline())
	}
	if ev != 0 && e.s != nil {
		e.s.Notify(ev)
	}
}

// arrive puts an entry for x into its endpoint's queue.
func (x *sctpAssoc) arrive() {
	if x.e.sctpReading == nil {
		x.e.sctpReading = new(sctpReading)
	}
	x.e.arrived = append(x.e.arrived, x)
	x.unread++
}

// entered follows an association into another state (Linux, sctp_cmd_new_state).
func (t *sctpProto) entered(x *sctpAssoc, st sctp.State) wait.Events {
	e := x.e
	x.state = st
	ev := wait.Events(0)
	if st >= sctp.Established {
		x.made = true
		ev |= wait.Out
	}
	if e.one() && e.stage != sctpListening {
		switch {
		case st == sctp.Established && e.stage == sctpClosed:
			e.stage = sctpEstablished
		case (st == sctp.ShutdownReceived || st == sctp.ShutdownAckSent) && e.stage == sctpEstablished:
			e.stage, e.shutRD = sctpClosing, true
			ev |= wait.In | wait.RdHup
		}
	}
	if st == sctp.Closed {
		ev |= t.ended(x)
	}
	return ev
}

// ended follows the end of an association.
func (t *sctpProto) ended(x *sctpAssoc) wait.Events {
	e, err := x.e, x.core.TakeError()
	if e.one() && e.stage == sctpListening {
		t.forget(x)
		return 0 // accept gives it all the same
	}
	x.late = err == syscall.ETIMEDOUT
	if !e.many && err != 0 && e.s != nil {
		e.s.SetErr(err)
	}
	t.drop(x)
	return wait.In | wait.Out | wait.Err | wait.Hup
}

// drop takes an association from its endpoint. What it has for the program stays to be read.
func (t *sctpProto) drop(x *sctpAssoc) {
	if x.over {
		return
	}
	t.forget(x)
	x.part()
	x.over = true
	delete(t.byID, x.number)
	if x.unread == 0 {
		x.core.Release()
	}
	t.settle(x.e)
	if e := x.e; e.lingerer && e.count == 0 && e.s != nil {
		e.s.Notify(wait.Out)
	}
}

// forget takes an association out of the table, stops its timer, and tells of its end.
func (t *sctpProto) forget(x *sctpAssoc) {
	t.tellEnd(x)
	t.names.Lock()
	for p := x.paths; p != nil; p = p.next {
		t.assocs.remove(p)
	}
	x.paths = nil
	t.names.Unlock()
	t.dom.RemoveTimer(&x.timer)
	t.forgetFaults(x)
}

// rehash has x stand in the table by its peer's addresses of now.
func (t *sctpProto) rehash(x *sctpAssoc) {
	t.addrs = x.core.Peers(t.addrs[:0])
	peers := t.addrs
	t.names.Lock()
	defer t.names.Unlock()
	for at := &x.paths; *at != nil; {
		p := *at
		if slices.Contains(peers, p.addr) {
			at = &p.next
			continue
		}
		*at = p.next
		t.assocs.remove(p)
	}
	for _, a := range peers {
		if x.path(a) == nil {
			x.paths = &sctpPath{x: x, addr: a, next: x.paths}
			t.assocs.add(x.paths)
		}
	}
}

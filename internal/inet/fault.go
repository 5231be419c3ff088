package inet

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/rank"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/trace"
)

// Faults is asked what goes wrong, on purpose, at the calls of programs. It is asked with a socket's domain entered: it must
// not call the host, nor take long.
type Faults interface {
	// Connect is asked about a connection that a process's program begins; nil: nothing happens to it.
	Connect(c FaultyCall) *StreamFaults
	// Accept is asked about one that is there to be accepted; not nil: accept fails, and leaves it where it is.
	Accept(c FaultyCall) *Fault
	// Accepted is asked about one that was taken.
	Accepted(c FaultyCall) *StreamFaults
}

// FaultyCall is whose call it is, and about what.
type FaultyCall struct {
	Owner    int32
	Proto    uint8
	From, To netip.AddrPort // the side that connects, and where to; not valid: not known
}

// StreamFaults is what is to happen to a connection; nil fields: nothing of the kind.
type StreamFaults struct {
	Connect       *Fault // the attempt fails with Errno after Wait or, if that is 0, its SYN leaves then
	AtAccept      *Fault // a reset
	ResetSent     *Fault // behind After bytes that the program has sent
	ResetReceived *Fault // or received
	Pieces        *Fault // of which sizes receives are
	Stop          *Fault // the program receives nothing for Wait, after After bytes
	PeerStops     *Fault // nothing leaves for Wait, after After bytes
}

// Fault is one thing that is to happen.
type Fault struct {
	Text   string
	Errno  syscall.Errno
	Wait   time.Duration
	After  uint64 // bytes
	Pieces []int  // bytes

	// Strike is called when it is about to happen, and reports whether it does.
	Strike func() bool
	// Over reports whether what has begun with it is to end.
	Over func() bool
	// Told is what recordings say of the packet that it is when it has struck.
	Told func() string
}

// faulty is what an endpoint has of faults.
type faulty struct {
	StreamFaults
	e        *tcpEndpoint
	outcome  alarm  // Connect
	goesOn   alarm  // Stop's end
	opens    alarm  // PeerStops' end
	holds    bool   // the SYN
	stopped  bool   // Stop: nothing can be received
	shut     bool   // PeerStops: nothing leaves
	cut      bool   // Pieces has struck
	piece    int    // how many there were
	received uint64 // bytes
	told     string // of the RST that is to leave
}

// faulty returns what e has of faults; nil: nothing.
func (e *tcpEndpoint) faulty() *faulty {
	if e.few == nil {
		return nil
	}
	return e.few.faulty
}

func (e *tcpEndpoint) setFaulty(f *faulty) {
	if f != nil || e.few != nil {
		e.ownFew().faulty = f
	}
}

// alarm is a timer that calls a function in its endpoint's domain.
type alarm struct {
	timer.Entry
	dom *host.Domain
	do  func()
}

// Expired implements timer.Expirer.
func (a *alarm) Expired(*timer.Entry, time.Duration) { a.do() }

// Home implements host.Homed.
func (a *alarm) Home() *host.Domain { return a.dom }

func (a *alarm) set(dom *host.Domain, at time.Duration, do func()) {
	a.dom, a.do, a.On = dom, do, a
	dom.SetTimer(&a.Entry, at)
}

// afflict has the faults happen to e. The connection was started.
func (e *tcpEndpoint) afflict(f *StreamFaults) {
	e.setFaulty(&faulty{StreamFaults: *f, e: e})
	e.faulty().limit()
	e.faulty().stop()
}

// struck has the fault strike, if it does, and tells who listens to events.
func (e *tcpEndpoint) struck(f *Fault) bool {
	if !f.Strike() {
		return false
	}
	if tape := e.dom.Tape(); tape != nil {
		e.proto.sign(e) // what it has done before
		ev := tape.Next(trace.Struck, trace.NoReason)
		ev.Err = f.Text
		e.sign(ev)
	}
	return true
}

// attempt has happen what is to happen to the attempt to connect, whose SYN is held.
func (f *faulty) attempt() {
	t, c := f.e.proto, f.Connect
	f.holds = true
	f.outcome.set(f.e.dom, f.e.now()+c.Wait, func() {
		f.holds = false
		switch {
		case f.e.conn.State() != tcp.SynSent:
		case c.Errno != 0:
			t.update(f.e, f.e.conn.Fail(c.Errno))
		default:
			f.e.conn.SendSYN()
			t.update(f.e, 0)
		}
	})
}

// limit says how much may leave until something is to happen.
func (f *faulty) limit() {
	switch r, p := f.ResetSent, f.PeerStops; {
	case p != nil && (r == nil || p.After < r.After):
		f.e.conn.SetLimit(p.After)
	case r != nil:
		f.e.conn.SetLimit(r.After)
	default:
		f.e.conn.Unlimit()
	}
}

// sent looks whether so much has left that something happens, and reports whether the core is to be polled again. ev is
// what is to be told of.
func (f *faulty) sent(ev *wait.Events) bool {
	if f.shut || !f.e.conn.AtLimit() {
		return false
	}
	r, p := f.ResetSent, f.PeerStops
	if p != nil && (r == nil || p.After < r.After) {
		f.PeerStops = nil
		if f.e.struck(p) {
			f.shut = true
			f.opens.set(f.e.dom, f.e.now()+p.Wait, func() {
				f.shut = false
				f.limit()
				f.e.proto.update(f.e, 0)
			})
			return false
		}
	} else {
		f.ResetSent = nil
		if f.e.struck(r) {
			*ev |= f.reset(r, true)
			return true
		}
	}
	f.limit()
	return true
}

// reset ends the connection, by the fault that has struck. Nothing of it leaves behind the RST.
func (f *faulty) reset(by *Fault, keep bool) wait.Events {
	f.end()
	f.told = by.Told()
	f.e.proto.silence(&f.e.tuple)
	return f.e.conn.Reset(keep)
}

// end forgets what is to happen yet, but for the size of receives.
func (f *faulty) end() {
	f.e.dom.RemoveTimer(&f.outcome.Entry)
	f.e.dom.RemoveTimer(&f.goesOn.Entry)
	f.e.dom.RemoveTimer(&f.opens.Entry)
	f.StreamFaults = StreamFaults{Pieces: f.Pieces}
	f.holds, f.stopped, f.shut = false, false, false
	f.e.conn.Unlimit()
}

// may returns how many bytes the program may receive at once, of most.
func (f *faulty) may(most int) int {
	for _, x := range [...]*Fault{f.ResetReceived, f.Stop} {
		if x != nil && x.After > f.received {
			most = int(min(uint64(most), x.After-f.received))
		}
	}
	if p := f.Pieces; p != nil {
		if f.cut = f.cut && !p.Over() || !f.cut && f.e.struck(p); !f.cut {
			f.Pieces = nil
		}
	}
	if p := f.Pieces; p != nil {
		most = min(most, p.Pieces[f.piece%len(p.Pieces)])
	}
	return most
}

// took says that the program has received n bytes.
func (f *faulty) took(n int) {
	if n == 0 {
		return
	}
	f.received += uint64(n)
	f.piece++
	if x := f.ResetReceived; x != nil && f.received >= x.After {
		f.ResetReceived = nil
		if st := f.e.conn.State(); st != tcp.Closed && st != tcp.TimeWait && f.e.struck(x) {
			f.e.proto.update(f.e, f.reset(x, false))
			return
		}
	}
	f.stop()
}

// stop has the program receive nothing for a while, if it has received so much.
func (f *faulty) stop() {
	x := f.Stop
	if x == nil || f.received < x.After {
		return
	}
	f.Stop = nil
	if !f.e.struck(x) {
		return
	}
	f.stopped = true
	f.goesOn.set(f.e.dom, f.e.now()+x.Wait, func() {
		f.stopped = false
		f.e.proto.update(f.e, f.e.conn.Ready()&(wait.In|wait.RdHup))
	})
}

// beginFaults asks what is to happen to an attempt to connect that begins, and changes from what it begins. It returns nil
// for nothing.
func (t *tcpProto) beginFaults(e *tcpEndpoint, p *tcp.Params, fo *tcp.FastOpen) *StreamFaults {
	if t.faults == nil {
		return nil
	}
	f := t.faults.Connect(FaultyCall{e.owner(), abi.IPPROTO_TCP, netip.AddrPortFrom(e.laddr, e.lport), netip.AddrPortFrom(e.raddr, e.rport)})
	if f != nil && f.Connect != nil && e.struck(f.Connect) {
		p.Hold, *fo = true, tcp.FastOpen{} // a client may always do without (RFC 7413)
	}
	return f
}

// acceptFault asks whether an accept at e fails that would take a connection.
func (t *tcpProto) acceptFault(e *tcpEndpoint) error {
	if f := t.faults.Accept(FaultyCall{Owner: e.owner(), Proto: abi.IPPROTO_TCP, To: netip.AddrPortFrom(e.addr, e.lport)}); f != nil && e.struck(f) {
		return f.Errno
	}
	return nil
}

// AcceptFault implements socket.Faulter.
func (t *tcpProto) AcceptFault(s *socket.Socket) error {
	if t.faults == nil {
		return nil
	}
	return t.acceptFault(endpointOf(s))
}

// acceptedFaults has happen what is to happen to a connection that was accepted.
func (t *tcpProto) acceptedFaults(c *tcpEndpoint) {
	f := t.faults.Accepted(FaultyCall{c.owner(), abi.IPPROTO_TCP, netip.AddrPortFrom(c.raddr, c.rport), netip.AddrPortFrom(c.laddr, c.lport)})
	if f == nil || c.conn.State() == tcp.Closed || c.conn.State() == tcp.TimeWait {
		return
	}
	c.afflict(f)
	if f.AtAccept != nil && c.struck(f.AtAccept) {
		t.update(c, c.faulty().reset(f.AtAccept, false))
		return
	}
	t.update(c, 0)
}

// InPieces implements socket.Faulter.
func (t *tcpProto) InPieces(s *socket.Socket) bool {
	f := endpointOf(s).faulty()
	return f != nil && f.Pieces != nil && !f.Pieces.Over()
}

// silences are connections that a fault has reset: what is still on its way from their peers is not answered, so that the
// RST is the last that is heard of them. A peer whom it has not reached sends again later.
type silences struct {
	some  atomic.Bool // there are any
	mu    rank.Leaf
	until map[tuple]time.Duration // mu
}

// silenceTime is how long that lasts: more than most round trips.
const silenceTime = 3 * time.Second

func (t *tcpProto) silence(k *tuple) {
	q, now := &t.silences, t.Host.Clock().Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.until == nil {
		q.until = make(map[tuple]time.Duration)
	}
	for old, until := range q.until {
		if until <= now {
			delete(q.until, old)
		}
	}
	q.until[*k] = now + silenceTime
	q.some.Store(true)
}

// silent reports whether a segment of no connection is not to be answered.
func (t *tcpProto) silent(k *tuple) bool {
	q := &t.silences
	if !q.some.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.until[*k] > t.Host.Clock().Now()
}

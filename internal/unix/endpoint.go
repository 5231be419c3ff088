package unix

import (
	"cmp"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// state is where an endpoint stands.
type state uint8

const (
	closed state = iota // not connected
	listening
	established // connected; a datagram socket: it has or had a peer
)

// shut says which directions have ended.
type shut uint8

const (
	shutRecv shut = 1 << iota
	shutSend
	shutBoth = shutRecv | shutSend
)

// endpoint is the control block of a socket, or of a connection that nobody has
// accepted yet.
type endpoint struct {
	domain *Domain
	sock   *socket.Socket // nil before Accept
	typ    int            // SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET
	state  state
	shut   shut
	dead   bool // closed; others may still point here
	name   *name
	peer   *endpoint

	queue   queue // what was sent here and not received
	charged int   // bytes that messages sent from here hold in others' queues

	backlog int         // listener: connections beyond this one are not queued
	pending []*endpoint // listener: not yet accepted

	// Those who wait for room in this one's queue, and those for whose room this
	// one waits. An entry is in both or in none.
	waiters map[*endpoint]struct{}
	waits   map[*endpoint]struct{}

	cred     Cred // of whoever made the socket
	peerCred Cred // SO_PEERCRED
	passCred bool // SO_PASSCRED
}

func pcb(s *socket.Socket) *endpoint { return s.PCB.(*endpoint) }

func (e *endpoint) connected() bool { return e.typ != abi.SOCK_DGRAM }

func (e *endpoint) notify(ev wait.Events) {
	if e.sock != nil {
		e.sock.Notify(ev)
	}
}

// fail makes err the pending error.
func (e *endpoint) fail(err syscall.Errno) {
	if e.sock != nil {
		e.sock.SetErr(err)
	}
}

// wait registers e with those who are told when to has room.
func (e *endpoint) wait(to *endpoint) {
	if to.waiters == nil {
		to.waiters = make(map[*endpoint]struct{})
	}
	if e.waits == nil {
		e.waits = make(map[*endpoint]struct{})
	}
	to.waiters[e] = struct{}{}
	e.waits[to] = struct{}{}
}

// wakeWaiters has those who wait for room look again, the oldest socket first.
func (e *endpoint) wakeWaiters() {
	if len(e.waiters) == 0 {
		return
	}
	var few [8]*endpoint
	all := few[:0]
	for w := range e.waiters {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *endpoint) int { return cmp.Compare(a.number(), b.number()) })
	for _, w := range all {
		delete(w.waits, e)
		w.notify(wait.Out)
	}
	clear(e.waiters)
}

// number is that of the socket; 0: it has none.
func (e *endpoint) number() uint64 {
	if e.sock == nil {
		return 0
	}
	return e.sock.ID
}

// Linux's rule for queues of datagrams and connections: full is one beyond the
// bound (unix_recvq_full).
const maxDatagrams = 10

// full reports whether e, who receives, has no room for another datagram or
// connection.
func (e *endpoint) full() bool {
	if e.state == listening {
		return len(e.pending) > e.backlog
	}
	return e.queue.len > maxDatagrams
}

// sndbuf is the bound of what e may have under way.
func (e *endpoint) sndbuf() int { return int(e.sock.Opt.SndBuf) }

// writable is Linux's unix_writable: three quarters of the send buffer are free.
func (e *endpoint) writable() bool {
	return e.state != listening && e.charged*4 <= e.sndbuf()
}

// uncharge gives back what a message from e held.
func (e *endpoint) uncharge(n int) {
	e.charged -= n
	if e.sock != nil && !e.dead && e.writable() {
		e.notify(wait.Out)
	}
}

// ready is unix_poll and unix_dgram_poll.
func (e *endpoint) ready() wait.Events {
	var ev wait.Events
	if e.sock.Err() != 0 {
		ev |= wait.Err
	}
	if e.shut == shutBoth {
		ev |= wait.Hup
	}
	if e.shut&shutRecv != 0 {
		ev |= wait.RdHup | wait.In
	}
	if e.queue.len > 0 || len(e.pending) > 0 {
		ev |= wait.In
	}
	if e.connected() && e.state == closed {
		ev |= wait.Hup
	}
	if e.writable() && !e.blockedByPeer() {
		ev |= wait.Out
	}
	return ev
}

// blockedByPeer reports whether the peer of a datagram socket has no room, and
// has e told when it has.
func (e *endpoint) blockedByPeer() bool {
	p := e.peer
	if e.typ != abi.SOCK_DGRAM || p == nil || p.peer == e || p.dead || !p.full() {
		return false
	}
	e.wait(p)
	return true
}

// shutdown ends directions of e, and the matching ones of the peer.
func (e *endpoint) shutdown(how shut) {
	e.shut |= how
	if p := e.peer; p != nil && e.connected() && !p.dead {
		var theirs shut
		if how&shutRecv != 0 {
			theirs |= shutSend
		}
		if how&shutSend != 0 {
			theirs |= shutRecv
		}
		p.shut |= theirs
		p.notifyShut()
	}
	e.notifyShut()
	e.wakeWaiters()
}

func (e *endpoint) notifyShut() {
	ev := wait.In | wait.Out | wait.RdHup
	if e.shut == shutBoth {
		ev |= wait.Hup
	}
	e.notify(ev)
}

// close ends e: unix_release_sock. unaccepted says that it was a connection in a
// listener's queue.
func (e *endpoint) close(unaccepted bool) {
	e.unbind()
	wasListening := e.state == listening
	e.dead, e.state, e.shut = true, closed, shutBoth
	if p := e.peer; p != nil && !p.dead && e.connected() {
		if e.queue.unread() || unaccepted {
			p.fail(syscall.ECONNRESET)
		}
		p.shut = shutBoth
		p.notifyShut()
	}
	e.peer = nil
	e.queue.purge()
	if wasListening {
		for _, c := range e.pending {
			c.close(true)
		}
		e.pending = nil
	}
	e.wakeWaiters()
	for w := range e.waits {
		delete(w.waiters, e)
	}
	e.waits = nil
	// A peer that is connected goes on to point here, to see that e is dead.
}

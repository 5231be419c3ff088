package sctp

import (
	"net/netip"
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

const never = timer.Never

// path is the way to one address of the peer (RFC 9260, section 6.4). It begins unconfirmed, unless the
// handshake has shown that the peer has the address (section 5.4), and is
//
//	active               data goes there
//	potentially failed   its last packets came to nothing: data goes elsewhere if it can (RFC 7829)
//	inactive             it has failed: only heartbeats go there (section 8.2)
type path struct {
	flow
	addr, src netip.Addr   // src: this end's address, not valid: what the route gives
	opt       *PathOptions // shared: never changed, but replaced
	state     PathState
	routeMTU  int32
	errors    uint16 // error count: packets without answer in a row
	tiny      bool   // the path carries less than minPathMTU
	routed    bool   // the owner has said how it is reached
	doubted   bool   // inactive, and was never anything but unconfirmed before
	hb        heartbeat
	probe     *probe // nil: its MTU is not searched for
}

// heartbeat is a path's state of section 8.3.
type heartbeat struct {
	at      time.Duration // when the next one is due or, waiting, when the last one counts as lost
	last    time.Duration // when the last one left
	nonce   uint64        // of the one that is to be answered
	waiting bool          // one is not answered yet
	due     bool          // one is to be sent
}

// confirmed reports whether the address is known to be the peer's.
func (p *path) confirmed() bool { return p.state != PathUnconfirmed && !p.doubted }

// headers is what the path's packets have before the chunks, in bytes.
func (p *path) headers() int {
	n := 20 + wire.SCTPLen
	if p.addr.Is6() {
		n += 20
	}
	if p.opt.EncapPort != 0 {
		n += 8
	}
	return n
}

// headers is what a path's packets with data have before the data chunks.
func (a *Assoc) headers(p *path) int { return p.headers() + a.auth.overhead() }

// leastMTU is assumed where no route says more: every IPv6 link carries it (RFC 8200), and the IPv4
// ones that do not fragment it.
const leastMTU = 1280

// addPath adds the path to addr, unconfirmed.
func (a *Assoc) addPath(addr netip.Addr) *path {
	p := &path{addr: addr, opt: &a.opt.Path, state: PathUnconfirmed, routeMTU: leastMTU}
	p.hb.at = never
	a.paths = append(a.paths, p)
	a.snd.addFlow(&p.flow, leastMTU, a.headers(p))
	a.flags |= addrsChanged
	a.observe()
	return p
}

// dropPath forgets a path; what is under way there is sent on another.
func (a *Assoc) dropPath(p *path) {
	if a.paths[0] == p {
		a.makeTally() // which remembers it
	}
	for i := range a.paths {
		if a.paths[i] == p {
			a.paths = append(a.paths[:i], a.paths[i+1:]...)
			break
		}
	}
	a.flags |= addrsChanged
	if a.primary == p {
		a.primary = a.paths[0]
	}
	if a.ctl == p {
		a.ctl = a.primary
	}
	if a.ackTo == p {
		a.ackTo = a.primary
	}
	a.choosePaths()
	a.snd.removeFlow(&p.flow)
}

// path returns the path to addr, nil if there is none.
func (a *Assoc) path(addr netip.Addr) *path {
	for _, p := range a.paths {
		if p.addr == addr {
			return p
		}
	}
	return nil
}

// pathOf returns the path of a flow.
func (a *Assoc) pathOf(f *flow) *path {
	for _, p := range a.paths {
		if &p.flow == f {
			return p
		}
	}
	return nil
}

// better reports whether p is to be preferred to q for data: by its state, then by the number of its
// errors (RFC 7829, section 4.2 (5) where all are potentially failed).
func better(p, q *path) bool {
	if p.rank() != q.rank() {
		return p.rank() > q.rank()
	}
	return p.errors < q.errors
}

// rank orders paths by how well they suit data.
func (p *path) rank() int {
	switch p.state {
	case PathActive:
		return 3
	case PathPF:
		return 2
	case PathInactive:
		if !p.doubted {
			return 1
		}
	}
	return 0
}

// choosePaths says which path new data goes to and which retransmissions go to: the primary one while
// it works, else the best; retransmissions go where the data that was lost did not (section 6.4).
func (a *Assoc) choosePaths() {
	use := a.primary
	for _, p := range a.paths {
		if use.state != PathActive && better(p, use) {
			use = p
		}
	}
	again := use
	if a.lost != nil && a.lost == use {
		for _, p := range a.paths {
			if p != a.lost && p.state == PathActive && (again == a.lost || better(p, again)) {
				again = p
			}
		}
	}
	a.snd.primary, a.snd.retran, a.use = &use.flow, &again.flow, use
}

// setPathState takes a path's transition, and tells the program of it.
func (a *Assoc) setPathState(p *path, s PathState, cause uint32) {
	before := p.state
	if before == s {
		return
	}
	p.state, p.doubted = s, false
	switch {
	case s == PathActive && before == PathUnconfirmed:
		a.notifyPath(p, AddrConfirmed, cause)
	case s == PathActive && before == PathPF && !p.opt.ExposePF:
	case s == PathActive:
		a.notifyPath(p, AddrAvailable, cause)
	case s == PathInactive:
		a.notifyPath(p, AddrUnreachable, cause)
	case s == PathPF && p.opt.ExposePF:
		a.notifyPath(p, AddrPF, cause)
	}
	a.choosePaths()
}

func (a *Assoc) notifyPath(p *path, state int32, cause uint32) {
	a.notify(Notification{Type: EventPeerAddrChange, State: state, Error: cause, Addr: p.addr})
}

// alive says that the path has carried something there and back: its error count and the
// association's are cleared (section 8.1, 8.2). by is what shows it.
func (a *Assoc) alive(p *path, by uint32) {
	p.errors, a.errors = 0, 0
	if a.lost == p {
		a.lost = nil
		a.choosePaths()
	}
	if p.state != PathActive && p.state != PathUnconfirmed {
		a.setPathState(p, PathActive, by)
	}
}

// failed counts a packet to p that came to nothing. It reports false if the association is over by it
// (section 8.1).
func (a *Assoc) failed(now time.Duration, p *path) bool {
	p.errors++
	if p.confirmed() {
		a.errors++ // an address that was never confirmed does not speak for the peer (section 5.4)
	}
	switch {
	case p.state == PathUnconfirmed: // and stays so: it is asked for until it answers
	case p.errors > p.opt.MaxRetrans:
		a.setPathState(p, PathInactive, 0)
	case p.errors > p.opt.PFRetrans && p.opt.PFRetrans < p.opt.MaxRetrans && p.state == PathActive:
		a.setPathState(p, PathPF, 0)
	}
	if p.errors > p.opt.PSRetrans && a.primary == p && a.use != p && a.use.state == PathActive {
		a.primary = a.use // switched for good (RFC 7829, section 5)
		a.choosePaths()
	}
	a.lost = p
	a.choosePaths()
	return a.errors <= a.opt.MaxRetrans
}

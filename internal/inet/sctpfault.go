package inet

import (
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/wait"
	"usock/trace"
)

// sctpFaulty is what an association has of faults. It has messages, which are sent and received whole: a reset comes behind the one that
// has the byte.
type sctpFaulty struct {
	StreamFaults
	x        *sctpAssoc
	local    netip.AddrPort // its ends
	peer     netip.AddrPort
	outcome  alarm  // Connect
	holds    bool   // the INIT
	sent     uint64 // bytes that the program has sent
	received uint64 // and received
	told     string // of the ABORT that is to leave
}

// faultyOf returns what an association has of faults; nil: nothing.
func (t *sctpProto) faultyOf(x *sctpAssoc) *sctpFaulty {
	if len(t.faulty) == 0 {
		return nil
	}
	return t.faulty[x]
}

// beginFaults has happen what is to happen to an association that begins.
func (t *sctpProto) beginFaults(x *sctpAssoc, p *sctp.Params) {
	if t.faults == nil {
		return
	}
	e := x.e
	local, peer := netip.AddrPortFrom(e.name, e.lport), netip.AddrPortFrom(p.Peers[0], p.PeerPort)
	f := t.faults.Connect(FaultyCall{Owner: e.s.Owner.Load(), Proto: abi.IPPROTO_SCTP, From: local, To: peer})
	if f == nil {
		return
	}
	y := t.afflict(&sctpFaulty{StreamFaults: *f, x: x, local: local, peer: peer})
	c := f.Connect
	if c == nil || !y.struck(c) {
		return
	}
	y.holds = true
	y.outcome.set(t.dom, t.now()+c.Wait, func() {
		y.holds = false
		switch {
		case x.over || x.core.State() != sctp.CookieWait:
		case c.Errno != 0:
			t.update(x, x.core.Fail(c.Errno))
		default:
			t.update(x, 0)
		}
	})
}

// acceptedFaults has happen what is to happen to an association that was accepted.
func (t *sctpProto) acceptedFaults(x *sctpAssoc) {
	if t.faults == nil || x.over {
		return
	}
	peer := x.e.peer
	local := netip.AddrPortFrom(x.e.name, x.e.lport)
	if p := x.path(peer.Addr()); p != nil && p.route != nil {
		local = netip.AddrPortFrom(p.route.Src, x.e.lport)
	}
	f := t.faults.Accepted(FaultyCall{Owner: x.e.s.Owner.Load(), Proto: abi.IPPROTO_SCTP, From: peer, To: local})
	if f == nil {
		return
	}
	y := t.afflict(&sctpFaulty{StreamFaults: *f, x: x, local: local, peer: peer})
	if f.AtAccept != nil && y.struck(f.AtAccept) {
		y.reset(f.AtAccept)
	}
}

// afflict has the faults happen to their association.
func (t *sctpProto) afflict(f *sctpFaulty) *sctpFaulty {
	if t.faulty == nil {
		t.faulty = make(map[*sctpAssoc]*sctpFaulty)
	}
	t.faulty[f.x] = f
	return f
}

// forgetFaults is for an association that is over.
func (t *sctpProto) forgetFaults(x *sctpAssoc) {
	if f := t.faultyOf(x); f != nil {
		t.dom.RemoveTimer(&f.outcome.Entry)
		delete(t.faulty, x)
	}
}

// struck has the fault strike, if it does, and tells who listens to events.
func (f *sctpFaulty) struck(by *Fault) bool {
	if !by.Strike() {
		return false
	}
	if e := f.x.e; e.proto.Host.Tracing() && e.s != nil {
		ev := e.proto.dom.Tape().Next(trace.Struck, trace.NoReason)
		ev.Time, ev.Err, ev.Socket, ev.Owner, ev.Protocol = e.proto.now(), by.Text, e.s.ID, e.s.Owner.Load(), abi.IPPROTO_SCTP
		ev.Local, ev.Peer = f.local, f.peer
	}
	return true
}

// reset ends the association by an ABORT, for which the program has the error of one of the peer's. What it has not read yet is lost, unless
// the socket has other associations.
func (f *sctpFaulty) reset(by *Fault) {
	f.told = by.Told()
	if e := f.x.e; !e.many {
		e.discard()
	}
	f.x.proto.update(f.x, f.x.core.Fail(syscall.ECONNRESET))
}

// full reports whether so much was sent that the reset is next: nothing more is taken from the program.
func (f *sctpFaulty) full() bool { return f.ResetSent != nil && f.sent >= f.ResetSent.After }

// left looks whether all has left that the reset is to come behind, and reports whether that has come.
func (f *sctpFaulty) left(ev *wait.Events) bool {
	if !f.full() || f.x.core.Unsent() {
		return false
	}
	by := f.ResetSent
	f.ResetSent = nil
	if !f.struck(by) {
		*ev |= wait.Out
		return false
	}
	f.told = by.Told()
	*ev |= f.x.core.Fail(syscall.ECONNRESET)
	return true
}

// took says that the program has received n bytes.
func (f *sctpFaulty) took(n int) {
	f.received += uint64(n)
	if by := f.ResetReceived; by != nil && f.received >= by.After {
		f.ResetReceived = nil
		if f.x.core.State() != sctp.Closed && f.struck(by) {
			f.reset(by)
		}
	}
}

package inet

import (
	"time"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
)

// What has ended is told (Config.Ended) while it has its addresses still: TCP's connections (tellEnd in diag.go), UDP's sockets and
// SCTP's associations.

// tellEnd tells that a socket of UDP is closed, if it has carried something.
func (u *udpProto) tellEnd(e *udpEndpoint) {
	if u.ended == nil || e.sent == 0 && e.came == 0 && e.drops == 0 {
		return
	}
	in := e.s.Info()
	e.s.Host.After(func() { u.ended(in) })
}

// sctpLife is what an association has carried, and since when. It is kept where somebody wants to know of its end.
type sctpLife struct {
	began  time.Duration
	rx, tx uint64 // bytes that the program has read and sent

	// The socket that it had last.
	socket uint64
	owner  int32
}

// live begins the life of an association.
func (t *sctpProto) live(x *sctpAssoc) {
	if t.Stack.ended != nil {
		t.lives[x] = &sctpLife{began: t.now()}
	}
}

// carried counts bytes that the program of an association has read, and sent.
func (t *sctpProto) carried(x *sctpAssoc, rx, tx int) {
	if l := t.lives[x]; l != nil {
		l.rx += uint64(rx)
		l.tx += uint64(tx)
	}
}

// outlives notes whose the associations of a socket are that is closed.
func (t *sctpProto) outlives(e *sctpEndpoint) {
	for x := e.assocs; x != nil; x = x.next {
		if l := t.lives[x]; l != nil {
			l.socket, l.owner = e.s.ID, e.s.Owner.Load()
		}
	}
}

// tellEnd tells that an association has ended, once.
func (t *sctpProto) tellEnd(x *sctpAssoc) {
	l := t.lives[x]
	if l == nil {
		return
	}
	d := x.detail()
	delete(t.lives, x)
	in := socket.Info{
		Kind: &sctpKind.Kind, Domain: abi.AF_INET, Type: abi.SOCK_STREAM, Protocol: abi.IPPROTO_SCTP, ID: l.socket, Owner: l.owner,
		State: socket.Unconnected, Local: abi.AddrFrom(d.Local), Peer: abi.AddrFrom(d.Peer), RxBytes: d.RxBytes, TxBytes: d.TxBytes, Age: d.Age,
		Detail: &SCTPDetail{Locals: d.Locals, Assocs: []SCTPAssocDetail{d}},
	}
	if x.e.six {
		in.Domain = abi.AF_INET6
	}
	if x.e.many {
		in.Type = abi.SOCK_SEQPACKET
	}
	if s := x.e.s; s != nil {
		in.ID, in.Owner = s.ID, s.Owner.Load()
	}
	if x.core.State() != sctp.Closed {
		in.State = socket.Established
	}
	t.dom.After(func() { t.Stack.ended(in) })
}

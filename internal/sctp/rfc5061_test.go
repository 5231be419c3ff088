package sctp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"usock/internal/wire"
)

// asconfPair are two connected ends of one network each, which may change their addresses.
func asconfPair(t testing.TB) *pair {
	p := authPair(t, nil, AuthKey{ID: 1, Secret: []byte("k")})
	for i := range p.end {
		o := p.end[i].e.Options
		o.Asconf, o.Events = true, EventMask(0).With(EventPeerAddrChange, true)
		o.Path.NoHB = true
	}
	p.connect()
	if p.end[1].a == nil || p.end[0].a.caps&capAsconf == 0 {
		t.Fatal("not agreed to")
	}
	return p
}

// addrNotes are the notifications of addresses that wait at an end.
func addrNotes(a *Assoc, now time.Duration) (out []int32) {
	for {
		_, r, ok := a.Recv(now, 1, nil)
		if !ok {
			return out
		}
		out = append(out, r.Notification.State)
	}
}

// addresses that an end gets.
var second, third = pairAddr(0, 1), pairAddr(0, 2)

// RFC 5061: an address is added, confirmed, made primary, and deleted.
func TestRFC5061Life(t *testing.T) {
	p := asconfPair(t)
	a, b := p.end[0].a, p.end[1].a
	if errno := a.AddAddr(p.now, second); errno != 0 {
		t.Fatal(errno)
	}
	p.pump()
	if len(a.Local()) != 2 || len(b.Peers(nil)) != 2 || !b.path(second).confirmed() {
		t.Fatalf("%v, %v", a.Local(), b.Peers(nil))
	}
	if errno := a.SetPeerPrimary(p.now, second); errno != 0 {
		t.Fatal(errno)
	}
	p.pump()
	if i, _ := b.Path(netip.Addr{}); i.Addr != second {
		t.Fatalf("primary %v", i.Addr)
	}
	if errno := a.DeleteAddr(p.now, pairAddr(0, 0)); errno != 0 {
		t.Fatal(errno)
	}

	// It goes from the address that is to be deleted, which the peer refuses: from another it is done.
	p.pump()
	if len(b.Peers(nil)) != 2 {
		t.Fatal("the source of the packet was deleted")
	}
	a.paths[0].src = second
	if errno := a.DeleteAddr(p.now, pairAddr(0, 0)); errno != 0 {
		t.Fatal(errno)
	}
	p.pump()
	if len(a.Local()) != 1 || len(b.Peers(nil)) != 1 || b.Peers(nil)[0] != second {
		t.Fatalf("%v, %v", a.Local(), b.Peers(nil))
	}
	if got := addrNotes(b, p.now); len(got) != 4 || got[0] != AddrAdded || got[1] != AddrConfirmed || got[2] != AddrMadePrim || got[3] != AddrRemoved {
		t.Fatal(got)
	}
}

// RFC 5061: 5.1 B4 the ASCONF is lost, then the ASCONF-ACK: it is done once.
func TestRFC5061Lost(t *testing.T) {
	p := asconfPair(t)
	a, b := p.end[0].a, p.end[1].a
	n := 0
	p.carry = func(from int, in *In) {
		if r := in.chunks(); true {
			r.next()
			if c, _ := r.next(); c.Type == wire.ChunkAsconf || c.Type == wire.ChunkAsconfAck {
				if n++; n == 1 || n == 3 {
					in.Body.Release()
					return
				}
			}
		}
		p.arrive(1-from, in)
	}
	a.AddAddr(p.now, second)
	a.AddAddr(p.now, third)
	p.pump()
	for range 10 {
		p.step()
	}
	if len(a.Local()) != 3 || len(b.Peers(nil)) != 3 || a.Deadline() != never {
		t.Fatalf("%v, %v", a.Local(), b.Peers(nil))
	}
	added := 0
	for _, s := range addrNotes(b, p.now) {
		if s == AddrAdded {
			added++
		}
	}
	if added != 2 || n != 5 {
		t.Fatalf("%d added, %d packets", added, n)
	}
}

// RFC 5061: an ASCONF that is not authenticated, or forged, is nothing.
func TestRFC5061Forged(t *testing.T) {
	for _, change := range []func(b []byte) []byte{
		func(b []byte) []byte { return b[40:] },
		func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		p := asconfPair(t)
		p.carry = func(from int, in *In) {
			if from == 0 {
				flat(in, change)
			}
			p.arrive(1-from, in)
		}
		p.end[0].a.AddAddr(p.now, second)
		p.pump()
		if len(p.end[1].a.Peers(nil)) != 1 || p.end[1].a.State() != Established {
			t.Fatal("it was heeded")
		}
	}
}

// RFC 5061: what makes no sense.
func TestRFC5061Senseless(t *testing.T) {
	p := asconfPair(t)
	a, b := p.end[0].a, p.end[1].a
	if errno := a.DeleteAddr(p.now, second); errno != syscall.EADDRNOTAVAIL {
		t.Fatal(errno)
	}
	if errno := a.DeleteAddr(p.now, pairAddr(0, 0)); errno != syscall.EBUSY {
		t.Fatal(errno)
	}
	if errno := a.SetPeerPrimary(p.now, second); errno != syscall.EADDRNOTAVAIL {
		t.Fatal(errno)
	}
	a.AddAddr(p.now, netip.MustParseAddr("224.0.0.1"))
	p.pump()
	if len(a.Local()) != 1 || len(b.Peers(nil)) != 1 {
		t.Fatal("a group is an address of the peer")
	}
}

// RFC 5061: B10 an ASCONF-ACK for what was never asked: ABORT.
func TestRFC5061IllegalAck(t *testing.T) {
	p := asconfPair(t)
	a := p.end[0].a
	c := (&wire.Asconf{Serial: a.tsn + 5}).Append(nil, wire.ChunkAsconfAck)
	x, _, _ := wire.ParseChunk(c)
	a.dynamic().flying, a.asconf.asked = 1, []addrRequest{{wire.ParamAddIP, second, 1}}
	a.inAsconfAck(p.now, &x)
	if a.State() != Closed {
		t.Fatal("it was heeded")
	}
}

// RFC 5061: not agreed to.
func TestRFC5061NotAgreed(t *testing.T) {
	p := newPair(t, 1500, 1)
	p.connect()
	if errno := p.end[0].a.AddAddr(p.now, second); errno != syscall.EPERM {
		t.Fatal(errno)
	}
}

// RFC 5061, section 4.2.2: the request to delete an address does not leave from it. Routes are asked for anew.
func TestRFC5061DeleteSource(t *testing.T) {
	p := asconfPair(t)
	a, b := p.end[0].a, p.end[1].a
	a.AddAddr(p.now, second)
	p.pump()
	if errno := a.DeleteAddr(p.now, pairAddr(0, 0)); errno != 0 {
		t.Fatal(errno)
	}
	dst, ok := a.Unrouted()
	if !ok || dst != pairAddr(1, 0) {
		t.Fatalf("%v, %v: the route is still that from the address", dst, ok)
	}
	a.SetRoute(dst, second, 1500)
	p.pump()
	if len(a.Local()) != 1 || len(b.Peers(nil)) != 1 || b.Peers(nil)[0] != second {
		t.Errorf("%v, %v", a.Local(), b.Peers(nil))
	}
}

// A peer deletes the address that data goes to, of which it has said by a gap block that it has it, and then that it has it no
// more: that is outstanding on a path that there is, whose T3-rtx runs.
func TestRFC5061DeleteInUse(t *testing.T) {
	p := asconfPair(t)
	a, b := p.end[0].a, p.end[1].a
	if errno := a.AddAddr(p.now, second); errno != 0 {
		t.Fatal(errno)
	}
	p.pump()
	data := 0
	p.carry = func(from int, in *In) {
		if c, _ := in.first(); from == 1 && c.Type == wire.ChunkData {
			if data++; data != 2 {
				in.Body.Release()
				return
			}
		}
		p.arrive(1-from, in)
	}
	b.snd.noDelay = true
	for range 2 {
		if _, errno := b.Send(p.now, &SendInfo{}, views(make([]byte, 1200))); errno != 0 {
			t.Fatal(errno)
		}
	}
	p.pump()
	gone := b.use
	if gone.addr == second || gone.flight == 0 || b.snd.highGap != b.snd.una+1 {
		t.Fatalf("%d bytes are outstanding to %v", gone.flight, gone.addr)
	}
	a.paths[0].src = second
	if errno := a.DeleteAddr(p.now, gone.addr); errno != 0 {
		t.Fatal(errno)
	}
	p.pump()
	if b.path(gone.addr) != nil || b.use.addr != second {
		t.Fatal("it was not deleted")
	}
	k, _ := wire.ParseSack(wire.AppendSack(nil, uint32(b.snd.una-1), 1<<16, nil, nil)[wire.ChunkHeaderLen:])
	b.snd.onSACK(p.now, &k)
	checkAssoc(t, b, p.now)
	if gone.flight != 0 || b.path(second).flight != 2400 {
		t.Errorf("%d and %d bytes are outstanding", gone.flight, b.path(second).flight)
	}
}

package inet

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/sctp"
	"usock/internal/wire"
	"usock/packet"
)

// stranger is a core at the other end of a machine's wire, with addresses that may be anybody's.
type stranger struct {
	m *machine
	e sctp.Endpoint
	a *sctp.Assoc

	sums [2]int // packets that came with a checksum, and without
}

// stranger opens an association with port 7 from the first of the addresses, and names all of them.
func (m *machine) stranger(port uint16, addrs ...string) *stranger {
	m.t.Helper()
	return m.strangerOf(port, nil, addrs...)
}

// strangerOf is stranger with options of its own.
func (m *machine) strangerOf(port uint16, set func(*sctp.Options), addrs ...string) *stranger {
	m.t.Helper()
	rnd := rand.NewChaCha8([32]byte{byte(len(addrs)), byte(port)})
	c := &sctp.Config{Settings: *sctp.DefaultSettings(), Counters: new(sctp.Counters), Rand: func(b []byte) { rnd.Read(b) }}
	c.Scope = sctp.ScopeOff
	w := &stranger{m: m, e: sctp.Endpoint{Config: c, Port: port, Options: c.DefaultOptions(), Buffers: c.DefaultBuffers()}, a: new(sctp.Assoc)}
	if set != nil {
		set(w.e.Options)
	}
	for _, s := range addrs {
		w.e.Local = append(w.e.Local, netip.MustParseAddr(s))
	}
	w.a.Connect(m.clock.Now(), &w.e, &sctp.Params{
		Port: port, PeerPort: 7, Peers: []netip.Addr{netip.MustParseAddr(addrB)}, Options: w.e.Options,
	})
	m.t.Cleanup(w.a.Release)
	w.pump()
	return w
}

// pump carries packets between the two; those to other addresses than the stranger's first are lost.
func (w *stranger) pump() {
	for {
		for dst, ok := w.a.Unrouted(); ok; dst, ok = w.a.Unrouted() {
			w.a.SetRoute(dst, w.e.Local[0], 1500)
		}
		var out sctp.Out
		for w.a.Poll(w.m.clock.Now(), &out) {
			b := make([]byte, wire.SCTPLen)
			out.SCTP.Put(b)
			b = out.Body.AppendTo(append(b, out.Head()...))
			out.Body.Release()
			var sum wire.CRC32c
			sum.Add(b)
			if !out.ZeroSum {
				binary.LittleEndian.PutUint32(b[8:], uint32(sum))
			}
			w.m.arrive(whole(w.e.Local[0].String(), out.Dst.String(), ip.ProtoSCTP, b))
		}
		sent := w.m.took()
		if len(sent) == 0 {
			return
		}
		for _, p := range sent {
			dst, _ := netip.AddrFromSlice(p[16:20])
			h, _ := wire.ParseSCTP(p[20:])
			if dst != w.e.Local[0] || h.DstPort != w.e.Port {
				continue
			}
			w.sums[toInt(h.Checksum == 0)]++
			in := sctp.In{Src: netip.MustParseAddr(addrB), Dst: dst, SCTP: h, ZeroSum: h.Checksum == 0}
			in.Body.Append(packet.Copy(p[20+wire.SCTPLen:]))
			w.a.Packet(w.m.clock.Now(), &in)
		}
	}
}

// says has a stranger say something, which the socket is to read.
func (w *stranger) says(l *sock, text string) {
	w.m.t.Helper()
	v := []packet.View{packet.Copy([]byte(text))}
	if _, errno := w.a.Send(w.m.clock.Now(), &sctp.SendInfo{}, v); errno != 0 {
		packet.ReleaseAll(v)
		w.m.t.Errorf("%v: %v", w.e.Local[0], errno)
		return
	}
	w.pump()
	if g := l.recv(0); g.data != text {
		w.m.t.Errorf("of %v: %q, %v", w.e.Local[0], g.data, g.err)
	}
}

// Packets without checksum leave and are taken where both ends have asked for it (RFC 9653), and no others are.
func TestSCTPZeroChecksum(t *testing.T) {
	for _, on := range []bool{false, true} {
		_, b := newPair(t, Config{})
		b.to = nil
		l := b.listening("many4", addrB+":7")
		v := abi.AppendInt(nil, toInt(on))
		if err := l.SetOpt(abi.SOL_SCTP, abi.SCTP_ACCEPT_ZERO_CHECKSUM, v); err != nil {
			t.Fatal(err)
		}
		w := b.strangerOf(9, func(o *sctp.Options) { o.EDMID = sctp.EDMIDDTLS }, "10.0.0.8")
		w.says(l, "one")
		w.says(l, "two")
		if with, without := w.sums[0], w.sums[1]; with == 0 || (without > 0) != on {
			t.Errorf("asked for: %v; %d packets with a checksum and %d without", on, with, without)
		}
		if n := b.st.sctp.cfg.Counters.ChecksumErrors; n != 0 {
			t.Errorf("%d checksums were wrong", n)
		}

		// Of nobody's association, and where it was not asked for, such a packet is dropped.
		data := make([]byte, wire.SCTPLen+wire.ChunkHeaderLen)
		_, peer := w.a.Tags()
		src := map[bool]string{false: "10.0.0.8", true: "10.0.0.9"}[on]
		h := wire.SCTP{SrcPort: 9, DstPort: 7, VTag: peer}
		h.Put(data)
		copy(data[wire.SCTPLen:], (&wire.Chunk{Type: wire.ChunkCookieAck}).Append(nil))
		b.arrive(whole(src, addrB, ip.ProtoSCTP, data))
		if n := b.st.sctp.cfg.Counters.ChecksumErrors; n != 1 {
			t.Errorf("asked for: %v; %d checksums were wrong, want 1", on, n)
		}
		if sent := b.took(); len(sent) > 0 {
			t.Errorf("answered: %x", sent)
		}
	}
	_, b := newPair(t, Config{})
	l := b.listening("many4", addrB+":7")
	if err := l.SetOpt(abi.SOL_SCTP, abi.SCTP_ACCEPT_ZERO_CHECKSUM, abi.AppendInt(nil, 2)); err != syscall.EINVAL {
		t.Errorf("another method: %v", err)
	}
}

// What comes and is nobody's, or makes no sense, is counted.
func TestSCTPStrayPackets(t *testing.T) {
	_, b := newPair(t, Config{})
	b.to = nil
	data := make([]byte, wire.SCTPLen)
	(&wire.SCTP{SrcPort: 9, DstPort: 7, VTag: 1}).Put(data)
	data = (&wire.Chunk{Type: wire.ChunkHeartbeat}).Append(data)
	var sum wire.CRC32c
	sum.Add(data)
	binary.LittleEndian.PutUint32(data[8:], uint32(sum))
	b.arrive(whole("10.0.0.8", addrB, ip.ProtoSCTP, data))
	b.arrive(whole("10.0.0.8", addrB, ip.ProtoSCTP, data[:8]))
	data[8]++
	b.arrive(whole("10.0.0.8", addrB, ip.ProtoSCTP, data))
	c, estab := b.st.SCTPStats()
	if c.InPackets != 3 || c.OutOfBlues != 1 || c.InPktDiscards != 1 || c.ChecksumErrors != 1 || c.OutPackets != 1 || estab != 0 {
		t.Errorf("%+v", c)
	}
}

// A peer that names an address of another's association is refused, and told so (RFC 9260, section 5.2.2).
func TestSCTPNamesAnothers(t *testing.T) {
	_, b := newPair(t, Config{})
	b.to = nil
	l := b.listening("many4", addrB+":7")
	v := b.stranger(9, "10.0.0.8")
	v.says(l, "before")
	w := b.stranger(9, "10.0.0.9", "10.0.0.8")
	if st, err := w.a.State(), w.a.TakeError(); st != sctp.Closed || err != syscall.ECONNREFUSED {
		t.Errorf("%v, %v", st, err)
	}
	v.says(l, "after")
}

// One that names the address of who has no association yet, and cannot show it to be its own, does not
// keep him from having one (RFC 5062, section 3.2).
func TestSCTPCampedAddress(t *testing.T) {
	_, b := newPair(t, Config{})
	b.to = nil
	l := b.listening("many4", addrB+":7")
	w := b.stranger(9, "10.0.0.9", "10.0.0.8")
	v := b.stranger(9, "10.0.0.8")
	v.says(l, "mine")
	w.says(l, "other")
	v.says(l, "mine again")
}

// A queue that is never empty, as the peer is always a message ahead, does not grow by what was read.
func TestSCTPQueueStaysShort(t *testing.T) {
	a, b := newPair(t, Config{})
	x, y := sctpPair(t, a, b)
	x.send("0", "-")
	for range 1000 {
		x.send("1", "-")
		if g := y.recv(0); g.err != nil {
			t.Fatal(g.err)
		}
		a.clock.Advance(300 * time.Millisecond)
	}
	if n := len(sctpOf(y.Socket).arrived); n > 4 {
		t.Errorf("%d entries for one message", n)
	}
}

// An association is peeled off while the program is in the middle of its message, or of a notification of
// it: the new socket has the rest, and the old one is as it was.
func TestSCTPPeelInTheMiddle(t *testing.T) {
	for _, what := range []string{"message", "notification"} {
		a, b := newPair(t, Config{})
		l := b.listening("many4", addrB+":7")
		l.events(abi.SCTP_ASSOC_CHANGE)
		x := a.open("one4").with(addrB + ":7")
		id := int32(1)
		if what == "message" {
			var v abi.SCTPAssocChange
			abi.ParseStruct([]byte(l.recv(0).data), &v)
			id = v.AssocID
			x.send("abcdef", "-")
			if g := l.recvInto(3, 0); g.data != "abc" {
				t.Fatalf("%q", g.data)
			}
		} else {
			var v abi.SCTPAssocChange
			abi.ParseStruct([]byte(l.recvInto(100, abi.MSG_PEEK).data), &v)
			id = v.AssocID
			if g := l.recvInto(8, 0); len(g.data) != 8 {
				t.Fatalf("%q", g.data)
			}
			x.send("def", "-")
		}
		p, err := b.st.SCTP().(*sctpProto).Peel(l.Socket, id)
		if err != nil {
			t.Fatal(what, err)
		}
		y := &sock{p, b}
		if g := l.recv(0); what == "message" && g.err != syscall.EAGAIN {
			t.Errorf("%s: the old socket has %q, %v", what, g.data, g.err)
		}
		if what == "notification" {
			if g := y.recv(0); len(g.data) != abi.Sizeof(&abi.SCTPAssocChange{})-8 || g.flags != abi.MSG_NOTIFICATION|abi.MSG_EOR {
				t.Errorf("the rest of the notification: %q, %#x", g.data, g.flags)
			}
		}
		if g := y.recv(0); g.data != "def" {
			t.Errorf("%s: the new socket has %q, %v", what, g.data, g.err)
		}
		z := a.open("one4").with(addrB + ":7")
		z.send("other", "-")
		if g := l.recv(0); told(g) != "assoc 0 error 0 streams 10/10" {
			t.Errorf("%s: then the old socket has %s", what, told(g))
		}
		if g := l.recv(0); g.data != "other" {
			t.Errorf("%s: at last the old socket has %q, %v", what, g.data, g.err)
		}
	}
}

// A socket with hundreds of associations is closed, and its port is free once the peers have agreed; a host that
// goes away in the middle of that leaves nothing behind (newPair counts the blocks).
func TestSCTPCloseHundreds(t *testing.T) {
	for _, leave := range []bool{false, true} {
		a, b := newPair(t, Config{})
		l := b.listening("many4", addrB+":7")
		for range 300 {
			x := a.open("one4").with(addrB + ":7")
			if err := x.send("unread", "-"); err != nil {
				t.Fatal(err)
			}
		}
		b.cut = leave
		l.Close()
		proto := b.st.SCTP().(*sctpProto)
		if n := len(proto.byID) + proto.assocs.n; n != 0 {
			t.Errorf("%d entries are left", n)
		}
		b.listening("many4", addrB+":7")
	}
}

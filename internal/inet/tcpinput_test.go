package inet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wire"
)

// segment is what a test's own peer sends: it has no stack.
type segment struct {
	from, to string
	wire.TCP
	data string
	bad  bool // its checksum is wrong
}

func (g segment) packet() []byte {
	src, dst := addrport(g.from), addrport(g.to)
	g.SrcPort, g.DstPort = src.Port(), dst.Port()
	b := make([]byte, g.TCP.Len())
	g.TCP.Put(b)
	b = append(b, g.data...)
	var c wire.Checksum
	c.AddPseudo(src.Addr(), dst.Addr(), ip.ProtoTCP, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[16:], c.Sum())
	if g.bad {
		b[17] ^= 1
	}
	return whole(src.Addr().String(), dst.Addr().String(), ip.ProtoTCP, b)
}

// segments are those that a machine has sent since took was called last: FLAGS SEQ ACK LENGTH each, with
// absolute numbers.
func (m *machine) segments() (out []wire.TCP) {
	for _, p := range m.took() {
		at := 20
		if p[0]>>4 == 6 {
			at = 40
		}
		h, _, err := wire.ParseTCP(p[at:])
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

// Segments of no connection are answered with a reset, but for resets and what a listener drops (RFC
// 9293, section 3.10.7).
func TestStraySegments(t *testing.T) {
	const from = addrA + ":5000"
	for _, c := range []struct {
		name     string
		listens  bool
		flags    wire.TCPFlags
		seq, ack uint32
		data     string
		bad      bool
		want     string // flags, sequence and acknowledgment of the answer
	}{
		{"an ACK", false, wire.ACK, 100, 200, "", false, "R 200 0"}, {"a SYN", false, wire.SYN, 100, 0, "", false, "RA 0 101"}, {"data", false, 0, 100, 0, "abc", false, "RA 0 103"}, {"a FIN", false, wire.FIN, 100, 0, "", false, "RA 0 101"},
		{"a reset", false, wire.RST, 100, 0, "", false, ""}, {"a reset with an ACK", false, wire.RST | wire.ACK, 100, 200, "", false, ""}, {"a bad checksum", false, wire.SYN, 100, 0, "", true, ""},
		{"an ACK to a listener", true, wire.ACK, 100, 200, "", false, "R 200 0"}, {"a SYN with an ACK to a listener", true, wire.SYN | wire.ACK, 100, 200, "", false, "R 200 0"}, {"neither, to a listener", true, 0, 100, 0, "abc", false, ""}, {"a reset to a listener", true, wire.RST, 100, 0, "", false, ""},
	} {
		a, b := newPair(t, Config{})
		b.cut = true
		if c.listens {
			b.open("tcp4").at(addrB + ":80").Listen(5)
		}
		b.arrive(segment{from, addrB + ":80", wire.TCP{Flags: c.flags, Seq: c.seq, Ack: c.ack}, c.data, c.bad}.packet())
		got := ""
		for _, h := range b.segments() {
			if h.Flags&wire.RST != 0 {
				got += "R"
			}
			if h.Flags&wire.ACK != 0 {
				got += "A"
			}
			got += fmt.Sprintf(" %d %d", h.Seq, h.Ack)
		}
		n, _ := b.st.Stats()
		if got != c.want || n.InSegs != 1 || (n.OutRsts == 1) != (c.want != "") || (n.InCsumErrors == 1) != c.bad || (n.InErrs == 1) != c.bad {
			t.Errorf("%s: %q, want %q; %d %d %d %d", c.name, got, c.want, n.InSegs, n.OutRsts, n.InErrs, n.InCsumErrors)
		}
		_ = a
	}
	// Who is known on one link alone is answered there (RFC 4007).
	_, far := newPair(t, Config{})
	far.cut = true
	far.arrive(segment{"[fe80::1]:5000", "[fe80::2]:80", wire.TCP{Flags: wire.SYN, Seq: 100}, "", false}.packet())
	if out := far.segments(); len(out) != 1 || out[0].Flags != wire.RST|wire.ACK {
		t.Errorf("link-local: %+v", out)
	}
	// To all or to a group nothing is TCP's; what is too short is an error.
	_, b := newPair(t, Config{})
	b.arrive(segment{from, "10.0.0.255:80", wire.TCP{Flags: wire.SYN}, "", false}.packet())
	b.arrive(segment{from, "224.0.0.1:80", wire.TCP{Flags: wire.SYN}, "", false}.packet())
	if n, _ := b.st.Stats(); n.InSegs != 0 || len(b.took()) != 0 {
		t.Errorf("%+v", n)
	}
	b.arrive(whole(addrA, addrB, ip.ProtoTCP, make([]byte, 19)))
	if n, _ := b.st.Stats(); n.InSegs != 1 || n.InErrs != 1 || len(b.took()) != 0 {
		t.Errorf("%+v", n)
	}
}

// A connection in TIME-WAIT is listed, holds its port, and gives way to one whose numbers cannot be mistaken
// for its own: from here where the program names the port, and to a listener (RFC 6191; RFC 9293, section
// 3.6.1).
func TestTimeWait(t *testing.T) {
	const local, remote = addrA + ":5000", addrB + ":80"
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(remote)
	l.Listen(5)
	c := a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).at(local).with(remote)
	s := l.accept()
	c.Close()
	s.Close()
	if a.connections() != 1 || a.st.tcp.timeWaits.Load() != 1 || b.connections() != 0 {
		t.Fatal(a.connections(), b.connections())
	}
	var rest []socket.Info
	a.do(func() { rest = a.st.Sockets() })
	if len(rest) != 1 || rest[0].State != "TIME-WAIT" || rest[0].Local.String() != local || rest[0].Peer.String() != remote || rest[0].Left != time.Minute || rest[0].Domain != abi.AF_INET {
		t.Errorf("%+v", rest)
	}
	if err := a.open("tcp4").bind(local); err != syscall.EADDRINUSE {
		t.Error(err)
	}
	a.clock.Advance(2 * time.Second)
	c = a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).at(local).with(remote)
	if a.st.tcp.timeWaits.Load() != 0 || c.state() != "ESTAB" || l.accept().remote() != local {
		t.Errorf("%d in TIME-WAIT, %s", a.st.tcp.timeWaits.Load(), c.state())
	}

	// At the server: a SYN that goes on with the numbers is let in, what else comes is answered.
	a, b = newPair(t, Config{})
	l = b.open("tcp4").at(remote)
	l.Listen(5)
	c = a.open("tcp4").at(local).with(remote)
	s = l.accept()
	b.toTimeWait(s, c)
	b.arrive(segment{local, remote, wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1}, "", false}.packet())
	if out := b.segments(); len(out) != 1 || out[0].Flags != wire.ACK || b.st.tcp.timeWaits.Load() != 1 {
		t.Errorf("%+v", out)
	}
	b.cut = false
	b.clock.Advance(2 * time.Second)
	a.open("tcp4").at(local).with(remote)
	if _, err := l.Accept(noContext); err != nil || b.st.tcp.timeWaits.Load() != 0 {
		t.Errorf("%v, %d in TIME-WAIT", err, b.st.tcp.timeWaits.Load())
	}
}

// After a minute TIME-WAIT is over, and counted.
func TestTimeWaitExpires(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	c.Close()
	s.Close()
	a.clock.Advance(time.Minute - 1)
	if a.connections() != 1 || a.st.tcp.Stats.TW != 0 {
		t.Error("over too early")
	}
	a.clock.Advance(1)
	if a.connections() != 0 || a.st.tcp.Stats.TW != 1 || a.st.tcp.timeWaits.Load() != 0 || a.st.tcp.ports.buckets.n != 0 {
		t.Errorf("%d connections, %d ports", a.connections(), a.st.tcp.ports.buckets.n)
	}
}

// A connect from a port that the program names waits for those who are at the TIME-WAIT before it: they do not make
// it fail.
func TestTimeWaitBusy(t *testing.T) {
	const local, remote = addrA + ":5000", addrB + ":80"
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(remote)
	l.Listen(5)
	c := a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1).at(local).with(remote)
	c.Close()
	l.accept().Close()
	a.clock.Advance(2 * time.Second)
	k := tuple{laddr: addr(addrA), raddr: addr(addrB), lport: 5000, rport: 80}
	w := a.st.tcp.conns.find(&k).(*timeWait)
	c = a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
	c.at(local)
	done := make(chan error, 1)
	w.mu.Lock()
	go func() { done <- c.connect(remote) }()
	for range 1000 {
		runtime.Gosched()
	}
	w.mu.Unlock()
	if err := <-done; err != syscall.EINPROGRESS || c.state() != "ESTAB" {
		t.Errorf("%v, %s", err, c.state())
	}
}

// A segment that begins 2 MSL anew holds also against an alarm that has gone off already (RFC 9293, section
// 3.10.7.4), and where it is not answered, as it comes too soon after another.
func TestTimeWaitBeginsAnew(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	local := c.local()
	c.Close()
	s.Close()
	ack := segment{addrB + ":80", local, wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1}, "", false}
	a.clock.Advance(time.Minute - time.Second)
	a.took()
	a.cut = true
	a.arrive(ack.packet())
	a.clock.Advance(100 * time.Millisecond)
	a.arrive(ack.packet())
	if n := len(a.segments()); n != 1 {
		t.Errorf("%d answers", n)
	}
	k := tuple{laddr: addr(addrA), raddr: addr(addrB), lport: addrport(local).Port(), rport: 80}
	w := a.st.tcp.conns.find(&k).(*timeWait)
	a.do(func() { w.Expired(&w.timer, a.h.Now()) }) // as of an alarm that has waited for w
	a.clock.Advance(time.Minute - 1)
	if a.connections() != 1 {
		t.Fatal("over too early")
	}
	if a.clock.Advance(1); a.connections() != 0 || a.timers() != 0 {
		t.Errorf("%d connections, %d timers", a.connections(), a.timers())
	}
}

// IP_MINTTL drops what came from farther away, of connections and of listeners, and counts it
// (RFC 5082).
func TestMinTTL(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB+":80").set(abi.SOL_IP, abi.IP_MINTTL, 64)
	l.Listen(5)
	a.open("tcp4").with(addrB + ":80")
	s := l.accept()
	near, far := a.open("tcp4").set(abi.SOL_IP, abi.IP_TTL, 64), a.open("tcp4").set(abi.SOL_IP, abi.IP_TTL, 63)
	near.with(addrB + ":80")
	far.with(addrB + ":80")
	if _, err := l.Accept(noContext); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(noContext); err != syscall.EAGAIN {
		t.Error("a connection from too far away")
	}
	before := b.st.tcp.Stats.TCPMinTTLDrop
	s.set(abi.SOL_IP, abi.IP_MINTTL, 65)
	b.arrive(segment{s.remote(), addrB + ":80", wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1}, "", false}.packet())
	if b.st.tcp.Stats.TCPMinTTLDrop != before+1 || len(b.segments()) > 3 {
		t.Errorf("%d dropped", b.st.tcp.Stats.TCPMinTTLDrop)
	}
	// A datagram is taken from anywhere, as by Linux.
	r, u := b.open("udp4").at(addrB+":7").set(abi.SOL_IP, abi.IP_MINTTL, 64), a.open("udp4")
	u.send("a", addrB+":7")
	u.set(abi.SOL_IP, abi.IP_TTL, 63).send("b", addrB+":7")
	if got := r.text(); got != "a b" {
		t.Error(got)
	}
}

// The table of connections finds each of many, and none that has gone, as it grows and shrinks.
func TestConnTable(t *testing.T) {
	for _, lanes := range []int{1, 8} {
		t.Run(fmt.Sprint(lanes, " lanes"), func(t *testing.T) { testConnTable(t, lanes) })
	}
}

func testConnTable(t *testing.T, lanes int) {
	var table connTable
	table.init(lanes, 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	slots := func() (all []*node) {
		for i := range table.stripes {
			all = append(all, table.stripes[i].slots...)
		}
		return all
	}
	var all []*tcpEndpoint
	key := func(i int) tuple {
		k := tuple{laddr: addr(addrA), raddr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), lport: uint16(i % 7), rport: uint16(i % 11)}
		if i%2 == 1 {
			k.laddr, k.raddr = addr(addrA6), netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)})
		}
		return k
	}
	check := func(from, to int) {
		t.Helper()
		if table.len() != to-from {
			t.Errorf("%d in the table, want %d", table.len(), to-from)
		}
		seen := 0
		table.each(func(nodeOwner) { seen++ })
		if seen != to-from {
			t.Errorf("%d are seen, want %d", seen, to-from)
		}
		for i, e := range all {
			k := key(i)
			if got := table.find(&k); (got == nodeOwner(e)) != (i >= from && i < to) || got != nil && got != nodeOwner(e) {
				t.Fatalf("%d: found %v", i, got != nil)
			}
		}
		longest := 0
		for _, n := range slots() {
			k := 0
			for ; n != nil; n = n.next {
				k++
			}
			longest = max(longest, k)
		}
		if longest > 12 || len(slots()) > max(8*(to-from), minSlots, 4*len(table.stripes))*2 {
			t.Errorf("%d in one slot, %d slots for %d", longest, len(slots()), to-from)
		}
	}
	const most = 1000
	for i := range most {
		e := new(tcpEndpoint)
		e.tuple = key(i)
		all = append(all, e)
		if !table.add(&e.node, e) || table.add(&node{tuple: e.tuple}, e) {
			t.Fatal("a tuple that is there is added, or one that is not refused")
		}
	}
	check(0, most)
	for i := range most {
		table.remove(&all[i].node)
		table.remove(&all[i].node) // is out
		if i%100 == 50 {
			check(i+1, most)
		}
	}
	check(most, most)
	if len(slots()) > max(minSlots, 4*len(table.stripes)) {
		t.Errorf("%d slots", len(slots()))
	}
}

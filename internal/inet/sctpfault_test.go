package inet

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/trace"
)

// aborts is whether the last that a machine has sent, since it was asked before, is an ABORT, and how many packets went before it.
func (m *machine) aborts() (before int, is bool) {
	sent := m.wired()
	if len(sent) == 0 {
		return 0, false
	}
	last := sent[len(sent)-1].chunks()
	return len(sent) - 1, len(last) == 1 && last[0] == wire.ChunkAbort
}

// The questions name the program, the protocol, and the association as the side that connects has it.
func TestSCTPFaultQuestions(t *testing.T) {
	f := &answers{}
	a, b := faultyPair(t, f)
	b.listening("one4", addrB+":7")
	x := a.open("one4").at(addrA + ":5000")
	x.Owner.Store(7)
	x.with(addrB + ":7")
	l := a.listening("one4", "0.0.0.0:8")
	l.Owner.Store(8)
	b.open("one4").at(addrB + ":5001").with(addrA + ":8")
	y := l.accept()
	want := []string{
		"connect own7 proto132 10.0.0.1:5000 > 10.0.0.2:7",
		"accepted own8 proto132 10.0.0.2:5001 > 10.0.0.1:8",
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("%q", f.asked)
	}
	if x.state() != socket.Established || y.state() != socket.Established || len(a.st.sctp.faulty) != 0 {
		t.Errorf("%s, %s, %d have faults", x.state(), y.state(), len(a.st.sctp.faulty))
	}
}

// An association that begins fails with the errno after its time, during which no INIT leaves; or it begins then. Who ends it before hears no
// more of it.
func TestSCTPFaultConnect(t *testing.T) {
	for _, c := range connectFaults {
		f, hit := &answers{}, &strikes{misses: c.miss}
		a, b := faultyPair(t, f)
		b.listening("one4", addrB+":7")
		began := func() *sock {
			f.connect = &StreamFaults{Connect: hit.of(c.fault)}
			return a.open("one4").with(addrB + ":7")
		}
		x := began()
		if c.held > 0 {
			a.clock.Advance(c.held - 1)
			if x.ready() != 0 || x.connect(addrB+":7") != syscall.EALREADY || len(a.took()) != 0 {
				t.Errorf("%s: %#x before its time", c.name, x.ready())
			}
		}
		a.clock.Advance(1)
		if c.fails != 0 {
			if len(a.took()) != 0 {
				t.Errorf("%s: something has left", c.name)
			}
			if err := x.FinishConnect(); err != c.fails {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if x.state() != socket.Established || x.ready() != wait.Out {
			t.Errorf("%s: %s, ready for %#x", c.name, x.state(), x.ready())
		}
		if hit.n != 1 {
			t.Errorf("%s: %d strikes", c.name, hit.n)
		}
		x.Close()
		a.clock.Advance(time.Second)
		if c.held > 0 {
			began().Close()
			if n := a.timers(); n != 0 {
				t.Errorf("%s: %d timers of what has ended", c.name, n)
			}
			a.took()
			a.clock.Advance(c.held)
			if out := a.took(); len(out) != 0 {
				t.Errorf("%s: %d packets after the end", c.name, len(out))
			}
		}
		if n := len(a.st.sctp.faulty); n != 0 {
			t.Errorf("%s: %d are kept", c.name, n)
		}
	}
}

// A reset comes behind the message that has the byte, once all of it has left. The program is told as of a peer's ABORT, and takes no more.
func TestSCTPFaultResetSent(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{ResetSent: hit.of(Fault{After: 10})}}
	a, b := faultyPair(t, f)
	x, y := sctpPair(t, a, b)
	x.send("123456789", "-")
	if hit.n != 0 || y.text() != "123456789" {
		t.Errorf("%d strikes after 9 bytes", hit.n)
	}
	a.took()
	if err := x.send("0abc", "-"); err != nil {
		t.Error(err)
	}
	if n, is := a.aborts(); n != 1 || !is || !slices.Equal(a.notes, []string{"struck 1"}) {
		t.Errorf("%d packets, then an ABORT: %v; told %q", n, is, a.notes)
	}
	if got := y.text(); got != "0abc ECONNRESET" {
		t.Errorf("the server: %q", got)
	}
	if err := x.send("x", "-"); err != syscall.EPIPE && err != syscall.ECONNRESET {
		t.Error(err)
	}
	if hit.n != 1 || len(a.st.sctp.faulty) != 0 || a.timers() != 0 {
		t.Errorf("%d strikes, %d kept, %d timers", hit.n, len(a.st.sctp.faulty), a.timers())
	}
}

// What has not left yet holds up the reset: until then the program's next message waits, and it is told when it need not any more.
func TestSCTPFaultResetWaits(t *testing.T) {
	for _, misses := range []bool{false, true} {
		hit := &strikes{misses: misses}
		const after = 100_000
		f := &answers{connect: &StreamFaults{ResetSent: hit.of(Fault{After: after})}}
		a, b := faultyPair(t, f)
		l := b.listening("one4", addrB+":7")
		x := a.open("one4").set(abi.SOL_SOCKET, abi.SO_SNDBUF, 1<<20).with(addrB + ":7")
		y := l.accept()
		big := fmt.Sprintf("%0*d", after/4, 1)
		sent := 0
		var err error
		a.cut = true
		for sent < 10 {
			if err = x.send(big, "-"); err != nil {
				break
			}
			sent++
		}
		if sent != 4 || err != syscall.EAGAIN || hit.n != 0 {
			t.Fatalf("%d messages, %v, %d strikes", sent, err, hit.n)
		}
		told := x.edges(wait.Out)
		told()
		a.cut = false
		got := 0
		for range 100 {
			a.clock.Advance(time.Second)
			for g := y.recv(0); g.err == nil && g.data != ""; g = y.recv(0) {
				got += len(g.data)
			}
			if hit.n > 0 {
				break
			}
		}
		if got != after || hit.n != 1 || told()&wait.Out == 0 {
			t.Errorf("%d bytes, %d strikes", got, hit.n)
		}
		if err := x.send("more", "-"); misses != (err == nil) {
			t.Errorf("behind it: %v", err)
		}
	}
}

// A reset comes once the program has received so much; what it has not read is lost, but that of the socket's other associations.
func TestSCTPFaultResetReceived(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{ResetReceived: hit.of(Fault{After: 10})}}
	a, b := faultyPair(t, f)
	x, y := sctpPair(t, a, b)
	y.send("123456789", "-")
	x.recv(abi.MSG_PEEK)
	if g := x.recv(0); g.data != "123456789" || hit.n != 0 {
		t.Errorf("%+v, %d strikes", g, hit.n)
	}
	y.send("0", "-")
	y.send("lost", "-")
	a.took()
	if got := x.text(); got != "0 ECONNRESET" {
		t.Errorf("%q", got)
	}
	if _, is := a.aborts(); !is || !slices.Equal(a.notes, []string{"struck 1"}) || hit.n != 1 {
		t.Errorf("an ABORT: %v; told %q, %d strikes", is, a.notes, hit.n)
	}
	if got := y.text(); got != "ECONNRESET" {
		t.Errorf("the server: %q", got)
	}

	// One that has ended is not reset, nor one where it does not strike.
	x, y = sctpPairAt(t, a, b, 8)
	y.send("1234567890", "-")
	y.Close()
	a.clock.Advance(time.Second)
	if got := x.text(); got != "1234567890 " || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
	hit.misses, hit.n = true, 0
	x, y = sctpPairAt(t, a, b, 9)
	y.send("1234567890", "-")
	y.send("more", "-")
	if got := x.text(); got != "1234567890 more" || hit.n != 1 || x.state() != socket.Established {
		t.Errorf("%q, %d strikes, %s", got, hit.n, x.state())
	}

	hit.misses, hit.n = false, 0
	l, m := b.listening("many4", addrB+":10"), b.listening("many4", addrB+":11")
	z := a.open("many4").at(addrA + ":5000").events(abi.SCTP_ASSOC_CHANGE)
	for _, to := range []string{":10", ":11"} {
		if err := z.send("hello", addrB+to); err != nil {
			t.Fatal(err)
		}
		z.recv(0) // SCTP_COMM_UP
	}
	l.send("1234567890", addrA+":5000")
	m.send("not lost", addrA+":5000")
	if g := z.recv(0); g.data != "1234567890" || hit.n != 1 {
		t.Errorf("%+v, %d strikes", g, hit.n)
	}
	if g := z.recv(0); g.data != "not lost" {
		t.Errorf("of the other association: %+v", g)
	}
	if got := told(z.recv(0)); got[:7] != "assoc 1" {
		t.Errorf("told %s", got)
	}
}

// An association is reset when it is accepted, or has happen to it later what is to happen; one that has ended before is left alone.
func TestSCTPFaultAccepted(t *testing.T) {
	hit, later := new(strikes), new(strikes)
	f := &answers{accepted: &StreamFaults{AtAccept: hit.of(Fault{}), ResetSent: later.of(Fault{After: 3})}}
	a, b := faultyPair(t, f)
	l := a.listening("one4", addrA+":7")
	come := func() *sock { return b.open("one4").with(addrA + ":7") }
	x := come()
	x.send("data", "-")
	a.took()
	y := l.accept()
	if n, is := a.aborts(); n != 0 || !is || !slices.Equal(a.notes, []string{"struck 1"}) {
		t.Errorf("%d packets, then an ABORT: %v; told %q", n, is, a.notes)
	}
	if got := y.text(); got != "ECONNRESET" {
		t.Errorf("the server: %q", got)
	}
	if got := x.text(); got != "ECONNRESET" {
		t.Errorf("the client: %q", got)
	}

	hit.misses = true
	x = come()
	y = l.accept()
	y.send("12", "-")
	if later.n != 0 || y.state() != socket.Established {
		t.Errorf("%d strikes, %s", later.n, y.state())
	}
	y.send("34", "-")
	if got := x.text(); got != "12 34 ECONNRESET" || hit.n != 2 || later.n != 1 {
		t.Errorf("%q, %d and %d strikes", got, hit.n, later.n)
	}
}

// Who listens to events is told of each fault, and whose association it is.
func TestSCTPFaultEvents(t *testing.T) {
	f := &answers{connect: &StreamFaults{ResetSent: new(strikes).of(Fault{After: 3})}}
	a, b := faultyPair(t, f)
	b.listening("one4", addrB+":7")
	x := a.open("one4").at(addrA + ":5000")
	x.Owner.Store(7)
	x.with(addrB + ":7")
	var got []string
	stop := a.h.Trace(func(list []trace.Event) {
		for _, e := range list {
			if e.Kind == trace.Struck {
				got = append(got, fmt.Sprintf("%q own%d sock%d proto%d %v %v at %v", e.Err, e.Owner, e.Socket, e.Protocol, e.Local, e.Peer, e.Time))
			}
		}
	})
	x.send("1234", "-")
	stop()
	want := fmt.Sprintf("%q own7 sock%d proto132 %s:5000 %s:7 at %v", "a fault", x.ID, addrA, addrB, a.clock.Now())
	if len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %s", got, want)
	}
}

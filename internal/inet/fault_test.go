package inet

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/trace"
)

// answers are what a stack is told that asks what goes wrong.
type answers struct {
	connect, accepted *StreamFaults
	accept            *Fault
	asked             []string
}

func (a *answers) note(call string, c FaultyCall) {
	a.asked = append(a.asked, fmt.Sprintf("%s own%d proto%d %v > %v", call, c.Owner, c.Proto, c.From, c.To))
}

func (a *answers) Connect(c FaultyCall) *StreamFaults  { a.note("connect", c); return a.connect }
func (a *answers) Accept(c FaultyCall) *Fault          { a.note("accept", c); return a.accept }
func (a *answers) Accepted(c FaultyCall) *StreamFaults { a.note("accepted", c); return a.accepted }

// strikes completes a fault: it strikes, and is over, as long as the test says so. n counts how often it is asked.
type strikes struct {
	misses, over bool
	n            int
}

func (s *strikes) of(f Fault) *Fault {
	f.Text = "a fault"
	f.Strike = func() bool { s.n++; return !s.misses }
	f.Over = func() bool { return s.over }
	f.Told = func() string { return fmt.Sprintf("struck %d", s.n) }
	return &f
}

// faultyPair returns two machines, the first of which asks what goes wrong.
func faultyPair(t *testing.T, f *answers) (a, b *machine) {
	return newPair(t, Config{Faults: f})
}

// dies looks at a socket whose connection was reset: the error once, then the end (Linux, tcp_reset).
func (s *sock) dies(what, reads string) {
	s.m.t.Helper()
	if got := s.text(); got != reads {
		s.m.t.Errorf("%s: receives %q, want %q", what, got, reads)
	}
	if got := s.state(); got != socket.Unconnected {
		s.m.t.Errorf("%s: %s", what, got)
	}
	if err := s.send("x", "-"); err != syscall.EPIPE {
		s.m.t.Errorf("%s: send: %v", what, err)
	}
}

// leaving is a segment on the wire.
type leaving struct {
	wire.TCP
	data string
}

// leaves are the segments that a machine has sent since took was called last.
func (m *machine) leaves() (out []leaving) {
	for _, b := range m.took() {
		h, n, err := wire.ParseTCP(b[20:])
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, leaving{h, string(b[20+n:])})
	}
	return out
}

// edges watches a socket. What it returns says of what that was told since.
func (s *sock) edges(mask wait.Events) (told func() wait.Events) {
	set := socket.NewPollSet(s.m.h)
	s.m.t.Cleanup(func() { set.Close() })
	if err := set.Add(s.Socket, mask|socket.EdgeTriggered, nil); err != nil {
		s.m.t.Fatal(err)
	}
	return func() (ev wait.Events) {
		list := make([]socket.Event, 1)
		if n, _ := set.Wait(noContext, list); n > 0 {
			ev = list[0].Events
		}
		return ev
	}
}

// kinds are the kinds of the segments that a machine has sent since it was asked last: of RST and SYN, and how many bytes.
func (m *machine) kinds() (out []string) {
	for _, seg := range m.leaves() {
		k := fmt.Sprint(len(seg.data))
		switch {
		case seg.Flags&wire.RST != 0:
			k = "R"
		case seg.Flags&wire.SYN != 0:
			k = "S"
		case seg.Flags&wire.FIN != 0:
			k += "F"
		}
		out = append(out, k)
	}
	return out
}

// The questions name the program, the protocol, and the connection as the side that connects has it.
func TestFaultQuestions(t *testing.T) {
	f := &answers{}
	a, b := faultyPair(t, f)
	b.open("tcp4").at(addrB + ":80").Listen(5)
	c := a.open("tcp4").at(addrA + ":5000")
	c.Owner.Store(7)
	c.with(addrB + ":80")
	l := a.open("tcp4").at(addrA + ":81")
	l.Owner.Store(8)
	l.Listen(5)
	if _, err := l.Accept(noContext); err != syscall.EAGAIN {
		t.Error(err)
	}
	b.open("tcp4").at(addrB + ":5001").with(addrA + ":81")
	s := l.accept()
	want := []string{
		"connect own7 proto6 10.0.0.1:5000 > 10.0.0.2:80",
		"accept own8 proto6 invalid AddrPort > 10.0.0.1:81",
		"accepted own8 proto6 10.0.0.2:5001 > 10.0.0.1:81",
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("%q", f.asked)
	}
	if c.InPieces() || s.InPieces() || endpointOf(c.Socket).faulty() != nil || endpointOf(s.Socket).faulty() != nil {
		t.Error("nothing was to happen")
	}
}

// connectFaults are the kinds of faults of a connect, how long they hold it, and the errno that it fails with; 0: it begins.
var connectFaults = []struct {
	name  string
	fault Fault
	miss  bool
	held  time.Duration
	fails syscall.Errno
}{
	{"refused", Fault{Errno: syscall.ECONNREFUSED}, false, 0, syscall.ECONNREFUSED},
	{"timed out", Fault{Errno: syscall.ETIMEDOUT, Wait: 3 * time.Second}, false, 3 * time.Second, syscall.ETIMEDOUT},
	{"late", Fault{Wait: 500 * time.Millisecond}, false, 500 * time.Millisecond, 0},
	{"missed", Fault{Errno: syscall.ECONNREFUSED, Wait: time.Second}, true, 0, 0},
}

// An attempt to connect fails with the errno after its time, during which no SYN leaves; or it begins then. Who ends it before hears no more of
// it.
func TestFaultConnect(t *testing.T) {
	const ended = wait.In | wait.Out | wait.RdHup | wait.Hup | wait.Err
	for _, c := range connectFaults {
		f, hit := &answers{}, &strikes{misses: c.miss}
		a, b := faultyPair(t, f)
		b.open("tcp4").at(addrB + ":80").Listen(5)
		began := func() *sock {
			f.connect = &StreamFaults{Connect: hit.of(c.fault)}
			return a.open("tcp4").with(addrB + ":80")
		}
		s := began()
		if c.held > 0 {
			a.clock.Advance(c.held - 1)
			if s.state() != "SYN-SENT" || s.ready() != 0 || s.connect(addrB+":80") != syscall.EALREADY || len(a.took()) != 0 {
				t.Errorf("%s: %s, %#x before its time", c.name, s.state(), s.ready())
			}
			a.clock.Advance(1)
		} else {
			a.clock.Advance(0)
		}
		if c.fails != 0 {
			if s.ready() != ended || len(a.took()) != 0 {
				t.Errorf("%s: ready for %#x", c.name, s.ready())
			}
			if err := s.FinishConnect(); err != c.fails {
				t.Errorf("%s: %v", c.name, err)
			}
			f.connect = nil
			if s.with(addrB + ":80"); s.state() != "ESTAB" {
				t.Errorf("%s: another attempt is in %s", c.name, s.state())
			}
		} else if s.state() != "ESTAB" {
			t.Errorf("%s: %s", c.name, s.state())
		}
		if hit.n != 1 {
			t.Errorf("%s: %d strikes", c.name, hit.n)
		}
		s.Close()
		if c.held > 0 {
			s = began()
			s.Close()
			s = began()
			s.connect("")
			if n := a.connections(); n != 1 { // of which one is the first's
				t.Errorf("%s: %d connections of attempts that have ended", c.name, n)
			}
			a.took()
			a.clock.Advance(c.held)
			if out := a.took(); len(out) != 0 || s.state() != socket.Unconnected {
				t.Errorf("%s: %d packets after the end, %s", c.name, len(out), s.state())
			}
		}
	}
}

// A connection that both ends have opened at once is no attempt any more: what was to happen to that does not.
func TestFaultConnectCrossed(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.ETIMEDOUT} {
		f := &answers{connect: &StreamFaults{Connect: new(strikes).of(Fault{Errno: errno, Wait: time.Second})}}
		a, b := faultyPair(t, f)
		c := a.open("tcp4").at(addrA + ":5").with(addrB + ":6")
		d := b.open("tcp4").at(addrB + ":6").with(addrA + ":5")
		if c.state() != "ESTAB" || d.state() != "ESTAB" {
			t.Fatalf("%s, %s", c.state(), d.state())
		}
		a.took()
		a.clock.Advance(time.Second)
		if out := a.kinds(); len(out) != 0 || c.state() != "ESTAB" {
			t.Errorf("%v: %q left, %s", errno, out, c.state())
		}
	}
}

// A SYN that a fault holds back takes no data along, as a client may do without Fast Open at any time (RFC 7413).
func TestFaultFastOpen(t *testing.T) {
	cfg := opens(1)
	f := &answers{connect: &StreamFaults{Connect: new(strikes).of(Fault{Wait: time.Second})}}
	cfg.Faults = f
	a, b := newPair(t, cfg)
	b.open("tcp4").at(addrB + ":80").Listen(5)
	s := a.open("tcp4")
	if n, err := s.sendOpen("data", addrB+":80", abi.MSG_DONTWAIT); n != 0 || err != syscall.EINPROGRESS || len(a.took()) != 0 {
		t.Errorf("%d, %v", n, err)
	}
	a.clock.Advance(time.Second)
	if out := a.leaves(); len(out) == 0 || out[0].Flags != wire.SYN|wire.ECE|wire.CWR && out[0].Flags != wire.SYN || out[0].data != "" || s.state() != "ESTAB" {
		t.Errorf("%+v, %s", out, s.state())
	}
}

// A reset comes behind so many bytes of what the program sends, which the peer has before it, and the program can read what it has got.
func TestFaultResetSent(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{ResetSent: hit.of(Fault{After: 10})}}
	a, b := faultyPair(t, f)
	c, s := joined(t, a, b, addrB+":80")
	s.send("from the server", "-")
	c.send("123456789", "-")
	if c.state() != "ESTAB" || hit.n != 0 || s.text() != "123456789" {
		t.Fatalf("%s after 9 bytes, %d strikes", c.state(), hit.n)
	}
	a.took()
	told := c.edges(wait.In | wait.RdHup)
	told()
	if err := c.send("0abcdef", "-"); err != nil {
		t.Error(err)
	}
	if ev, want := told(), wait.In|wait.RdHup|wait.Hup|wait.Err; ev != want {
		t.Errorf("told of %#x, want %#x", ev, want)
	}
	if out := a.leaves(); len(out) != 2 || out[0].data != "0" || out[1].Flags&wire.RST == 0 || out[1].Seq != out[0].Seq+1 {
		t.Errorf("%+v", out)
	}
	if !slices.Equal(a.notes, []string{"struck 1"}) {
		t.Errorf("told: %q", a.notes)
	}
	c.dies("the client", "from the server ECONNRESET ")
	s.dies("the server", "0 ECONNRESET ")
	if hit.n != 1 || a.connections()+a.timers() != 0 {
		t.Errorf("%d strikes, %d connections, %d timers", hit.n, a.connections(), a.timers())
	}

	// Where it does not strike, all goes on; nor does the end of what is sent count for a byte.
	hit.misses, hit.n = true, 0
	c, s = joined(t, a, b, addrB+":81")
	c.send("123456789", "-")
	c.Shutdown(abi.SHUT_WR)
	if got := s.text(); got != "123456789 " || hit.n != 0 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
	c, s = joined(t, a, b, addrB+":82")
	c.send("1234567890abc", "-")
	c.send("def", "-")
	if got := s.text(); strings.ReplaceAll(got, " ", "") != "1234567890abcdef" || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
}

// A reset comes once the program has received so much: what it has not read is lost.
func TestFaultResetReceived(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{ResetReceived: hit.of(Fault{After: 10}), PeerStops: new(strikes).of(Fault{After: 1 << 20})}}
	a, b := faultyPair(t, f)
	c, s := joined(t, a, b, addrB+":80")
	s.send("123456789", "-")
	if g := c.recv(abi.MSG_PEEK); g.data != "123456789" {
		t.Error(g)
	}
	if g := c.recv(0); g.data != "123456789" || hit.n != 0 {
		t.Error(g, hit.n)
	}
	a.took()
	s.send("0abcdef", "-")
	if c.state() != "ESTAB" || hit.n != 0 {
		t.Errorf("%s, %d strikes before the program has received it", c.state(), hit.n)
	}
	c.dies("the client", "0 ECONNRESET ")
	s.dies("the server", "ECONNRESET ")
	if !slices.Equal(a.notes, []string{"struck 1"}) || hit.n != 1 || a.timers() != 0 {
		t.Errorf("told: %q; %d strikes, %d timers", a.notes, hit.n, a.timers())
	}

	// Of what the peer has ended and reset nothing is left that a reset could end.
	c, s = joined(t, a, b, addrB+":81")
	s.send("1234567890", "-")
	s.Opt.Linger = 0
	s.Close()
	if got := c.text(); got != "1234567890 ECONNRESET " || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
	c, s = joined(t, a, b, addrB+":82")
	c.Shutdown(abi.SHUT_WR)
	s.send("1234567890", "-")
	s.Close()
	if got := c.state(); got != "TIME-WAIT" {
		t.Fatal(got)
	}
	if got := c.text(); got != "1234567890 " || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}

	// Where it does not strike, all goes on.
	hit.misses, hit.n = true, 0
	c, s = joined(t, a, b, addrB+":83")
	s.send("1234567890abc", "-")
	if got := c.text(); got != "1234567890 abc" || hit.n != 1 || c.state() != "ESTAB" {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
}

// Nothing leaves for a while, once so much has; what was to happen behind more bytes happens then. Of two that are at one byte the reset comes.
func TestFaultPeerStops(t *testing.T) {
	const pause = 5 * time.Second
	for _, c := range []struct {
		stops, resets uint64
		misses        bool
		first, then   string // what the peer receives, before the pause ends and behind it
		strikes       int
	}{
		{4, 0, false, "1234", "567890", 1},
		{4, 8, false, "1234", "5678 ECONNRESET ", 2},
		{8, 4, false, "1234 ECONNRESET ", "", 1},
		{4, 4, false, "1234 ECONNRESET ", "", 1},
		{4, 8, true, "1234 5678 90", "", 2},
		{8, 4, true, "1234 5678 90", "", 2},
	} {
		hit := &strikes{misses: c.misses}
		f := &answers{connect: &StreamFaults{PeerStops: hit.of(Fault{After: c.stops, Wait: pause})}}
		if c.resets > 0 {
			f.connect.ResetSent = hit.of(Fault{After: c.resets})
		}
		a, b := faultyPair(t, f)
		k, s := joined(t, a, b, addrB+":80")
		k.set(abi.SOL_TCP, abi.TCP_NODELAY, 1)
		k.send("1234567", "-")
		k.send("890", "-")
		got := s.text()
		a.took()
		a.clock.Advance(pause - 1)
		if out := a.kinds(); len(out) != 0 {
			t.Errorf("%+v: %q leave meanwhile", c, out)
		}
		if got != c.first && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.first, " ", "") {
			t.Errorf("%+v: the peer receives %q", c, got)
		}
		a.clock.Advance(1)
		got = s.text()
		if c.then == "" {
			got = "" // the end, again
		}
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.then, " ", "") || hit.n != c.strikes {
			t.Errorf("%+v: then the peer receives %q, %d strikes", c, got, hit.n)
		}
	}
}

// A connection that ends while nothing leaves has no alarm left over.
func TestFaultEndsMeanwhile(t *testing.T) {
	for what, x := range map[string]*StreamFaults{
		"the peer stops":    {PeerStops: new(strikes).of(Fault{After: 2, Wait: time.Minute})},
		"the program stops": {Stop: new(strikes).of(Fault{Wait: time.Minute})},
	} {
		a, b := faultyPair(t, &answers{connect: x})
		c, s := joined(t, a, b, addrB+":80")
		c.send("12", "-")
		s.Opt.Linger = 0
		s.Close()
		if c.state() != socket.Unconnected || a.timers() != 0 || c.ready()&wait.In == 0 {
			t.Errorf("%s: %s, %d timers, ready for %#x", what, c.state(), a.timers(), c.ready())
		}
		if got := c.text(); got != "ECONNRESET " {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A program receives nothing for a while, once it has received so much: it waits as if nothing had come.
func TestFaultStop(t *testing.T) {
	const pause = 5 * time.Second
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{Stop: hit.of(Fault{After: 4, Wait: pause})}}
	a, b := faultyPair(t, f)
	c, s := joined(t, a, b, addrB+":80")
	s.send("123", "-")
	if got := c.text(); got != "123" || hit.n != 0 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
	s.send("4567", "-")
	if c.ready()&wait.In == 0 {
		t.Error("not ready")
	}
	if got := c.text(); got != "4" || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}
	told := c.edges(wait.In | wait.RdHup)
	s.Shutdown(abi.SHUT_WR)
	told()
	a.clock.Advance(pause - 1)
	if g := c.recv(0); g.err != syscall.EAGAIN || c.ready() != wait.Out {
		t.Errorf("%+v, ready for %#x", g, c.ready())
	}
	if ev := told(); ev != 0 {
		t.Errorf("told of %#x meanwhile", ev)
	}
	m := socket.Msg{Flags: abi.MSG_DONTWAIT, Before: 1, Max: 10}
	a.do(func() {
		if n, err := a.st.tcp.recv(endpointOf(c.Socket), &m); n != 0 || err != nil {
			t.Errorf("a receive that has something: %d, %v", n, err)
		}
	})
	a.clock.Advance(1)
	if ev := told(); c.ready() != wait.In|wait.Out|wait.RdHup || ev != wait.In|wait.RdHup {
		t.Errorf("ready for %#x, told of %#x", c.ready(), ev)
	}
	if got := c.text(); got != "567 " || hit.n != 1 {
		t.Errorf("%q, %d strikes", got, hit.n)
	}

	// From the beginning; and not at all.
	f.connect.Stop = hit.of(Fault{Wait: pause})
	c, s = joined(t, a, b, addrB+":81")
	s.send("1", "-")
	if got := c.text(); got != "" || c.ready() != wait.Out {
		t.Errorf("%q, ready for %#x", got, c.ready())
	}
	hit.misses = true
	c, s = joined(t, a, b, addrB+":82")
	s.send("1", "-")
	if got := c.text(); got != "1" {
		t.Errorf("%q where it does not strike", got)
	}
}

// Receives give the pieces in turn until it is over; a peek takes none.
func TestFaultPieces(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{Pieces: hit.of(Fault{Pieces: []int{1, 3}})}}
	a, b := faultyPair(t, f)
	c, s := joined(t, a, b, addrB+":80")
	if !c.InPieces() || s.InPieces() {
		t.Error(c.InPieces(), s.InPieces())
	}
	if g := c.recv(0); g.err != syscall.EAGAIN || hit.n != 0 {
		t.Errorf("%+v, %d strikes before anything has come", g, hit.n)
	}
	s.send("1234567890", "-")
	for _, want := range []string{"1", "234", "5"} {
		if p, g := c.recv(abi.MSG_PEEK), c.recv(0); p.data != want || g.data != want {
			t.Errorf("%q, then %q, want %q", p.data, g.data, want)
		}
	}
	if g := c.recvInto(2, 0); g.data != "67" {
		t.Errorf("%q", g.data)
	}
	if hit.n != 1 {
		t.Errorf("%d strikes", hit.n)
	}
	hit.over = true
	if g := c.recv(0); c.InPieces() || g.data != "890" {
		t.Errorf("%v, %q when it is over", c.InPieces(), g.data)
	}
	hit.over = false
	s.send("1234567890", "-")
	if g := c.recv(0); c.InPieces() || g.data != "1234567890" {
		t.Errorf("%v, %q after it was over", c.InPieces(), g.data)
	}

	// What has come before a reset is in pieces, too.
	c, s = joined(t, a, b, addrB+":81")
	s.send("12345", "-")
	s.Opt.Linger = 0
	s.Close()
	if got := c.text(); got != "1 234 5 ECONNRESET " || !c.InPieces() {
		t.Errorf("%q", got)
	}

	hit.misses, hit.n = true, 0
	c, s = joined(t, a, b, addrB+":82")
	s.send("1234567890", "-")
	if g := c.recv(0); g.data != "1234567890" || hit.n != 1 {
		t.Errorf("%q, %d strikes where it does not", g.data, hit.n)
	}
}

// An accept fails that would take a connection, and the next one has it. Who accepts ahead of the program asks by itself.
func TestFaultAccept(t *testing.T) {
	hit := new(strikes)
	f := &answers{accept: hit.of(Fault{Errno: syscall.ECONNABORTED})}
	a, b := faultyPair(t, f)
	l := a.open("tcp4").at(addrA + ":80")
	l.Listen(5)
	if _, err := l.Accept(noContext); err != syscall.EAGAIN || hit.n != 0 {
		t.Errorf("%v, %d strikes where nobody has come", err, hit.n)
	}
	b.open("tcp4").with(addrA + ":80")
	b.open("tcp4").with(addrA + ":80")
	if _, err := l.Accept(noContext); err != syscall.ECONNABORTED || hit.n != 1 || l.ready() != wait.In {
		t.Errorf("%v, %d strikes", err, hit.n)
	}
	if n, err := l.AcceptAhead(noContext); err != nil || hit.n != 1 {
		t.Errorf("ahead: %v, %d strikes", err, hit.n)
	} else {
		n.Close()
	}
	if err := l.AcceptFault(); err != syscall.ECONNABORTED || hit.n != 2 {
		t.Errorf("%v, %d strikes", err, hit.n)
	}
	hit.misses = true
	if err := l.AcceptFault(); err != nil || hit.n != 3 {
		t.Errorf("%v, %d strikes", err, hit.n)
	}
	if s := l.accept(); s.state() != "ESTAB" || hit.n != 4 {
		t.Errorf("%s, %d strikes", s.state(), hit.n)
	}
	f.accept = nil
	if err := l.AcceptFault(); err != nil {
		t.Error(err)
	}
	if m := b.open("tcp4").at(addrB + ":80"); m.AcceptFault() != nil {
		t.Error("a fault where there are none")
	}
}

// A connection is reset when it is accepted, or has happen to it later what is to happen; one that has ended before is left alone.
func TestFaultAccepted(t *testing.T) {
	hit, later := new(strikes), new(strikes)
	f := &answers{accepted: &StreamFaults{AtAccept: hit.of(Fault{}), ResetSent: later.of(Fault{After: 3})}}
	a, b := faultyPair(t, f)
	l := a.open("tcp4").at(addrA + ":80")
	l.Listen(5)
	come := func() *sock { return b.open("tcp4").with(addrA + ":80") }
	c := come()
	c.send("data", "-")
	a.took()
	s := l.accept()
	if out := a.kinds(); !slices.Equal(out, []string{"R"}) || !slices.Equal(a.notes, []string{"struck 1"}) {
		t.Errorf("%q, told %q", out, a.notes)
	}
	s.dies("the server", "ECONNRESET ")
	c.dies("the client", "ECONNRESET ")

	hit.misses = true
	c = come()
	s = l.accept()
	s.send("12", "-")
	if s.state() != "ESTAB" || later.n != 0 {
		t.Errorf("%s, %d strikes", s.state(), later.n)
	}
	s.send("345", "-")
	s.dies("the server", "ECONNRESET ")
	c.dies("the client", "123 ECONNRESET ")
	if hit.n != 2 || later.n != 1 {
		t.Errorf("%d and %d strikes", hit.n, later.n)
	}

	c = come()
	c.Opt.Linger = 0
	c.Close()
	if s = l.accept(); s.text() != "ECONNRESET " || hit.n != 2 || endpointOf(s.Socket).faulty() != nil {
		t.Errorf("%d strikes", hit.n)
	}
}

// What is to happen behind no byte happens when the connection is accepted.
func TestFaultAcceptedAtOnce(t *testing.T) {
	hit := new(strikes)
	f := &answers{accepted: &StreamFaults{PeerStops: hit.of(Fault{Wait: 5 * time.Second})}}
	a, b := faultyPair(t, f)
	l := a.open("tcp4").at(addrA + ":80")
	l.Listen(5)
	c := b.open("tcp4").with(addrA + ":80")
	s := l.accept()
	if hit.n != 1 {
		t.Errorf("%d strikes", hit.n)
	}
	a.clock.Advance(5*time.Second - 1)
	s.send("data", "-")
	if got := c.text(); got != "" {
		t.Errorf("%q has come", got)
	}
	a.clock.Advance(1)
	if got := c.text(); got != "data" {
		t.Errorf("%q has come", got)
	}
}

// Who was reset by a fault is not answered for a while, so that the RST is the last that is heard; then as any other.
func TestFaultSilence(t *testing.T) {
	hit := new(strikes)
	f := &answers{connect: &StreamFaults{ResetSent: hit.of(Fault{After: 1})}}
	a, b := faultyPair(t, f)
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	stray := func(port int) (answered bool) {
		a.took()
		cut := a.cut
		a.cut = true
		a.arrive(segment{addrB + ":80", fmt.Sprintf("%s:%d", addrA, port), wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1}, "", false}.packet())
		a.cut = cut
		return slices.Equal(a.kinds(), []string{"R"})
	}
	if !stray(5000) {
		t.Error("a segment of no connection is not answered")
	}
	struck := func(port int) {
		c := a.open("tcp4").at(fmt.Sprintf("%s:%d", addrA, port)).with(addrB + ":80")
		l.accept()
		a.cut = true // the RST is lost
		c.send("x", "-")
		a.cut = false
		if c.state() != socket.Unconnected {
			t.Fatal(c.state())
		}
	}
	struck(5000)
	if stray(5000) || !stray(5001) {
		t.Error("who was reset is answered, or another is not")
	}
	a.clock.Advance(silenceTime - 1)
	struck(5002)
	if stray(5000) || stray(5002) {
		t.Error("answered too early")
	}
	a.clock.Advance(1)
	if !stray(5000) || stray(5002) {
		t.Error("still silent, or answered too early")
	}
	struck(5003)
	if n := len(a.st.tcp.silences.until); n != 2 {
		t.Errorf("%d are kept, of which one is over", n)
	}
}

// Who listens to events is told of each fault, behind what the connection has done before.
func TestFaultEvents(t *testing.T) {
	f := &answers{connect: &StreamFaults{ResetSent: new(strikes).of(Fault{After: 3})}}
	a, b := faultyPair(t, f)
	b.open("tcp4").at(addrB + ":80").Listen(5)
	c := a.open("tcp4")
	c.Owner.Store(7)
	c.at(addrA + ":5000").with(addrB + ":80")
	var all []trace.Event
	defer a.h.Trace(func(list []trace.Event) { all = append(all, list...) })()
	c.send("1234", "-")
	var got []string
	for _, e := range all {
		switch e.Kind {
		case trace.Sent:
			got = append(got, fmt.Sprintf("sent %d", e.Len))
		case trace.Struck:
			got = append(got, fmt.Sprintf("struck %q own%d sock%d %v %v", e.Err, e.Owner, e.Socket, e.Local, e.Peer))
		}
	}
	want := []string{"sent 3", fmt.Sprintf("struck %q own7 sock%d %s:5000 %s:80", "a fault", c.ID, addrA, addrB), "sent 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

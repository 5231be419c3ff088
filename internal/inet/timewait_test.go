package inet

import (
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
	"usock/internal/wire"
)

// toTimeWait closes a connection, the machine's end s first, which comes to TIME-WAIT. What the machine sends from then on goes nowhere.
func (m *machine) toTimeWait(s, c *sock) {
	m.t.Helper()
	s.Close()
	c.Close()
	if m.st.tcp.timeWaits.Load() != 1 {
		m.t.Fatal("no TIME-WAIT")
	}
	m.took()
	m.cut = true
}

// A socket that is open when its connection has come to TIME-WAIT reads what is left, and holds its port no longer than the record.
func TestTimeWaitReads(t *testing.T) {
	for _, first := range []bool{false, true} { // closed before 2 MSL are over
		a, b := newPair(t, Config{})
		c, s := joined(t, a, b, addrB+":80")
		c.Shutdown(abi.SHUT_WR)
		s.send("abc", "-")
		s.Close()
		if got := c.state(); got != "TIME-WAIT" {
			t.Fatal(got)
		}
		if !first {
			a.clock.Advance(time.Minute)
		}
		for _, want := range []string{"a", "b", "c", ""} {
			if g := c.recvInto(1, 0); g.data != want || g.err != nil {
				t.Errorf("%+v, want %q", g, want)
			}
		}
		c.Close()
		if first {
			if n := a.st.tcp.timeWaits.Load(); n != 1 || a.connections() != 1 {
				t.Errorf("%d in TIME-WAIT, %d connections", n, a.connections())
			}
			a.clock.Advance(time.Minute)
		}
		if a.connections() != 0 || a.st.tcp.ports.buckets.n != 0 || a.timers() != 0 {
			t.Errorf("%d connections, %d ports, %d timers are left", a.connections(), a.st.tcp.ports.buckets.n, a.timers())
		}
	}
}

// A record of IPv6's family is listed as that, with the addresses that are on the wire.
func TestTimeWaitFamily(t *testing.T) {
	for at, local := range map[string]string{"[" + addrB6 + "]:80": addrA6, "[::ffff:" + addrB + "]:80": addrA} {
		a, b := newPair(t, Config{})
		c, s := joined(t, a, b, at)
		c.Close()
		s.Close()
		list := a.listed()
		if len(list) != 1 || list[0].State != "TIME-WAIT" || list[0].Domain != abi.AF_INET6 || list[0].Local.IP != addr(local) || list[0].Left != time.Minute {
			t.Errorf("%s: %+v", at, list)
		}
	}
}

// A SYN that may begin anew where TIME-WAIT is does so only where somebody listens; elsewhere it is answered as what it is there, a segment
// out of order (RFC 9293, section 3.10.7.4).
func TestTimeWaitNobodyListens(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	local := c.local()
	b.toTimeWait(s, c)
	b.clock.Advance(2 * time.Second)
	b.arrive(segment{local, addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1 << 30, Options: wire.TCPOptions{HasTimestamp: true, TSVal: 1 << 30}}, "", false}.packet())
	if out := b.segments(); len(out) != 1 || out[0].Flags&wire.SYN != 0 || b.st.tcp.timeWaits.Load() > 1 {
		t.Errorf("%+v, %d in TIME-WAIT", out, b.st.tcp.timeWaits.Load())
	}
}

// A peer's attempt that it takes back leaves the listener's queue.
func TestAttemptTakenBack(t *testing.T) {
	_, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	b.cut = true
	syn := segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 99, Window: 1000}, "", false}
	b.arrive(syn.packet())
	if n := endpointOf(l.Socket).listener.incomplete.Load(); n != 1 || b.connections() != 1 {
		t.Errorf("%d attempts, %d connections", n, b.connections())
	}
	syn.Flags, syn.Seq = wire.RST, 100
	b.arrive(syn.packet())
	if n := endpointOf(l.Socket).listener.incomplete.Load(); n != 0 || b.connections() != 0 {
		t.Errorf("%d attempts are left, %d connections", n, b.connections())
	}
}

// Who watches a connection is told of the direction that its program shuts.
func TestShutTold(t *testing.T) {
	a, b := newPair(t, Config{})
	c, _ := joined(t, a, b, addrB+":80")
	told := c.edges(wait.In | wait.Out | wait.RdHup)
	told()
	c.Shutdown(abi.SHUT_WR)
	if ev := told(); ev&wait.Out == 0 {
		t.Errorf("told of %#x", ev)
	}
	c.Shutdown(abi.SHUT_RD)
	if ev := told(); ev&(wait.In|wait.RdHup) != wait.In|wait.RdHup {
		t.Errorf("told of %#x", ev)
	}
}

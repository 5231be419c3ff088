package tcp

import "testing"

func (s *script) wantOrphans(n int) {
	s.t.Helper()
	if got := int(s.cfg.Memory.orphans.Load()); got != n {
		s.t.Errorf("%d orphans, want %d", got, n)
	}
}

// An orphan is one from close until everything is sent, and acknowledged with the FIN.
func TestOrphansCounted(t *testing.T) {
	for _, c := range []struct {
		name    string
		linger2 int32
		then    []string
		left    int
	}{
		{"FIN-WAIT-2", 0, []string{". 1 ack 102"}, 0},
		{"FIN-WAIT-2, longer than TIME-WAIT", 61, []string{". 1 ack 102"}, 1},
		{"FIN-WAIT-2, longer than TIME-WAIT, then TIME-WAIT", 61, []string{". 1 ack 102", "F. 1 ack 102"}, 0},
		{"CLOSING", 0, []string{"F. 1 ack 1"}, 1},
		{"TIME-WAIT", 0, []string{"F. 1 ack 102"}, 0},
		{"reset", 0, []string{"R. 1 ack 1"}, 0},
	} {
		tc := newScript(t, plain)
		tc.c.opt.Linger2 = c.linger2
		tc.connect()
		tc.write(100)
		tc.wantOrphans(0)
		tc.close()
		tc.wantOrphans(1)
		for _, g := range c.then {
			tc.recv(g)
		}
		t.Log(c.name)
		tc.wantOrphans(c.left)
		tc.c.Release()
		tc.wantOrphans(0)
		tc.out = nil
	}

	tc := newScript(t, plain)
	tc.connect()
	tc.recv("F. 1 ack 1")
	tc.close()
	tc.wantState(LastAck)
	tc.wantOrphans(1)
	tc.recv(". 2 ack 2")
	tc.wantOrphans(0)
	tc.out = nil

	// FIN-WAIT-2 before the program lets go.
	tc = newScript(t, plain)
	tc.connect()
	tc.shutdown()
	tc.recv(". 1 ack 2")
	tc.close()
	tc.wantOrphans(0)
	tc.out = nil
}

// One orphan more than there may be is reset at once.
func TestTooManyOrphans(t *testing.T) {
	tc := newScript(t, plain)
	tc.cfg.MaxOrphans = 5
	tc.cfg.Memory.orphans.Store(4)
	tc.connect()
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.close()
	tc.want("F. 101 ack 1")
	tc.wantOrphans(5)

	two := newScript(t, plain)
	two.cfg.MaxOrphans = 5
	two.cfg.Memory.orphans.Store(5)
	two.connect()
	two.write(100)
	two.want("P. 1+100 ack 1")
	two.close()
	two.want("R. 101 ack 1")
	two.wantState(Closed)
	two.wantOrphans(5)
	two.wantCounts("OutRsts 1 TCPAbortOnMemory 1")
}

// An orphan that holds more than the least is reset when there is no memory.
func TestOrphanWithoutMemory(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{{1000, "F. 1001 ack 1"}, {8000, "R. 8001 ack 1"}} {
		tc := newScript(t, plain)
		tc.connect()
		tc.recv(". 1 ack 1 win 65535")
		tc.queueRaw(c.n)
		tc.pump()
		tc.out = nil
		tc.scarce(2 << 20)
		tc.close()
		tc.want(c.want)
		tc.out = nil
	}
}

// Later its timers ask again. One whose peer is silent for long counts twice.
func TestOrphanTimers(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.close()
	tc.want("F. 101 ack 1")
	tc.wantAfter(leastRTO, "P. 1+100 ack 1")
	tc.out = nil
	tc.cfg.MaxOrphans = 5
	tc.cfg.Memory.orphans.Store(6)
	tc.wantAfter(2*leastRTO, "R. 102 ack 1")
	tc.wantState(Closed)
	tc.wantOrphans(5)

	// The window is closed.
	tc = newScript(t, plain)
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.write(100)
	tc.close()
	tc.cfg.MaxOrphans = 5
	tc.cfg.Memory.orphans.Store(6)
	tc.wantAfter(leastRTO, "R. 1 ack 1")
	tc.wantState(Closed)

	tc = newScript(t, plain)
	tc.connect()
	tc.recv(". 1 ack 1 win 0")
	tc.write(100)
	tc.close()
	tc.cfg.MaxOrphans = 5
	tc.cfg.Memory.orphans.Store(3)
	for range 200 {
		tc.sleep(secs(1))
		tc.out = nil               // probes
		tc.recv(". 1 ack 1 win 0") // it answers
		if tc.c.state == Closed {
			t.Fatal("given up after", tc.now)
		}
	}
	for range 300 {
		tc.out = nil
		tc.sleep(secs(1))
	}
	tc.wantState(Closed) // nothing was sent for four minutes
	if n := tc.cfg.Counters.TCPAbortOnMemory; n != 1 {
		t.Errorf("TCPAbortOnMemory %d", n)
	}
	tc.rest()
}

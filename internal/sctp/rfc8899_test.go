package sctp

import (
	"testing"
	"time"
)

// probes carries the probes of a path that carries no more than mtu bytes, for so long, and returns the sizes
// that were tried.
func (s *script) probes(d time.Duration, mtu int) (sizes []int) {
	s.t.Helper()
	end := s.now + d
	for {
		for len(s.out) > 0 {
			p := s.out[0]
			s.out = s.out[1:]
			n := 20 + 12
			for _, c := range p.chunks {
				n += c.Len()
			}
			if p.Fragment {
				s.t.Fatal("a probe that may be fragmented")
			}
			sizes = append(sizes, n)
			if n <= mtu {
				s.recv("HEARTBEAT-ACK " + hexOf(p.chunks[0].Value))
			}
		}
		if s.a.Deadline() > end {
			s.now = end
			return sizes
		}
		s.now = s.a.Deadline()
		s.a.Expire(s.now)
		s.pump()
	}
}

// RFC 8899, section 5.3: search for the path MTU by probes.
func TestRFC8899(t *testing.T) {
	every := func(s *script) { s.o.Path.ProbeIntvl = 10 * time.Second }
	wantMTU := func(tc *script, mtu int) {
		tc.t.Helper()
		if i, _ := tc.a.Path(scriptAddrs["A"][0]); i.MTU != mtu {
			tc.t.Fatalf("path MTU %d, want %d", i.MTU, mtu)
		}
	}
	runCases(t, []scriptCase{
		{name: "the path carries what the link does", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			sizes := tc.probes(time.Second, 1500)
			if len(sizes) != 2 || sizes[0] != 1200 || sizes[1] != 1500 {
				tc.t.Fatal(sizes)
			}
			wantMTU(tc, 1500)
		}},
		{name: "less than the link: the search ends close below", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			sizes := tc.probes(40*time.Second, 1400)
			i, _ := tc.a.Path(scriptAddrs["A"][0])
			if i.MTU > 1400 || i.MTU < 1400-probeStep {
				tc.t.Fatalf("path MTU %d of 1400, tried: %v", i.MTU, sizes)
			}
		}},
		{name: "a black hole is noticed, and left", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			tc.probes(time.Second, 1500)
			wantMTU(tc, 1500)
			tc.probes(14*time.Second, 1300)
			wantMTU(tc, 1200)
			tc.probes(60*time.Second, 1300)
			i, _ := tc.a.Path(scriptAddrs["A"][0])
			if i.MTU > 1300 || i.MTU < 1300-probeStep {
				tc.t.Fatalf("path MTU %d of 1300", i.MTU)
			}
		}},
		{name: "less than the base", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			tc.probes(5*time.Second, 600)
			wantMTU(tc, minPathMTU)
			tc.wantState(Established)
		}},
		{name: "a larger size is tried again after a while", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			tc.probes(40*time.Second, 1400)
			tc.probes(raiseAfter*11*time.Second, 1500)
			wantMTU(tc, 1500)
		}},
		{name: "an ICMP error about the probe is a hint", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			tc.want("HEARTBEAT; PAD")
			tc.recv("HEARTBEAT-ACK")
			tc.want("HEARTBEAT; PAD")
			tc.icmp(&ICMPError{MTU: 1352})
			wantMTU(tc, 1200)
			if sizes := tc.probes(time.Second, 1352); len(sizes) != 1 || sizes[0] != 1352 {
				tc.t.Fatal(sizes)
			}
			wantMTU(tc, 1352)
		}},
		{name: "an answer to no probe is nothing", opts: []scriptOption{every}, run: func(tc *script) {
			tc.connect()
			tc.want("HEARTBEAT; PAD")
			v := append([]byte(nil), tc.peer.heartbeat...)
			v[30] ^= 1
			tc.recv("HEARTBEAT-ACK " + hexOf(v))
			tc.wantIdle("the nonce is wrong")
			tc.recv("HEARTBEAT-ACK")
			tc.want("HEARTBEAT; PAD")
		}},
		{name: "off unless asked for", run: func(tc *script) {
			tc.connect()
			tc.advance(time.Hour)
			tc.wantIdle("no probes")
		}},
	})
}

// The search ends, however large the link's packets are.
func TestProbeLargeLink(t *testing.T) {
	for _, mtu := range []int{65532, 65535, 1 << 20} {
		a := new(Assoc)
		c := testConfig(0)
		o := c.DefaultOptions()
		o.Path.ProbeIntvl = 5 * time.Second
		a.setup(c, o, c.DefaultBuffers(), 1, 2)
		p := a.addPath(pairAddr(1, 0))
		a.primary, a.use, a.ctl, a.ackTo = p, p, p, p
		p.state, p.routeMTU = PathActive, int32(mtu)
		a.setState(Established)
		a.startProbe(0, p)
		for i := 0; p.probe.state != probeComplete; i++ {
			if i > 40 {
				t.Fatalf("of a link of %d bytes: no end at %d to %d", mtu, p.probe.low, p.probe.high)
			}
			p.probe.waiting = true
			a.probed(0, p, p.probe.nonce, int(p.probe.size))
		}
		if p.probe.low != 65532 {
			t.Errorf("of a link of %d bytes: %d", mtu, p.probe.low)
		}
	}
}

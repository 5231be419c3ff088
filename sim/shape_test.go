package sim_test

import (
	"testing"
	"time"

	"usock/sim"
)

// A link as a script says: a name of a host, a time, and the second connection.
func TestShaped(t *testing.T) {
	run := func(script string) (elapsed [3]time.Duration, lost uint64) {
		n := sim.NewManual(t, 3)
		a, b := n.Host("client"), n.Host("server")
		l := n.Link(a, b, sim.Shaped(script))
		n.Start()
		for i := range elapsed {
			res := n.Flow(a, b, sim.FlowConfig{Bytes: 1000, Limit: time.Minute}).Wait()
			if res.Err != nil {
				t.Fatalf("%s: %v", script, res.Err)
			}
			elapsed[i] = res.Elapsed.Round(time.Millisecond)
		}
		to, back := l.Stats()
		n.Close()
		return elapsed, to.Lost + back.Lost
	}
	const ms = time.Millisecond
	plain, _ := run("delay 10ms")
	if plain[0] != plain[1] || plain[1] != plain[2] || plain[0] != 30*ms {
		t.Fatalf("%v", plain)
	}
	named, _ := run("delay 10ms\nto server connection 2: delay 10ms")
	if named[0] != plain[0] || named[1] != 2*plain[0] || named[2] != plain[0] {
		t.Errorf("%v, without the rule %v", named, plain)
	}
	if other, _ := run("delay 10ms\nto client: cut\nto nobody: cut\nudp: cut"); other != plain {
		t.Errorf("%v, without the rules %v", other, plain)
	}
	timed, lost := run("delay 10ms\nat 5ms: cut\nat 10s: heal")
	if timed[0] < 10*time.Second || timed[1] != plain[0] || lost == 0 {
		t.Errorf("%v, %d lost", timed, lost)
	}
	again, lostAgain := run("delay 10ms\ntcp: loss 20% jitter 5ms delay 20ms")
	twice, lostTwice := run("delay 10ms\ntcp: loss 20% jitter 5ms delay 20ms")
	if again != twice || lostAgain != lostTwice || lostAgain == 0 {
		t.Errorf("one seed: %v, %d lost; %v, %d lost", again, lostAgain, twice, lostTwice)
	}
}

// A cut of a link that changes by itself lasts until it is healed, and what has been goes on.
func TestShapedCut(t *testing.T) {
	n := sim.NewManual(t, 3)
	a, b := n.Host("client"), n.Host("server")
	l := n.Link(a, b, sim.Shaped("profile satellite-leo\ntcp: delay 1ms"))
	n.Start()
	f := n.Flow(a, b, sim.FlowConfig{Bytes: 100 << 20, Limit: 10 * time.Minute})
	n.Sleep(time.Second)
	l.Cut()
	n.Sleep(time.Minute)
	if got := f.Meter.Rate(2*time.Second, time.Minute); got != 0 {
		t.Errorf("%v bit/s while the link is cut", got)
	}
	l.Heal()
	if res := f.Wait(); res.Err != nil || res.Elapsed < time.Minute {
		t.Errorf("%+v", res)
	}
}

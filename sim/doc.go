// Package sim makes networks of hosts for tests: hosts, routers, and links between
// them that delay, lose, reorder and limit what they carry, break and heal.
//
// # Three kinds of time
//
// In manual time ([NewManual]) all happens on the goroutine of the test, while that has time
// pass. The network is a function of its seed and of what the test does: every packet, every
// number and every byte of a capture is the same on every machine, under any load. Programs
// may not block; flows are made for it.
//
//	n := sim.NewManual(t, 1)
//	a, b := n.Host("a"), n.Host("b")
//	l := n.Link(a, b, sim.Both(link.Impairment{Delay: 20 * time.Millisecond, Loss: 0.01}))
//	n.Start()
//	f := n.Flow(a, b, sim.FlowConfig{Bytes: 1 << 20})
//	n.Sleep(100 * time.Millisecond)
//	l.Cut()
//	n.Sleep(time.Minute)
//	l.Heal()
//	res := f.Wait()
//
// Inside a bubble of testing/synctest a network runs in virtual time: minutes of a slow
// connection take as long as its packets take to be computed, and programs block as they
// like. Go schedules their goroutines and fires the timers of one moment in any order. What
// is promised is times and totals: what takes a second takes a second, and every byte
// arrives; not which packet of two that are sent at one moment goes first, nor, for that,
// which one is lost.
//
// Outside of one it runs in real time.
//
//	synctest.Test(t, func(t *testing.T) {
//		n := sim.New(t, 1)
//		a, r, b := n.Host("a"), n.Router("r"), n.Host("b")
//		n.Link(a, r, sim.LinkConfig{})
//		slow := n.Link(r, b, sim.Both(link.Impairment{Delay: 20 * time.Millisecond, Rate: 10e6}))
//		n.Start()
//		f := n.Flow(a, b, sim.FlowConfig{Bytes: 1 << 20})
//		time.Sleep(100 * time.Millisecond)
//		slow.Cut()
//		time.Sleep(time.Second)
//		slow.Heal()
//		if res := f.Wait(); res.Err != nil {
//			t.Fatal(res.Err)
//		}
//	})
//
// For tests that need no topology there are the shapes that golang.org/issue/77362 asks for,
// over real TCP, UDP and IP: [NewListener], [NewConnPair] and [NewPacketNet], whose calls can
// be made to fail, and [NewServer] for net/http. The [LinkConfig] says what is between the
// ends. The log of a test that fails has the network's seed, and USOCK_SEED replays it where
// [Seed] chose it.
//
// Hosts are usock hosts, and know each other by name: sockets are made with Dial, Listen
// and Socket as anywhere. What a network and its hosts draw at random follows from its seed:
// two networks with the same seed, whose packets are sent at the same times, lose the same
// ones.
//
// sim may import usock, clock and link. Begin with net.go; manual.go has manual time, and
// listener.go the listeners and connections that fail.
package sim

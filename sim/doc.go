// Package sim makes networks of hosts for tests: hosts, routers, and links between
// them that delay, lose, reorder and limit what they carry, break and heal.
//
// Inside a bubble of testing/synctest a network runs in virtual time: minutes of a
// slow connection take as long as its packets take to be computed. Outside of one
// it runs in real time.
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
// be made to fail, and [NewServer] for net/http. The
// [LinkConfig] says what is between the ends. The log of a test that fails has the network's seed, and USOCK_SEED replays
// it where [Seed] chose it.
//
// Hosts are usock hosts, and know each other by name: sockets are made with Dial, Listen
// and Socket as anywhere. What a network draws at random follows from its seed: two networks
// with the same seed, whose packets are sent at the same times, lose the same ones.
//
// sim may import usock and link. Begin with net.go, and for listeners and
// connections that fail with listener.go.
package sim

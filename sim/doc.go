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
// Hosts are usock hosts: sockets are made with Dial, Listen and Socket as
// anywhere. What a network draws at random follows from its seed: two networks
// with the same seed, whose packets are sent at the same times, lose the same ones.
//
// sim may import usock and link. Begin with net.go.
package sim

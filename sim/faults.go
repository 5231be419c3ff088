package sim

import "usock/shape"

// Fault is something that goes wrong at the calls of a network's hosts, in the words of shape.Fault. The program that its
// process names is a host:
//
//	l := sim.NewListener(t, sim.LinkConfig{}, "reset after 1000 bytes process server")
type Fault string

// Faults has faults strike at the calls of the hosts that have no Config.Faults of their own. They are decided by the network's
// seed. It is called before Start, once.
func (n *Net) Faults(faults ...Fault) {
	n.t.Helper()
	if n.started {
		n.t.Fatalf("sim: faults are added before the start")
	}
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = string(f)
	}
	var err error
	if n.faults, err = shape.ParseFaults(n.seed, texts...); err != nil {
		n.t.Fatalf("sim: %v", err)
	}
}

package sim

import "usock/shape"

// Fault is something that goes wrong at the calls of a network's hosts, in the words of shape.Fault. The program that its
// process names is a host:
//
//	l := sim.NewListener(t, sim.LinkConfig{}, "reset after 1000 bytes process server")
type Fault string

// Faults has faults strike at the calls of the hosts that have no Config.Faults of their own. They are decided by the network's
// seed. It is called before Start.
func (n *Net) Faults(faults ...Fault) {
	n.t.Helper()
	if n.started {
		n.t.Fatalf("sim: faults are added before the start")
	}
	for _, text := range faults {
		f, err := shape.ParseFault(string(text))
		if err != nil {
			n.t.Fatalf("sim: fault %q: %v", text, err)
		}
		n.faults = append(n.faults, f)
	}
}

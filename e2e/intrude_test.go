//go:build linux

package e2e

import "testing"

// TestIntruder has a process of the run, and of the same user, put itself between two
// others which exchange bytes: by the sockets that the supervisor makes for a moment in a
// directory, by the names of ends, and by datagrams. Root can reach the supervisor's own
// descriptors, and keep its queue full. No byte gets to another socket, and the run
// goes on.
func TestIntruder(t *testing.T) {
	needC(t)
	for _, c := range []struct {
		name, args string
		root       bool
	}{
		{"window", `window "$TMPDIR"`, false},
		{"names", "names", false},
		{"datagrams", "sends", false},
		{"descriptors", "flood $SUP", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			asMany(t, func(t *testing.T, w way) {
				if c.root && w.user != 0 {
					t.Skip("needs root; TestSupervisorIsOutOfReach is about others")
				}
				prints(t, w, "intrude "+c.args, "exchanged: 1, failed: 0, wrong bytes: 0",
					"bytes that the intruder has read, or others from it: 0")
			})
		})
	}
}

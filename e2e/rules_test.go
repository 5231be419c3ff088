//go:build linux

package e2e

import (
	"testing"
)

// TestRuleDelays has datagrams take the time that a rule says, and connections none.
func TestRuleDelays(t *testing.T) {
	need(t, "python3", "python3")
	r, _ := recorded(t, false, []string{"--rule", "udp: delay 200ms"}, "python3", script(t, "rules.py"), "echo")
	if r.stdout != "udp late\ntcp soon\n" {
		t.Errorf("%s\n%s", r.stdout, r.stderr)
	}
}

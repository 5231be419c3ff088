package shape_test

import (
	"testing"

	"usock/shape"
)

// TestRules has rules, and what becomes of packets on a link's way to others.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		rules []string
		lines []string
	}{
		{[]string{"udp: delay 200ms"}, []string{
			"out udp 10.0.0.1:1000>10.0.0.2:53 → 200ms",
			"in udp 10.0.0.2:53>10.0.0.1:1000 → 200ms",
			"out tcp 10.0.0.1:1000>10.0.0.2:53 syn=1 → 0s",
		}},
	} {
		t.Run(c.rules[0], func(t *testing.T) {
			x := newPassage(t, shape.Shape{Rules: rules(t, c.rules...)}, shape.Config{})
			for _, line := range c.lines {
				x.run(line)
			}
		})
	}
}

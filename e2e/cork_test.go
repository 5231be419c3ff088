//go:build linux

package e2e

import "testing"

// TestCork looks at how a stream is cut into packets, which counts where they are seen.
func TestCork(t *testing.T) {
	need(t, "python3", "python3")
	for _, w := range []way{asUser, onOne} {
		w.flags = []string{"--pcap", "/dev/null"}
		t.Run(w.name, func(t *testing.T) { twin(t, w, "python3 "+script(t, "cork.py")) })
	}
}

//go:build linux

package e2e

import "testing"

// TestTwinDatagrams ends sockets just after they have sent.
func TestTwinDatagrams(t *testing.T) {
	everyWay(t, false, func(t *testing.T, w way) { twin(t, w, "python3 "+script(t, "datagrams.py")) })
}

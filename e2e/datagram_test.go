//go:build linux

package e2e

import "testing"

// TestTwinDatagrams ends sockets just after they have sent.
func TestTwinDatagrams(t *testing.T) {
	everyWay(t, false, func(t *testing.T, w way) { twin(t, w, "python3 "+script(t, "datagrams.py")) })
}

// TestTwinSocat has a server that forks for each datagram.
func TestTwinSocat(t *testing.T) {
	need(t, "socat", "socat")
	twin(t, asUser, "bash "+script(t, "socat.sh"))
}

// TestTwinNode uses Node's dgram, which is libuv's UDP.
func TestTwinNode(t *testing.T) {
	need(t, "node", "nodejs")
	twin(t, asUser, "node "+script(t, "datagrams.js"))
}

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

// TestTwinWaits has calls wait while another thread does something to their socket.
func TestTwinWaits(t *testing.T) {
	t.Parallel()
	everyWay(t, false, func(t *testing.T, w way) { twin(t, w, "python3 "+script(t, "waits.py")) })
}

// TestTwinNode uses Node's dgram, which is libuv's UDP.
func TestTwinNode(t *testing.T) {
	need(t, "node", "nodejs")
	twin(t, asUser, "node "+script(t, "datagrams.js"))
}

// oneWay runs what follows in a network namespace of its own, whose default route leads over
// its one interface, as an ordinary user.
const oneWay = `exec unshare -n sh -c '
ip link set lo up
ip link add eth7 type veth peer name eth8
ip addr add 198.51.100.2/24 dev eth7
ip link set eth8 up; ip link set eth7 up
ip route add default via 198.51.100.1
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' sh "$@"`

// TestTwinDiscovery looks for others by SSDP and mDNS.
func TestTwinDiscovery(t *testing.T) {
	needRoot(t)
	need(t, "ip", "iproute2")
	twin(t, way{name: "namespace", sh: oneWay, reach: true}, "/usr/bin/python3 "+script(t, "discovery.py"))
}

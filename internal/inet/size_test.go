package inet

import (
	"testing"
	"unsafe"

	"usock/internal/socket"
	"usock/internal/tcp"
)

// TestSizes holds the structures of a connection at rest to what DESIGN allows: an
// endpoint with its socket stays near 1 KiB.
func TestSizes(t *testing.T) {
	sizes := map[string]uintptr{
		"tcp.Conn":      unsafe.Sizeof(tcp.Conn{}),
		"tcpEndpoint":   unsafe.Sizeof(tcpEndpoint{}),
		"socket.Socket": unsafe.Sizeof(socket.Socket{}),
		"timeWait":      unsafe.Sizeof(timeWait{}),
	}
	t.Log(sizes)
	if n := sizes["tcpEndpoint"] + sizes["socket.Socket"]; n > 1200 {
		t.Errorf("an endpoint with its socket takes %d bytes: %v", n, sizes)
	}
}

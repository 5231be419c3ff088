package inet

import (
	"testing"
	"unsafe"

	"usock/internal/host"
	"usock/internal/socket"
	"usock/internal/tcp"
)

// TestSizes holds the structures of a connection at rest to what DESIGN allows: both ends of an idle
// connection stay below 2,200 bytes with what the allocator adds and rounds up to: 896 (8 of them its
// own, as there are pointers in more than 512), 144, and 32 for the domain of both.
func TestSizes(t *testing.T) {
	t.Log("tcp.Conn:", unsafe.Sizeof(tcp.Conn{}))
	for _, c := range []struct {
		name      string
		got, most uintptr
	}{
		{"tcpEndpoint", unsafe.Sizeof(tcpEndpoint{}), 896 - 8},
		{"socket.Socket", unsafe.Sizeof(socket.Socket{}), 144},
		{"sctpAssoc", unsafe.Sizeof(sctpAssoc{}), 144},
		{"sctpEndpoint", unsafe.Sizeof(sctpEndpoint{}), 288},
		{"timeWait", unsafe.Sizeof(timeWait{}), 256},
		{"datagram", unsafe.Sizeof(datagram{}), 2 * host.CacheLine},
	} {
		if c.got > c.most {
			t.Errorf("a %s takes %d bytes, more than %d", c.name, c.got, c.most)
		}
	}
}

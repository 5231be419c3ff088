//go:build !linux

package gateway

import (
	"errors"
	"net/netip"
	"runtime"

	"usock"
)

// Gateway is a way to the machine's networks, which there is on Linux.
type Gateway struct{}

// New fails: a gateway needs Linux's epoll and error queues.
func New(Config) (*Gateway, error) {
	return nil, errors.New("a gateway needs Linux, and this is " + runtime.GOOS)
}

// Search returns none.
func Search() (suffixes []string, dots int) { return nil, 0 }

// Interface returns none.
func (*Gateway) Interface() usock.Interface { return usock.Interface{} }

// Flows returns none.
func (*Gateway) Flows() usock.FlowHandler { return nil }

// Listening does nothing.
func (*Gateway) Listening(int, uint16) {}

// StreamSettings does nothing.
func (*Gateway) StreamSettings(local, remote netip.AddrPort) {}

// CarriesSCTP returns false.
func (*Gateway) CarriesSCTP() bool { return false }

// Start does nothing.
func (*Gateway) Start(*usock.Host) error { return nil }

// Attach fails: there is no epoll.
func (*Gateway) Attach(int) error { return errors.ErrUnsupported }

// Waits leaves the words as they are.
func (*Gateway) Waits(list []usock.SocketInfo, words []string) {}

// Outside tells of nothing.
func (*Gateway) Outside() Outside { return Outside{} }

// Event does nothing.
func (*Gateway) Event(events uint32, id, rest int32) {}

// Run returns at once.
func (*Gateway) Run() {}

// Close does nothing.
func (*Gateway) Close() error { return nil }

//go:build linux

package gateway

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRoom has a client wait if those before it may take the descriptors that are left.
func TestRoom(t *testing.T) {
	var r room
	if e := r.forClient(0); e != 0 || r.limit == 0 {
		t.Errorf("%v, of %d descriptors", e, r.limit)
	}
	limit := r.limit
	for _, c := range []struct {
		clients int
		want    syscall.Errno
	}{{limit / 4, 0}, {limit / 2, 0}, {limit - leftOver(limit), unix.EMFILE}, {limit, unix.EMFILE}} {
		r.clients = c.clients
		if e := r.forClient(0); e != c.want {
			t.Errorf("after %d clients of %d descriptors: %v instead of %v", c.clients, limit, e, c.want)
		}
	}
}

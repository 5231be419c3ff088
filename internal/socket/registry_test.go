package socket

import (
	"testing"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
)

// The list of sockets holds the open ones, however they come and go, also while it
// is walked.
func TestRegistry(t *testing.T) {
	r := NewRegistry(host.New(&clock.Manual{}))
	var all []*Socket
	for range 10 {
		all = append(all, r.NewSocket(nil, abi.AF_INET, abi.SOCK_DGRAM, 0))
	}
	want := func(n int) {
		t.Helper()
		seen := make(map[*Socket]bool)
		r.Each(func(s *Socket) { seen[s] = true })
		if len(seen) != n {
			t.Fatalf("%d sockets, want %d", len(seen), n)
		}
	}
	want(10)
	r.Forget(all[0])
	r.Forget(all[9])
	r.Forget(all[5])
	r.Forget(all[5])
	want(7)
	// One that goes takes another one along.
	r.Each(func(s *Socket) {
		if s == all[8] {
			r.Forget(all[7])
			r.Forget(all[1])
		}
		r.Forget(s)
	})
	want(0)
}

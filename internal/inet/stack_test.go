package inet

import (
	"testing"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/socket"
)

// The list of sockets holds the open ones, however they come and go, also while it
// is walked.
func TestSocketList(t *testing.T) {
	st, err := New(host.New(&clock.Manual{}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	var all []*socket.Socket
	for range 10 {
		all = append(all, st.NewSocket(st.UDP(), abi.AF_INET, abi.SOCK_DGRAM, 0))
	}
	want := func(n int) {
		t.Helper()
		seen := make(map[*socket.Socket]bool)
		st.each(func(s *socket.Socket) { seen[s] = true })
		if len(seen) != n {
			t.Fatalf("%d sockets, want %d", len(seen), n)
		}
	}
	want(10)
	st.Forget(all[0])
	st.Forget(all[9])
	st.Forget(all[5])
	st.Forget(all[5])
	want(7)
	// One that goes takes another one along.
	st.each(func(s *socket.Socket) {
		if s == all[8] {
			st.Forget(all[7])
			st.Forget(all[1])
		}
		st.Forget(s)
	})
	want(0)
}

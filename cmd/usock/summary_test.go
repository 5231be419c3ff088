package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"usock/gateway"
)

// TestOutsideLines has what is said of the outside.
func TestOutsideLines(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:53")
	for _, c := range []struct {
		o    gateway.Outside
		want []string
	}{
		{gateway.Outside{}, nil},
		{gateway.Outside{Asked: 2, Answered: 1, Slowest: 5*time.Second + 1, Name: "a\x1b.example", Server: at, NoAnswer: true},
			[]string{"names: 2 asked for, 1 answered; the slowest has none after 5s: a.example, by 192.0.2.1:53"}},
		{gateway.Outside{Asked: 2, Answered: 2, Slowest: 20 * time.Millisecond, Name: "b.example", Server: at, Full: 3 * time.Second, Fullest: 2 * time.Second, FullestPeer: at},
			[]string{
				"names: 2 asked for, 2 answered; the slowest answer took 20ms: b.example, by 192.0.2.1:53",
				"outside: no room for what was sent for 3s, most of it 2s to 192.0.2.1:53",
			}},
	} {
		if got := outsideLines(&c.o); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

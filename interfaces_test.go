package usock_test

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"usock"
	"usock/link"
)

// TestInterfaces lists what a host has, as it is given and taken away.
func TestInterfaces(t *testing.T) {
	a, b := link.Pipe(link.PipeConfig{})
	h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
		Link: a, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
		Routes: []usock.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.9")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	defer b.Close()
	name, mtu := a.Info().Name, a.Info().MTU
	told := 0
	stop := h.OnChange(func() { told++ })
	show := func() string {
		var out string
		for _, i := range h.Interfaces() {
			out += fmt.Sprintln(i.Index, i.Name == name, i.MTU == mtu, i.Loopback, i.Addrs)
		}
		for _, r := range h.Routes() {
			out += fmt.Sprintln(r.Dst, r.Via, r.Interface, r.Src)
		}
		return out
	}
	const first = "1 false true true [127.0.0.1/8 ::1/128]\n2 true true false [10.0.0.1/24]\n" +
		"10.0.0.0/24 invalid IP 2 10.0.0.1\n0.0.0.0/0 10.0.0.9 2 invalid IP\n"
	if got := show(); got != first {
		t.Errorf("%s, want\n%s", got, first)
	}
	six := netip.MustParsePrefix("2001:db8::1/64")
	if err := h.AddAddr(name, six); err != nil {
		t.Fatal(err)
	}
	if want := "1 false true true [127.0.0.1/8 ::1/128]\n2 true true false [10.0.0.1/24 2001:db8::1/64]\n" +
		"10.0.0.0/24 invalid IP 2 10.0.0.1\n0.0.0.0/0 10.0.0.9 2 invalid IP\n2001:db8::/64 invalid IP 2 2001:db8::1\n"; show() != want {
		t.Errorf("%s, want\n%s", show(), want)
	}
	if err := h.RemoveAddr(name, six); err != nil {
		t.Fatal(err)
	}
	if h.AddAddr("none", six) == nil || h.RemoveAddr(name, six) == nil {
		t.Error("what is not there is changed")
	}
	if got := show(); got != first || told != 2 {
		t.Errorf("%s, want\n%s; told %d times of 2 changes", got, first, told)
	}
	stop()
	if err := h.AddAddr(name, six); err != nil || told != 2 {
		t.Errorf("%v, told %d times", err, told)
	}
}

// TestPath finds the ways that a connect would take.
func TestPath(t *testing.T) {
	a, b := link.Pipe(link.PipeConfig{})
	h, err := usock.NewHost(usock.Config{Interfaces: []usock.Interface{{
		Link: a, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
		Routes: []usock.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.0.0.9")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	defer b.Close()
	for _, c := range []struct {
		dst, src string
		index    int
		want     string
	}{
		{"127.0.0.5", "", 0, "src 127.0.0.1 via invalid IP dev 1 local true broadcast false <nil>"},
		{"10.0.0.1", "", 0, "src 10.0.0.1 via invalid IP dev 1 local true broadcast false <nil>"},
		{"10.0.0.7", "", 0, "src 10.0.0.1 via invalid IP dev 2 local false broadcast false <nil>"},
		{"10.0.0.255", "", 0, "src 10.0.0.1 via invalid IP dev 2 local false broadcast true <nil>"},
		{"10.9.1.1", "", 0, "src 10.0.0.1 via 10.0.0.9 dev 2 local false broadcast false <nil>"},
		{"10.9.1.1", "10.0.0.1", 2, "src 10.0.0.1 via 10.0.0.9 dev 2 local false broadcast false <nil>"},
		{"10.8.1.1", "", 0, syscall.ENETUNREACH.Error()},
		{"10.9.1.1", "", 9, syscall.ENODEV.Error()},
		{"2001:db8::1", "", 0, syscall.ENETUNREACH.Error()},
	} {
		var src netip.Addr
		if c.src != "" {
			src = netip.MustParseAddr(c.src)
		}
		p, err := h.Path(netip.MustParseAddr(c.dst), src, c.index)
		got := fmt.Sprintf("src %v via %v dev %d local %t broadcast %t %v", p.Src, p.Via, p.Interface, p.Local, p.Broadcast, err)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s from %q by %d: %s, want %s", c.dst, c.src, c.index, got, c.want)
		}
	}
}

// TestSocketsFrom lists in parts what Sockets lists at once.
func TestSocketsFrom(t *testing.T) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 20 {
		c, err := h.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	local, err := h.Listen("unix", "@l")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for _, n := range []int{1, 7, 1000} {
		seen, calls := make(map[string]int), 0
		for place, next := 0, 1; next != 0; place = next {
			var part []usock.SocketInfo
			part, next = h.SocketsFrom(place, n)
			for _, s := range part {
				seen[s.Local.String()+" "+s.Peer.String()+s.Path]++
			}
			calls++
		}
		whole := h.Sockets()
		if len(whole) != 42 || len(seen) != len(whole) {
			t.Errorf("%d at a time: %d of %d sockets", n, len(seen), len(whole))
		}
		for _, s := range whole {
			if k := s.Local.String() + " " + s.Peer.String() + s.Path; seen[k] != 1 {
				t.Errorf("%d at a time: %s is listed %d times", n, k, seen[k])
			}
		}
	}
}

package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// struck asks n times about connects, and returns at which a fault has struck.
func struck(t *testing.T, seed uint64, n int, text string) (list []int) {
	t.Helper()
	f, err := ParseFaults(seed, text)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		if b, _ := f.Connect(7, "", addrPort("10.0.0.1:80")); b != nil && b.Strike() {
			list = append(list, i)
		}
	}
	return list
}

func TestHowOften(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
	}{
		{"connect refused", []int{1, 2, 3, 4, 5, 6}},
		{"connect refused once", []int{1}},
		{"connect refused at the 3rd", []int{3}},
		{"connect refused at every 2nd", []int{2, 4, 6}},
		{"connect refused at every 2nd once", []int{2}},
		{"connect refused to :81", nil},
		{"connect refused at 100%", []int{1, 2, 3, 4, 5, 6}},
	} {
		if got := struck(t, 1, 6, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q strikes at %v, want %v", c.text, got, c.want)
		}
	}
}

// TestChance holds chance to its rate, within five standard errors, and to its seed.
func TestChance(t *testing.T) {
	const n = 10000
	a, b, other := struck(t, 5, n, "connect refused at 10%"), struck(t, 5, n, "connect refused at 10%"), struck(t, 6, n, "connect refused at 10%")
	if !slices.Equal(a, b) || slices.Equal(a, other) {
		t.Error("the seed does not decide")
	}
	if len(a) < n/10-150 || len(a) > n/10+150 {
		t.Errorf("%d of %d", len(a), n)
	}
}

func TestConditions(t *testing.T) {
	f, err := ParseFaults(7, "connect refused to api.test:443 process curl", "reset after 10 bytes to *.test", "dns NXDOMAIN for api.test",
		"accept fails with ENFILE", "socket fails with ENOMEM process server", "interrupt recv", "reset at accept to 10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	f.Program = func(pid int32) string { return map[int32]string{1: "curl", 2: "wget"}[pid] }
	var log []string
	f.Log = func(s FaultStruck) { log = append(log, s.String()) }
	to := addrPort("10.0.0.1:443")
	if b, s := f.Connect(1, "", to); b != nil || s != nil {
		t.Error("a name strikes before it is known")
	}
	f.Resolved(netip.MustParseAddr("::ffff:10.0.0.1"), "API.test.")
	if b, _ := f.Connect(2, "", to); b != nil {
		t.Error("another process")
	}
	if b, _ := f.Connect(1, "", addrPort("10.0.0.1:80")); b != nil {
		t.Error("another port")
	}
	b, s := f.Connect(1, "", to)
	if b == nil || len(s) != 1 || !b.Strike() || !s[0].Strike() {
		t.Fatal(b, s)
	}
	if b := f.Socket(0, "server"); b == nil || f.Socket(0, "client") != nil || !b.Strike() {
		t.Error("the host's name stands for a program's where there are none")
	}
	if q := f.Question(2, "", "Api.Test.", 1); len(q) != 1 || !q[0].Strike() || len(f.Question(2, "", "x.api.test", 1)) != 0 {
		t.Error(q)
	}
	if f.Accept(1, "", to) == nil || f.Wait(1, "", "accept", to) != nil || f.Wait(1, "", "recv", to) == nil {
		t.Error("accept, or a call that waits")
	}
	if list := f.Accepted(1, "", to); len(list) != 2 || list[0].Kind != ResetAtAccept {
		t.Error(list)
	}
	want := []string{
		"connect refused: curl[1] to 10.0.0.1:443, 1st, seed 7", "reset after 10 bytes: curl[1] to 10.0.0.1:443, 3rd, seed 7",
		"socket fails with ENOMEM: server, 1st, seed 7", "dns NXDOMAIN: wget[2] for api.test, 1st, seed 7",
	}
	if !slices.Equal(log, want) {
		t.Errorf("told: %s\nwant: %s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

// TestWrongFirst has the first answer about each name and type be wrong, and types without addresses left alone.
func TestWrongFirst(t *testing.T) {
	f, _ := ParseFaults(1, "dns wrong first")
	var got []bool
	for _, q := range []struct {
		name string
		typ  uint16
	}{{"a", 1}, {"a", 28}, {"a", 1}, {"A.", 1}, {"b", 1}, {"c", 16}} {
		got = append(got, len(f.Question(0, "", q.name, q.typ)) == 1)
	}
	if want := []bool{true, true, false, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestOnceOfMany has one of many connections at a time struck by what is to strike once.
func TestOnceOfMany(t *testing.T) {
	f, _ := ParseFaults(1, "reset after 10 bytes once")
	var blows []*Blow
	for i := range 50 {
		_, s := f.Connect(int32(i), "", addrPort("10.0.0.1:80"))
		blows = append(blows, s...)
	}
	var wg sync.WaitGroup
	strikes := make(chan string, len(blows))
	for _, b := range blows {
		wg.Go(func() {
			if b.Strike() {
				strikes <- fmt.Sprint(b.who.pid)
			}
		})
	}
	wg.Wait()
	if len(blows) != 50 || len(strikes) != 1 {
		t.Errorf("%d of %d", len(strikes), len(blows))
	}
}

package shape

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one of TCP.
func call(pid int32, host, to string) Call {
	return Call{PID: pid, Host: host, Proto: 6, To: netip.MustParseAddrPort(to)}
}

// struck asks n times about connects, and returns at which a fault has struck.
func struck(t *testing.T, seed uint64, n int, text string) (list []int) {
	t.Helper()
	f, err := ParseFaults(seed, text)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		if b, _ := f.Connect(call(7, "", "10.0.0.1:80")); b != nil && b.Strike() {
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
	const to = "10.0.0.1:443"
	if b, s := f.Connect(call(1, "", to)); b != nil || s != nil {
		t.Error("a name strikes before it is known")
	}
	f.Resolved(netip.MustParseAddr("::ffff:10.0.0.1"), "API.test.")
	if b, _ := f.Connect(call(2, "", to)); b != nil {
		t.Error("another process")
	}
	if b, _ := f.Connect(call(1, "", "10.0.0.1:80")); b != nil {
		t.Error("another port")
	}
	b, s := f.Connect(call(1, "", to))
	if b == nil || len(s) != 1 || !b.Strike() || !s[0].Strike() {
		t.Fatal(b, s)
	}
	if b := f.Socket(Call{Host: "server"}); b == nil || f.Socket(Call{Host: "client"}) != nil || !b.Strike() {
		t.Error("the host's name stands for a program's where there are none")
	}
	if q := f.Question(Call{PID: 2}, "Api.Test.", 1); len(q) != 1 || !q[0].Strike() || len(f.Question(Call{PID: 2}, "x.api.test", 1)) != 0 {
		t.Error(q)
	}
	if f.Accept(call(1, "", to)) == nil || f.Wait(call(1, "", to), "accept") != nil || f.Wait(call(1, "", to), "recv") == nil {
		t.Error("accept, or a call that waits")
	}
	if list := f.Accepted(call(1, "", to)); len(list) != 2 || list[0].Kind != ResetAtAccept {
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
		got = append(got, len(f.Question(Call{}, q.name, q.typ)) == 1)
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
		_, s := f.Connect(call(int32(i), "", "10.0.0.1:80"))
		blows = append(blows, s...)
	}
	var wg sync.WaitGroup
	strikes := make(chan string, len(blows))
	for _, b := range blows {
		wg.Go(func() {
			if b.Strike() {
				strikes <- fmt.Sprint(b.who.PID)
			}
		})
	}
	wg.Wait()
	if len(blows) != 50 || len(strikes) != 1 {
		t.Errorf("%d of %d", len(strikes), len(blows))
	}
}

// TestBothEnds has a connection be one, also where both of its ends ask, and ports be used again.
func TestBothEnds(t *testing.T) {
	f, _ := ParseFaults(1, "reset after 10 bytes at the 2nd", "read in pieces of 1 byte process server")
	f.Program = func(pid int32) string { return map[int32]string{1: "client", 2: "server"}[pid] }
	var got []string
	for _, port := range []uint16{5000, 5001, 5000, 5001} {
		c := call(1, "", "127.0.0.1:80")
		c.From = netip.AddrPortFrom(c.To.Addr(), port)
		_, begun := f.Connect(c)
		c.PID = 2
		got = append(got, fmt.Sprintf("%d-%d", len(begun), len(f.Accepted(c))))
	}
	if want := "[0-1 1-2 0-1 0-1]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestTimes has faults strike at their times.
func TestTimes(t *testing.T) {
	f, _ := ParseFaults(1, "connect refused from 5s every 10s for 1s until 30s")
	if b, _ := f.Connect(call(1, "", "10.0.0.1:80")); b != nil {
		t.Error("before time begins")
	}
	now := 100 * time.Second
	f.Begin(func() time.Duration { return now })
	f.Begin(func() time.Duration { return 0 }) // another host's
	var at []int
	for i := range 40 {
		now = time.Duration(100+i) * time.Second
		if b, _ := f.Connect(call(1, "", "10.0.0.1:80")); b != nil {
			at = append(at, i)
		}
	}
	if want := []int{5, 15, 25}; !slices.Equal(at, want) {
		t.Errorf("%v, want %v", at, want)
	}
}

// TestSet changes faults: those that stay go on, and of those that go nothing strikes any more.
func TestSet(t *testing.T) {
	parse := func(text string) Fault {
		x, err := ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	second, reset := parse("connect refused at the 2nd"), parse("reset after 10 bytes")
	f := NewFaults(1, second, reset)
	ask := func() (*Blow, []*Blow) { return f.Connect(call(1, "", "10.0.0.1:80")) }
	_, old := ask()
	f.Set(reset, second, second)
	if b, s := ask(); b == nil || b.n != 2 || len(s) != 1 || s[0].n != 2 {
		t.Error("they begin anew", b, s)
	}
	f.Set(parse("interrupt send"))
	if b, s := ask(); b != nil || s != nil || !f.Any() || !f.Interrupts("send") || f.Interrupts("recv") {
		t.Error(b, s)
	}
	if old[0].Strike() {
		t.Error("one that was taken away strikes")
	}
	if f.Set(); f.Any() || f.Interrupts("send") {
		t.Error("there are faults")
	}
}

// TestRemembersFew has what faults remember be bounded.
func TestRemembersFew(t *testing.T) {
	f, _ := ParseFaults(1, "dns wrong first", "reset after 10 bytes")
	for i := range 5 * maxRecent {
		f.Question(Call{}, fmt.Sprint("host", i), 1)
		c := call(1, "", "10.0.0.1:80")
		c.From = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), uint16(i))
		f.Connect(c)
	}
	list := f.armed.Load().list
	told, numbers := &list[0].told, &list[1].numbers
	if n := len(told.young) + len(told.old); n > 2*maxRecent || n < maxRecent {
		t.Errorf("%d names are remembered", n)
	}
	if n := len(numbers.young) + len(numbers.old); n > 2*maxRecent || n < maxRecent {
		t.Errorf("%d connections are remembered", n)
	}
}

// TestSameGrammar holds what a fault's to means to what a rule's means.
func TestSameGrammar(t *testing.T) {
	f, err := ParseFaults(1, "connect refused to db:80,443-450/tcp once")
	if err != nil {
		t.Fatal(err)
	}
	f.Suffixes, f.Dots = []string{".corp.test"}, 1
	f.Resolved(netip.MustParseAddr("10.0.0.1"), "DB.corp.test")
	f.Resolved(netip.MustParseAddr("10.0.0.2"), "db.other.test")
	for to, want := range map[string]bool{"10.0.0.2:80": false, "10.0.0.1:81": false, "10.0.0.1:446": true} {
		if b, _ := f.Connect(call(1, "", to)); (b != nil) != want {
			t.Errorf("%s: %v", to, b)
		}
	}
	if f, err = ParseFaults(1, "connect refused to localhost"); err != nil {
		t.Fatal(err)
	}
	if b, _ := f.Connect(call(1, "", "[::1]:80")); b == nil {
		t.Error("localhost is no loopback address")
	}
}

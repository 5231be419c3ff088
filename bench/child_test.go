//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// A child runs on the processors that it is given, and its parent goes on on its own.
func TestStart(t *testing.T) {
	before, err := allowed()
	if err != nil {
		t.Fatal(err)
	}
	last := before[len(before)-1]
	cmd := exec.Command("sh", "-c", "grep Cpus_allowed_list /proc/self/status; echo $GOMAXPROCS")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := start(cmd, []int{last}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(out.String()); len(f) != 3 || f[1] != strconv.Itoa(last) || f[2] != "1" {
		t.Errorf("child on %q, want %d and 1", out.String(), last)
	}
	after, err := allowed()
	if err != nil || len(after) != len(before) {
		t.Errorf("parent on %v, then on %v: %v", before, after, err)
	}
}

func TestProcessors(t *testing.T) {
	may, err := allowed()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"x", "0,0", "0", "-1,0", "4096,0", ","} {
		if cpus, err := processors(list); err == nil {
			t.Errorf("-cpus %s: %v", list, cpus)
		}
	}
	if cpus, err := processors(""); err != nil || len(cpus) != min(2, len(may)) {
		t.Errorf("%v, %v", cpus, err)
	}
}

// owner and its kin are what a host is like, for the walk that looks for locks.
type (
	owner struct {
		table *part
		list  []*part
		at    atomic.Pointer[part]
		any   any
		other *time.Timer
		count int
	}
	part struct {
		before int
		mu     named
		back   *owner
	}
	named struct{ sync.Mutex }
)

// Every mutex behind pointers, slices, interfaces and atomic pointers is found once, by the type that has it.
func TestHostLocks(t *testing.T) {
	h := &owner{table: new(part), list: []*part{new(part), nil}, any: new(part), other: new(time.Timer)}
	h.at.Store(new(part))
	h.table.back = h
	h.list[1] = h.list[0]
	words := hostLocks("client's ", h)
	if len(words) != 4 {
		t.Errorf("locks %v", words)
	}
	for _, w := range words {
		if w.name != "client's main.part" {
			t.Errorf("lock %q", w.name)
		}
	}
	for _, other := range []any{nil, 1, &struct{}{}, &struct{ h int }{}, (*owner)(nil), &owner{}} {
		if words := hostLocks("", other); words != nil {
			t.Errorf("locks %v of %T", words, other)
		}
	}
}

// The locks of a host that works are found while it rests, and it goes on afterwards.
func TestLocksOfBusyHost(t *testing.T) {
	p, err := usockPair(loopback)
	if err != nil {
		t.Fatal(err)
	}
	client, server, err := p.connections(4)
	if err != nil {
		t.Fatal(err)
	}
	var m meter
	for i := range client {
		go echo(server[i])
		go bounce(client[i], &m)
	}
	for range 20 {
		found := make(map[string]bool)
		for _, w := range p.locks() {
			found[w.name] = true
		}
		for _, name := range []string{"host.Lane", "host.Domain", "inet.portTable", "socket.registryPart"} {
			if !found[name] {
				t.Fatalf("no lock of %s among %v", name, found)
			}
		}
	}
	end := time.Now().Add(10 * time.Second)
	for before := m.total(); m.total() == before; {
		if time.Now().After(end) {
			t.Fatal("the host has come to rest")
		}
		runtime.Gosched()
	}
	m.stopped.Store(true)
}

// Looks see which locks are held.
func TestLooks(t *testing.T) {
	held, free := [2]sync.Mutex{}, sync.Mutex{}
	held[0].Lock()
	defer held[0].Unlock()
	words := []lockWord{{"held", unsafe.Pointer(&held[0])}, {"held", unsafe.Pointer(&held[1])}, {"free", unsafe.Pointer(&free)}}
	l := looks{PID: os.Getpid()}
	for _, w := range words {
		l.Addresses = append(l.Addresses, uintptr(w.at))
	}
	for i := 0; i < 100 && l.Looks == 0; i++ { // on a busy machine the time may be over before the first one
		var stopped atomic.Bool
		timer := time.AfterFunc(20*time.Millisecond, func() { stopped.Store(true) })
		defer timer.Stop()
		if err := l.until(&stopped); err != nil {
			t.Skip(err) // it takes the right to look into a process
		}
	}
	if l.Looks == 0 {
		t.Fatal("never looked")
	}
	got := shares(words, &l)
	if want := (LockShare{2, 1, 1, 0}); got["held"] != want {
		t.Errorf("held: %v, want %v", got["held"], want)
	}
	if want := (LockShare{1, 0, 0, 0}); got["free"] != want {
		t.Errorf("free: %v, want %v", got["free"], want)
	}
}

// A meter counts what all goroutines do.
func TestMeter(t *testing.T) {
	var m meter
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := m.counter()
			for range 100 {
				c.Add(1)
			}
		})
	}
	wg.Wait()
	if n := m.total(); n != 400 {
		t.Errorf("%d events, want 400", n)
	}
}

// A window never lets more than its size be under way, and goes on for ever.
func TestWindow(t *testing.T) {
	const size, all = 8, 10_000
	w := newWindow(size)
	wire := make(chan struct{}, 2*size)
	done := make(chan bool)
	go func() {
		for range all {
			if !w.acquire() {
				done <- false
				return
			}
			wire <- struct{}{}
			if n := w.sent.Load() - w.received.Load(); n > size {
				t.Errorf("%d under way", n)
			}
		}
		done <- true
	}()
	go func() {
		for range all {
			<-wire
			w.release()
		}
	}()
	if !<-done {
		t.Error("stood still")
	}
}

// Two goroutines without a stack take as long for a round trip as they are told to, or longer, and come to an end.
func TestAlone(t *testing.T) {
	const trip = 100 * time.Microsecond
	times, err := alone(make([]uint32, 0, 1<<10), trip, 20*time.Millisecond)
	if err != nil || len(times) == 0 {
		t.Fatalf("%d round trips: %v", len(times), err)
	}
	slices.Sort(times)
	if least := time.Duration(times[0]); least < trip/2 {
		t.Errorf("the fastest took %v, want about %v", least, trip)
	}
}

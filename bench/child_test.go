//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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

// lister is a host that tells of its locks.
type lister map[string][]*sync.Mutex

func (l lister) Locks() map[string][]*sync.Mutex { return l }

func TestHostLocks(t *testing.T) {
	words := hostLocks("client's ", lister{"listener": {new(sync.Mutex)}, "connection": {new(sync.Mutex), new(sync.Mutex)}})
	names := make(map[string]int)
	for _, w := range words {
		names[w.name]++
	}
	if len(words) != 3 || names["client's listener"] != 1 || names["client's connection"] != 2 {
		t.Errorf("locks %v", words)
	}
	type mutex struct{ sync.Mutex }
	type domain struct {
		before int
		mu     mutex
	}
	host := &struct{ h *domain }{&domain{before: 1, mu: mutex{}}}
	if words := hostLocks("", host); len(words) != 1 || words[0].name != "host" {
		t.Errorf("locks %v", words)
	}
	for _, other := range []any{nil, 1, &struct{}{}, &struct{ h int }{}, &struct{ h *struct{} }{new(struct{})},
		&struct{ h *struct{ mu int } }{new(struct{ mu int })}} {
		if words := hostLocks("", other); words != nil {
			t.Errorf("locks %v of %T", words, other)
		}
	}
}

// Looks see which locks are held.
func TestLooks(t *testing.T) {
	locks := lister{"held": {new(sync.Mutex), new(sync.Mutex)}, "free": {new(sync.Mutex)}}
	locks["held"][0].Lock()
	defer locks["held"][0].Unlock()
	words := hostLocks("", locks)
	l := looks{PID: os.Getpid()}
	for _, w := range words {
		l.Addresses = append(l.Addresses, uintptr(w.at))
	}
	var stopped atomic.Bool
	timer := time.AfterFunc(20*time.Millisecond, func() { stopped.Store(true) })
	defer timer.Stop()
	if err := l.until(&stopped); err != nil {
		t.Skip(err) // it takes the right to look into a process
	}
	if l.Looks == 0 {
		t.Fatal("never looked")
	}
	got := shares(words, &l)
	if want := (LockShare{2, 1, 1}); got["held"] != want {
		t.Errorf("held: %v, want %v", got["held"], want)
	}
	if want := (LockShare{1, 0, 0}); got["free"] != want {
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

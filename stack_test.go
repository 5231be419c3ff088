//go:build !race

// The frames of code built for the race detector are larger.

package usock

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
)

// A goroutine begins with a stack of 2 KiB, and one that a server starts for a connection grows it while it
// holds a lock that others wait for. What its first calls need fits into 4 KiB, but for a connect.
func TestStacksStaySmall(t *testing.T) {
	const inChild = "USOCK_TEST_STACKS"
	if os.Getenv(inChild) == "" {
		// A process of its own, whose goroutines all begin small.
		cmd := exec.Command(os.Args[0], "-test.run=^TestStacksStaySmall$", "-test.v")
		cmd.Env = append(os.Environ(), inChild+"=1", "GODEBUG=adaptivestackstart=0")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}

	h, err := NewHost(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const n = 400
	clients, servers := make([]*TCPConn, n), make([]*TCPConn, n)
	for i := range n {
		clients[i], servers[i] = connected(t, h, l)
	}

	for _, c := range []struct {
		name string
		most float64 // bytes
		do   func(i int)
	}{
		{"nothing", 2 << 10, func(int) {}},
		{"a first write", 4 << 10, func(i int) { servers[i].Write([]byte{1}) }},
		{"a first read", 4 << 10, func(i int) { clients[i].Read(make([]byte, 1)) }},
		{"a connect", 8 << 10, func(int) { h.Dial("tcp", l.Addr().String()) }},
		{"an orderly end", 4 << 10, func(i int) { servers[i].Close() }},
	} {
		debug.SetGCPercent(-1) // stacks do not shrink
		var done sync.WaitGroup
		end := make(chan struct{})
		before := stacks()
		done.Add(n)
		for i := range n {
			go func() {
				c.do(i)
				done.Done()
				<-end
			}()
		}
		done.Wait()
		each := float64(stacks()-before) / n
		close(end)
		debug.SetGCPercent(100)
		runtime.GC()
		t.Logf("%s: %.0f bytes", c.name, each)
		if each > c.most*3/2 { // the next size is twice as large; the runtime has some stacks ready
			t.Errorf("%s takes %.0f bytes of stack, more than %.0f", c.name, each, c.most)
		}
	}
}

// stacks returns what the stacks of all goroutines take.
func stacks() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

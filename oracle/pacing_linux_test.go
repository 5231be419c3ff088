package oracle

import (
	"os"
	"runtime"
	"testing"
	"time"

	"usock/internal/abi"
)

// TestPacing measures that SO_MAX_PACING_RATE bounds the rate of a stream, on both
// systems: of what a connection sends the first ten segments are free.
func TestPacing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	const (
		rate  = 4 << 20 // bytes a second
		size  = 2 << 20
		least = 250 * time.Millisecond // (size - 10 segments of 64 KiB) / rate is 344 ms
	)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		k := newPlainKernel(t)
		defer k.end()
		u := newUser(t, true)
		defer u.end()
		for _, x := range []struct {
			name string
			sys  system
		}{{"kernel", k}, {"usock", u}} {
			if took := paced(t, x.sys, rate, size); took < least {
				t.Errorf("%s: %d bytes at %d bytes a second took %v", x.name, size, rate, took)
			}
			// A busy machine may take as long as the rate would, but not each time.
			took := time.Hour
			for i := 0; i < 20 && took > least; i++ {
				took = min(took, paced(t, x.sys, 0, size))
			}
			if took > least {
				t.Errorf("%s: %d bytes at no rate took %v", x.name, size, took)
			}
		}
	}()
	<-done
}

// paced returns how long size bytes take from one socket to another.
func paced(t *testing.T, sys system, rate, size int) time.Duration {
	c := newScript(sys)
	c.ports.asks(nil)
	for _, line := range split("l = tcp; l bind lo:0; l listen 1; c = tcp; c connect lo:l; s = accept l") {
		c.run(line)
	}
	if rate != 0 {
		if err := sys.setopt(c.fds["c"], abi.SOL_SOCKET, abi.SO_MAX_PACING_RATE, abi.AppendInt(nil, rate)); err != nil {
			t.Error(err)
		}
	}
	begin := time.Now()
	block := pattern(1 << 16)
	sent, received := 0, 0
	for end := begin.Add(20 * time.Second); received < size; {
		if n, err := sys.send(c.fds["c"], message{data: block[:min(len(block), size-sent)]}); err == nil {
			sent += n
		}
		m, _, err := sys.recv(c.fds["s"], 1<<16, 100, 0)
		received += len(m.data)
		if err != nil && sent == size {
			time.Sleep(time.Millisecond)
		}
		if time.Now().After(end) {
			t.Errorf("%d of %d bytes have come", received, size)
			break
		}
	}
	took := time.Since(begin)
	for _, line := range []string{"c close", "s close", "l close"} {
		c.run(line)
	}
	return took
}

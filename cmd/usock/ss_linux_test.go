package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"usock"
	"usock/inspect"
)

// ownRuns has no other runs be seen than a test's own.
func ownRuns(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
}

// served is a host with n connections, both ends of each on it, and a control socket.
func served(t testing.TB, n int) {
	t.Helper()
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	var l net.Listener
	for i := range n {
		// Not so many that the client ports for one listener run out.
		const each = 20000
		addr := fmt.Sprintf("127.0.0.1:%d", 1024+i/each)
		if i%each == 0 {
			if l, err = h.Listen("tcp", addr); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := inspect.Serve(inspect.Config{Host: h, Name: "many"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
}

// TestManySockets lists more sockets than a page has, each once.
func TestManySockets(t *testing.T) {
	ownRuns(t)
	served(t, 3000)
	for _, f := range []ssFlags{{run: "many", numeric: true}, {run: "many", numeric: true, info: true}} {
		var out bytes.Buffer
		if err := f.show(&out, 0, io.Discard); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for line := range strings.Lines(out.String()) {
			if words := strings.Fields(line); words[0] == "tcp" {
				seen[words[4]+" "+words[5]] = true
			}
		}
		if len(seen) != 6000 {
			t.Errorf("info %v: %d connections", f.info, len(seen))
		}
	}
}

// BenchmarkSS is usock ss of a host with 100,000 sockets, but for the start of its process: of a host in this process, whose
// goroutines take turns with those of ss, and in another one.
func BenchmarkSS(b *testing.B) {
	if os.Getenv(servesEnv) != "" {
		served(b, manyConns)
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	list := func(b *testing.B) {
		f := ssFlags{run: "many"}
		for b.Loop() {
			if err := f.show(io.Discard, 0, io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("one process", func(b *testing.B) {
		ownRuns(b)
		served(b, manyConns)
		list(b)
	})
	b.Run("two processes", func(b *testing.B) {
		ownRuns(b)
		c := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkSS$", "-test.benchtime=1x")
		c.Env = append(os.Environ(), servesEnv+"=1")
		c.Stderr = os.Stderr
		in, err := c.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		defer c.Wait()
		defer in.Close()
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		}
		list(b)
	})
}

const (
	manyConns = 50_000
	servesEnv = "USOCK_TEST_SERVES" // a process of BenchmarkSS that has the host
)

// TestWatchedEnds: who watches runs ends with them, and not because another one has the name now.
func TestWatchedEnds(t *testing.T) {
	ownRuns(t)
	start := func() *inspect.Server {
		h, err := usock.NewHost(usock.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		s, err := inspect.Serve(inspect.Config{Host: h, Name: "web"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	first := start()
	f := ssFlags{run: "web", every: everyValue(time.Second)}
	look := func() error { return f.show(io.Discard, 0, io.Discard) }
	if err := look(); err != nil {
		t.Fatal(err)
	}
	second := start()
	if err := look(); err == nil || !strings.Contains(err.Error(), "2 runs are called") {
		t.Errorf("beside another one of the name: %v", err)
	}
	first.Close()
	if err := look(); err != nil {
		t.Error(err)
	}
	second.Close()
	if err := look(); err != io.EOF {
		t.Errorf("after its end: %v", err)
	}
}

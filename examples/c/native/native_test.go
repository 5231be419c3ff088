//go:build linux

package native

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// build compiles the programs and returns the folder that they are in.
func build(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	sources, err := filepath.Glob("../*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, src := range sources {
		name := strings.TrimSuffix(filepath.Base(src), ".c")
		out, err := exec.Command(cc, "-Wall", "-Wextra", "-Werror", "-o", filepath.Join(dir, name), src).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", src, err, out)
		}
	}
	return dir
}

// limit ends a program that hangs.
const limit = time.Minute

// server is a program that was started and says where it listens.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	port string
	out  chan string // what it printed besides, once it has ended
}

// start runs a server on a free port and waits until it listens.
func start(t *testing.T, path string, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	s := &server{t: t, cmd: exec.CommandContext(ctx, path, args...), out: make(chan string, 1)}
	s.cmd.Stderr = os.Stderr
	pipe, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(pipe)
	line, err := r.ReadString('\n')
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on 0.0.0.0:")
	if err != nil || !ok {
		t.Fatalf("%s said %q, %v", path, line, err)
	}
	s.port = port
	go func() {
		var b bytes.Buffer
		r.WriteTo(&b)
		s.out <- b.String()
	}()
	return s
}

// end sends SIGTERM and waits.
func (s *server) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	<-s.out
	err := s.cmd.Wait()
	if ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && ws.Signal() != syscall.SIGTERM {
		s.t.Errorf("%s: %v", s.cmd.Path, err)
	}
}

// run runs a client to its end and returns what it printed.
func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", path, args, err, out)
	}
	return string(out)
}

func TestPrograms(t *testing.T) {
	bin := build(t)
	path := func(name string) string { return filepath.Join(bin, name) }

	t.Run("classic pair", func(t *testing.T) {
		s := start(t, path("tcp-server"), "0", "2")
		run(t, path("tcp-client"), "127.0.0.1", s.port, "first")
		run(t, path("tcp-client"), "127.0.0.1", s.port, "second")
		if got, want := <-s.out, "first\nsecond\n"; got != want {
			t.Errorf("the server printed %q, not %q", got, want)
		}
		if err := s.cmd.Wait(); err != nil {
			t.Error(err)
		}
		cmd := exec.Command(path("tcp-client"), "127.0.0.1", s.port)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Connection refused") {
			t.Errorf("without server: %v, %s", err, out)
		}
	})
	for _, name := range []string{"tcp-fork-server", "tcp-iter-server"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, path(name), "0")
			out := run(t, path("tcp-load"), "127.0.0.1", s.port, "20", "1048576")
			if want := "20 clients, 1048576 bytes each way, all as sent\n"; out != want {
				t.Errorf("got %q, want %q", out, want)
			}
			s.end()
		})
	}
	for _, name := range []string{"udp-iter-server", "udp-workers"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, path(name), "0")
			var peers sync.WaitGroup
			for range 4 {
				peers.Go(func() {
					out := run(t, path("udp-peer"), "127.0.0.1", s.port, "100")
					if !strings.HasPrefix(out, "100 datagrams came back to ") {
						t.Errorf("the peer said %q", out)
					}
				})
			}
			peers.Wait()
			s.end()
		})
	}
}

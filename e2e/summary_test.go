//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// summaryProgram has a connection to itself, whose reader begins after a second.
const summaryProgram = `
import socket, sys, threading, time
l = socket.create_server(("127.0.0.1", 8000))
def serve():
    s, _ = l.accept()
    time.sleep(1)
    while s.recv(1 << 20): pass
t = threading.Thread(target=serve)
t.start()
c = socket.create_connection(("127.0.0.1", 8000))
c.sendall(bytes(8 << 20))
c.close()
t.join()
k = socket.create_connection(("127.0.0.1", 8000))
print("done", flush=True)
sys.stdin.readline()
`

// TestSummary has a run tell at its end what was on its sockets: when its program ends, and when usock is told to stop.
func TestSummary(t *testing.T) {
	need(t, "python3", "python3")
	for _, signal := range []syscall.Signal{0, syscall.SIGTERM} {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		c, _ := command(t, ctx, "--summary", "--", "python3", "-c", summaryProgram)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		in, _ := c.StdinPipe()
		out, _ := c.StdoutPipe()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "done\n" {
			t.Errorf("%q", line)
		}
		if signal != 0 {
			c.Process.Signal(signal)
		} else {
			in.Close()
		}
		c.Wait()
		in.Close()
		if st := c.ProcessState.Sys().(syscall.WaitStatus); signal != 0 && st.Signal() != signal || signal == 0 && st != 0 {
			t.Errorf("status %v", st)
		}
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		for i, want := range []string{
			`2 connections begun, [12] accepted; 0 failed to be made, [01] were reset, [0-2] live`,
			`TCP: 8192 KiB sent, 8192 KiB received; 0 of [0-9]+ segments sent again`,
			`lo: .* sent, .* received, in [0-9]+ and [0-9]+ packets`,
			`waited for, all connections together: .*receiver [0-9.]+m?s.*`,
			`the longest of [34] connections, by how long they lasted:`,
			`  [0-9.]+s python3\[[0-9]+\] 127\.0\.0\.1:[0-9]+ > 127\.0\.0\.1:[0-9]+, .*`,
		} {
			if len(lines) <= i || !regexp.MustCompile("^usock: ("+want+")$").MatchString(lines[i]) {
				t.Errorf("signal %v: line %d is not %s:\n%s", signal, i, want, &stderr)
			}
		}
		if want := "8192 KiB sent, 0 bytes received; receiver: its window was full for "; !strings.Contains(stderr.String(), want) || strings.Contains(stderr.String(), "refused") {
			t.Errorf("no %q in\n%s", want, &stderr)
		}
	}
}

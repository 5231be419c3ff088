//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
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
			`TCP: 8192 KiB sent, 8192 KiB received; [0-9]+ of [0-9]+ segments sent again`,
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

// outsideProgram asks a name server that is late, and sends to a server that does not read, until a line comes.
const outsideProgram = `
import socket, struct, sys, threading
to = ("127.0.0.1", int(sys.argv[1]))
q = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\4slow\7example\0" + struct.pack("!2H", 1, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[2] == "names":
    u.sendto(q, ("127.77.0.53", 53))
c = socket.create_connection(to)
t = threading.Thread(target=lambda: c.sendall(bytes(48 << 20)))
t.start()
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[2] == "names":
    u.recv(1500)
t.join()
c.close()
`

// TestSeeOutside has a program wait for a server that does not read and for a name server that does not answer. Both are told
// while that is so, and at the end.
func TestSeeOutside(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go accept(l, func(c *net.TCPConn) {
		<-read
		io.Copy(io.Discard, c)
	})
	defer l.Close()
	names := "names"
	resolver, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 77, 0, 53), Port: 53})
	if err != nil { // it takes a capability
		names = "no names"
	} else {
		defer resolver.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, _ := commandAs(t, ctx, seer, "--summary", "--name", "out", "--", "python3", "-c", outsideProgram, strconv.Itoa(l.Addr().(*net.TCPAddr).Port), names)
	reaches(c)
	s := &seen{t: t, c: c, xdg: c.Dir}
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Env = append(c.Env, "XDG_RUNTIME_DIR="+c.Dir)
	c.Stderr = &s.stderr
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q %s", line, &s.stderr)
	}
	says := func(want string, args ...string) {
		t.Helper()
		re := regexp.MustCompile(want)
		eventually(t, want, func() bool { return re.MatchString(strings.ReplaceAll(s.sees(args...), "\n", " ")) })
	}
	says(`waits: outside: `+l.Addr().String()+` has not taken more for [0-9.]+m?s`, "ss", "-tni", "out")
	says(`python3\S* +.* outside: `, "top", "--once", "--width", "160", "out")
	if names == "names" {
		says(`waits: resolver: no answer from 127\.77\.0\.53:53 for [0-9.]+m?s to a question about slow\.example`, "ss", "-uani", "out")
		b := make([]byte, 1500)
		n, from, err := resolver.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		b[2] |= 0x80 // QR
		resolver.WriteToUDPAddrPort(b[:n], from)
	}
	close(read)
	in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`\nusock: outside: no room for what was sent for [0-9.]+m?s, most of it [0-9.]+m?s to ` + l.Addr().String() + `\n`,
		`\nusock: names: 1 asked for, 1 answered; the slowest answer took [0-9.]+m?s: slow\.example, by 127\.77\.0\.53:53\n`,
	} {
		if regexp.MustCompile(want).MatchString(s.stderr.String()) == (names != "names" && strings.Contains(want, "names")) {
			t.Errorf("no %s in\n%s", want, &s.stderr)
		}
	}
}

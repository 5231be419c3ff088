//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		script string
		code   int
		signal syscall.Signal
	}{
		{"exit 0", 0, 0},
		{"exit 7", 7, 0},
		{"kill -TERM $$", -1, syscall.SIGTERM},
		{"kill -KILL $$", -1, syscall.SIGKILL},
		{"kill -SEGV $$", -1, syscall.SIGSEGV},
	} {
		if r := usock(t, nil, c.script); r.code != c.code || r.signal != c.signal {
			t.Errorf("%s: exit status %d, signal %d; want %d, %d", c.script, r.code, r.signal, c.code, c.signal)
		}
	}
}

func TestNestedRunIsRefused(t *testing.T) {
	r := usock(t, nil, "usock run -- true")
	want := "usock: this process is itself under a supervisor of system calls (usock run, perhaps), and the kernel allows one; " +
		"under usock run the program has usock's sockets without another: run it by its own name\n"
	if r.code != 125 || complaints(r.stderr) != want {
		t.Errorf("exit status %d: %s\nwant %s", r.code, r.stderr, want)
	}
}

func TestStandardStreams(t *testing.T) {
	c, _ := command(t, context.Background(), "--", "cat")
	c.Stdin = strings.NewReader("through\n")
	if out, err := c.Output(); err != nil || string(out) != "through\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1} {
		c, marker := command(t, context.Background(), "--", "sh", "-c",
			`trap 'echo got it; exit 3' TERM INT HUP USR1; echo ready; while :; do sleep 0.01; done`)
		// Under nohup the command would inherit that a signal is ignored.
		handled := make(chan os.Signal, 1)
		signal.Notify(handled, sig)
		out := start(t, c)
		signal.Stop(handled)
		waitLine(t, out, "ready")
		c.Process.Signal(sig)
		waitLine(t, out, "got it")
		c.Wait()
		if code := c.ProcessState.ExitCode(); code != 3 {
			t.Errorf("%v: exit status %d, want 3", sig, code)
		}
		leavesNothing(t, marker, c.Dir)
	}
}

func TestOrphansAreEnded(t *testing.T) {
	r := usock(t, nil, "sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & sh -c 'sleep 100 & exit' & echo done")
	if r.code != 0 || r.stdout != "done\n" {
		t.Errorf("%+v", r)
	}
}

// start starts c and returns its output.
func start(t *testing.T, c *exec.Cmd) *bufio.Scanner {
	t.Helper()
	c.SysProcAttr.Setpgid = true // a terminal of the tests' is not theirs
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.SetReadDeadline(time.Now().Add(limit))
	t.Cleanup(func() {
		c.Process.Kill()
		r.Close()
	})
	return bufio.NewScanner(r)
}

// waitLine reads up to a line that contains what is wanted.
func waitLine(t *testing.T, s *bufio.Scanner, want string) {
	t.Helper()
	var all []string
	for s.Scan() {
		all = append(all, s.Text())
		if strings.Contains(s.Text(), want) {
			return
		}
	}
	t.Fatalf("no line with %q: %v\n%s", want, s.Err(), strings.Join(all, "\n"))
}

// TestKilledProgram kills a server whose client has a connection to it.
func TestKilledProgram(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "killed.py")
	passes(t, "python3 "+py+" unread", "recv: ECONNRESET", "send: EPIPE", "connect: ECONNREFUSED")
	passes(t, "python3 "+py+" read", "recv: end", "send: ok", "send: EPIPE", "connect: ECONNREFUSED")
}

// TestKilledSupervisor kills usock itself: its programs get errors, and those that
// would wait for ever are ended.
func TestKilledSupervisor(t *testing.T) {
	need(t, "python3", "python3")
	for _, how := range []string{"recv", "accept", "epoll", "connect"} {
		t.Run(how, func(t *testing.T) {
			c, marker := command(t, context.Background(), "--", "python3", script(t, "orphan.py"), how)
			out := start(t, c)
			waitLine(t, out, "ready")
			c.Process.Kill()
			c.Wait()
			eventually(t, "the program ends", func() bool { return len(marked(marker)) == 0 })
			leavesNothing(t, marker, c.Dir)
		})
	}
}

// TestKilledSupervisorEndsAll has processes that make no call that usock would see: children,
// one with a session of its own, a daemon whose parent has ended, one that takes no SIGTERM,
// one that is stopped, for which the kernel hangs up on the others when the supervisor ends.
func TestKilledSupervisorEndsAll(t *testing.T) {
	t.Parallel()
	needRoot(t) // the guard's descriptors show when it has found the daemon
	c, marker := command(t, context.Background(), "--", "sh", "-c", `sleep 1001 &
setsid sleep 1002 </dev/null >/dev/null 2>&1 &
(setsid sh -c 'sleep 1003 & exit' </dev/null >/dev/null 2>&1 &)
sh -c 'trap "" TERM; echo deaf; while :; do sleep 0.1; done' &
sh -c 'kill -STOP $$' &
sleep 1004`)
	out := start(t, c)
	waitLine(t, out, "deaf")
	find := func(command string) string {
		for _, p := range marked(marker) {
			if pid, line, _ := strings.Cut(p, " "); strings.TrimSpace(line) == command {
				return pid
			}
		}
		return ""
	}
	eventually(t, "the guard knows the daemon, and who has a session of its own", func() bool {
		daemon, leader := find("sleep 1003"), find("sleep 1002")
		return parent(daemon) == c.Process.Pid && guards(c.Process.Pid, daemon) && guards(c.Process.Pid, leader)
	})
	at := time.Now()
	c.Process.Kill()
	c.Wait()
	for len(marked(marker)) > 0 {
		if time.Since(at) > 20*time.Second {
			t.Fatalf("they go on: %v", marked(marker))
		}
		time.Sleep(5 * time.Millisecond)
	}
	leavesNothing(t, marker, c.Dir)
}

// parent returns a process's parent.
func parent(pid string) int {
	b, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ") // the state and the parent
	if f := strings.Fields(rest); len(f) > 1 {
		n, _ := strconv.Atoi(f[1])
		return n
	}
	return 0
}

// guards reports whether the guard of a run has a descriptor of the process.
func guards(supervisor int, pid string) bool {
	procs, _ := os.ReadDir("/proc")
	for _, p := range procs {
		line, _ := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if !bytes.Contains(line, []byte("run-guard")) || parent(p.Name()) != supervisor {
			continue
		}
		fds, _ := filepath.Glob("/proc/" + p.Name() + "/fdinfo/*")
		for _, fd := range fds {
			if b, _ := os.ReadFile(fd); bytes.Contains(b, []byte("\nPid:\t"+pid+"\n")) {
				return true
			}
		}
	}
	return false
}

// TestCapture checks that a capture can be read and names the processes.
func TestCapture(t *testing.T) {
	needC(t)
	need(t, "tshark", "tshark")
	r := usock(t, []string{"--pcap", "trace.pcapng"}, `tcp-server 3000 >log & server=$!
listening log
tcp-client 127.0.0.1 3000
wait $server`)
	if r.code != 0 {
		t.Fatalf("exit status %d: %s", r.code, r.stderr)
	}
	out, err := exec.Command("tshark", "-r", filepath.Join(r.dir, "trace.pcapng"), "-d", "tcp.port==1-65535,data", "-T", "fields",
		"-e", "tcp.flags.str", "-e", "frame.comment", "-e", "_ws.expert.message").CombinedOutput()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	for _, want := range []string{"S", "F", "pid ", " (tcp-client) socket ", " (tcp-server) socket "} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q in what tshark says:\n%s", want, out)
		}
	}
	for _, bad := range []string{"Malformed", "incorrect", "retransmission"} {
		if bytes.Contains(out, []byte(bad)) {
			t.Errorf("tshark complains:\n%s", out)
		}
	}
}

func TestTerminal(t *testing.T) {
	need(t, "python3", "python3")
	c, marker := command(t, context.Background())
	c.Path, c.Args = "/usr/bin/env", []string{"env", "python3", script(t, "terminal.py"), filepath.Join(bin, "usock"), "run", isolated, "--"}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	leavesNothing(t, marker, c.Dir)
}

// TestVerboseNamesCalls has calls that usock does not have. Those that the kernel refuses,
// too, are not named: for the others see TestOtherFamilies.
func TestVerboseNamesCalls(t *testing.T) {
	need(t, "python3", "python3")
	r := usock(t, nil, `python3 -c '
import errno, socket
def fails(f, e):
    try: f()
    except OSError as x: assert x.errno == e, x
    else: raise SystemExit("did not fail")
fails(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 250), errno.EPROTONOSUPPORT)
fails(lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 9999, 1), errno.ENOPROTOOPT)
fails(lambda: socket.socket().getsockopt(socket.SOL_SOCKET, 9999, 4), errno.ENOPROTOOPT)
fails(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).listen(), errno.EOPNOTSUPP)
SO_ZEROCOPY = 60 # poll would not show what is complete
for t in (socket.SOCK_STREAM, socket.SOCK_DGRAM) * 2:
    fails(lambda: socket.socket(socket.AF_INET, t).setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1), errno.EOPNOTSUPP)'`)
	const want = `^usock: python3 \(\d+\): setsockopt\(level 1, option 60\): ENOTSUP\n$`
	if r.code != 0 || !regexp.MustCompile(want).MatchString(complaints(r.stderr)) {
		t.Errorf("exit status %d: %s\nwant %s", r.code, r.stderr, want)
	}
}

// TestInheritedSocket hands the program a listener of the kernel's network, as socket
// activation does: it works, and with -v it is named.
func TestInheritedSocket(t *testing.T) {
	need(t, "python3", "python3")
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, marker := command(t, context.Background(), "-v", "--", "python3", "-c", `
import socket
c, _ = socket.socket(fileno=3).accept()
c.sendall(b"from the program")`)
	c.ExtraFiles = []*os.File{f}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	b, err := io.ReadAll(conn)
	if err != nil || string(b) != "from the program" {
		t.Errorf("%q, %v", b, err)
	}
	err = c.Wait()
	want := "usock: descriptor 3 is a socket of the kernel's network, tcp " + l.Addr().String() + ": it stays the kernel's\n"
	if err != nil || complaints(stderr.String()) != want {
		t.Errorf("%v\n%s\nwant %s", err, &stderr, want)
	}
	leavesNothing(t, marker, c.Dir)
}

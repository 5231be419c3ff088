//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// seer is a user of whom nothing else runs meanwhile, where the tests run as root.
var seer = 61000 + uint32(os.Getpid())%1000

// seen is a run that goes on while it is looked at.
type seen struct {
	t      *testing.T
	c      *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	xdg    string
}

// see starts testdata/see.py with flags. Runs of one test have a folder of control sockets in
// common.
func see(t *testing.T, xdg string, flags ...string) *seen {
	t.Helper()
	need(t, "python3", "python3")
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	c, _ := commandAs(t, ctx, seer, append(flags, "--", "python3", script(t, "see.py"))...)
	s := &seen{t: t, c: c, xdg: xdg}
	if xdg == "" {
		s.xdg = c.Dir // which is the user's
		if err := os.Chmod(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.Env = append(c.Env, "XDG_RUNTIME_DIR="+s.xdg)
	c.Stderr = &s.stderr
	s.in, _ = c.StdinPipe()
	out, _ := c.StdoutPipe()
	s.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.in.Close()
		c.Wait()
		cancel()
	})
	if line, err := s.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%v: %q\n%s", err, line, &s.stderr)
	}
	return s
}

// tell has the program do something, and reads what it says.
func (s *seen) tell(v any, words ...string) {
	s.t.Helper()
	fmt.Fprintln(s.in, strings.Join(words, " "))
	line, err := s.out.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), v)
	}
	if err != nil {
		s.t.Fatalf("%v: %v: %q\n%s", words, err, line, &s.stderr)
	}
}

// look returns a command of usock's that looks at the runs of this user.
func (s *seen) look(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(bin, "usock"), args...)
	c.Dir, c.Env, c.SysProcAttr = s.c.Dir, s.c.Env, s.c.SysProcAttr
	return c
}

// sees returns what a command prints, which must succeed.
func (s *seen) sees(args ...string) string {
	s.t.Helper()
	var stderr bytes.Buffer
	c := s.look(args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		s.t.Fatalf("usock %v: %v\n%s%s", args, err, out, &stderr)
	}
	return string(out)
}

type seenRun struct {
	ID, Name, Shape string
	Program         []string
	PID             int
	Age             float64
	Sockets         int
}

func (s *seen) ps() (list []seenRun) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.sees("ps", "--json")), &list); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// TestSee lists a run and its sockets, with the figures that the program itself has.
func TestSee(t *testing.T) {
	s := see(t, "", "--name", "web", "--delay", "1ms")
	list := s.ps()
	if len(list) != 1 || list[0].Name != "web" || list[0].Program[0] != "python3" || list[0].PID != s.c.Process.Pid || list[0].Sockets != 11 ||
		list[0].Shape != "--delay 1ms --mtu 1500" || list[0].Age <= 0 || list[0].Age > 120 {
		t.Errorf("%+v", list)
	}
	if got := s.sees("ps"); !strings.Contains(got, "web") || !strings.Contains(got, "python3 ") {
		t.Error(got)
	}

	var ids []int
	s.tell(&ids, "pid")
	for who, port := range map[string]string{fmt.Sprintf(`users:(("python3",pid=%d,fd=%d))`, ids[0], ids[1]): "dport", fmt.Sprintf(`users:(("python3",pid=%d,fd=%d))`, ids[0], ids[2]): "sport"} {
		flags := "-tnp"
		if port == "sport" {
			flags = "-tlnp"
		}
		if got := s.sees("ss", flags, "web", port, "=", ":8000"); strings.Count(got, "\n") != 2 || !strings.Contains(got, who) {
			t.Errorf("no %s:\n%s", who, got)
		}
	}

	// Until two looks between which the program was asked agree.
	var told map[string]uint64
	var sockets []struct {
		SendQ, RecvQ int
		TCP          map[string]any
	}
	eventually(t, "the figures agree", func() bool {
		s.tell(&told, "info")
		if err := json.Unmarshal([]byte(s.sees("ss", "--json", "web", "dport", "=", ":8000")), &sockets); err != nil || len(sockets) != 1 {
			t.Fatal(err, sockets)
		}
		for name, want := range told {
			got, _ := sockets[0].TCP[name].(float64)
			if uint64(got) != want {
				t.Logf("%s: %v, and the program has %d", name, got, want)
				return false
			}
		}
		return true
	})
	if told["bytes_acked"] != 5301 || len(told) != 15 {
		t.Error(told)
	}
}

// TestSeeAsSS has usock ss, from outside, print what ss prints inside of the run.
func TestSeeAsSS(t *testing.T) {
	t.Parallel()
	need(t, "ss", "iproute2")
	s := see(t, "", "--name", "web")
	columns := func(text string) []string {
		var list []string
		for line := range strings.Lines(text) {
			list = append(list, strings.Join(strings.Fields(line), " "))
		}
		slices.Sort(list)
		return list
	}
	for _, flags := range []string{"-t", "-tl", "-ta", "-u", "-ul", "-tua", "-tnl", "-tna", "-tuna", "-tanp", "-4ta", "-6ta", "-6tna"} {
		for _, filter := range []string{
			"", "state established", "state listening", "exclude listening", "state connected", "state synchronized", "state big", "state all exclude closed",
			"sport = :8000", "sport = 8000", "dport = :8000 or sport = :8081", "sport = :8000 or sport = :8081 and dport > 0",
			"sport != :8000", "not sport = :8000", "sport >= 8001", "sport < :8081", "( sport = :8000 or dport = :8000 ) and src 127.0.0.0/8",
			"dst 127.0.0.1", "dst 127.0.0.0/8:8000", "src [::1]", "src [::1]:8082", "dst 10.0.0.0/8", "state established dst 127.0.0.1 sport gt 8000",
		} {
			args := strings.Fields(flags + " " + filter)
			if strings.Contains(flags, "4") && strings.Contains(filter, "[") || strings.Contains(flags, "6") && strings.Contains(filter, ".") {
				continue // ss takes no address of the other family then
			}
			var inside string
			s.tell(&inside, append([]string{"ss", "-H"}, args...)...)
			outside := s.sees(append([]string{"ss", args[0], "web"}, args[1:]...)...)
			_, rows, _ := strings.Cut(outside, "\n")
			if got, want := columns(rows), columns(inside); !slices.Equal(got, want) {
				t.Errorf("%v\ngot\n%s\nwant\n%s", args, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestSeeTail follows a connection from its beginning to its end.
func TestSeeTail(t *testing.T) {
	s := see(t, "", "--name", "web")
	c := s.look("tail", "--json", "--kind", "called,state", "web")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Kill()
		c.Wait()
	}()
	var ids []int
	s.tell(&ids, "pid")
	events := make(chan string)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e struct {
				Program, Name string
				Data          struct {
					Process        int
					Call, New, Err string
					Result         int
					Peer           string
				}
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Program != "python3" || e.Data.Process != ids[0] {
				events <- fmt.Sprintf("%v: %s", err, lines.Text())
				return
			}
			events <- e.Data.Call + e.Data.New
		}
	}()
	// It follows from some moment on: what is done is done again until it is told.
	want := []string{"connect", "SYN-SENT", "ESTABLISHED", "accept", "send", "recv", "close", "FIN-WAIT-1", "LAST-ACK", "CLOSED"}
	told := make(map[string]bool)
	var done string
	end := time.After(limit)
	for s.tell(&done, "talk"); ; {
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return told[w] })
		if len(missing) == 0 {
			return
		}
		select {
		case e, ok := <-events:
			if !ok || strings.Contains(e, ":") {
				t.Fatal(e)
			}
			told[e] = true
		case <-time.After(time.Second):
			s.tell(&done, "talk")
		case <-end:
			t.Fatalf("not told: %v", missing)
		}
	}
}

// TestSeeEnd has who follows a run say when it is killed, and fail, and not when it ends.
func TestSeeEnd(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		s := see(t, "", "--name", "web")
		var list []*background
		for _, args := range [][]string{{"tail", "--all"}, {"ss", "--watch=0.1", "-a"}, {"ss", "--watch=0.1", "-a", "web"}} {
			list = append(list, s.follows(args...))
		}
		if killed {
			s.c.Process.Kill()
		} else {
			s.in.Close()
		}
		for _, b := range list {
			code, stderr := b.wait()
			if !killed && (code != 0 || stderr != "") || killed && (code != 1 || !strings.HasPrefix(stderr, "usock: run ") || !strings.Contains(stderr, "was killed")) {
				t.Errorf("killed %v: %v: exit status %d: %s", killed, b.c.Args[1:], code, stderr)
			}
		}
	}
}

// follows starts a command, and has the program do something until the command tells of it.
func (s *seen) follows(args ...string) *background {
	s.t.Helper()
	b := &background{t: s.t, c: s.look(args...)}
	b.c.Stderr = &b.stderr
	out, err := b.c.StdoutPipe()
	if err == nil {
		err = b.c.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { b.c.Process.Kill() })
	told := make(chan struct{})
	go func() {
		out.Read(make([]byte, 1))
		close(told)
		io.Copy(io.Discard, out)
	}()
	for end := time.After(limit); ; {
		var done string
		s.tell(&done, "talk")
		select {
		case <-told:
			return b
		case <-time.After(100 * time.Millisecond):
		case <-end:
			s.t.Fatalf("%v tells of nothing: %s", args, &b.stderr)
		}
	}
}

// TestSeeClosed has sockets that the program has closed be neither listed nor counted.
func TestSeeClosed(t *testing.T) {
	s := see(t, "", "--name", "web")
	before := s.ps()[0].Sockets
	for range 3 {
		var done string
		s.tell(&done, "close")
		if got := s.sees("ss", "-an", "sport", ">=", ":9000", "and", "sport", "<", ":9020"); strings.Count(got, "\n") != 1 {
			t.Errorf("closed, and listed:\n%s", got)
		}
		s.tell(&done, "close")
		if n := s.ps()[0].Sockets; n != before {
			t.Errorf("%d sockets, and %d before", n, before)
		}
	}
}

// TestSeeStale has a look remove what a killed run has left behind.
func TestSeeStale(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web")
	other := see(t, s.xdg, "--name", "web")
	if list := s.ps(); len(list) != 2 {
		t.Fatal(list)
	}
	s.c.Process.Kill()
	s.c.Wait()
	left := func() []string {
		entries, err := os.ReadDir(filepath.Join(s.xdg, "usock"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if names := left(); len(names) != 2 {
		t.Error(names)
	}
	list := other.ps()
	if len(list) != 1 || list[0].PID != other.c.Process.Pid {
		t.Error(list)
	}
	if names := left(); len(names) != 1 || names[0] != list[0].ID {
		t.Error(names)
	}
	other.in.Close()
	other.c.Wait()
	if names := left(); len(names) != 0 {
		t.Error("after the end:", names)
	}
}

// TestSeeNames calls runs by what several of them have in common.
func TestSeeNames(t *testing.T) {
	s := see(t, "", "--name", "web")
	see(t, s.xdg, "--name", "web")
	out, err := s.look("ss", "web").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), `usock: 2 runs are called "web": give the id of one, `) {
		t.Errorf("%v: %s", err, out)
	}
	for _, r := range s.ps() {
		if got := s.sees("ss", "-tl", r.ID); strings.Contains(got, "Run") || !strings.Contains(got, ":8000") {
			t.Error(got)
		}
	}
	if got := s.sees("ss", "-tln"); !strings.HasPrefix(got, "Run") || strings.Count(got, ":8000") != 2 {
		t.Error(got)
	}
	if out, err := s.look("ss", "nothing").CombinedOutput(); err == nil || string(out) != "usock: there is no run \"nothing\" (usock ps lists those that there are)\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSeeIsRefused has neither programs of a run nor other users look at one.
func TestSeeIsRefused(t *testing.T) {
	s := see(t, "", "--name", "web")
	other := see(t, s.xdg)
	where := filepath.Join(s.xdg, "usock", s.ps()[0].ID)
	for _, who := range []*seen{s, other} {
		var got map[string]string
		who.tell(&got, "ask", where)
		if got["absolute"] != "No such file or directory" || got["relative"] != "refused" || got["by a child"] != "refused" {
			t.Error(got)
		}
	}
	var done string
	other.tell(&done, "pretend", filepath.Dir(where))
	out, err := s.look("ps").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "usock: run 0000aaaa: a program that runs under usock listens there, and is no run\n") || !strings.Contains(string(out), "web") {
		t.Errorf("%v: %s", err, out)
	}
	if os.Getuid() != 0 {
		t.Skip("another user is needed")
	}
	c, err := net.Dial("unix", where) // as root
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if want := `{"usock":1,"error":{"code":"refused","text":"this is another user's run"}}` + "\n"; line != want {
		t.Errorf("%v: %s", err, line)
	}
}

// TestSeeStopped has a run that is stopped told of, and the others listed.
func TestSeeStopped(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web")
	other := see(t, s.xdg, "--name", "db")
	other.c.Process.Signal(syscall.SIGSTOP)
	defer other.c.Process.Signal(syscall.SIGCONT)
	out, err := s.look("ss", "-tln").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "that run does not answer: its usock may be stopped\n") || !strings.Contains(string(out), ":8000") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSeeNowhere runs programs where no control socket can be.
func TestSeeNowhere(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a folder of another user's is needed")
	}
	const user = 65531
	dir := fmt.Sprintf("/tmp/usock-%d", user)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	for _, xdg := range []string{"XDG_RUNTIME_DIR=", "XDG_RUNTIME_DIR=run", "XDG_RUNTIME_DIR=/proc", "XDG_RUNTIME_DIR=/nowhere"} {
		for _, flags := range [][]string{nil, {"--name", "web"}} {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			c, marker := commandAs(t, ctx, user, append(flags, "--", "sh", "-c", "echo ran")...)
			c.Env = append(c.Env, xdg)
			r := finish(t, ctx, c, marker)
			cancel()
			said := strings.Contains(r.stderr, "usock ps, ss and tail will not see this run: no control socket: ") && strings.Contains(r.stderr, dir+": it is another user's")
			if r.code != 0 || r.stdout != "ran\n" || said != (flags != nil) {
				t.Errorf("%s %v: %d, %q, %q", xdg, flags, r.code, r.stdout, r.stderr)
			}
		}
	}
}

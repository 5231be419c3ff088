//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// terminal is a terminal of tmux's, in which a shell runs as the user who looks at runs.
type terminal struct {
	s      *seen
	socket string
}

// terminal starts one, of 80 columns and 24 lines.
func (s *seen) terminal() *terminal {
	s.t.Helper()
	need(s.t, "tmux", "tmux")
	x := &terminal{s, filepath.Join(s.c.Dir, "tmux")}
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1='ready> ' sh")
	s.t.Cleanup(func() { s.command("tmux", "-S", x.socket, "kill-server").Run() })
	x.shows("ready>")
	return x
}

// command returns a command of the user who looks at runs.
func (s *seen) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir, c.Env, c.SysProcAttr = s.c.Dir, append(s.c.Env, "TERM=xterm", "LC_ALL=C.UTF-8"), s.c.SysProcAttr
	return c
}

func (x *terminal) tmux(args ...string) string {
	x.s.t.Helper()
	out, err := x.s.command("tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.s.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// keys types keys, by tmux's names or as they are.
func (x *terminal) keys(names ...string) {
	x.s.t.Helper()
	x.tmux(append([]string{"send-keys"}, names...)...)
}

// line types a line.
func (x *terminal) line(text string) {
	x.s.t.Helper()
	x.keys("-l", text)
	x.keys("Enter")
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// shows waits until the screen matches.
func (x *terminal) shows(pattern string) string {
	x.s.t.Helper()
	re := regexp.MustCompile(pattern)
	var screen string
	defer func() {
		if x.s.t.Failed() {
			x.s.t.Logf("the screen:\n%s", screen)
		}
	}()
	eventually(x.s.t, "the screen shows "+pattern, func() bool {
		screen = x.screen()
		return re.MatchString(screen)
	})
	return screen
}

// TestTop looks at a run in a terminal: with the figures of usock ss, through changes of its size, and a run that is stopped,
// ends, and begins again.
func TestTop(t *testing.T) {
	s := see(t, "", "--name", "web", "--delay", "1ms")
	x := s.terminal()
	x.line(filepath.Join(bin, "usock") + " top --every 200ms; echo status $?")
	x.shows(`(?m)^usock top  1 run, \d+ sockets by rate`)

	// A connection's queue, until screen and list agree.
	x.keys("u")
	row := regexp.MustCompile(`(?m)^python3 +:8000 +127\.0\.0\.1:(\d+) +ESTAB +\S+ +\S+ +(\d+) +(\d+) +(\d+) +(\S+) program`)
	eventually(t, "the figures are those of usock ss", func() bool {
		m := row.FindStringSubmatch(x.screen())
		if m == nil {
			return false
		}
		var list []struct {
			RecvQ int `json:"recv_q"`
			SendQ int `json:"send_q"`
			Stall string
			TCP   struct {
				RTT     uint32
				Retrans int `json:"total_retrans"`
			}
		}
		if err := json.Unmarshal([]byte(s.sees("ss", "--json", "web", "sport", "=", ":8000", "dport", "=", ":"+m[1])), &list); err != nil || len(list) != 1 {
			t.Fatal(err, list)
		}
		l := list[0]
		rtt := fmt.Sprintf("%dµs", l.TCP.RTT)
		if l.TCP.RTT >= 1000 {
			rtt = fmt.Sprintf("%.1fms", float64(l.TCP.RTT)/1000)
		}
		got, want := strings.Join(m[2:], " "), fmt.Sprintf("%d %d %d %s", l.RecvQ, l.SendQ, l.TCP.Retrans, rtt)
		if got != want || l.RecvQ != 300 || !strings.HasPrefix(l.Stall, "program: it has not read 300 bytes") {
			t.Logf("%q, and usock ss has %q", got, want)
			return false
		}
		return true
	})
	x.shows(`── tcp ESTAB python3\[\d+\]  127\.0\.0\.1:8000 > 127\.0\.0\.1:\d+ ─+\nprogram: it has not read 300 bytes, the last for`)

	// Its size.
	x.tmux("resize-window", "-x", "20", "-y", "5")
	x.shows(`^usock top  1 run, \d…\nPROCESS +RCVQ SNDQ *\n(python3 +\d+ +\d+\n){2}r:rate \?:help q:quit\n$`)
	x.tmux("resize-window", "-x", "100", "-y", "30")
	x.shows(`(?m)^PROCESS +LOCAL +PEER +STATE +RX +TX +RCVQ +SNDQ +RETR +RTT +WAITS$`)

	// A filter.
	x.keys("/")
	x.keys("-l", "state listening")
	x.shows(`(?m)^filter: state listening_`)
	x.keys("Enter")
	x.shows(`(?m)^filter: state listening\n(.*\n)*python3.* 127\.0\.0\.1:8000 +\* +LISTEN`)
	x.keys("/", "C-u", "Enter")
	x.shows(`(?m)^usock top .*\n^web .*\nPROCESS`)

	// Other runs come and go, and one that is stopped holds nothing up.
	other := see(t, s.xdg, "--name", "other")
	x.shows(`(?m)^usock top  2 runs`)
	if err := s.c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	x.shows(`(?m)^web  has not answered for \ds`)
	other.in.Close()
	other.c.Wait()
	x.shows(`(?m)^usock top  1 run,`)
	x.keys("?")
	x.shows("Any key goes back")
	x.keys("?")
	if err := s.c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	x.shows(`(?m)^web  \d+s  lo rx`)
	x.keys("q")
	x.shows(`status 0\nready>`)
}

// TestTopLeavesTheTerminal has it as it was, however top ends.
func TestTopLeavesTheTerminal(t *testing.T) {
	s := see(t, "", "--name", "web")
	x := s.terminal()
	before := x.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{bracket_paste_flag}")
	x.line("stty -a >before")
	for _, end := range []string{"C-c", "TERM"} {
		x.line("clear; " + filepath.Join(bin, "usock") + " top web & echo $! >pid; fg; echo status $?; stty -a >after; cmp before after && echo same")
		x.shows(`(?m)^usock top  1 run`)
		if end == "TERM" {
			x.tmux("run-shell", "kill -TERM $(cat "+filepath.Join(s.c.Dir, "pid")+")")
		} else {
			x.keys(end)
		}
		x.shows(`status 0\n(.*\n)*same\n`)
		eventually(t, "the terminal is as it was", func() bool {
			return x.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{bracket_paste_flag}") == before
		})
	}
}

// TestTopOnce prints a screen for programs, and says what top wants of a terminal.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web")
	got := s.sees("top", "--once", "--every", "100ms", "--width", "100", "--sort", "queues", "web")
	for _, want := range []string{"usock top  1 run, ", "\nweb  ", "lo rx ", "PROCESS", " 127.0.0.1:8000 ", " 300 ", "program"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 || strings.Contains(line, "\x1b") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	for args, want := range map[string]string{
		"top":              "usock top draws on a terminal, and stdin and stdout are none: usock top --once prints a screen as text",
		"top --once other": `there is no run "other" (usock ps lists those that there are)`,
	} {
		out, err := s.look(strings.Fields(args)...).CombinedOutput()
		if err == nil || string(out) != "usock: "+want+"\n" {
			t.Errorf("%s: %v, %s", args, err, out)
		}
	}

	// A run that is stopped is told of, and holds the others up for some seconds only.
	other := see(t, s.xdg, "--name", "other")
	if err := other.c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer other.c.Process.Signal(syscall.SIGCONT)
	out, err := s.look("top", "--once", "--every", "100ms").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "does not answer") || !strings.Contains(string(out), "\nweb  ") {
		t.Errorf("%v, %s", err, out)
	}
	if err := s.c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

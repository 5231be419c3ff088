//go:build linux

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// background is a command that goes on while its run is used.
type background struct {
	t      *testing.T
	c      *exec.Cmd
	stderr bytes.Buffer
}

// start starts a command of usock's on a run, and waits until a file has more than a capture's first blocks.
func (s *seen) start(file string, args ...string) *background {
	s.t.Helper()
	b := &background{t: s.t, c: s.look(args...)}
	b.c.Stderr = &b.stderr
	if err := b.c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { b.c.Process.Kill() })
	for deadline := time.Now().Add(limit); ; {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			return b
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%v: nothing in %s: %s", args, file, &b.stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// end ends it as Ctrl-C does, and returns its exit status and what it has complained of.
func (b *background) end() (int, string) {
	b.t.Helper()
	b.c.Process.Signal(syscall.SIGINT)
	return b.wait()
}

func (b *background) wait() (int, string) {
	b.t.Helper()
	b.c.Wait()
	return b.c.ProcessState.ExitCode(), b.stderr.String()
}

// TestCaptureOfRun records a run that is going, twice at once.
func TestCaptureOfRun(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web")
	var told string
	all, some := filepath.Join(s.c.Dir, "all.pcapng"), filepath.Join(s.c.Dir, "some.pcapng")
	x := s.start(all, "capture", "--write", all, "web")
	y := s.start(some, "capture", "-w", some, "--filter", "tcp[tcpflags] & tcp-syn != 0", "--for", "python3", "--snaplen", "60")
	s.tell(&told, "talk")
	if code, stderr := y.end(); code != 0 || stderr != "" {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	for _, line := range tsharkLines(t, some, "-T", "fields", "-e", "tcp.flags.syn", "-e", "frame.cap_len", "-e", "frame.interface_name", "-e", "frame.comment") {
		if !regexp.MustCompile(`^(1|True)\t60\tlo\tpid \d+ \(python3\)( socket \d+)?$`).MatchString(line) {
			t.Errorf("%q", line)
		}
	}
	s.in.Close()
	s.c.Wait()
	if code, stderr := x.wait(); code != 0 || stderr != "" {
		t.Errorf("at the end of the run: exit status %d: %s", code, stderr)
	}
	syns := tsharkLines(t, all, "-Y", "tcp.flags.syn == 1")
	if n := len(tsharkLines(t, some)); n < 2 || n != len(syns) {
		t.Errorf("%d SYNs, and %d of them in the other recording", len(syns), n)
	}
	if lines := tsharkLines(t, all, "-q", "-z", "io,stat,0"); len(lines) == 0 {
		t.Error("the recording cannot be read")
	}
}

// TestCaptureRefused has captures that cannot be.
func TestCaptureRefused(t *testing.T) {
	s := see(t, "", "--name", "web")
	for _, c := range []struct{ args, want string }{
		{"capture nothing", `there is no run "nothing" (usock ps lists those that there are)`},
		{"capture --filter prot web", "--filter prot: filter \"prot\", at \"prot\": here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses (usock capture --help shows the flags)"},
		{"capture -w missing/file web", "--write missing/file: no such file or directory; make the folder first, or name a file that you can write"},
		{"capture -w /dev/full web", "the recording to /dev/full was cut short: no space left on device; make room, or record to another disk"},
		{"capture web too", `usock capture takes one run, and "too" is one more (usock capture --help)`},
	} {
		cmd := s.look(strings.Fields(c.args)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		cmd.Run()
		if got := stderr.String(); cmd.ProcessState.ExitCode() != 1 || got != "usock: "+c.want+"\n" {
			t.Errorf("%s: exit status %d: %s\nwant %s", c.args, cmd.ProcessState.ExitCode(), got, c.want)
		}
	}
}

// TestCaptureKilled kills who captures, and has one that reads nothing: the run goes on. Then it is killed itself, and who captures says so.
func TestCaptureKilled(t *testing.T) {
	s := see(t, "", "--name", "web")
	file := filepath.Join(s.c.Dir, "a.pcapng")
	x := s.start(file, "capture", "-w", file)
	x.c.Process.Kill()
	x.wait()
	stuck := s.start(file, "capture", "-w", file)
	stuck.c.Process.Signal(syscall.SIGSTOP)
	var told string
	for range 20 {
		s.tell(&told, "talk")
	}
	stuck.c.Process.Kill()
	stuck.wait()
	y := s.start(filepath.Join(s.c.Dir, "b.pcapng"), "capture", "-w", filepath.Join(s.c.Dir, "b.pcapng"))
	if code, stderr := y.end(); code != 0 || stderr != "" {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	cut := filepath.Join(s.c.Dir, "c.pcapng")
	z := s.start(cut, "capture", "-w", cut)
	s.tell(&told, "talk")
	eventually(t, "packets in the capture", func() bool {
		st, err := os.Stat(cut)
		return err == nil && st.Size() > 1000
	})
	s.c.Process.Kill()
	if code, stderr := z.wait(); code != 1 || !strings.Contains(stderr, "the run was killed") {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}

// TestExtcap has usock asked by tshark, which lists the run as an interface and captures from it.
func TestExtcap(t *testing.T) {
	t.Parallel()
	need(t, "tshark", "tshark")
	s := see(t, "", "--name", "web")
	dir := filepath.Join(s.c.Dir, "extcap")
	installed := s.sees("extcap", "--dir", dir)
	if !strings.HasPrefix(installed, filepath.Join(dir, "usock")+" leads to ") || s.sees("extcap", "--dir", dir) != filepath.Join(dir, "usock")+" is there already\n" {
		t.Errorf("%s", installed)
	}
	id := s.ps()[0].ID
	title := "usock: web, " + strings.Join(s.ps()[0].Program, " ")
	if r := []rune(title); len(r) > 80 {
		title = string(r[:79]) + "…"
	}
	self := filepath.Join(dir, "usock")
	ask := func(args ...string) string {
		c := s.look(args...)
		c.Path = self
		out, err := c.Output()
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		return string(out)
	}
	for _, c := range []struct{ args, want string }{
		{"--extcap-interfaces --extcap-version=4.2", "extcap {version=1}{display=usock}\ninterface {value=usock-" + id + "}{display=" + title + "}\n"},
		{"--extcap-interface usock-" + id + " --extcap-dlts", "dlt {number=101}{name=RAW}{display=Raw IP}\n"},
		{"--extcap-config --extcap-interface=usock-" + id, "arg {number=0}{call=--for}{display=Only of}{type=string}{tooltip=A program by its name, pid:NUMBER, or :PORT}\n"},
		{"--extcap-interface=usock-" + id + " --extcap-capture-filter=tcp", ""},
		{"--extcap-interface=usock-" + id + " --extcap-capture-filter=prot", "filter \"prot\", at \"prot\": here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses\n"},
	} {
		if got := ask(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.args, got, c.want)
		}
	}

	// Wireshark before 4.2 looks into a folder of the machine's alone.
	needRoot(t)
	if !hasCapability(t, capSysAdmin) {
		t.Skip("needs leave to put a folder in the place of another one")
	}
	need(t, "setpriv", "util-linux")
	folder := ""
	out, _ := exec.Command("tshark", "-G", "folders").Output()
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(line, ":"); name == "Extcap path" {
			folder = strings.TrimSpace(value)
		}
	}
	if folder == "" {
		t.Skip("this tshark names no folder for all users")
	}
	shark := func(args string) *exec.Cmd {
		c := exec.Command("unshare", "-m", "sh", "-c", "mount --bind "+dir+" "+folder+" && exec setpriv --reuid $0 --regid $0 --clear-groups tshark "+args, strconv.Itoa(int(seer)))
		c.Dir, c.Env = s.c.Dir, s.c.Env
		return c
	}
	if list, err := shark("-D").Output(); err != nil || !strings.Contains(string(list), "usock-"+id+" ("+title+")") {
		t.Errorf("%v: %s", err, list)
	}
	c := shark("-i usock-" + id + " -f 'tcp port 8000' -c 3 -T fields -e frame.interface_name -e frame.comment -l")
	var lines bytes.Buffer
	c.Stdout = &lines
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	var told string
	for deadline := time.Now().Add(limit); ; {
		s.tell(&told, "talk")
		select {
		case err := <-done:
			got := strings.Split(strings.TrimSpace(lines.String()), "\n")
			if err != nil || len(got) != 3 || slices.ContainsFunc(got, func(l string) bool {
				return !regexp.MustCompile(`^lo\t(pid \d+ \(python3\)( socket \d+)?)?$`).MatchString(l)
			}) {
				t.Errorf("%v: %q", err, got)
			}
			return
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(deadline) {
				c.Process.Kill()
				t.Fatal("tshark has captured nothing")
			}
		}
	}
}

package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// process is one of a made /proc.
type process struct {
	pid, parent int
	seccomp     string
	threads     []string
	hidden      bool
}

func makeProc(t *testing.T, list []process) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range list {
		dir := filepath.Join(root, fmt.Sprint(p.pid))
		if err := os.MkdirAll(filepath.Join(dir, "task"), 0o755); err != nil {
			t.Fatal(err)
		}
		if p.hidden {
			continue
		}
		text := fmt.Sprintf("Name:\ta\\nPPid:\t1\nPPid:\t%d\n", p.parent)
		if p.seccomp != "" {
			text += "Seccomp:\t" + p.seccomp + "\nSeccomp_filters:\t1\n"
		}
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for i, name := range append([]string{"main"}, p.threads...) {
			d := filepath.Join(dir, "task", fmt.Sprint(p.pid+i))
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d, "comm"), []byte(name+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// TestJudgeByAncestors judges processes with a filter by what they come of, and those without
// by nothing else.
func TestJudgeByAncestors(t *testing.T) {
	supervisor := process{pid: 50, parent: 1, seccomp: "0", threads: []string{"other", Mark}}
	root := process{pid: 1, seccomp: "0"}
	for name, c := range map[string]struct {
		procs []process
		want  string // a part of the refusal; "": none
	}{
		"no filter":                   {[]process{{pid: 90, parent: 50, seccomp: "0"}}, ""},
		"a filter of a service":       {[]process{root, {pid: 40, parent: 1, seccomp: "2"}, {pid: 90, parent: 40, seccomp: "2"}}, ""},
		"in a container":              {[]process{{pid: 1, parent: 0, seccomp: "2"}, {pid: 90, parent: 1, seccomp: "2"}}, ""},
		"a run's":                     {[]process{root, supervisor, {pid: 90, parent: 50, seccomp: "2"}}, "runs under usock"},
		"a run's grandchild":          {[]process{root, supervisor, {pid: 60, parent: 50, seccomp: "2"}, {pid: 90, parent: 60, seccomp: "2"}}, "runs under usock"},
		"another supervisor":          {[]process{root, {pid: 90, parent: 1, seccomp: "2", threads: []string{Mark}}}, ""},
		"one with a name like it":     {[]process{root, {pid: 50, parent: 1, seccomp: "2", threads: []string{Mark + "x"}}, {pid: 90, parent: 50, seccomp: "2"}}, ""},
		"a kernel that tells nothing": {[]process{root, supervisor, {pid: 90, parent: 50}}, "runs under usock"},
		"strict mode":                 {[]process{root, supervisor, {pid: 90, parent: 50, seccomp: "1"}}, "runs under usock"},
		"a hidden parent":             {[]process{root, {pid: 50, hidden: true}, {pid: 90, parent: 50, seccomp: "2"}}, "cannot be seen"},
		"no parent":                   {[]process{{pid: 90, parent: 50, seccomp: "2"}}, "cannot be seen"},
		"gone":                        {[]process{root}, "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			p := peer{pid: 90, pidfd: -1}
			err := p.judge(makeProc(t, c.procs))
			switch {
			case err == nil && c.want != "":
				t.Error("it may ask")
			case err != nil && (c.want == "" || !strings.Contains(err.Text, c.want)):
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// TestJudgeEnded refuses a process that has ended, whatever its number says now.
func TestJudgeEnded(t *testing.T) {
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p.Wait()
	proc := makeProc(t, []process{{pid: 90, seccomp: "0"}})
	who := peer{pid: 90, pidfd: fd}
	if err := who.judge(proc); err != errEndedPeer {
		t.Error(err)
	}
}

// TestJudgeSelf has this process's own connection pass.
func TestJudgeSelf(t *testing.T) {
	d := openDir(t)
	l, id, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := d.connect(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := Judge(s); err != nil {
		t.Error(err)
	}
}

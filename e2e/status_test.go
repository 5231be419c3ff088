//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestOwnStatus is about the ends that are usock's and not the program's: 125 where
// usock run fails, 126 where the program cannot be executed, 127 where there is none.
// Each is told in one line, which says what to do.
func TestOwnStatus(t *testing.T) {
	files := t.TempDir()
	open(t, files)
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := file("plain", "text\n", 0o644)
	noProgram := file("no-program", "text\n", 0o755)
	noInterpreter := file("no-interpreter", "#!/nonexistent/sh\n", 0o755)
	const flags = " (usock run --help shows the flags)"
	for _, c := range []struct {
		args []string
		code int
		line string
	}{
		{[]string{}, 125, "no program is named: usock run [flags] -- PROGRAM [ARGS]"},
		{[]string{"--"}, 125, "no program is named: usock run [flags] -- PROGRAM [ARGS]"},
		{[]string{"--nonsense", "--", "true"}, 125, "unknown flag: --nonsense" + flags},
		{[]string{"--pcap"}, 125, "flag needs an argument: --pcap" + flags},
		{[]string{"--loss", "200%", "--", "true"}, 125,
			"--loss 200%: more than 100%" + flags},
		{[]string{"--limit", "10", "--", "true"}, 125, // a queue needs a rate
			"the link's flags do not fit together: limit: there is a queue only where there is a rate (--help shows them)"},
		{[]string{"--mtu", "100", "--", "true"}, 125, "--mtu 100: IPv6 needs packets of 1280 bytes; give 1280 to 65536" + flags},
		{[]string{"--pcap", "/nonexistent/file", "--", "true"}, 125,
			"--pcap /nonexistent/file: no such file or directory; make the folder first, or name a file that you can write"},
		{[]string{"--", "/nonexistent/program"}, 127, `exec: "/nonexistent/program": stat /nonexistent/program: no such file or directory`},
		{[]string{"--", "no-such-program"}, 127, `exec: "no-such-program": executable file not found in $PATH`},
		{[]string{"--", noInterpreter}, 127,
			"fork/exec " + noInterpreter + ": no such file or directory (the program, or the interpreter that it names)"},
		{[]string{"--", plain}, 126, fmt.Sprintf("exec: %q: permission denied", plain)},
		{[]string{"--", files}, 126, fmt.Sprintf("exec: %q: is a directory", files)},
		{[]string{"--", noProgram}, 126,
			"fork/exec " + noProgram + ": exec format error (a script names its interpreter in a first line with #!)"},
		{[]string{"--", "sh", "-c", "exit 125"}, 125, ""}, // the program's own
	} {
		cmd, marker := command(t, context.Background(), c.args...)
		out, err := cmd.CombinedOutput()
		want := ""
		if c.line != "" {
			want = "usock: " + c.line + "\n"
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || string(out) != want {
			t.Errorf("%q: exit status %d (%v)\n%swant %d\n%s", c.args, code, err, out, c.code, want)
		}
		leavesNothing(t, marker, cmd.Dir)
	}
}

// TestProgramInCurrentDirectory names a program that PATH leads to by way of the
// current directory.
func TestProgramInCurrentDirectory(t *testing.T) {
	cmd, _ := command(t, context.Background(), "--", "here")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "here"), []byte("#!/bin/sh\necho found\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "PATH=.:/bin")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "found\n" {
		t.Errorf("%v: %s", err, out)
	}
}

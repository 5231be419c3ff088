//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shell runs a script natively, as an ordinary user. "run" is usock run --isolated there, and $T a
// program with packets.
func shell(t *testing.T, text string) result {
	t.Helper()
	need(t, "python3", "python3")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, marker := command(t, ctx)
	c.Path = "/bin/bash"
	c.Args = []string{"bash", "-c", fmt.Sprintf(prelude, bin) +
		"set +e; run() { usock run --isolated \"$@\"; }; T='python3 " + script(t, "traffic.py") + "'\n" + text}
	return finish(t, ctx, c, marker)
}

// magic is how a capture in pcapng begins.
const magic = "\x0a\x0d\x0d\x0a"

// isCapture fails the test unless the file of the script's folder is a capture with packets of
// python3.
func isCapture(t *testing.T, r result, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil || !strings.HasPrefix(string(b), magic) || !strings.Contains(string(b), " (python3) socket ") {
		t.Errorf("%s: %d bytes, no capture of python3's packets: %v", name, len(b), err)
	}
}

// TestCaptureGoes records to all that a shell has: stdout, a FIFO, descriptors.
func TestCaptureGoes(t *testing.T) {
	for name, script := range map[string]string{
		"stdout, and the program's to a file":   `run --pcap - --stdout out -- $T | cat >trace; echo ${PIPESTATUS[@]}; cat out`,
		"stdout, and the program's to stderr":   `run --pcap - --stdout /dev/stderr -- $T 2>out | cat >trace; echo ${PIPESTATUS[@]}; cat out`,
		"stdout by another name":                `run --pcap /dev/fd/1 --stdout out -- $T >trace; echo $? 0; cat out`,
		"a FIFO that is read":                   `mkfifo f; cat f >trace & run --pcap f -- $T >out; echo $? 0; wait; cat out`,
		"a FIFO whose reader comes later":       `mkfifo f; (until_ok grep waiting err; cat f >trace) & run --pcap f -- $T 2>err >out; echo $? 0; wait; cat out`,
		"a descriptor":                          `run --pcap /dev/fd/7 -- $T 7>trace >out; echo $? 0; cat out`,
		"a descriptor of a pipe":                `{ run --pcap /dev/fd/7 -- $T 7>&1 >out; } | cat >trace; echo ${PIPESTATUS[@]}; cat out`,
		"a process of bash's":                   `run --pcap >(cat >trace; echo >over) -- $T >out; echo $? 0; until_ok test -e over; cat out`,
		"a file":                                `run --pcap trace -- $T >out; echo $? 0; cat out`,
		"a file, when stderr's reader has gone": `{ run -v --pcap trace -- sh -c "until_ok() { until \"\$@\"; do sleep 0.02; done; }; until_ok test -e gone; $T" 2>&1 >out; echo $? 0 >status; } | (exec <&-; echo >gone); cat status out`,
	} {
		t.Run(name, func(t *testing.T) {
			r := shell(t, script)
			if r.code != 0 || r.stdout != "0 0\nsent\n" || r.stderr != "" {
				t.Errorf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
			}
			isCapture(t, r, "trace")
		})
	}
}

// TestCaptureIsRefused has captures that would be mixed with what the program writes.
func TestCaptureIsRefused(t *testing.T) {
	const mixed = "usock: --pcap %s: the program's stdout goes there, too; give the program another, such as --stdout /dev/stderr or --stdout FILE, or record to a file\n"
	for script, want := range map[string]string{
		"run --pcap - -- true >file":                                fmt.Sprintf(mixed, "-"),
		"run --pcap - -- true | cat":                                fmt.Sprintf(mixed, "-"),
		"run --pcap file -- true >file":                             fmt.Sprintf(mixed, "file"),
		"run --pcap - --stdout /dev/stderr -- true 2>&1 | cat >&2":  fmt.Sprintf(mixed, "-"),
		"run --pcap f --stdout f -- true":                           fmt.Sprintf(mixed, "f"),
		"run --pcap - --stdout out -- true 2>&1 | cat >&2":          "usock: --pcap -: the program's stderr goes there, too; send that elsewhere (2>FILE), or record to a file\n",
		"exec 5<>/dev/ptmx; run --pcap /dev/fd/5 -- true":           "usock: --pcap /dev/fd/5: a recording is not for a terminal; pipe it into a reader, such as tshark -r -, or name a file\n",
		"touch denied; chmod 400 denied; run --pcap denied -- true": "usock: --pcap denied: permission denied; name a file that you can write\n",
		"usock run --pcap '' -- true":                               "usock: --pcap \"\": no file is named; give one, such as trace.pcapng, or - for stdout (usock run --help shows the flags)\n",
	} {
		r := shell(t, script+`; echo ${PIPESTATUS[0]}`)
		if r.stdout != "125\n" || r.stderr != want {
			t.Errorf("%s\nstdout: %s\nstderr: %s\nwant    %s", script, r.stdout, r.stderr, want)
		}
	}
}

// TestCaptureFails has captures that lack packets: the run goes on, and tells at its end
// and in its exit status, unless the program has one to tell.
func TestCaptureFails(t *testing.T) {
	const gone = "usock: the recording to f was cut short: its reader has gone\n"
	const full = "usock: the recording to /dev/full was cut short: no space left on device; make room, or record to another disk\n"
	for _, c := range []struct{ script, stdout, stderr string }{
		{`run --pcap /dev/full -- $T; echo $?`, "sent\n125\n", full},
		{`run --pcap /dev/full -- sh -c "$T; exit 7"; echo $?`, "sent\n7\n", full},
		{`(ulimit -f 8; run --pcap f -- $T 100; echo $?)`, "sent\n125\n", "usock: the recording to f was cut short: file too large; raise the limit of file sizes (ulimit -f)\n"},
		{`mkfifo f; (head -c 4 f >head; echo >gone) & run --pcap f -- sh -c "$T; until test -e gone; do sleep 0.02; done; $T"; echo $?; cat head`,
			"sent\nsent\n125\n" + magic, gone},
	} {
		if r := shell(t, c.script); r.stdout != c.stdout || r.stderr != c.stderr {
			t.Errorf("%s\nstdout: %q\nstderr: %s\nwant %q\n%s", c.script, r.stdout, r.stderr, c.stdout, c.stderr)
		}
	}
}

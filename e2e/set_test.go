//go:build linux

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// trip has the program make a round trip of a byte, and returns its time.
func (s *seen) trip() time.Duration {
	s.t.Helper()
	var seconds float64
	s.tell(&seconds, "trip")
	return time.Duration(seconds * 1e9)
}

var resent = regexp.MustCompile(`retrans:[0-9]+/[1-9]`)

// TestSet changes what is done to a run's packets while it goes on: of one that was started without any, with some, and with a
// recording. It is seen in round trips, in ps, by who listens to events, and in the recording.
func TestSet(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"plain": nil, "shaped": {"--delay", "1ms"}, "recorded": {"--pcap", "x.pcapng"}, "on loopback": {"--on", "loopback", "--delay", "1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := see(t, "", append([]string{"--name", "web"}, flags...)...)
			s.trip()
			before := s.sees("set")
			if got := s.sees("set", "web", "delay", "40ms"); got != "--delay 40ms --mtu 1500\n" {
				t.Errorf("%q", got)
			}
			if d := s.trip(); d < 80*time.Millisecond {
				t.Errorf("a round trip takes %v, with 40ms each way", d)
			}
			if list := s.ps(); len(list) != 1 || list[0].Shape != "--delay 40ms --mtu 1500" {
				t.Errorf("%+v", list)
			}
			if got := s.sees("set", "web", "delay", "none", "--rule", "tcp: delay 20ms", "up-rate", "100mbit"); got != "--up-rate 100mbit --rule 'tcp: delay 20ms' --mtu 1500\n" {
				t.Errorf("%q", got)
			}
			if d := s.trip(); d < 40*time.Millisecond {
				t.Errorf("a round trip takes %v, with a rule of 20ms each way", d)
			}

			// Nothing comes through between cut and heal: the trip begins before heal, when a packet has been lost, and ends behind it.
			s.sees("cut", "web")
			fmt.Fprintln(s.in, "trip")
			eventually(t, "a packet is sent again", func() bool { return resent.MatchString(s.sees("ss", "-ti", "web")) })
			s.sees("cut", "udp") // another one, which heal takes back as well
			if got := s.sees("heal"); got != "--up-rate 100mbit --rule 'tcp: delay 20ms' --mtu 1500\n" {
				t.Errorf("%q", got)
			}
			if line, err := s.out.ReadString('\n'); err != nil {
				t.Fatalf("%q, %v", line, err)
			}
			got := s.sees("set", "--reset", "web")
			if want := cmp.Or(strings.TrimPrefix(before, "-\n"), "--mtu 1500\n"); got != want {
				t.Errorf("at the start %q, after a reset %q", before, got)
			}
			s.trip()
			if name != "recorded" {
				return
			}
			s.in.Close()
			s.c.Wait()
			lines := strings.Join(tsharkLines(t, filepath.Join(s.c.Dir, "x.pcapng"), "-T", "fields", "-e", "frame.comment"), "\n")
			for _, want := range []string{"links are shaped: --delay 40ms --mtu 1500", "dropped later: loss (any: cut", "links are shaped: --mtu 1500"} {
				if !strings.Contains(lines, want) {
					t.Errorf("the recording does not say %q in\n%s", want, lines)
				}
			}
		})
	}
}

// TestSetFaults has faults and a trace come and go while a run goes on.
func TestSetFaults(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web", "--pcap", "x.pcapng")
	talk := func(want ...string) {
		t.Helper()
		var got string
		if s.tell(&got, "talk"); !slices.Contains(want, got) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	set := func(want string, args ...string) {
		t.Helper()
		if got := s.sees(append([]string{"set", "web"}, args...)...); got != want+"\n" {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
	talk("done")
	const refused, reset = "connect refused to :8000", "reset at accept once"
	set("--fault '"+refused+"'", "--fault", refused)
	if list := s.ps(); len(list) != 1 || list[0].Shape != "--fault '"+refused+"'" {
		t.Errorf("%+v", list)
	}
	talk("Connection refused")
	set("--fault '"+reset+"'", "--no-fault", refused, "--fault", reset)
	talk("Connection reset by peer", "Broken pipe")
	talk("done")

	s.trip()
	if err := os.WriteFile(filepath.Join(s.c.Dir, "slow.trace"), []byte("400\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	set("--up-trace slow.trace --fault '"+reset+"' --mtu 1500", "up-trace", "slow.trace")
	begin := time.Now()
	s.trip()
	s.trip()
	if d := time.Since(begin); d < 350*time.Millisecond { // what is between the two may be much of it
		t.Errorf("two round trips take %v, with a packet each 400ms", d)
	}
	set("--fault '"+reset+"' --mtu 1500", "up-trace", "none")
	// A busy machine takes its time, too, but not each time.
	eventually(t, "two round trips take less than with the trace", func() bool { return s.trip()+s.trip() < 300*time.Millisecond })
	set("--mtu 1500", "--reset")
	s.in.Close()
	s.c.Wait()
	lines := strings.Join(tsharkLines(t, filepath.Join(s.c.Dir, "x.pcapng"), "-T", "fields", "-e", "frame.comment"), "\n")
	for _, want := range []string{
		"links are shaped: --fault '" + refused + "'", "fault: connect refused: python3[", "fault: reset at accept: python3[", "links are shaped: --up-trace slow.trace",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("the recording does not say %q", want)
		}
	}
}

// TestSetTold has a change told to who listens to events, and to a recording that began meanwhile.
func TestSetTold(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web")
	file := filepath.Join(s.c.Dir, "a.pcapng")
	capture := s.start(file, "capture", "-w", file)
	tail := s.look("tail", "--kind", "shaped", "web")
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tail.Process.Kill(); tail.Wait() })
	told := make(chan string, 1)
	go func() {
		b := make([]byte, 4096)
		n, _ := out.Read(b)
		told <- string(b[:n])
	}()

	// Who has just been started may not listen yet: changes go on until one was told of.
	var line string
	for i := 1; line == ""; i++ {
		s.sees("set", "delay", fmt.Sprintf("%dms", i%20+1))
		select {
		case line = <-told:
		case <-time.After(200 * time.Millisecond):
			if i > 100 {
				t.Fatal("no event")
			}
		}
	}
	if !strings.Contains(line, "links are shaped: --delay ") {
		t.Errorf("%q", line)
	}
	s.trip()
	if code, stderr := capture.end(); code != 0 || stderr != "" {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	if lines := strings.Join(tsharkLines(t, file, "-T", "fields", "-e", "frame.comment"), "\n"); !strings.Contains(lines, "links are shaped: --delay") {
		t.Errorf("the recording has no word of it:\n%s", lines)
	}
}

// TestSetRefused has changes that cannot be: nothing of them holds.
func TestSetRefused(t *testing.T) {
	t.Parallel()
	s := see(t, "", "--name", "web", "--delay", "1ms")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"set", "web", "foo", "1"}, "foo: no such option of a link; there are profile, trace, delay, jitter, loss, rate, queue, limit, mark, reorder, duplicate, corrupt, each also with up- or down- before it"},
		{[]string{"set", "web", "up-delay"}, "up-delay: the value is missing"},
		{[]string{"set", "web", "delay", "9ms", "loss", "nothing"}, `loss "nothing": not a percentage, as 1%`},
		{[]string{"set", "web", "delay", "9ms", "jitter", "20ms"}, "jitter: 20ms is more than the delay of 9ms"},
		{[]string{"set", "web", "profile", "moon"}, `there is no profile "moon"; usock profiles lists them`},
		{[]string{"set", "web", "--no-rule", "any: cut"}, "there is no rule 'any: cut'; usock set without a change shows those that there are"},
		{[]string{"set", "web", "--rule", "tpc: cut"}, `rule 'tpc: cut': column 1: "tpc" is no condition; tcp is meant?`},
		{[]string{"cut", "web", "nobody"}, `rule 'nobody: cut': column 1: "nobody" is no condition`},
		{[]string{"set", "web", "--fault", "conect refused"}, `fault 'conect refused': column 1: "conect": did you mean "connect"?`},
		{[]string{"set", "web", "--no-fault", "connect refused"}, "there is no fault 'connect refused' but what a script has; usock set without a change shows those that there are"},
		{[]string{"set", "web", "--fault", "interrupt recv"}, "fault 'interrupt recv': a run that was started without a fault of recv leaves these calls to the kernel, where none strikes; one that was started with --fault 'interrupt recv from 24h' does not, and can have it"},
		{[]string{"set", "web", "delay", "9ms", "up-trace", "/dev/null"}, "--up-trace /dev/null: "},
		{[]string{"set", "web", "up-trace", "/there/is/none"}, "up-trace /there/is/none: no such file or directory"},
		{[]string{"set", "moon", "delay", "9ms"}, `there is no run "moon" (usock ps lists those that there are)`},
	} {
		cmd := s.look(c.args...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(string(out), "usock: "+c.want) {
			t.Errorf("%v: %v\n%swant %s", c.args, err, out, c.want)
		}
		if got := s.sees("set"); got != "--delay 1ms --mtu 1500\n" {
			t.Errorf("%v: then it is %s", c.args, got)
		}
	}
}

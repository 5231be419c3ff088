package main

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"usock/link"

	"usock/internal/ss"
	"usock/internal/top"
)

// complaint runs the command, which must refuse what it is given, and returns its error
// and exit status.
func complaint(t *testing.T, args ...string) (string, int) {
	t.Helper()
	root := rootCmd()
	root.SetArgs(args)
	root.SetOut(new(bytes.Buffer))
	c, err := root.ExecuteC()
	if err == nil {
		t.Errorf("%q: no error", args)
		return "", 0
	}
	return err.Error(), failure(c)
}

// TestNonsenseIsRefused has what each flag does not take, and what it is told.
func TestNonsenseIsRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "file")
	const flags = " (usock run --help shows the flags)"
	const apart = "the link's flags do not fit together: "
	const publish = "; give PORT, PORT:INNER, ADDR:PORT:INNER or auto, with ranges such as 8000-8010, and /udp behind it for UDP"
	const noRate = "nothing would ever arrive at that rate; leave it out for a link without one, or lose all packets (loss 100%)"
	const gemodel = "gemodel takes shares: how often a burst begins and ends, as gemodel,1%,30%"
	for _, c := range []struct{ flags, line string }{
		{"--mtu 70000", "--mtu 70000: no link carries packets as large; give 1280 to 65536" + flags},
		{"--mtu 99999999999999999999", "--mtu 99999999999999999999: no link carries packets as large; give 1280 to 65536" + flags},
		{"--mtu 10", "--mtu 10: IPv6 needs packets of 1280 bytes; give 1280 to 65536" + flags},
		{"--mtu 0", "--mtu 0: IPv6 needs packets of 1280 bytes; give 1280 to 65536" + flags},
		{"--mtu -1500", "--mtu -1500: IPv6 needs packets of 1280 bytes; give 1280 to 65536" + flags},
		{"--mtu 1500b", "--mtu 1500b: a number of bytes is wanted, 1280 to 65536" + flags},
		{"--mtu=", `--mtu "": a number of bytes is wanted, 1280 to 65536` + flags},
		{"--seed -1", "--seed -1: a whole number is wanted, 0 to 18446744073709551615" + flags},
		{"--seed x", "--seed x: a whole number is wanted, 0 to 18446744073709551615" + flags},
		{"--seed 18446744073709551616", "--seed 18446744073709551616: a whole number is wanted, 0 to 18446744073709551615" + flags},
		{"--rate 0", "--rate 0: " + noRate + flags},
		{"--rate 0mbit", "--rate 0mbit: " + noRate + flags},
		{"--rate 5", "--rate 5: the unit is missing, as in 5mbit" + flags},
		{"--rate -5mbit", "--rate -5mbit: it cannot be negative" + flags},
		{"--rate 5mb", `--rate 5mb: "mb" is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes` + flags},
		{"--rate 2000tbit", "--rate 2000tbit: not between 1bit and 1000tbit" + flags},
		{"--jitter 5ms", apart + "jitter: 5ms strays about a delay, and there is none; give one of 5ms or more (--help shows them)"},
		{"--jitter 5ms --delay 1ms", apart + "jitter: 5ms is more than the delay of 1ms (--help shows them)"},
		{"--jitter -5ms --delay 10ms", "--jitter -5ms: it cannot be negative" + flags},
		{"--loss gemodel", "--loss gemodel: " + gemodel + flags},
		{"--loss gemodel,", "--loss gemodel,: " + gemodel + flags},
		{"--loss gemodel,x", "--loss gemodel,x: not a percentage, as 1%" + flags},
		{"--loss gemodel,1%,2%,3%,4%,5%", "--loss gemodel,1%,2%,3%,4%,5%: gemodel takes up to four shares" + flags},
		{"--loss gemodel,1%,0%", apart + "loss: bursts that never end; give gemodel a second share above 0% (--help shows them)"},
		{"--loss 200%", "--loss 200%: more than 100%" + flags},
		{"--loss 2", "--loss 2: a percentage is wanted, as in 2%" + flags},
		{"--loss -1%", "--loss -1%: it cannot be negative" + flags},
		{"--loss some", "--loss some: not a percentage, as 1%" + flags},
		{"--loss=", `--loss "": not a percentage, as 1%` + flags},
		{"--delay -1ms", "--delay -1ms: it cannot be negative" + flags},
		{"--delay 5", "--delay 5: the unit is missing, as in 5ms" + flags},
		{"--delay 48h", `--delay 48h: "h" is no unit of time: ns, us, ms or s` + flags},
		{"--delay 100000s", "--delay 100000s: more than 24h0m0s" + flags},
		{"--delay soon", "--delay soon: not a number with a unit" + flags},
		{"--reorder 101%", "--reorder 101%: more than 100%" + flags},
		{"--reorder 1%,-3ms", "--reorder 1%,-3ms: it cannot be negative" + flags},
		{"--reorder 1%,3", "--reorder 1%,3: the unit is missing, as in 3ms" + flags},
		{"--duplicate 101%", "--duplicate 101%: more than 100%" + flags},
		{"--duplicate 1", "--duplicate 1: a percentage is wanted, as in 1%" + flags},
		{"--corrupt -1%", "--corrupt -1%: it cannot be negative" + flags},
		{"--limit 100", apart + "limit: there is a queue only where there is a rate (--help shows them)"},
		{"--rate 1mbit --limit 0", "--limit 0: not a number of packets" + flags},
		{"--rate 1mbit --limit -1", "--limit -1: it cannot be negative" + flags},
		{"--rate 1mbit --limit 5ms", `--limit 5ms: "ms" is no unit of size: b, kb, mb, or none for packets` + flags},
		{"--queue codel", apart + "queue: there is one only where there is a rate; give one, as rate 10mbit (--help shows them)"},
		{"--queue red --rate 1mbit", `--queue red: "red" is no queue: drop-tail, pfifo, bfifo, codel, fq_codel, pie` + flags},
		{"--queue codel,limit,9 --rate 1mbit", "--queue codel,limit,9: limit is an option of its own, as limit 100" + flags},
		{"--queue pie --rate 1mbit --mark 20", apart + "mark: pie marks by itself; leave mark out, and give the queue ecn, as queue pie,ecn (--help shows them)"},
		{"--mark 20", apart + "mark: there is a queue only where there is a rate (--help shows them)"},
		{"--rate 1mbit --mark 1.5", "--mark 1.5: not a number of packets" + flags},
		{"--on nowhere", `--on "nowhere": give outside, loopback or both`},
		{"--on outside", "--on outside says where --delay, --loss and their like act, and there are none"},
		{"--isolated --delay 1ms --on outside", "--on outside: an isolated run has no way to the outside; leave out --isolated or --on"},
		{"--isolated=maybe", "--isolated maybe: give true or false, or nothing" + flags},
		{"--isolated --addr 10.1.2.0/24", "--addr 10.1.2.0/24: an isolated run has no inner network; leave out --isolated or --addr"},
		{"--isolated --sctp-encap 9899", "--sctp-encap 9899: an isolated run has no way to the outside; leave out --isolated or --sctp-encap"},
		{"--sctp-encap 0", `--sctp-encap 0: "0" is no port: those are 1 to 65535` + flags},
		{"--sctp-encap sctp", `--sctp-encap sctp: "sctp" is no port: those are 1 to 65535` + flags},
		{"--isolated -p 80", "-p 80: nothing enters an isolated run; leave out --isolated or -p"},
		{"--addr 10.1.2.3", "--addr 10.1.2.3: this is no network; give an address and its length, such as 10.1.2.0/24" + flags},
		{"--addr=", `--addr "": this is no network; give an address and its length, such as 10.1.2.0/24` + flags},
		{"--host db", "--host db: give a name and its address, such as db=192.0.2.7 or db=2001:db8::7" + flags},
		{"-p http", `-p "http": "http" is no port: those are 1 to 65535` + publish},
		{"--pcap=", `--pcap "": no file is named; give one, such as trace.pcapng, or - for stdout` + flags},
		{"--pcap " + missing, "--pcap " + missing + ": no such file or directory; make the folder first, or name a file that you can write"},
		{"--pcap /", "--pcap /: is a directory; name a file that you can write"},
		{"--pcap /dev/fd/999", "--pcap /dev/fd/999: no such descriptor is open; name a file that you can write, or a descriptor that is open for writing"},
		{"--log-flows /", "--log-flows /: is a directory; name a file that you can write"},
		{"--pcap a --delay 1ms --pcap b", "--pcap b: there is a already: one file is written" + flags},
		{"--stdout a --stdout b", "--stdout b: there is a already: one file is written" + flags},
		{"--log-flows a --log-flows b", "--log-flows b: there is a already: one file is written" + flags},
		{"--script a --script b", "--script b: there is a already: one script is run" + flags},
		{"--pcap x --pcap-filter tcp --pcap-filter udp", "--pcap-filter udp: there is tcp already: join them by and, or or" + flags},
		{"--stdout=", `--stdout "": no file is named; give one, such as /dev/stderr` + flags},
		{"--stdout /", "--stdout /: is a directory; name a file that you can write"},
		{"--name=", `--name "": "" begins a filter of usock ss; take another name` + flags},
		{"--name dst", `--name dst: "dst" begins a filter of usock ss; take another name` + flags},
		{"--name a/b", "--name a/b: a name has letters, digits, '.', '_' and '-', and begins with a letter or digit" + flags},
		{"--nonsense", "unknown flag: --nonsense" + flags},
		{"-x", "unknown shorthand flag: 'x' in -x" + flags},
	} {
		got, status := complaint(t, append(append([]string{"run"}, strings.Fields(c.flags)...), "--", "true")...)
		if got != c.line || status != exitOwn {
			t.Errorf("%s: status %d\n%s\nwant\n%s", c.flags, status, got, c.line)
		}
	}
}

// TestOtherCommandsRefuse is what commands other than usock run say of nonsense.
func TestOtherCommandsRefuse(t *testing.T) {
	const noOption = "no such option of a link; there are profile, trace, delay, jitter, loss, rate, queue, limit, mark, reorder, duplicate, corrupt, each also with up- or down- before it"
	for args, line := range map[string]string{
		"run":             "no program is named: usock run [flags] -- PROGRAM [ARGS]",
		"go":              `there is no command "go" (usock --help shows those that there are; a program is run by usock run -- go)`,
		"demo file":       `usock demo takes no arguments, and "file" is one (usock demo --help)`,
		"demo --mtu 10":   "--mtu 10: IPv6 needs packets of 1280 bytes; give 1280 to 65536 (usock demo --help shows the flags)",
		"demo --size -1":  "--size -1 is out of range",
		"demo --size x":   "--size x: a whole number is wanted (usock demo --help shows the flags)",
		"completion ksh":  `there is no completion for "ksh", but for bash, fish, powershell, zsh`,
		"help go":         `there is no command "go" (usock --help shows those that there are)`,
		"help run go":     `there is no command "run go" (usock --help shows those that there are)`,
		"capture web db":  `usock capture takes one run, and "db" is one more (usock capture --help)`,
		"heal web db":     `usock heal takes one run, and "db" is one more (usock heal --help)`,
		"cut web to db:1": `usock cut takes a run and a condition, and "db:1" is one more: quote a condition of several words, as 'to db:5432'`,
		"version 1":       `usock version takes no arguments, and "1" is one (usock version --help)`,
		"ps web":          `usock ps takes no arguments, and "web" is one (usock ps --help)`,
		"ps --watch=0":    "--watch 0: give how often to look, 100ms or more, such as 2s (usock ps --help shows the flags)",
		"ss --watch=x":    "--watch x: give how often to look, 100ms or more, such as 2s (usock ss --help shows the flags)",
		"ss state open":   `bad filter: "open" is no state; give established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, all, connected, synchronized, bucket or big`,
		"ss web state":    "bad filter: state wants a state, such as established or listening",
		"ss web db":       `after a run comes a filter: bad filter: "db" is neither src, dst, sport nor dport`,
		"ss sport = :x":   `bad filter: there is no service "x"; give a port, such as :443`,
		"ss dev eth0":     "bad filter: dev is the kernel's, and no matter of usock's sockets",
		"top --sort x":    "--sort x: give rate, retrans, queues, waits, rtt or name (usock top --help shows the flags)",
		"top --width 5":   "--width 5: give a number of columns, 20 to 1000 (usock top --help shows the flags)",
		"top --width 80":  "--width is for --once: a terminal has its own",
		"top --every 0":   "--every 0: give how often to look, 100ms or more, such as 2s (usock top --help shows the flags)",
		"top state open":  `bad filter: "open" is no state; give established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, all, connected, synchronized, bucket or big`,
		"top web db":      `after a run comes a filter: bad filter: "db" is neither src, dst, sport nor dport`,
		"tail --kind x":   "--kind x: there are sent, received, acknowledged, lost, state, window, rate, timer set, timer expired, stalled, called, dropped, refused, fault, missed, shaped",
		"tail --pid x":    "--pid x: a whole number is wanted (usock tail --help shows the flags)",
		"demo --jitter 1": "--jitter 1: the unit is missing, as in 1ms (usock demo --help shows the flags)",

		"capture --filter tcp --filter udp": "--filter udp: there is tcp already: join them by and, or or (usock capture --help shows the flags)",
		"capture -w - -w b":                 "--write b: there is - already: one file is written (usock capture --help shows the flags)",
		"profile from -o a -o b c":          "--output b: there is a already: one file is written (usock profile from --help shows the flags)",
		"completion bash zsh":               `usock completion bash takes no arguments, and "zsh" is one (usock completion bash --help)`,

		"set delay":                 "delay: the value is missing",
		"set delay 3ms loss":        "loss: the value is missing",
		"set loss delay 3ms":        "loss: the value is missing",
		"set web loss delay 3ms":    "loss: the value is missing",
		"set web delay 3ms up-loss": "up-loss: the value is missing",
		"set foo 3":                 "foo: " + noOption + "; a run's name is followed by an option and its value",
		"set web foo 3":             "foo: " + noOption,
		"set web delay 3ms foo 3":   "foo: " + noOption,
		"set delay 3ms foo 3":       "foo: " + noOption,
		"set web rule udp:cut":      "rule is a flag: give --rule",
		"set no-fault x":            "no-fault is a flag: give --no-fault",
	} {
		if got, _ := complaint(t, strings.Fields(args)...); got != line {
			t.Errorf("%s: %s\nwant %s", args, got, line)
		}
	}
}

// TestRecordingError is what is said at the end of recordings that lack packets.
func TestRecordingError(t *testing.T) {
	for _, c := range []struct {
		err     error
		missing uint64
		line    string
	}{
		{nil, 0, ""},
		{nil, 7, "the recording to x has gaps: 7 packets are missing, as what reads it fell behind; record to a file"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 1, "the recording to x was cut short: no space left on device; make room, or record to another disk"},
		{syscall.EDQUOT, 0, "the recording to x was cut short: disk quota exceeded; make room, or record to another disk"},
		{syscall.EFBIG, 3, "the recording to x was cut short: file too large; raise the limit of file sizes (ulimit -f)"},
		{syscall.EPIPE, 3, "the recording to x was cut short: its reader has gone"},
		{syscall.EIO, 0, "the recording to x was cut short: input/output error"},
		{link.ErrPcapStuck, 1, "the recording to x has no end: what reads it takes nothing; 1 packet is missing"},
	} {
		got := ""
		if err := recordingError("x", c.err, c.missing); err != nil {
			got = err.Error()
		}
		if got != c.line {
			t.Errorf("%v, %d: %s\nwant %s", c.err, c.missing, got, c.line)
		}
	}
	if got, want := recordingError("-", syscall.EPIPE, 0).Error(), "the recording to stdout was cut short: its reader has gone"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestTitle is what is said with -v when the program starts.
func TestTitle(t *testing.T) {
	for flags, want := range map[string]string{
		"":           "curl runs on usock's sockets",
		"--isolated": "curl runs on usock's sockets, isolated",
		"--loss 2% --delay 10ms --seed 7 --pcap x": "curl runs on usock's sockets; on both of its links: --delay 10ms --loss 2% --mtu 1500 --seed 7; recording to x",
		"--on outside --loss 2% --seed 7":          "curl runs on usock's sockets; on its way outside: --loss 2% --mtu 1500 --seed 7",
		"--isolated --mtu 9000":                    "curl runs on usock's sockets, isolated; on its loopback link: --mtu 9000",
	} {
		var s conditions
		var o outside
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		s.flags(f)
		o.flags(f, &s)
		if err := f.Parse(strings.Fields(flags)); err != nil {
			t.Fatal(err)
		}
		name := s.pcap.name
		s.pcap.name = "" // nothing is written
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		s.pcap.name = name
		if got := title("curl", &s, &o); got != want {
			t.Errorf("%s: %s\nwant %s", flags, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		var out bytes.Buffer
		root := rootCmd()
		root.SetArgs(args)
		root.SetOut(&out)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		want := `^usock     \S.*\nrevision  \S.*\nbuilt     with go1\.\S+ for \w+/\w+\nneeds     Linux 5\.14 or later on amd64 or arm64, for usock run( \(here: \S+\))?\n$`
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%v: %s", args, &out)
		}
	}
	in := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "42e79cd"}, {Key: "vcs.time", Value: "2026-11-28T12:00:00Z"}, {Key: "vcs.modified", Value: "true"}}}
	in.Main.Version = "v1.2.3"
	got := versionText(in, true)
	if want := "usock     v1.2.3\nrevision  42e79cd of 2026-11-28T12:00:00Z, with changes\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := versionText(nil, false); !strings.HasPrefix(got, "usock     (unknown)\nrevision  not recorded in this build\n") {
		t.Error(got)
	}
}

// TestExamples looks that each flag that help shows has an example, and that the examples are right.
func TestExamples(t *testing.T) {
	for _, name := range []string{"run", "demo", "set", "top", "profile from"} {
		c := command(t, name)
		used := make(map[string]bool)
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | ")
			if strings.HasPrefix(line, "#") {
				continue
			}
			rest, ok := strings.CutPrefix(line, "usock "+name)
			if !ok {
				t.Errorf("%s: an example of what? %s", name, line)
			}
			own, _, _ := strings.Cut(rest, " -- ")
			c := command(t, name)
			if err := c.ParseFlags(words(own)); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			c.Flags().Visit(func(f *pflag.Flag) { used[f.Name] = true })
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !used[f.Name] && f.Name != "help" && !f.Hidden {
				t.Errorf("%s: --%s has no example", name, f.Name)
			}
		})
	}
}

// words splits a line as a shell does, but for escapes: what is between apostrophes is not cut.
func words(line string) (list []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

func command(t *testing.T, name string) *cobra.Command {
	t.Helper()
	c, _, err := rootCmd().Find(strings.Fields(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompletion asks for completions as the shells' scripts do.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--on", ""}, "both\nloopback\noutside\n:4\n"},
		{[]string{"run", "-p", ""}, "auto\nauto/tcp\nauto/udp\n:4\n"},
		{[]string{"run", "--loss", ""}, "1%\ngemodel,1%,30%\n:36\n"},
		{[]string{"demo", "--mtu", ""}, "1280\n1500\n9000\n:36\n"},
		{[]string{"run", "--pcap", ""}, ":0\n"}, // files
		{[]string{"ss", "web", ""}, "state\nexclude\nsrc\ndst\nsport\ndport\n:4\n"},
		{[]string{"ss", "web", "state", ""}, strings.Join(ss.StateWords(), "\n") + "\n:4\n"},
		{[]string{"tail", "web", "sport", ""}, "=\n:4\n"},
		{[]string{"top", "--sort", ""}, strings.Join(top.Orders(), "\n") + "\n:36\n"},
		{[]string{"top", "web", ""}, "state\nexclude\nsrc\ndst\nsport\ndport\n:4\n"},
		{[]string{"tail", "--kind", ""}, strings.Join(eventKinds(), "\n") + "\n:4\n"},
		{[]string{"run", "--", "a", ""}, ":0\n"},
		{[]string{"run", "--", dir + "/"}, ":0\n"},
		{[]string{"completion", "b"}, "bash\tGenerate the autocompletion script for bash\n:4\n"},
	} {
		var out bytes.Buffer
		root := rootCmd()
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, c.args...))
		root.SetOut(&out)
		root.SetErr(new(bytes.Buffer))
		if err := root.Execute(); err != nil || out.String() != c.want {
			t.Errorf("%q: %v\n%s\nwant\n%s", c.args, err, &out, c.want)
		}
	}
}

package oracle

import (
	"flag"
	"fmt"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usock/packet"
)

// sequence is a case: calls whose every result must be the same on usock and on the
// kernel.
type sequence struct {
	name         string
	lines        string // separated by semicolons or line ends
	unprivileged bool   // of programs without capabilities
	but          []int  // those that an unprivileged one has all the same
	plain        bool   // receives are recvfrom
	fastOpen     string // net.ipv4.tcp_fastopen; "": as it is
	sysctl       string // NAME=VALUE of net.sctp
	races        bool   // of calls that wait: which of them is first decides, on both systems
}

// capable reports whether the sequence's program has a capability.
func (c *sequence) capable(capability int) bool {
	return !c.unprivileged || slices.Contains(c.but, capability)
}

// difference is one that was found.
type difference struct{ name, line, what, usock, kernel string }

func (d difference) String() string {
	return fmt.Sprintf("%s: %s: usock %s, kernel %s", d.line, d.what, d.usock, d.kernel)
}

// settle is how long the two systems may take to agree on a socket's readiness:
// the kernel's packets, and acknowledgments that both delay, take their time.
var settle = flag.Duration("settle", 20*time.Millisecond, "how long the two systems may take to agree on a socket's readiness")

// patiently calls f, in which they may take longer: what comes again then was not the delay of a machine that is busy with others.
func patiently(f func()) {
	was := *settle
	defer func() { *settle = was }()
	*settle = longer
	f()
}

// compare carries a sequence out on both systems and returns the differences. One
// that goes on after a call is reported for that call alone.
func compare(u, k *script, name string, lines []string, found *[]difference) {
	u.ports.asks(lines)
	k.ports.asks(lines)
	out := *found
	last := make(map[string]string)
	line := ""
	defer func() {
		if x := recover(); x != nil {
			out = append(out, difference{name, line, "panic", fmt.Sprintf("%v\n%s", x, debug.Stack()), ""})
		}
		*found = out
	}()
	for _, line = range lines {
		got, want := u.run(line), k.run(line)
		if got != want {
			out = append(out, difference{name, line, "result", got, want})
		}
		for _, s := range u.names() {
			if _, ok := k.fds[s]; !ok {
				k.fds[s] = -1
			}
			a, b := agree(u, k, s, last)
			for i := range a {
				key := s + " " + looks[i]
				now := a[i] + " / " + b[i]
				if a[i] == b[i] {
					delete(last, key)
				} else if last[key] != now {
					last[key] = now
					out = append(out, difference{name, line, key, a[i], b[i]})
				}
			}
		}
	}
}

// agree looks at a socket on both systems until they agree, are as different as
// after the last call, or the time is up.
func agree(u, k *script, s string, last map[string]string) (a, b [3]string) {
	for end := time.Now().Add(*settle); ; time.Sleep(time.Millisecond) {
		a, b = u.look(s), k.look(s)
		same := true
		for i := range a {
			same = same && (a[i] == b[i] || last[s+" "+looks[i]] == a[i]+" / "+b[i])
		}
		if same || time.Now().After(end) {
			return a, b
		}
	}
}

func split(text string) []string {
	var out []string
	for _, l := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ';' }) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// play carries out one sequence, on a thread with a network of its own.
func play(t *testing.T, c sequence) (found []difference) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		k := newKernel(t)
		defer k.end()
		if c.unprivileged {
			k.drop(c.but...)
		}
		tcp := kernelLimits(t)
		if c.fastOpen != "" {
			k.must(os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte(c.fastOpen), 0), "tcp_fastopen")
			tcp.FastOpen = number(c.fastOpen)
		}
		u := newUserWith(t, c.capable, tcp)
		defer u.end()
		us, ks := newScript(u), newScript(k)
		us.plain, ks.plain = c.plain, c.plain
		compare(us, ks, c.name, split(c.lines), &found)
	}()
	<-done
	return found
}

// playAll carries out a table's cases, several at a time: they wait most of theirs.
func playAll(t *testing.T, table string, cases []sequence) [][]difference {
	seen := make(map[string]bool)
	for i := range cases {
		c := &cases[i]
		if seen[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		seen[c.name] = true
	}
	out := make([][]difference, len(cases))
	var wg sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				c := cases[i]
				c.name = table + "/" + c.name
				out[i] = play(t, c)
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// few takes some of many cases: one in 40, and another one each time of day.
func few(cases []sequence) []sequence {
	var out []sequence
	for i := time.Now().Second() % 40; i < len(cases); i += 40 {
		out = append(out, cases[i])
	}
	return out
}

// TestDeclaredInDocs holds the list for people to the one in the test.
func TestDeclaredInDocs(t *testing.T) {
	b, err := os.ReadFile("../docs/CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "## Declared differences")
	if !ok {
		t.Fatal("docs/CONFORMANCE.md has no section 'Declared differences'")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, d := range slices.Concat(declared, declaredWaiting, declaredSCTP) {
		if d.reason == "" || !strings.Contains(section, d.reason) {
			t.Errorf("docs/CONFORMANCE.md does not say: %q", d.reason)
		}
	}
}

var findAll = flag.Bool("differences", false, "log every difference, the declared ones too")

func TestOracle(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	packet.Track(true)
	defer packet.Track(false)
	calls, total := 0, 0
	used := make([]int, len(declared))
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			before := packet.Live()
			cases := table.cases()
			if testing.Short() && len(cases) > 100 {
				cases = few(cases)
			}
			for i, found := range playAll(t, table.name, cases) {
				total++
				calls += len(split(cases[i].lines))
				// A number that a system picks may be one that the script names.
				if slices.ContainsFunc(found, func(d difference) bool { return !excused(declared, d, used) }) {
					found = again(t, table.name, cases[i])
				}
				for _, d := range found {
					if *findAll {
						t.Logf("%s: %v", d.name, d)
					}
					if !excused(declared, d, used) {
						t.Errorf("%s: %v", d.name, d)
					}
				}
			}
			if n := packet.Live(); n != before {
				t.Errorf("%d blocks are left", n-before)
			}
		})
	}
	if flag.Lookup("test.run").Value.String() == "" && !testing.Short() {
		for i, n := range used {
			if n == 0 && !declared[i].sometimes {
				t.Errorf("declared, but there is no such difference: %+v", declared[i])
			}
		}
	}
	t.Logf("%d sequences, %d calls", total, calls)
}

// again plays a sequence once more, with more patience.
func again(t *testing.T, table string, c sequence) (found []difference) {
	patiently(func() { found = playAll(t, table, []sequence{c})[0] })
	return found
}

// excused reports whether d is in list, and counts that.
func excused(list []declaration, d difference, used []int) bool {
	ok := false
	for i := range list {
		e := &list[i]
		if match(e.name, d.name) && match(e.line, d.line) && match(e.what, d.what) &&
			match(e.usock, d.usock) && match(e.kernel, d.kernel) {
			used[i]++
			ok = true
		}
	}
	return ok
}

// match reports whether s fits a pattern of path.Match; "" fits everything.
func match(pattern, s string) bool {
	if pattern == "" || pattern == s {
		return true
	}
	// A slash is no separator here.
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
	if err != nil {
		panic(err)
	}
	return ok
}

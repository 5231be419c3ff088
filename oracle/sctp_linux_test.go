package oracle

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/uml"
)

// The kernel that judges SCTP is User-mode Linux, which every machine of the tests can have: this machine's
// may be without. It plays the sequences in sctpTables, each in a network that nobody else uses, and what it answers is
// kept in the golden file, so that usock is held to it where no kernel starts either.

var updateSCTP = flag.Bool("update", false, "write testdata/sctp.txt anew, from User-mode Linux")

const goldenSCTP = "testdata/sctp.txt"

func TestMain(m *testing.M) {
	uml.Answer("play", playInMachine)
	uml.Init()
	os.Exit(m.Run())
}

// sctpCases returns all sequences, under the names of their tables.
func sctpCases() []sequence {
	var out []sequence
	for _, table := range sctpTables {
		for _, c := range table.cases() {
			c.name = table.name + "/" + c.name
			out = append(out, c)
		}
	}
	return out
}

// playInMachine records a sequence: the function that the machine has for Ask. data is a played.
func playInMachine(data []byte) (out []byte, err error) {
	var p played
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	var steps []step
	err = networks.play(p.Sysctl, func(k *kernel) { steps = recordAlone(newScript(k), p.Lines) })
	if err != nil {
		return nil, err
	}
	return json.Marshal(steps)
}

// pool has networks that were used before: to make one and to take it down takes the machine longest.
type pool struct {
	mu   sync.Mutex
	idle []chan func(own func() *kernel) // mu: each is served by the thread whose network it is
}

var networks pool

// play carries out f in a network that nobody else uses, with these settings.
func (p *pool) play(sysctl string, f func(*kernel)) (err error) {
	n := p.take(sysctl != "")
	done := make(chan struct{})
	n <- func(own func() *kernel) {
		defer close(done)
		defer func() {
			if x := recover(); x != nil {
				err = fmt.Errorf("%v", x)
			}
		}()
		k := own()
		for _, s := range strings.Fields(sysctl) {
			name, value, _ := strings.Cut(s, "=")
			k.must(os.WriteFile("/proc/sys/net/sctp/"+name, []byte(value), 0), s)
		}
		f(k)
		k.abort()
		if sysctl != "" {
			k.end()
		}
	}
	<-done
	if err != nil || sysctl != "" {
		close(n)
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, n)
	return nil
}

// take returns a network, a fresh one if it is asked for.
func (p *pool) take(fresh bool) chan func(own func() *kernel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.idle) - 1; last >= 0 && !fresh {
		n := p.idle[last]
		p.idle = p.idle[:last]
		return n
	}
	n := make(chan func(own func() *kernel))
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		own := sync.OnceValue(func() *kernel { return newKernel(nil) })
		for f := range n {
			f(own)
		}
	}()
	return n
}

// abort ends what a sequence has left open, so that nothing stays of it.
func (k *kernel) abort() {
	for fd := range k.open {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		k.close(fd)
	}
}

// played is a sequence for the machine.
type played struct {
	Lines  []string
	Sysctl string
}

// recordAlone plays lines on a system that has nobody beside it who tells when its sockets have settled: they
// have when they look the same for a while.
func recordAlone(k *script, lines []string) (out []step) {
	k.ports.asks(lines)
	shown := make(map[string][3]string)
	for _, line := range lines {
		st := step{Line: line, Result: k.run(line), Looks: make(map[string][3]string)}
		was, now := map[string][3]string(nil), k.allLooks()
		for !sendsNothing(line) && !equalLooks(was, now) {
			time.Sleep(2 * time.Millisecond)
			was, now = now, k.allLooks()
		}
		for s, l := range now {
			if was, ok := shown[s]; !ok || was != l {
				st.Looks[s] = l
			}
		}
		shown = now
		out = append(out, st)
	}
	return out
}

// sendsNothing says that a line has no packet sent.
func sendsNothing(line string) bool {
	f := strings.Fields(line)
	return f[1] == "get" || f[1] == "=" && f[2] != "accept" && f[2] != "peeloff"
}

func (c *script) allLooks() map[string][3]string {
	out := make(map[string][3]string)
	for _, s := range c.names() {
		out[s] = c.look(s)
	}
	return out
}

func equalLooks(a, b map[string][3]string) bool {
	for s, l := range a {
		if b[s] != l {
			return false
		}
	}
	return len(a) == len(b)
}

// bootSCTP returns a machine with SCTP. Where it does not start the test is skipped, but not in CI.
func bootSCTP(t *testing.T) *uml.Machine {
	t.Helper()
	m, err := func() (*uml.Machine, error) {
		dir, err := uml.Dir()
		if err != nil {
			return nil, err
		}
		m, err := uml.Boot(context.Background(), dir)
		if err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
		return m, m.Load(append(slices.Clone(uml.SCTP), "drivers/net/tun")...)
	}()
	if m != nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return m
}

// recordSCTP has the machine play sequences.
func recordSCTP(t *testing.T, m *uml.Machine, cases []sequence) []recording {
	out := make([]recording, len(cases))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				c := cases[i]
				data, _ := json.Marshal(played{split(c.lines), c.sysctl})
				b, err := m.Ask("play", data)
				out[i] = recording{Name: c.name}
				if err == nil {
					err = json.Unmarshal(b, &out[i].Steps)
				}
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
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

// tries is how often a sequence may be played until it is as it should be: the machine has one processor, and packets
// of one line may be on their way when the next one runs.
const tries = 6

// recordTwice plays sequences until each has given the same answers twice.
func recordTwice(t *testing.T, m *uml.Machine, cases []sequence) []recording {
	last := make(map[string]string)
	same := make(map[string]recording)
	left := cases
	for try := 0; try < tries && len(left) > 0; try++ {
		list := recordSCTP(t, m, left)
		left = slices.DeleteFunc(slices.Clone(left), func(c sequence) bool {
			r := list[slices.IndexFunc(list, func(r recording) bool { return r.Name == c.name })]
			text := formatRecordings([]recording{r})
			ok := last[c.name] == text
			last[c.name], same[c.name] = text, r
			return ok
		})
	}
	for _, c := range left {
		t.Errorf("%s: no two answers are the same", c.name)
	}
	var out []recording
	for _, c := range cases {
		out = append(out, same[c.name])
	}
	return out
}

// TestSCTPKernel holds the golden file to the kernel.
func TestSCTPKernel(t *testing.T) {
	m := bootSCTP(t)
	cases := sctpCases()
	if *updateSCTP {
		if err := os.WriteFile(goldenSCTP, []byte(formatRecordings(recordTwice(t, m, cases))), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	golden := readGolden(t)
	if len(cases) != len(golden) {
		t.Fatalf("%d sequences, %d in %s: go test ./oracle -run TestSCTPKernel -update", len(cases), len(golden), goldenSCTP)
	}
	if testing.Short() {
		cases = few(cases)
	}
	for try := range tries {
		var odd []sequence
		for i, r := range recordSCTP(t, m, cases) {
			got, want := formatRecordings([]recording{r}), formatRecordings([]recording{golden[r.Name]})
			if got == want {
				continue
			}
			odd = append(odd, cases[i])
			if try == tries-1 {
				t.Errorf("the kernel says\n%s\nand %s\n%s", got, goldenSCTP, want)
			}
		}
		cases = odd
	}
}

// readGolden returns the kernel's answers by the sequences' names.
func readGolden(t *testing.T) map[string]recording {
	b, err := os.ReadFile(goldenSCTP)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]recording)
	for _, r := range parseRecordings(string(b)) {
		out[r.Name] = r
	}
	return out
}

// formatRecordings writes recordings for people: a sequence's name, each line with its result, and below it the
// sockets that look different after it (poll, name, peer).
func formatRecordings(list []recording) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "# %s\n", r.Name)
		for _, st := range r.Steps {
			fmt.Fprintf(&b, "%s → %s\n", st.Line, st.Result)
			var names []string
			for s := range st.Looks {
				names = append(names, s)
			}
			slices.Sort(names)
			for _, s := range names {
				l := st.Looks[s]
				if l[0] == "" {
					l[0] = "-"
				}
				fmt.Fprintf(&b, "\t%s: %s\n", s, strings.Join(l[:], " "))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func parseRecordings(text string) (out []recording) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# "); ok {
			out = append(out, recording{Name: name})
			continue
		}
		if line == "" {
			continue
		}
		r := &out[len(out)-1]
		if look, ok := strings.CutPrefix(line, "\t"); ok {
			s, l, _ := strings.Cut(look, ": ")
			f := strings.Fields(l)
			if f[0] == "-" {
				f[0] = ""
			}
			r.Steps[len(r.Steps)-1].Looks[s] = [3]string(f)
			continue
		}
		l, result, _ := strings.Cut(line, " → ")
		r.Steps = append(r.Steps, step{Line: l, Result: result, Looks: make(map[string][3]string)})
	}
	return out
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const weakCode = `package weak

type counter struct{ n, calls int }

func clamp(x, most int) int {
	if x > most && most != 0 {
		x = most
	}
	return x
}

func (c *counter) add(n int) {
	c.calls++
	for i := 0; i < n; i++ {
		c.n += 2
	}
}

func (c *counter) unused() { c.n = 7 }

func endless(n int) int {
	k := 0
	for k != n {
		k += 1
	}
	return k
}
`

// The tests never look at calls, nor at most itself.
const weakTest = `package weak

import "testing"

func TestClamp(t *testing.T) {
	if clamp(7, 5) != 5 || clamp(3, 5) != 3 || clamp(3, 0) != 3 {
		t.Error("clamp")
	}
}

func TestAdd(t *testing.T) {
	var c counter
	if c.add(3); c.n != 6 {
		t.Error("add")
	}
}

func TestEndless(t *testing.T) {
	if endless(4) != 4 {
		t.Error("endless")
	}
}
`

// inModule makes a module with the package weak and goes there.
func inModule(t *testing.T, test string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.24\n", "weak/weak.go": weakCode, "weak/weak_test.go": test,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func mutated(t *testing.T, o *options) (*session, error) {
	t.Helper()
	p, err := load("weak")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.choose(o); err != nil {
		t.Fatal(err)
	}
	o.workers = 2
	s := &session{pkg: p, dir: t.TempDir(), o: o}
	return s, s.run()
}

func TestVerdicts(t *testing.T) {
	inModule(t, weakTest)
	s, err := mutated(t, &options{})
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]verdict{
		"clamp: negated: x > most":                        killed,
		"clamp: >= in place of >: x > most":               survived, // the same, in truth
		"clamp: negated: most != 0":                       killed,
		"clamp: || in place of &&: x > most && most != 0": killed,
		"clamp: left out: x = most":                       killed,
		"counter.add: -- in place of ++: c.calls++":       survived,
		"counter.add: left out: c.calls++":                survived,
		"counter.add: negated: i < n":                     killed,
		"counter.add: <= in place of <: i < n":            killed,
		"counter.add: -- in place of ++: i++":             killed, // by the time it takes
		"counter.add: -= in place of +=: c.n += 2":        killed,
		"counter.add: left out: c.n += 2":                 killed,
		"counter.unused: left out: c.n = 7":               unreached,
		"endless: negated: k != n":                        killed,
		"endless: -= in place of +=: k += 1":              killed,
		"endless: left out: k += 1":                       killed,
	}
	if len(s.pkg.chosen) != len(want) {
		t.Errorf("%d mutants, want %d", len(s.pkg.chosen), len(want))
	}
	for _, m := range s.pkg.chosen {
		_, name, _ := strings.Cut(m.key(), ": ")
		v, ok := want[name]
		if !ok {
			t.Errorf("no such mutant is meant: %s", name)
		} else if v != m.verdict {
			t.Errorf("%s: %v %s, want %v", name, m.verdict, m.by, v)
		}
	}

	var report strings.Builder
	s.o.min = 80
	if s.report(&report) {
		t.Error("75 % are taken for 80")
	}
	if s.o.min = 70; !s.report(&report) {
		t.Error("75 % are not taken for 70")
	}
	if want := "weak: 75.0 % of 16 mutants killed: 12; survived 3, reached by no test 1;"; !strings.Contains(report.String(), want) {
		t.Errorf("report:\n%s\nwant %s", &report, want)
	}
}

// Checks of package rapid, which fail all the time here, are kept from writing files; other tests are
// not given a flag that they do not have (TestVerdicts).
func TestRapidWritesNoFiles(t *testing.T) {
	inModule(t, strings.Replace(weakTest, `import "testing"

func TestClamp(t *testing.T) {`, `import (
	"flag"
	"testing"
)

var no = flag.Bool("rapid.nofailfile", false, "")

func TestClamp(t *testing.T) {
	if !*no {
		t.Error("files are written")
	}`, 1))
	if _, err := mutated(t, &options{only: "weak.go:6"}); err != nil {
		t.Error(err)
	}
}

// With -own no other package's tests are asked.
func TestOwn(t *testing.T) {
	inModule(t, weakTest)
	judges["weak"] = []string{"nowhere"}
	defer delete(judges, "weak")
	if _, err := mutated(t, &options{only: "weak.go:6"}); err == nil {
		t.Error("the tests of a package that is not there are asked")
	}
	if _, err := mutated(t, &options{only: "weak.go:6", own: true}); err != nil {
		t.Error(err)
	}
}

// A sample says how far off it may be; all of them are not off.
func TestSampleError(t *testing.T) {
	inModule(t, weakTest)
	p, err := load("weak")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{0: "", 4: " ± 19.4", 16: "", 20: ""} {
		o := &options{sample: n, seed: 1}
		if err := p.choose(o); err != nil {
			t.Fatal(err)
		}
		if got := (&session{pkg: p, o: o}).sampleError(0.75); got != want {
			t.Errorf("%d of %d: %q, want %q", n, len(p.mutants), got, want)
		}
	}
}

func TestTestsMustPass(t *testing.T) {
	inModule(t, strings.Replace(weakTest, "c.n != 6", "c.n != 5", 1))
	if _, err := mutated(t, &options{}); err == nil || !strings.Contains(err.Error(), "TestAdd of weak") {
		t.Errorf("tests that fail before anything is changed: %v", err)
	}
}

func TestChosen(t *testing.T) {
	inModule(t, weakTest)
	for _, c := range []struct {
		o    options
		want int
	}{
		{options{only: "weak.go:6"}, 4},
		{options{only: "weak/weak.go:6"}, 4},
		{options{only: "other.go"}, 0},
		{options{sample: 5, seed: 3}, 5},
	} {
		p, err := load("weak")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.choose(&c.o); err != nil {
			t.Fatal(err)
		}
		if len(p.chosen) != c.want {
			t.Errorf("%+v: %d mutants, want %d: %v", c.o, len(p.chosen), c.want, p.chosen)
		}
	}
}

// Each line of the list is a mutant that there is, and has a reason.
func TestEquivalents(t *testing.T) {
	list, err := equivalents()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..")
	found := map[string]bool{}
	read := map[string]bool{}
	for key := range list {
		dir := filepath.Dir(strings.SplitN(key, ":", 2)[0])
		if read[dir] {
			continue
		}
		read[dir] = true
		p, err := load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.mutants {
			found[m.key()] = true
		}
	}
	for key := range list {
		if !found[key] {
			t.Errorf("equivalent.txt: no mutant is %q any more", key)
		}
	}
}

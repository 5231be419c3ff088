package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// session runs one package's mutants.
type session struct {
	pkg   *pkg
	dir   string // for files
	o     *options
	tests []*test
	began time.Time
}

// test is a test that reaches mutants.
type test struct {
	name   string
	of     string // the folder of its package
	binary string
	flags  []string // of the binary, besides Go's
	took   time.Duration
}

const (
	firstRun = 5 * time.Minute // a test with no mutant chosen
	slack    = 5 * time.Second // what a mutant's tests may take beyond four times their time
	quick    = 6               // how many of the quickest tests are asked first
	memory   = 6 << 30         // bytes of data that a test may have
)

func (s *session) run() error {
	s.began = time.Now()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.build(); err != nil {
		return err
	}
	if err := s.record(); err != nil {
		return err
	}
	same, err := equivalents()
	if err != nil {
		return err
	}

	work := make(chan *mutant)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range s.o.workers {
		wg.Go(func() {
			for m := range work {
				s.judge(m)
				if why, ok := same[m.key()]; ok && m.verdict == survived {
					m.verdict, m.by = equivalent, why
				}
				mu.Lock()
				done++
				if s.o.verbose {
					fmt.Printf("%d/%d %v: %v %s\n", done, len(s.pkg.chosen), m, m.verdict, m.by)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range s.pkg.chosen {
		work <- m
	}
	close(work)
	wg.Wait()
	return nil
}

// complaint is a line of the compiler's about a file.
var complaint = regexp.MustCompile(`(?m)^\S*?([^/\s]+\.go):(\d+):\d+: `)

// build makes the test binaries. What the compiler does not take is no mutant.
func (s *session) build() error {
	chosen := map[string]bool{}
	for _, m := range s.pkg.chosen {
		chosen[m.key()+m.pos.String()] = true
	}
	for range 20 {
		overlay, err := s.pkg.overlay(s.dir)
		if err != nil {
			return err
		}
		_, err = output("go", "build", "-overlay", overlay, "-gcflags=-e", "./"+s.pkg.dir)
		if err == nil {
			s.pkg.chosen = slices.DeleteFunc(slices.Clone(s.pkg.mutants), func(m *mutant) bool { return !chosen[m.key()+m.pos.String()] })
			return s.link(overlay)
		}
		lines := complaint.FindAllStringSubmatch(err.Error(), -1)
		if len(lines) == 0 {
			return err
		}
		for _, l := range lines {
			s.pkg.refused[filepath.Join(s.pkg.dir, l[1])+":"+l[2]] = true
		}
	}
	return fmt.Errorf("%s: the compiler takes no set of mutants", s.pkg.dir)
}

// judged are the folders of the packages whose tests judge.
func (s *session) judged() []string {
	if s.o.own {
		return []string{s.pkg.dir}
	}
	return append([]string{s.pkg.dir}, judges[s.pkg.dir]...)
}

// noFiles has package rapid's checks, which fail on purpose here, keep no record of that in testdata.
const noFiles = "-rapid.nofailfile"

// link makes a binary of each package whose tests judge, and asks which tests it has.
func (s *session) link(overlay string) error {
	for i, of := range s.judged() {
		binary := filepath.Join(s.dir, fmt.Sprintf("test%d", i))
		if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+of).CombinedOutput(); err != nil {
			return fmt.Errorf("tests of %s: %w\n%s", of, err, out)
		}
		if _, err := os.Stat(binary); err != nil {
			continue // no tests
		}
		cmd := exec.Command(binary, "-test.list", "^(Test|Fuzz|Example)")
		cmd.Dir = of
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("tests of %s: %w", of, err)
		}
		var flags []string
		cmd = exec.Command(binary, "-test.list", "^$", noFiles)
		if cmd.Dir = of; cmd.Run() == nil {
			flags = []string{noFiles}
		}
		for name := range strings.FieldsSeq(string(out)) {
			s.tests = append(s.tests, &test{name: name, of: of, binary: binary, flags: flags})
		}
	}
	if len(s.tests) == 0 {
		return fmt.Errorf("%s: no tests", s.pkg.dir)
	}
	return nil
}

// record runs each test by itself, and notes which mutants' places it reaches.
func (s *session) record() error {
	count := len(s.pkg.mutants) + 1
	byID := map[int]*mutant{}
	for _, m := range s.pkg.mutants {
		byID[m.id] = m
	}

	work := make(chan *test)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	for w := range s.o.workers {
		file := filepath.Join(s.dir, fmt.Sprintf("hits%d", w))
		wg.Go(func() {
			for t := range work {
				if err := os.WriteFile(file, make([]byte, count), 0o644); err != nil {
					panic(err)
				}
				began := time.Now()
				out, err := t.run([]*test{t}, firstRun, "USOCK_MUTANT_HITS="+file)
				t.took = time.Since(began)
				hits, _ := os.ReadFile(file)

				mu.Lock()
				if err != nil {
					failed = append(failed, fmt.Sprintf("%s of %s: %v\n%s", t.name, t.of, err, tail(out)))
				}
				for id, n := range hits {
					if n != 0 {
						byID[id].reached = append(byID[id].reached, t)
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, t := range s.tests {
		work <- t
	}
	close(work)
	wg.Wait()
	if len(failed) > 0 {
		return fmt.Errorf("tests that fail with no mutant chosen judge nothing:\n%s", strings.Join(failed, "\n"))
	}
	for _, m := range s.pkg.mutants {
		slices.SortFunc(m.reached, func(a, b *test) int { return cmp.Compare(a.took, b.took) })
	}
	return nil
}

// run runs tests of one package.
func (t *test) run(tests []*test, limit time.Duration, env string) ([]byte, error) {
	names := make([]string, len(tests))
	for i, o := range tests {
		names[i] = regexp.QuoteMeta(o.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := []string{fmt.Sprintf("--data=%d", memory), "--core=0", t.binary,
		"-test.run", "^(" + strings.Join(names, "|") + ")$", "-test.failfast", "-test.count", "1", "-test.timeout", limit.String()}
	cmd := exec.CommandContext(ctx, "prlimit", append(args, t.flags...)...)
	cmd.Dir = t.of
	cmd.Env = append(os.Environ(), env)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

// judge runs the tests that reach a mutant: the quickest first.
func (s *session) judge(m *mutant) {
	if len(m.reached) == 0 {
		return
	}
	m.verdict = survived
	for _, some := range rounds(m.reached) {
		limit := slack
		for _, t := range some {
			limit += 4 * t.took
		}
		if out, err := some[0].run(some, limit, "USOCK_MUTANT="+strconv.Itoa(m.id)); err != nil {
			m.verdict, m.by = killed, failing(out, some)
			return
		}
	}
}

// rounds divides tests into runs: each is of one package.
func rounds(tests []*test) (out [][]*test) {
	for len(tests) > 0 {
		of, n := tests[0].of, quick
		if len(out) > 0 {
			n = len(tests)
		}
		var some, rest []*test
		for _, t := range tests {
			if t.of == of && len(some) < n {
				some = append(some, t)
			} else {
				rest = append(rest, t)
			}
		}
		out, tests = append(out, some), rest
	}
	return out
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: .*`)

func failing(out []byte, some []*test) string {
	if f := failure.FindSubmatch(out); f != nil {
		if len(f[1]) > 0 {
			return "by " + string(f[1])
		}
		return "by a panic"
	}
	return fmt.Sprintf("by the time or memory of one of %d tests", len(some))
}

func tail(b []byte) string {
	const n = 1000
	if len(b) > n {
		return "..." + string(b[len(b)-n:])
	}
	return string(b)
}
